"""Files as Excel, LibreOffice and Mailchimp write them, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from digest.errors import UsageError
from digest.model import Rhythm
from digest.readers.erasure import erase_address
from digest.readers.importing import ImportReport, import_subscribers
from digest.readers.subscriptions import list_subscribers

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent / "data"
MAILCHIMP = {"newsletters": "weekly", "consent_source": "Mailchimp sign-up form"}


@pytest.fixture
def load(any_store, config, secret, now) -> Callable[..., ImportReport]:
    """Imports one of the files, with what is said on the command line."""

    def load(name: str, **defaults: str) -> ImportReport:
        return import_subscribers(any_store, config, secret, DATA / name, now, defaults=defaults)

    return load


def _problems(report: ImportReport) -> list[tuple[int, str]]:
    return [(one.line, one.column) for one in report.problems]


def _by_name(store: Any) -> dict[str, Any]:
    return {one.address.partition("@")[0]: one for one in list_subscribers(store)}


@pytest.mark.parametrize("name", ["excel-utf8.csv", "excel-cp1252.csv"])
def test_excel(any_store, load, name):
    report = load(name)
    assert (report.rows, report.bad_rows, report.added) == (4, 1, 4)
    found = _by_name(any_store)
    assert found["Rene.Lefevre"].consent_source == "Café d’été"
    assert found["Rene.Lefevre"].rhythm is Rhythm.EACH_POST
    assert found["zoe.mueller"].interests.key == "series:ipc"
    assert found["olu.adeyemi"].interests.key == "series:ipc|series:pbr"
    # Half past six on a summer's evening in London, a spreadsheet's minute.
    assert found["olu.adeyemi"].consent_at == datetime(2025, 6, 30, 17, 5, tzinfo=UTC)
    [problem] = report.problems
    assert (problem.line, problem.column) == (4, "consent_at")
    assert '"14/03/2025" is not a date that can be read' in problem.message
    assert "format yyyy-mm-dd, and save again" in problem.cure


def test_libreoffice(any_store, load):
    report = load("libreoffice.csv")
    assert (report.rows, report.bad_rows, report.added, report.repeated) == (4, 1, 2, 1)
    # Lines as an editor shows them: two cells above have a line break.
    assert _problems(report) == [(6, "address")]
    assert _by_name(any_store)["ada.whitlock"].consent_source == "sign-up sheet, front desk"


def test_mailchimp_subscribed(any_store, load):
    report = load("mailchimp-subscribed.csv", **MAILCHIMP)
    assert (report.rows, report.added, report.problems) == (3, 3, ())
    found = _by_name(any_store)
    # Its times are UTC; the confirmation counts, else the sign-up.
    assert {name: f"{one.consent_at:%Y-%m-%d %H:%M:%S %Z}" for name, one in found.items()} == {
        "ines.okafor": "2025-03-14 09:26:53 UTC",
        "Tom.Achterberg": "2019-07-01 23:30:05 UTC",
        "wei.zhang": "2024-12-31 23:59:59 UTC",
    }
    assert {one.consent_source for one in found.values()} == {"Mailchimp sign-up form"}
    assert "tags" in report.ignored_columns
    assert load("mailchimp-subscribed.csv", **MAILCHIMP).unchanged == 3


@pytest.mark.parametrize(
    ("name", "column", "said"),
    [
        ("mailchimp-unsubscribed.csv", "unsub_time", "unsubscribed on 2024-05-06 07:08:09"),
        ("mailchimp-cleaned.csv", "clean_time", "as mail did not arrive, on 2024-08-09 10:11:12"),
    ],
)
def test_who_left_mailchimp_becomes_no_subscriber(*, any_store, load, name, column, said):
    report = load(name, **MAILCHIMP)
    assert (report.rows, report.bad_rows, report.added) == (1, 1, 0)
    [problem] = report.problems
    assert (problem.line, problem.column) == (2, column)
    assert said in problem.message
    assert _by_name(any_store) == {}


def test_choices_for_all_lines(any_store, load):
    choices = {"newsletters": "weekly;monthly", "series": "ipc;pbr", "themes": "funding"}
    report = load("mailchimp-subscribed.csv", consent_source="form", rhythm="each-post", **choices)
    assert report.added == 6
    one = _by_name(any_store)["wei.zhang"]
    assert one.interests.key == "series:ipc|series:pbr|theme:funding"
    assert one.rhythm is Rhythm.EACH_POST


@pytest.mark.parametrize(
    ("name", "defaults", "said"),
    [
        ("mailchimp-subscribed.csv", {}, "no column newsletters"),
        ("mailchimp-subscribed.csv", {}, "or say --newsletter"),
        ("mailchimp-subscribed.csv", {}, "or say --consent-source"),
        ("libreoffice.csv", {"newsletters": "weekly"}, "leave --newsletter out"),
        ("libreoffice.csv", {"rhythm": "hourly"}, '--rhythm: there is no rhythm "hourly"'),
        ("libreoffice.csv", {"series": "icp"}, '--series: there is no series "icp"'),
        ("libreoffice.csv", {"themes": "icp"}, '--theme: there is no theme "icp"'),
        (
            "mailchimp-subscribed.csv",
            {"newsletters": "dayly", "consent_source": "x"},
            '--newsletter: there is no newsletter "dayly" (allowed: monthly, weekly)',
        ),
        (
            "mailchimp-subscribed.csv",
            {"newsletters": "weekly", "consent_source": "\x07"},
            "--consent-source: has characters",
        ),
    ],
)
def test_what_is_said_for_all_lines_is_checked_before_any(*, any_store, load, name, defaults, said):
    with pytest.raises(UsageError) as refusal:
        load(name, **defaults)
    assert said in str(refusal.value)
    assert _by_name(any_store) == {}


def test_who_was_erased_stays_away_from_every_import(any_store, load, secret, now):
    load("mailchimp-subscribed.csv", **MAILCHIMP)
    erase_address(any_store, secret, "wei.zhang@example.org", now)
    report = load("mailchimp-subscribed.csv", **MAILCHIMP)
    assert (report.added, report.unchanged, report.refused) == (0, 2, 1)
    [problem] = report.problems
    assert problem.message == (
        "this address was erased on 22 November 2026; only the reader can come back"
    )
    assert sorted(_by_name(any_store)) == ["Tom.Achterberg", "ines.okafor"]


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("14/03/2025 09:26", "format yyyy-mm-dd"),
        ("3.14.2025", "format yyyy-mm-dd"),
        ("2025/03/14", "format yyyy-mm-dd"),
        ("45730", "write when the reader agreed"),
        ("last Tuesday", "write when the reader agreed"),
    ],
)
def test_dates_that_could_mean_another_day_are_not_guessed(
    *, any_store, config, secret, now, tmp_path, said, cure
):
    file = tmp_path / "dates.csv"
    file.write_text(
        f"email,newsletters,consent_source,consent_at\na@x.example,weekly,form,{said}\n"
    )
    [problem] = import_subscribers(any_store, config, secret, file, now).problems
    assert (problem.column, cure in problem.cure) == ("consent_at", True)
