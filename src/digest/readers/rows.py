"""What the cells of an import mean: a row becomes offers, or problems with their cure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from digest.config import rhythm_of
from digest.mail.addresses import Address, parse_address
from digest.model import Interests, Rhythm
from digest.readers.choices import Fault, choice_faults
from digest.readers.enrolment import Offer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import TypeAlias
    from zoneinfo import ZoneInfo

    from digest.config import Config

    #: Reads the cells of a row, given the line it starts on.
    RowReader: TypeAlias = Callable[[int, Sequence[str]], "list[Offer] | list[RowProblem]"]

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
_ALIASES = {
    "email": ADDRESS,
    "e-mail": ADDRESS,
    "email_address": ADDRESS,
    "e-mail_address": ADDRESS,
}

_CHOICES = ("newsletters", "series", "themes", "rhythm")

#: What may be said once for all lines, where the file has no such column.
OPTIONS = {
    "newsletters": "--newsletter",
    "series": "--series",
    "themes": "--theme",
    "rhythm": "--rhythm",
    "consent_source": "--consent-source",
}

#: Mailchimp's columns for when a reader agreed, the better evidence first. Its times are UTC.
_AGREED = ("confirm_time", "optin_time")
#: Its columns for when somebody ceased to be a subscriber, and how.
_ENDED = {"unsub_time": "unsubscribed", "clean_time": "was taken off, as mail did not arrive,"}

#: Nobody agreed to anything by e-mail before; such a year is a slip or a spreadsheet's zero.
_FIRST_YEAR = 1990

_DATE = "write when the reader agreed as 2026-11-22 or 2026-11-22T18:00:00+00:00"
_SLASHED = re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}\b")
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
    #: What every line says in columns that the file lacks.
    defaults: Mapping[str, str]


def read_header(
    line: int, cells: Sequence[str], defaults: Mapping[str, str]
) -> Header | list[RowProblem]:
    """Find the columns by name, in any order and case.

    `defaults` are the cells of columns, of those in OPTIONS, that the file lacks.
    """
    names = [_name(cell) for cell in cells]
    known = _known(names)
    problems = [
        *(
            RowProblem(line, column, f"there is no column {column}", _cure(column))
            for column in _REQUIRED
            if not _is_said(column, names, defaults)
        ),
        *(
            RowProblem(line, column, f"there are two columns {column}", "leave one of them out")
            for column in known
            if names.count(column) > 1
        ),
        *(
            RowProblem(line, column, "the file has this column", f"leave {OPTIONS[column]} out")
            for column in defaults
            if column in names
        ),
    ]
    ignored = tuple(name for name in names if name and name not in known)
    places = {name: place for place, name in enumerate(names) if name in known}
    return problems or Header(places, ignored, len(names), defaults)


def _known(names: Collection[str]) -> tuple[str, ...]:
    """The columns that are read where a file has these."""
    return (*COLUMNS, *_ENDED, *(() if "consent_at" in names else _AGREED))


def _is_said(column: str, names: Collection[str], defaults: Mapping[str, str]) -> bool:
    if column == "consent_at" and not {*_AGREED}.isdisjoint(names):
        return True
    return column in names or column in defaults


def _name(cell: str) -> str:
    name = re.sub(r"[\s_]+", "_", cell.strip().casefold())
    return _ALIASES.get(name, name)


def _cure(column: str) -> str:
    either = {ADDRESS: " (or email)"}.get(column, "")
    said = f", or say {OPTIONS[column]}" if column in OPTIONS else ""
    return f"the first line names the columns; save as CSV in UTF-8 and add {column}{either}{said}"


def row_reader(config: Config, header: Header, now: datetime) -> RowReader:
    """What reads a row of the file: one offer per newsletter, or everything that is wrong."""
    # Few lines choose what none before them chose.
    choices = lru_cache(maxsize=1024)(partial(_choices, config))

    def read(line: int, cells: Sequence[str]) -> list[Offer] | list[RowProblem]:
        faults: list[Fault] = []
        row = _named(header, cells, faults)
        _refuse_ended(row, faults)
        address = _address(row, faults)
        source = _source(row, faults)
        consent_at = _consent_at(row, config.site.zone, now, faults)
        chosen = choices(*(row.get(column, "") for column in _CHOICES))
        faults += chosen.faults
        if faults or address is None or consent_at is None:
            return [RowProblem(line, fault.field, fault.message, fault.cure) for fault in faults]
        return [
            Offer(address, slug, chosen.interests, rhythm, source, consent_at, may_ask=False)
            for slug, rhythm in chosen.rhythms
        ]

    return read


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a row's choices mean, for whoever's row it is."""

    interests: Interests
    #: By newsletter; of none where something is wrong.
    rhythms: tuple[tuple[str, Rhythm], ...]
    faults: tuple[Fault, ...]


