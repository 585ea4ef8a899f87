"""Who watches a delivery sees how far it is, and how long it will take in the desk's own words."""

import io
import json
import re
import sqlite3
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta

import pytest

from digest import sending
from digest.cli import main
from digest.cli.common import opened
from digest.cli.delivering import Course, delivering, following
from digest.model import Act

SECOND = timedelta(seconds=1)


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


def follow(stocked, stderr, *waits):
    """A delivery of an issue on its way that waits for these, a mail after each."""
    issue = stocked.send(code=3)["issue"]
    stocked.run("approve", str(issue), "--by", "Maya")
    with redirect_stderr(stderr), opened(stocked.home) as app:
        sending.begin(app, issue, Act("Maya", app.clock(), "now"))
        with delivering(app, issue, lambda: False) as watch:
            for seconds, why in waits:
                watch.waiting(datetime(2026, 11, 23, 14, 5, tzinfo=UTC) + seconds * SECOND, why)
                watch.progress()
    return " ".join(re.sub(r"\x1b\[[\d;?]*\w", "", stderr.getvalue()).split())


def test_a_person_at_the_terminal_sees_what_is_waited_for_as_the_server_said_it(stocked):
    why = "the mailer asked for time: 421 [TS01] [/slow] down"
    seen = follow(stocked, Terminal(), (30, why))
    assert f" 0/11 waits until 14:05:30: {why} delivering " in seen
    assert seen.endswith(" 0/11 no estimate yet")


def test_without_a_terminal_the_log_says_once_what_is_waited_for(stocked):
    pace, hours = "as many went out as the mailer's pace allows", "its hours begin again"
    assert not follow(stocked, io.StringIO(), (0, pace), (63, pace), (90, hours), (126, pace))
    log = (stocked.home / "var" / "log" / "digest.jsonl").read_text(encoding="utf-8")
    said = [json.loads(line)["message"] for line in log.splitlines() if "waits until" in line]
    assert said == [
        f"issue 1 waits until 14:05:00: {pace}",
        f"issue 1 waits until 14:06:30: {hours}",
    ]


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

    step, _ = following(look, shown.append, lambda: time[0])
    for _ in range(1000):
        step()
        time[0] += 0.05
    assert len(looks) == 5
    assert 10 <= looks[1] <= 10.3
    assert 200 <= len(shown) <= 260
    assert shown[1].through == 104
    assert {one.recipients for one in shown} == {1000}


def test_what_is_waited_for_stands_there_until_the_next_delivery():
    time, shown = [0.0], []
    step, wait = following(
        lambda: Course(3, 10, "about 3 min to go"), shown.append, lambda: time[0]
    )
    # Before anything else was shown, and right after a delivery.
    wait("waits until 14:05:30: its hours begin again")
    step()
    time[0] += 0.01
    step()
    wait("waits until 14:06:33: its hours begin again")
    time[0] += 63.0
    step()
    assert [(one.through, one.left) for one in shown] == [
        (3, "waits until 14:05:30: its hours begin again"),
        (4, "about 3 min to go"),
        (5, "waits until 14:06:33: its hours begin again"),
        (3, "about 3 min to go"),
    ]


def test_no_more_are_through_than_there_are():
    time, shown = [0.0], []
    step, _ = following(lambda: Course(9, 10, ""), shown.append, lambda: time[0])
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

    step, _ = following(look, lambda _: None, lambda: time[0])
    for _ in range(1000):
        step()
        time[0] += 0.1
    assert len(looks) == 2
