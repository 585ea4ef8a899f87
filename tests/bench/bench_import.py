"""100,000 readers from the files that three programs write, beside reading each with csv alone.

The budget is 60 seconds a file on two cores. Trust the ratios.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from digest.config import Config, StoreSettings
from digest.readers.importing import import_subscribers
from digest.store.engine import open_store
from digest.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 100_000
BUDGET = 60
NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
FIRST = datetime(2019, 1, 7, 8, 30, tzinfo=UTC)

NEWSLETTER = {
    "title": "Letters",
    "from_name": "Letters",
    "from_address": "letters@bench.example",
    "bounce_address": "bounces@bench.example",
    "reply_to": "editors@bench.example",
    "unsubscribe_mailto": "leave@bench.example",
    "list_id": "letters.bench.example",
    "mailer": "local",
}
SERIES = {"title": "A series", "hashtag": "Series", "match": {"categories": ["A"]}}
CONFIG = Config.model_validate(
    {
        "site": {
            "name": "Bench",
            "url": "https://bench.example/",
            "contact": "https://bench.example/",
            "postal_address": "Bench",
            "links_url": "https://bench.example",
        },
        "mailers": {"local": {"kind": "file"}},
        "feeds": {"blog": {"url": "https://bench.example/feed"}},
        "series": {"ipc": SERIES, "pbr": SERIES},
        "themes": {"funding": {"title": "Funding", "hashtag": "Funding", "terms": {"x": 1}}},
        "newsletters": {"weekly": NEWSLETTER, "monthly": NEWSLETTER | {"cadence": "monthly"}},
    }
)


@dataclass(frozen=True)
class Program:
    """How a program writes CSV."""

    name: str
    encoding: str
    separator: str
    line_end: str
    header: tuple[str, ...]
    row: Callable[[int, datetime], tuple[str, ...]]
    #: Columns that the file lacks, said on the command line.
    defaults: dict[str, str]


OWN = ("email", "newsletters", "series", "themes", "rhythm", "consent_source", "consent_at", "note")


def by_hand(number: int, at: datetime) -> tuple[str, ...]:
    """A row of a sheet kept by hand; every tenth has a name with accents and a line break."""
    note = f"Zoë Müller-Lüdenscheidt;\nRue de l’Église {number}" if number % 10 == 0 else "-"
    series = ("", "ipc", "pbr", "ipc, pbr")[number % 4]
    address = f"Reader.{number}@mail{number % 97}.example.org"
    return (address, "weekly", series, "", "", "Anmeldung bei der Tagung", f"{at:%Y-%m-%d}", note)


MAILCHIMP = (
    *("Email Address", "First Name", "Last Name", "MEMBER_RATING", "OPTIN_TIME", "OPTIN_IP"),
    *("CONFIRM_TIME", "CONFIRM_IP", "LATITUDE", "LONGITUDE", "GMTOFF", "DSTOFF", "TIMEZONE", "CC"),
    *("REGION", "LAST_CHANGED", "LEID", "EUID", "NOTES", "TAGS"),
)


def audience(number: int, at: datetime) -> tuple[str, ...]:
    """A member as an audience's export has it."""
    when, ip = f"{at:%Y-%m-%d %H:%M:%S}", "198.51.100.7"
    address = f"reader{number}@mail{number % 97}.example.org"
    place = ("51.5", "-0.12", "0", "1", "Europe/London", "GB", "ENG")
    return (address, "Zoë", "Q", "2", when, ip, when, ip, *place, when, "1", "2", "", '"A","B"')


PROGRAMS = (
    Program("Excel", "cp1252", ";", "\r\n", OWN, by_hand, {}),
    Program("LibreOffice", "utf-8", ",", "\n", OWN, by_hand, {}),
    Program(
        "Mailchimp",
        "utf-8",
        ",",
        "\n",
        MAILCHIMP,
        audience,
        {"newsletters": "weekly", "consent_source": "Mailchimp, opt-in"},
    ),
)


def rows(program: Program) -> Iterator[tuple[str, ...]]:
    yield program.header
    for number in range(ROWS):
        yield program.row(number, FIRST + timedelta(minutes=number))


def write(program: Program, file: Path) -> None:
    with file.open("w", encoding=program.encoding, newline="") as out:
        writer = csv.writer(out, delimiter=program.separator, lineterminator=program.line_end)
        writer.writerows(rows(program))


def read_alone(program: Program, file: Path) -> float:
    start = time.perf_counter()
    with file.open(encoding=program.encoding, newline="") as source:
        read = sum(1 for _ in csv.reader(source, delimiter=program.separator))
    assert read == ROWS + 1
    return time.perf_counter() - start


def measure(program: Program, folder: Path) -> None:
    """Import twice, the second time into what is there already; says so on stdout."""
    file = folder / "readers.csv"
    write(program, file)
    alone = read_alone(program, file)
    store = open_store(StoreSettings(url="sqlite:///bench.db"), folder)
    metadata.create_all(store.engine)
    for round_ in ("new", "again"):
        start, worked = time.perf_counter(), time.process_time()
        report = import_subscribers(store, CONFIG, bytes(32), file, NOW, defaults=program.defaults)
        seconds, cpu = time.perf_counter() - start, time.process_time() - worked
        assert (report.added, report.unchanged)[round_ == "again"] == ROWS, report.counts()
        print(
            f"{program.name:<12} {round_:<6} {seconds:6.1f} s of {BUDGET} s ({cpu:.1f} s CPU),"
            f" {ROWS / seconds:8,.0f} rows/s, csv alone {alone:.2f} s ({seconds / alone:.0f} x)"
        )
    print(f"{program.name:<12} peak   {peak_megabytes():6.0f} MB")


def peak_megabytes() -> float:
    """The most memory that this process ever had, of Linux's own account."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if len(sys.argv) == 2:
        (program,) = (each for each in PROGRAMS if each.name == sys.argv[1])
        with tempfile.TemporaryDirectory() as folder:
            measure(program, Path(folder))
        return
    # Each in a process of its own, for the sake of its peak.
    for each in PROGRAMS:
        subprocess.run([sys.executable, __file__, each.name], check=True)


if __name__ == "__main__":
    main()