def _choices(config: Config, newsletters: str, series: str, themes: str, rhythm: str) -> _Chosen:
    row = dict(zip(_CHOICES, (newsletters, series, themes, rhythm), strict=True))
    faults: list[Fault] = []
    said = _rhythm(row, faults)
    slugs, interests = _slugs(row, "newsletters"), _interests(row)
    if not slugs:
        faults.append(Fault("newsletters", "is empty", _allowed(config.newsletters)))
    for slug in slugs:
        faults += choice_faults(config, slug, interests)
    if faults:
        return _Chosen(interests, (), tuple(faults))
    rhythms = tuple((slug, said or rhythm_of(config.newsletters[slug])) for slug in slugs)
    return _Chosen(interests, rhythms, ())


def _named(header: Header, cells: Sequence[str], faults: list[Fault]) -> dict[str, str]:
    if any(cell.strip() for cell in cells[header.width :]):
        message = f"has {len(cells)} cells where the header has {header.width}"
        faults.append(Fault("", message, 'put a value that holds the separator between " and "'))
    said = {name: cells[at].strip() for name, at in header.places.items() if at < len(cells)}
    return {**header.defaults, **said}


def _refuse_ended(row: Mapping[str, str], faults: list[Fault]) -> None:
    """An export of those who left must not make them subscribers."""
    for column, how in _ENDED.items():
        if when := row.get(column):
            cure = "leave the line out; digest readers suppress keeps an address away for good"
            faults.append(Fault(column, f"{how} on {when[:40]}: no consent any more", cure))


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
    column, said = _agreed(row)
    moment = _moment(said)
    if not said:
        faults.append(Fault(column, "is empty", _DATE))
    elif moment is None:
        faults.append(
            Fault(column, f'"{said[:40]}" is not a date that can be read', _date_cure(said))
        )
    else:
        agreed = _in_utc(moment, zone if column == "consent_at" else UTC)
        if agreed is not None and agreed.year >= _FIRST_YEAR and agreed <= now:
            return agreed
        faults.append(Fault(column, f"{said} cannot be when the reader agreed", _DATE))
    return None


def _agreed(row: Mapping[str, str]) -> tuple[str, str]:
    """The column that says when the reader agreed, and what it says."""
    if "consent_at" in row:
        return "consent_at", row["consent_at"]
    said = [(column, row[column]) for column in _AGREED if column in row]
    # A row may be shorter than the header.
    first = said[0] if said else ("consent_at", "")
    return next(((column, text) for column, text in said if text), first)


def _date_cure(said: str) -> str:
    """14/03/2025 and 03/14/2025 look alike on most days: nobody guesses which is meant."""
    if not _SLASHED.match(said):
        return _DATE
    return f"in the spreadsheet give the column the format yyyy-mm-dd, and save again; {_DATE}"


def _moment(said: str) -> datetime | None:
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None


def _in_utc(moment: datetime, zone: tzinfo) -> datetime | None:
    """None at the ends of the calendar, where another zone has no such day."""
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return None


def _rhythm(row: Mapping[str, str], faults: list[Fault]) -> Rhythm | None:
    """None where the row leaves it to the newsletter."""
    said = re.sub(r"[\s_]+", "-", row.get("rhythm", "").casefold())
    if not said or said in set(Rhythm):
        return Rhythm(said) if said else None
    faults.append(Fault("rhythm", f'there is no rhythm "{said[:40]}"', _allowed(Rhythm)))
    return None


def _interests(row: Mapping[str, str]) -> Interests:
    return Interests(
        tuple(f"series:{slug}" for slug in _slugs(row, "series"))
        + tuple(f"theme:{slug}" for slug in _slugs(row, "themes"))
    )


def _slugs(row: Mapping[str, str], column: str) -> list[str]:
    """The names in a cell, parted by anything that no name contains; each once."""
    return list(dict.fromkeys(re.findall(r"[^\s;,|]+", row.get(column, "").casefold())))


def _allowed(words: Iterable[str]) -> str:
    return f"allowed: {', '.join(sorted(words))}"


def faults_of(config: Config, defaults: Mapping[str, str]) -> list[Fault]:
    """Everything that is wrong with what is said once for all lines."""
    faults: list[Fault] = []
    if "consent_source" in defaults:
        _source(defaults, faults)
    _rhythm(defaults, faults)
    interests = _interests(defaults)
    for slug in _slugs(defaults, "newsletters") or list(config.newsletters)[:1]:
        faults += choice_faults(config, slug, interests)
    return faults
