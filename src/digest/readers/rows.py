"""What the cells of an import mean: a row becomes offers, or problems with their cure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from digest.config import rhythm_of
from digest.mail.addresses import Address, parse_address
from digest.model import Interests, Rhythm
from digest.readers.choices import Fault, choice_faults
from digest.readers.enrolment import Offer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from digest.config import Config

ADDRESS = "address"
COLUMNS = (
    ADDRESS,
    "newsletters",
    "series",
    "themes",
    "rhythm",
    "consent_source",
    "consent_at",
)
_REQUIRED = (ADDRESS, "newsletters", "consent_source", "consent_at")
_ALIASES = {"email": ADDRESS, "e-mail": ADDRESS}

#: Nobody agreed to anything by e-mail before; such a year is a slip or a spreadsheet's zero.
_FIRST_YEAR = 1990

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong in a line, and how to cure it; `column` is empty for the line as a whole."""

    line: int
    column: str
    message: str
    cure: str

    def __str__(self) -> str:
        where = f"Line {self.line}, {self.column}" if self.column else f"Line {self.line}"
        return f"{where}: {self.message} ({self.cure})"


@dataclass(frozen=True, slots=True)
class Header:
    """Where the known columns stand, and the names of those that are not read."""

    places: Mapping[str, int]
    ignored: tuple[str, ...]
    width: int


def read_header(line: int, cells: Sequence[str]) -> Header | list[RowProblem]:
    """Find the columns by name, in any order and case."""
    names = [_name(cell) for cell in cells]
    problems = [
        RowProblem(line, column, f"there is no column {column}", _cure(column))
        for column in _REQUIRED
        if column not in names
    ] + [
        RowProblem(line, column, f"there are two columns {column}", "leave one of them out")
        for column in COLUMNS
        if names.count(column) > 1
    ]
    ignored = tuple(name for name in names if name and name not in COLUMNS)
    places = {name: place for place, name in enumerate(names) if name in COLUMNS}
    return problems or Header(places, ignored, len(names))


def _name(cell: str) -> str:
    name = re.sub(r"[\s_]+", "_", cell.strip().casefold())
    return _ALIASES.get(name, name)


def _cure(column: str) -> str:
    either = " (or email)" if column == ADDRESS else ""
    return f"the first line names the columns; save as CSV in UTF-8 and add {column}{either}"


def read_row(
    config: Config, header: Header, line: int, cells: Sequence[str], now: datetime
) -> list[Offer] | list[RowProblem]:
    """One offer per newsletter of the row, or everything that is wrong with it."""
    faults: list[Fault] = []
    row = _named(header, cells, faults)
    address = _address(row, faults)
    source = _source(row, faults)
    consent_at = _consent_at(row, config.site.zone, now, faults)
    rhythm = _rhythm(row, faults)
    newsletters = _slugs(row, "newsletters")
    if not newsletters:
        faults.append(Fault("newsletters", "is empty", _allowed(config.newsletters)))
    interests = Interests(
        tuple(f"series:{slug}" for slug in _slugs(row, "series"))
        + tuple(f"theme:{slug}" for slug in _slugs(row, "themes"))
    )
    for slug in newsletters:
        faults += choice_faults(config, slug, interests)
    if faults or address is None or consent_at is None:
        return [RowProblem(line, fault.field, fault.message, fault.cure) for fault in faults]
    return [
        Offer(
            address,
            slug,
            interests,
            rhythm or rhythm_of(config.newsletters[slug]),
            source,
            consent_at,
            may_ask=False,
        )
        for slug in newsletters
    ]


def _named(header: Header, cells: Sequence[str], faults: list[Fault]) -> dict[str, str]:
    if any(cell.strip() for cell in cells[header.width :]):
        message = f"has {len(cells)} cells where the header has {header.width}"
        faults.append(Fault("", message, 'put a value that holds the separator between " and "'))
    return {name: cells[at].strip() for name, at in header.places.items() if at < len(cells)}


def _address(row: Mapping[str, str], faults: list[Fault]) -> Address | None:
    parsed = parse_address(row.get(ADDRESS, ""))
    if isinstance(parsed, Address):
        return parsed
    faults.append(Fault(ADDRESS, parsed.reason, "correct the address, or leave the line out"))
    return None


def _source(row: Mapping[str, str], faults: list[Fault]) -> str:
    # A cell may hold line breaks; other control characters are damage, and NUL is one that
    # PostgreSQL cannot store.
    source = " ".join(row.get("consent_source", "").split())
    if not source:
        cure = "say where the reader agreed, such as: sign-up form 2025"
        faults.append(Fault("consent_source", "is empty", cure))
    elif _CONTROL.search(source):
        message = "has characters that cannot be read"
        faults.append(Fault("consent_source", message, "save the file as CSV in UTF-8"))
    return source


def _consent_at(
    row: Mapping[str, str], zone: ZoneInfo, now: datetime, faults: list[Fault]
) -> datetime | None:
    said = row.get("consent_at", "")
    cure = "write when the reader agreed as 2026-11-22 or 2026-11-22T18:00:00+00:00"
    moment = _moment(said)
    if not said:
        faults.append(Fault("consent_at", "is empty", cure))
    elif moment is None:
        faults.append(Fault("consent_at", f'"{said[:40]}" is not a date that can be read', cure))
    elif not _FIRST_YEAR <= moment.year <= now.year + 1 or _in_utc(moment, zone) > now:
        faults.append(Fault("consent_at", f"{said} cannot be when the reader agreed", cure))
    else:
        return _in_utc(moment, zone)
    return None


def _moment(said: str) -> datetime | None:
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None


def _in_utc(moment: datetime, zone: ZoneInfo) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _rhythm(row: Mapping[str, str], faults: list[Fault]) -> Rhythm | None:
    """None where the row leaves it to the newsletter."""
    said = re.sub(r"[\s_]+", "-", row.get("rhythm", "").casefold())
    if not said or said in set(Rhythm):
        return Rhythm(said) if said else None
    faults.append(Fault("rhythm", f'there is no rhythm "{said[:40]}"', _allowed(Rhythm)))
    return None


def _slugs(row: Mapping[str, str], column: str) -> list[str]:
    """The names in a cell, parted by anything that no name contains; each once."""
    return list(dict.fromkeys(re.findall(r"[^\s;,|]+", row.get(column, "").casefold())))


def _allowed(words: Iterable[str]) -> str:
    return f"allowed: {', '.join(sorted(words))}"
