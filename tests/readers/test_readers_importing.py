"""What operators really hand in: files from Excel, half of them damaged."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

import pytest
from sqlalchemy import event

from digest.errors import UsageError
from digest.model import Interests, Rhythm
from digest.readers.importing import ImportReport, import_subscribers
from digest.readers.subscriptions import end_subscription, list_subscribers, suppress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digest.config import Config
    from digest.store.engine import Store

    Load: TypeAlias = Callable[..., ImportReport]

SECRET = bytes(range(32))
HEADER = "email,newsletters,series,themes,rhythm,consent_source,consent_at\n"
ADA = "ada@example.org,weekly,,,,form,2026-01-05\n"
BO = "bo@example.org,weekly,,,,form,2026-01-06\n"


def _loader(store: Store, config: Config, file: Path, now: datetime) -> Load:
    """Imports a file with these bytes, or this text in UTF-8."""

    def load(content: str | bytes, *, dry_run: bool = False) -> ImportReport:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return import_subscribers(store, config, SECRET, file, now, dry_run=dry_run)

    return load


@pytest.fixture
def load(store: Store, config: Config, tmp_path: Path, now: datetime) -> Load:
    return _loader(store, config, tmp_path / "readers.csv", now)


@pytest.fixture
def load_any(any_store: Store, config: Config, tmp_path: Path, now: datetime) -> Load:
    return _loader(any_store, config, tmp_path / "readers.csv", now)


def _problems(report: ImportReport) -> list[tuple[int, str, str]]:
    return [(one.line, one.column, one.message) for one in report.problems]


def _addresses(store: Store) -> list[str]:
    return [one.address for one in list_subscribers(store)]


def test_every_column_arrives(any_store, load_any, listed):
    report = load_any(
        HEADER
        + "Carys.Pugh@example.org,weekly;monthly,ipc; pbr,funding,,letter,2025-06-14T21:12:45+01:00\n"
        + "ada@example.org,weekly,,,Each Post,form,2025-07-01\n"
    )
    assert (report.rows, report.bad_rows, report.added, report.problems) == (2, 0, 3, ())
    carys = listed(any_store)["Carys.Pugh@example.org", "monthly"]
    assert (carys.state, carys.consent_source, carys.rhythm) == ("active", "letter", Rhythm.MONTHLY)
    assert carys.interests.key == Interests(("theme:funding", "series:pbr", "series:ipc")).key
    assert carys.consent_at == datetime(2025, 6, 14, 20, 12, 45, tzinfo=UTC)
    ada = listed(any_store)["ada@example.org", "weekly"]
    assert (ada.rhythm, ada.interests.everything) == (Rhythm.EACH_POST, True)
    # A date alone is a day of the site's own zone: midnight in London's summer.
    assert ada.consent_at == datetime(2025, 6, 30, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param((HEADER + ADA).encode("utf-8-sig"), id="utf-8 with a mark"),
        pytest.param((HEADER + ADA).replace(",", "\t").encode("utf-16"), id="utf-16 from Excel"),
        pytest.param(b"\xfe\xff" + (HEADER + ADA).encode("utf-16-be"), id="be"),
        pytest.param(("sep=;\r\n" + HEADER + ADA).replace(",", ";").encode(), id="sep line"),
        pytest.param((HEADER + ADA).replace(",", ";").encode(), id="semicolons"),
        pytest.param((HEADER + ADA).replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param((HEADER + ADA).replace("\n", "\r").encode(), id="CR"),
        pytest.param((HEADER + ADA).rstrip().encode(), id="no last line end"),
        pytest.param((HEADER + "\n,,,,,,\n" + ADA + " , ,,,,,\n").encode(), id="blank lines"),
        pytest.param((HEADER + ADA.replace("\n", ",,,\n")).encode(), id="trailing separators"),
        pytest.param((HEADER.upper() + ADA).encode(), id="header in capitals"),
        pytest.param((HEADER.replace("email", '" Address "') + ADA).encode(), id="address"),
        pytest.param((HEADER.replace("consent_", "Consent ") + ADA).encode(), id="spaces"),
    ],
)
def test_forms_of_the_same_file(store, load, content):
    report = load(content)
    assert (report.rows - report.bad_rows, report.added, report.problems) == (1, 1, ())
    assert _addresses(store) == ["ada@example.org"]


def test_cp1252_and_line_breaks_in_a_cell(store, load):
    row = 'ada@example.org,weekly,,,,"Café,\r\nRue d’Été",2026-01-05\n'
    report = load((HEADER + row + BO.replace("weekly", "dayly")).encode("cp1252"))
    assert report.added == 1
    assert [one.consent_source for one in list_subscribers(store)] == ["Café, Rue d’Été"]
    # Lines count as an editor shows them, breaks within cells included.
    assert _problems(report) == [(4, "newsletters", 'there is no newsletter "dayly"')]


@pytest.mark.parametrize(
    ("row", "column", "message", "cure"),
    [
        ("ada.example.org,weekly,,,,form,2026-01-05", "address", "must have an @-sign", "correct"),
        (",weekly,,,,form,2026-01-05", "address", "", "correct"),
        ("a\0@example.org,weekly,,,,form,2026-01-05", "address", "", "correct"),
        ("a@example.org,,,,,form,2026-01-05", "newsletters", "is empty", "monthly, weekly"),
        ("a@example.org,dayly,,,,form,2026-01-05", "newsletters", '"dayly"', "monthly, weekly"),
        ("a@example.org,weekly,icp,,,form,2026-01-05", "series", '"icp"', "ipc, pbr"),
        ("a@example.org,weekly,,fun,,form,2026-01-05", "themes", '"fun"', "funding"),
        ("a@example.org,weekly,,,hourly,form,2026-01-05", "rhythm", '"hourly"', "each-post"),
        ("a@example.org,weekly,,,,,2026-01-05", "consent_source", "is empty", "say where"),
        (
            "a@example.org,weekly,,,,\x07form,2026-01-05",
            "consent_source",
            "cannot be read",
            "UTF-8",
        ),
        ("a@example.org,weekly,,,,fo\0rm,2026-01-05", "consent_source", "cannot be read", "UTF-8"),
        ("a@example.org,weekly,,,,form,", "consent_at", "is empty", "2026-11-22"),
        ("a@example.org,weekly,,,,form", "consent_at", "is empty", "2026-11-22"),
        ("a@example.org,weekly,,,,form,5/1/2026", "consent_at", "5/1/2026", "2026-11-22"),
        ("a@example.org,weekly,,,,form,2026-02-30", "consent_at", "2026-02-30", "2026-11-22"),
        ("a@example.org,weekly,,,,form,2026-11-23", "consent_at", "2026-11-23", "2026-11-22"),
        ("a@example.org,weekly,,,,form,0001-01-01", "consent_at", "0001", "2026-11-22"),
        ("a@example.org,weekly,,,,form,9999-12-31T23:59-12:00", "consent_at", "9999", "2026-11-22"),
        ("a@example.org,weekly,,,,a form, 2025,2026-01-05", "", "8 cells", '"'),
        ('a@example.org,weekly,,,,"form"x,2026-01-05', "", "line 2 could not be read", "quotation"),
    ],
)
def test_bad_row_is_reported_and_good_ones_go_in(*, store, load, row, column, message, cure):
    report = load(HEADER + row + "\n" + BO)
    [problem] = [one for one in report.problems if one.column == column]
    assert problem.line == 2
    assert message in problem.message
    assert cure in problem.cure
    assert (report.rows, report.bad_rows, report.added) == (2, 1, 1)
    assert _addresses(store) == ["bo@example.org"]


def test_everything_wrong_with_a_row_is_said_at_once(load):
    report = load(HEADER + "ada,dayly,icp,,hourly,,soon\n")
    columns = [one.column for one in report.problems]
    assert sorted(columns) == [
        "address", "consent_at", "consent_source", "newsletters", "rhythm", "series",
    ]  # fmt: skip
    assert report.bad_rows == 1


def test_unclosed_quote_swallows_nothing_unseen(store, load):
    report = load(HEADER + ADA + 'x@example.org,weekly,,,,"form,2026-01-05\n' + BO)
    assert _addresses(store) == ["ada@example.org"]
    [problem] = report.problems
    assert (problem.line, report.bad_rows) == (3, 1)
    assert "lines 3 to 4 could not be read" in problem.message


def test_endless_cell_is_reported_and_reading_goes_on(store, load):
    report = load(HEADER + 'x@example.org,weekly,,,,"' + "y" * 200_000 + '",2026-01-05\n' + BO)
    assert _addresses(store) == ["bo@example.org"]
    assert [one.line for one in report.problems] == [2]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("", ["address", "newsletters", "consent_source", "consent_at"]),
        ("name,newsletters,consent_source\nada,weekly,form\n", ["address", "consent_at"]),
        (HEADER.replace("series", "email") + ADA, ["address"]),
        ((HEADER + ADA).encode("utf-16-le"), ["address", "newsletters", "consent_source", "consent_at"]),
        (b"PK\x03\x04\x14\x00\x06\x00\x81\xff", ["address", "newsletters", "consent_source", "consent_at"]),
    ],
)  # fmt: skip
def test_file_without_its_columns_is_refused_whole(store, load, content, columns):
    with pytest.raises(UsageError, match=r"readers\.csv cannot be imported") as refusal:
        load(content)
    said = str(refusal.value).splitlines()[1:]
    assert [line.partition(", ")[2].partition(":")[0] for line in said] == columns
    assert _addresses(store) == []


def test_columns_that_are_not_read_are_named(load):
    report = load("name,phone," + HEADER + "Ada,1234," + ADA)
    assert (report.added, report.ignored_columns) == (1, ("name", "phone"))


def test_missing_file_is_a_clear_error(store, config, tmp_path, now):
    with pytest.raises(UsageError, match=r"nowhere\.csv cannot be read: No such file"):
        import_subscribers(store, config, SECRET, tmp_path / "nowhere.csv", now)


def test_same_reader_twice_in_a_file(store, load):
    other = "ADA@example.org,weekly,ipc,,,form,2026-01-05\n"
    report = load(HEADER + ADA + ADA + other)
    assert (report.rows, report.added, report.repeated) == (3, 1, 2)
    [problem] = report.problems
    assert problem.line == 4
    assert "line 2, with other choices" in problem.message
    assert _addresses(store) == ["ada@example.org"]


def test_import_never_resurrects(any_store, load_any, now):
    load_any(HEADER + ADA + BO)
    end_subscription(
        any_store, address="ada@example.org", newsletter="weekly", reason="unsubscribed", now=now
    )
    suppress(any_store, "bo@example.org", "complained", "mailer", now)
    before = list(list_subscribers(any_store))

    report = load_any(
        HEADER + ADA.upper().replace("WEEKLY", "weekly") + BO + BO.replace("week", "month")
    )
    assert (report.added, report.refused, report.bad_rows) == (0, 3, 0)
    left, suppressed, also_suppressed = report.problems
    assert (left.line, left.column) == (2, "address")
    assert left.message == "unsubscribed on 22 November 2026; only the reader can come back"
    assert (suppressed.line, also_suppressed.line) == (3, 4)
    assert "since 22 November 2026 (complained, by mailer)" in suppressed.message
    assert list(list_subscribers(any_store)) == before


def test_who_left_everything_is_brought_back_by_no_older_consent(any_store, load_any, now):
    """Not for another newsletter either: "no newsletter of ours" is what they were told."""
    load_any(HEADER + ADA + BO)
    leave = partial(end_subscription, any_store, newsletter="weekly", reason="unsubscribed")
    leave(address="ada@example.org", now=now - timedelta(days=3))
    other = (ADA + BO).replace("weekly", "monthly")

    report = load_any(HEADER + other)
    assert (report.added, report.refused) == (1, 1)
    [problem] = report.problems
    assert problem.message == "unsubscribed on 19 November 2026; only the reader can come back"
    # What somebody agreed to since, or of several newsletters, is another matter.
    leave(address="bo@example.org", now=now)
    report = load_any(HEADER + other.replace("2026-01-05", "2026-11-21"))
    assert (report.added, report.unchanged) == (1, 1)


def test_import_again_changes_nothing(any_store, load_any):
    load_any(HEADER + ADA)
    before = list(list_subscribers(any_store))
    report = load_any(HEADER + ADA.replace(",,,,", ",ipc,,monthly,") + BO)
    assert (report.added, report.unchanged) == (1, 1)
    assert [one for one in list_subscribers(any_store) if one.address[:3] == "ada"] == before


def test_dry_run_says_the_same_and_leaves_nothing(any_store, load_any):
    content = HEADER + ADA + ADA + BO.replace("bo@", "bo") + BO
    tried = load_any(content, dry_run=True)
    assert tried.dry_run
    assert _addresses(any_store) == []
    done = load_any(content)
    assert (tried.added, tried.repeated, tried.problems) == (
        done.added, done.repeated, done.problems,
    )  # fmt: skip
    assert done.added == 2


def test_report_in_words(load):
    report = load("name," + HEADER + "A," + ADA + "B," + BO.replace("weekly", "dayly"))
    assert report.lines() == [
        'Line 3, newsletters: there is no newsletter "dayly" (allowed: monthly, weekly)',
        "Not read, of the file's columns: name.",
        "Rows: 2, of them bad: 1.",
        "Subscriptions: 1 added, 0 there already, 0 repeated, 0 refused.",
    ]
    assert report.counts() == {
        "rows": 2, "bad_rows": 1, "added": 1, "unchanged": 0, "repeated": 0, "refused": 0,
    }  # fmt: skip


class _Killed(BaseException):
    pass


def test_killed_in_the_middle_it_can_be_repeated(store, config, tmp_path, now):
    file = tmp_path / "many.csv"
    rows = [f"r{n}@example.org,weekly,,,,form,2026-01-05\n" for n in range(2500)]
    file.write_text(HEADER + "".join(rows))
    run = partial(import_subscribers, store, config, SECRET, file, now)

    connections = 0

    def die(*_):
        nonlocal connections
        connections += 1
        if connections == 3:
            raise _Killed

    event.listen(store.engine, "commit", die)
    with pytest.raises(_Killed):
        run()
    event.remove(store.engine, "commit", die)
    assert len(_addresses(store)) == 2000
    report = run()
    assert (report.added, report.unchanged) == (500, 2000)
    assert len(set(_addresses(store))) == 2500


def test_memory_does_not_grow_with_the_rows(store, config, tmp_path, now):
    """Beside the file's own keys, a few hundred bytes each, nothing is kept."""
    file = tmp_path / "many.csv"

    def peak(rows: int, start: int) -> int:
        with file.open("w") as out:
            out.write(HEADER)
            for n in range(start, start + rows):
                out.write(f"r{n}@example.org,weekly,,,,form,2026-01-05\n")
        tracemalloc.start()
        report = import_subscribers(store, config, SECRET, file, now, dry_run=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert report.added == rows
        return most

    peak(1000, 0)
    assert peak(2000, 10_000) - peak(1000, 20_000) < 1000 * 600


def test_two_imports_at_once_in_opposite_orders(any_store, config, tmp_path, now):
    rows = [f"r{n}@example.org,weekly,,,,form,2026-01-05\n" for n in range(2500)]
    reports = []

    def run(name: str, rows: list[str]) -> None:
        file = tmp_path / name
        file.write_text(HEADER + "".join(rows))
        reports.append(import_subscribers(any_store, config, SECRET, file, now))

    threads = [
        Thread(target=run, args=("up.csv", rows)),
        Thread(target=run, args=("down.csv", rows[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.added for report in reports) == 2500
    assert sum(report.unchanged for report in reports) == 2500
    assert len(_addresses(any_store)) == 2500


_IMPORT = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlalchemy import event
from digest.config import Config, StoreSettings
from digest.readers.importing import import_subscribers
from digest.store.engine import open_store
config = Config.model_validate_json(sys.argv[1])
store = open_store(StoreSettings(url=sys.argv[2]), Path())
event.listen(store.engine, "commit", lambda _: print("commit", flush=True))
import_subscribers(store, config, bytes(range(32)), Path(sys.argv[3]), datetime.now(UTC))
"""


@pytest.mark.kill
def test_sigkill_at_any_commit_and_again(store, config, tmp_path, now):
    file = tmp_path / "many.csv"
    rows = [f"r{n}@example.org,weekly,,,,form,2026-01-05\n" for n in range(5000)]
    file.write_text(HEADER + "".join(rows))
    url = store.engine.url.render_as_string()
    command = [sys.executable, "-c", _IMPORT, config.model_dump_json(), url, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert [process.stdout.readline() for _ in range(3)] == [b"commit\n"] * 3
        process.kill()
    there = len(_addresses(store))
    assert there % 1000 == 0
    assert there >= 2000
    report = import_subscribers(store, config, SECRET, file, now)
    assert (report.added, report.unchanged) == (5000 - there, there)
    assert len(set(_addresses(store))) == 5000
