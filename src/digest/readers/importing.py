"""Import of subscribers from CSV: what is good goes in, what is bad is reported line by line.

An import adds; it never changes an active subscription and never brings back a reader who
left or is suppressed. It is written in chunks, and can be repeated whole after a crash: what
went in before is found unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.readers.csvfile import BadRow, Row, open_csv
from digest.readers.enrolment import Enrolled, Enrolment, Offer, enrol
from digest.readers.rows import (
    ADDRESS,
    OPTIONS,
    Header,
    RowProblem,
    faults_of,
    read_header,
    row_reader,
)
from digest.readers.tokens import keyed_hash
from digest.readers.words import erased_on, left_on, suppressed_since

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from digest.config import Config
    from digest.store.engine import Store

#: Subscriptions per transaction: others may write in between.
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file.

    `rows` are those under the header, `bad_rows` those of them that went in not at all. The
    good ones make one subscription per newsletter, each counted once: `added`, `unchanged`
    (there already), `repeated` (the same twice in the file) or `refused` (suppressed, or the
    reader left). Every bad row and every refusal has its problem, by line.
    """

    rows: int
    bad_rows: int
    added: int
    unchanged: int
    repeated: int
    refused: int
    problems: tuple[RowProblem, ...]
    #: Columns of the file that nothing is read from.
    ignored_columns: tuple[str, ...]
    dry_run: bool

    def counts(self) -> dict[str, int]:
        """The numbers by name, for the record of the run."""
        names = ("rows", "bad_rows", "added", "unchanged", "repeated", "refused")
        return {name: getattr(self, name) for name in names}

    def lines(self) -> list[str]:
        """The report as the operator reads it: a line per problem, then the numbers."""
        ignored = ", ".join(self.ignored_columns)
        would = "would be " if self.dry_run else ""
        return [
            *map(str, self.problems),
            *([f"Not read, of the file's columns: {ignored}."] if ignored else []),
            f"Rows: {self.rows}, of them bad: {self.bad_rows}.",
            (
                f"Subscriptions: {self.added} {would}added, {self.unchanged} there already,"
                f" {self.repeated} repeated, {self.refused} refused."
            ),
        ]


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    bad_rows: int = 0
    added: int = 0
    unchanged: int = 0
    repeated: int = 0
    refused: int = 0
    problems: list[RowProblem] = field(default_factory=list)
    #: Where each (newsletter, address key) stood first, and with which choices.
    seen: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)

    def report(self, ignored: tuple[str, ...], *, dry_run: bool) -> ImportReport:
        return ImportReport(
            self.rows,
            self.bad_rows,
            self.added,
            self.unchanged,
            self.repeated,
            self.refused,
            tuple(sorted(self.problems, key=lambda problem: problem.line)),
            ignored,
            dry_run,
        )


def import_subscribers(
    store: Store,
    config: Config,
    secret: bytes,
    path: Path,
    now: datetime,
    *,
    defaults: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Import a CSV file; with `dry_run` everything is tried and nothing stays.

    `defaults` says for all lines, by column, what the file has no column for. Times without an
    offset are in the site's time zone, Mailchimp's in UTC. Raises `UsageError`, with nothing
    changed, where the file cannot be read or lacks columns.
    """
    _check(config, defaults or {})
    try:
        with open_csv(path) as rows:
            header = _header(path, rows, defaults or {})
            return _import(store, config, secret, header, rows, now=now, dry_run=dry_run)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _import(
    store: Store,
    config: Config,
    secret: bytes,
    header: Header,
    rows: Iterator[Row | BadRow],
    *,
    now: datetime,
    dry_run: bool,
) -> ImportReport:
    tally = _Tally()
    hashed = partial(keyed_hash, secret)
    offers = _offers(config, header, rows, now, tally)
    while chunk := list(islice(offers, CHUNK)):
        with store.write() as c:
            enrolments = enrol(c, [offer for _, offer in chunk], now, hashed)
            if dry_run:
                c.rollback()
        for (line, _), enrolment in zip(chunk, enrolments, strict=True):
            _count(tally, line, enrolment)
    return tally.report(header.ignored, dry_run=dry_run)


def _check(config: Config, defaults: Mapping[str, str]) -> None:
    faults = [
        f"{OPTIONS[fault.field]}: {fault.message} ({fault.cure})"
        for fault in faults_of(config, defaults)
    ]
    if faults:
        raise UsageError("\n".join(faults))


def _header(path: Path, rows: Iterator[Row | BadRow], defaults: Mapping[str, str]) -> Header:
    row = next(rows, Row(1, []))
    if isinstance(row, BadRow):
        header: Header | list[RowProblem] = [_problem(row)]
    else:
        header = read_header(row.line, row.cells, defaults)
    if isinstance(header, Header):
        return header
    said = "\n".join(map(str, header))
    raise UsageError(f"{path} cannot be imported, and nothing was changed:\n{said}")


def _problem(row: BadRow) -> RowProblem:
    return RowProblem(row.line, "", row.message, row.cure)


def _offers(
    config: Config,
    header: Header,
    rows: Iterator[Row | BadRow],
    now: datetime,
    tally: _Tally,
) -> Iterator[tuple[int, Offer]]:
    """The offers of the good rows with their lines; bad and repeated ones go to the tally."""
    read_row = row_reader(config, header, now)
    for row in rows:
        tally.rows += 1
        if isinstance(row, BadRow):
            read: list[Offer] | list[RowProblem] = [_problem(row)]
        else:
            read = read_row(row.line, row.cells)
        tally.bad_rows += isinstance(read[0], RowProblem)
        for one in read:
            if isinstance(one, RowProblem):
                tally.problems.append(one)
            elif _is_first(tally, row.line, one):
                yield row.line, one


def _is_first(tally: _Tally, line: int, offer: Offer) -> bool:
    choices = f"{offer.interests.key} {offer.rhythm}"
    place = (offer.newsletter, offer.address.key)
    first_line, first_choices = tally.seen.setdefault(place, (line, choices))
    if first_line == line:
        return True
    tally.repeated += 1
    if choices != first_choices:
        message = f"the same address and newsletter as line {first_line}, with other choices"
        cure = f"only line {first_line} counts: put all choices in one line"
        tally.problems.append(RowProblem(line, ADDRESS, message, cure))
    return False


def _count(tally: _Tally, line: int, enrolment: Enrolment) -> None:
    if enrolment.outcome is Enrolled.ACTIVE:
        tally.added += 1
    elif enrolment.outcome is Enrolled.UNCHANGED:
        tally.unchanged += 1
    else:
        tally.refused += 1
        tally.problems.append(RowProblem(line, ADDRESS, _refusal(enrolment), "leave the line out"))


def _refusal(enrolment: Enrolment) -> str:
    if enrolment.suppression is not None:
        return f"this address {suppressed_since(enrolment.suppression)}"
    if enrolment.erased_at is not None:
        return f"this address {erased_on(enrolment.erased_at)}"
    assert enrolment.left is not None
    return left_on(enrolment.left)
