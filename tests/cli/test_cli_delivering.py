"""Who watches a delivery sees how far it is, and how long it will take in the desk's own words."""

import io
import sqlite3
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta

import pytest

from digest.cli import main
from digest.cli.delivering import Course, following


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_person_at_the_terminal_sees_how_far_it_is(stocked):
    issue = stocked.send(code=3)["issue"]
    stocked.run("approve", str(issue), "--by", "Maya")
    seen = Terminal()
    with redirect_stderr(seen), pytest.raises(SystemExit):
        main(["deliver", str(issue), "--home", str(stocked.home)])
    account = stocked.json("account", str(issue))
    assert "{0}/{0}".format(account["recipients"]) in seen.getvalue()
    assert "no estimate yet" in seen.getvalue()


def test_the_account_of_an_issue_under_way_says_how_long_it_will_take(stocked):
    issue = stocked.send(code=3)["issue"]
    stocked.approve_and_deliver(issue)
    assert "to go" not in stocked.run("account", str(issue)).out
    waits = (datetime.now(UTC) + timedelta(minutes=89.5)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with sqlite3.connect(stocked.home / "var" / "digest.db") as db:
        db.execute("UPDATE issues SET state = 'sending'")
        db.execute("UPDATE deliveries SET state = 'pending', not_before = ? WHERE id = 1", [waits])
    db.close()
    assert "About 1 h 30 min to go.\n" in stocked.run("account", str(issue)).out


def test_the_bar_moves_now_and_then_and_the_ledger_is_asked_seldom():
    time, looks, shown = [0.0], [], []

    def look():
        looks.append(time[0])
        return Course(100 * len(looks), 1000, "about 3 min to go")

    step = following(look, shown.append, lambda: time[0])
    for _ in range(1000):
        step()
        time[0] += 0.05
    assert len(looks) == 5
    assert 10 <= looks[1] <= 10.3
    assert 200 <= len(shown) <= 260
    assert shown[1].through == 104
    assert {one.recipients for one in shown} == {1000}


def test_no_more_are_through_than_there_are():
    time, shown = [0.0], []
    step = following(lambda: Course(9, 10, ""), shown.append, lambda: time[0])
    for _ in range(50):
        step()
        time[0] += 0.1
    assert max(one.through for one in shown) == 10


def test_a_look_that_takes_long_is_made_seldom():
    time, looks = [0.0], []

    def look():
        looks.append(time[0])
        time[0] += 1.0
        return Course(0, 1000, "")

    step = following(look, lambda _: None, lambda: time[0])
    for _ in range(1000):
        step()
        time[0] += 0.1
    assert len(looks) == 2
