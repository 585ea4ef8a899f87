"""`digest readers import` of what another program exported."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "readers" / "data"
SUBSCRIBED = str(DATA / "mailchimp-subscribed.csv")
SAID = ("--newsletter", "weekly", "--consent-source", "Mailchimp form")


def test_what_the_file_lacks_is_said_once(desk):
    choices = ("--series", "ipc", "--theme", "funding", "--rhythm", "monthly")
    report = desk.json("readers", "import", SUBSCRIBED, *SAID, *choices)
    assert (report["added"], report["problems"]) == (3, [])
    for line in desk.json("readers", "list"):
        assert line["interests"] == "series:ipc|theme:funding"
        assert (line["rhythm"], line["consent_source"]) == ("monthly", "Mailchimp form")
    again = desk.json("readers", "import", SUBSCRIBED, *SAID)
    assert (again["added"], again["unchanged"]) == (0, 3)


def test_without_it_the_cure_is_named_and_nothing_imported(desk):
    said = desk.run("readers", "import", SUBSCRIBED, code=2).err
    assert "or say --newsletter" in said
    assert "or say --consent-source" in said
    assert desk.json("readers", "list") == []


@pytest.mark.parametrize("name", ["mailchimp-unsubscribed.csv", "mailchimp-cleaned.csv"])
def test_who_left_there_is_refused_line_by_line(desk, name):
    done = desk.run("readers", "import", str(DATA / name), *SAID, code=3)
    assert "no consent any more" in done.out
    assert "Rows: 1, of them bad: 1." in done.out
