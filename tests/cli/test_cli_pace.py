"""What config says of pace, hours and canaries holds for whoever sends, and the account tells it."""

from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
def declare(stocked):
    """Adds lines to a table of config."""

    def add(file, table, lines):
        path = stocked.home / "config" / file
        text = path.read_text(encoding="utf-8")
        assert table in text
        path.write_text(text.replace(table, f"{table}\n{lines}", 1), encoding="utf-8")

    return add


def begin(stocked):
    """An approved issue of 11 recipients that was delivered as far as it goes."""
    issue = str(stocked.send(code=3)["issue"])
    stocked.run("approve", issue, "--by", "Maya")
    done = stocked.run("deliver", issue, code=3)
    return issue, done.out


def through(stocked, issue):
    account = stocked.json("account", issue)
    return account["submitted"], account["pending"]


def test_a_pace_holds_over_several_runs(stocked, declare):
    declare("site.toml", "[mailers.local]", 'pace = ["4/hour"]')
    issue, said = begin(stocked)
    assert "as many went out as the mailer's pace allows" in said
    assert through(stocked, issue) == (4, 7)
    stocked.run("deliver", issue, code=3)
    assert through(stocked, issue) == (4, 7)
    # Two more rounds of 63 minutes, the first from the beginning of its slot on.
    said = stocked.run("account", issue).out
    assert "About 2 h 10 min to go; waits until" in said or "About 2 h to go; waits until" in said
    assert "as many went out as the mailer's pace allows.\n" in said


def test_nothing_goes_out_on_another_day(stocked, declare):
    after_tomorrow = (datetime.now(UTC) + timedelta(days=2)).strftime("%a").lower()
    declare(
        "newsletters.toml", "[newsletters.weekly]", f'window = {{ days = ["{after_tomorrow}"] }}'
    )
    issue, said = begin(stocked)
    assert "its hours begin again on" in said
    assert through(stocked, issue) == (0, 11)
    told = stocked.run("account", issue).out
    assert "No estimate yet; waits until" in told
    assert "its hours begin again on" in told


def test_a_canary_goes_first(stocked, declare):
    newsletter = "[newsletters.weekly]"
    declare("newsletters.toml", newsletter, "brakes = { canary = 3, canary_minutes = 60 }")
    issue, said = begin(stocked)
    assert "the first 3 are out; the rest follow if all is well" in said
    assert through(stocked, issue) == (3, 8)
    # An editor who lets it go does not wait for it.
    stocked.run("pause", issue, "--by", "Maya")
    stocked.run("resume", issue, "--by", "Maya")
    stocked.run("deliver", issue)
    assert through(stocked, issue) == (11, 0)
