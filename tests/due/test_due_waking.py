"""A run that sleeps until an editor answers is woken when the answer comes from elsewhere."""

import socket

import pytest

from digest.issues.content import to_json
from digest.issues.specimen import specimens
from digest.model import IssueState
from digest.up.connection import Connection
from digest.waking import Fate, wake


def fates(report):
    return [(told.issue_id, told.fate) for told in report.told]


@pytest.fixture
def asked(world):
    """A draft that an editor is asked about."""
    issue = world.issue()
    world.ask(issue)
    return issue


def nowhere():
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Connection(f"http://127.0.0.1:{listener.getsockname()[1]}/api")


@pytest.mark.parametrize("after", ["approved", "held", "rejected", "cancelled", "skipped"])
def test_a_decision_taken_elsewhere_sets_the_run_going(world, prefect, asked, after):
    approved = {"approved_hash": "h"} if after == "approved" else {}
    world.move(asked, IssueState(after), **approved)
    report = wake(world.app, prefect.connection())
    assert fates(report) == [(asked.id, Fate.WOKEN)]
    assert prefect.states["run-1"] == ("SCHEDULED", "Resuming")
    assert world.ask_outcome(asked) == f"{after} elsewhere by Maya"
    # No word of who decided leaves for Prefect, and the rules of its states hold.
    (body,) = prefect.asked
    assert "Maya" not in str(body)
    assert body["force"] is False
    assert wake(world.app, prefect.connection()).told == ()
    assert len(prefect.calls) == 2


def test_a_changed_draft_is_asked_about_again(world, prefect, asked):
    world.move(asked, IssueState.DRAFT, hash="another")
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.WOKEN)]
    assert world.ask_outcome(asked) == "changed elsewhere by Maya"


def test_an_undecided_draft_lets_its_run_sleep(world, prefect, asked):
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.WAITS)]
    assert prefect.states["run-1"] == ("PAUSED", "Suspended")
    assert world.ask_outcome(asked) is None


@pytest.mark.parametrize("state", [("RUNNING", "Running"), ("PENDING", "Pending")])
def test_a_run_that_is_just_falling_asleep_is_not_missed(world, prefect, asked, state):
    world.move(asked, IssueState.HELD)
    prefect.states["run-1"] = state
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.AGAIN)]
    prefect.states["run-1"] = ("PAUSED", "Suspended")
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.WOKEN)]


def test_a_run_set_going_already_is_not_set_going_twice(world, prefect, asked):
    world.move(asked, IssueState.HELD)
    prefect.states["run-1"] = ("SCHEDULED", "Resuming")
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.WOKEN)]
    assert prefect.asked == []


@pytest.mark.parametrize("decided", [True, False])
@pytest.mark.parametrize("name", ["Completed", "Failed", "Crashed", "Cancelled", "Cancelling"])
def test_the_ask_of_a_run_that_is_over_is_ended(world, prefect, asked, name, decided):
    if decided:
        world.move(asked, IssueState.HELD)
    prefect.states["run-1"] = (name.upper(), name)
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.ENDED)]
    assert world.ask_outcome(asked) == f"its run is over: {name}"


def test_the_ask_of_a_run_that_prefect_lost_is_ended(world, prefect, asked):
    prefect.states.clear()
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.ENDED)]
    assert world.ask_outcome(asked) == "its run is gone from Prefect"


def test_what_cannot_be_told_now_is_told_the_next_time(world, prefect, asked):
    world.move(asked, IssueState.HELD)
    away = wake(world.app, nowhere(), timeout=(0.5, 0.5))
    assert fates(away) == [(asked.id, Fate.AGAIN)]
    assert "does not answer" in away.trouble
    prefect.busy = True
    busy = wake(world.app, prefect.connection())
    assert fates(busy) == [(asked.id, Fate.AGAIN)]
    assert "503" in busy.trouble
    assert world.ask_outcome(asked) is None
    prefect.busy = False
    assert fates(wake(world.app, prefect.connection())) == [(asked.id, Fate.WOKEN)]


def test_a_server_that_is_not_prefect_does_not_end_asks(world, prefect, asked):
    wrong = Connection(prefect.url.replace("/api", "/elsewhere"))
    report = wake(world.app, wrong)
    assert fates(report) == [(asked.id, Fate.WAITS)]
    assert "PREFECT_API_URL" in report.trouble
    assert world.ask_outcome(asked) is None


def test_once_nobody_answers_nobody_else_is_called(world):
    for number in range(20):
        issue = world.issue(period=f"2026-W{number + 10}")
        world.ask(issue, f"run-{number}")
        world.move(issue, IssueState.HELD)
    report = wake(world.app, nowhere(), timeout=(0.5, 0.5))
    assert len(report.of(Fate.AGAIN)) == 20


def test_prefects_refusal_is_told(world, prefect, asked):
    world.move(asked, IssueState.HELD)
    prefect.refuses = "it is being cancelled"
    (told,) = wake(world.app, prefect.connection()).told
    assert told.fate is Fate.AGAIN
    assert "it is being cancelled" in told.reason


def test_the_password_is_shown_to_the_server_and_to_nobody_else(world, prefect, asked, caplog):
    prefect.auth = "admin:gehéim:1"
    world.move(asked, IssueState.HELD)
    report = wake(world.app, prefect.connection("admin:falsch"))
    assert fates(report) == [(asked.id, Fate.AGAIN)]
    assert "PREFECT_API_AUTH_STRING" in report.trouble
    report = wake(world.app, prefect.connection("admin:gehéim:1"))
    assert fates(report) == [(asked.id, Fate.WOKEN)]
    assert "geh" not in caplog.text + str(report) + repr(prefect.connection("admin:gehéim:1"))


def test_a_dry_run_wakes_nobody(world, prefect, asked):
    world.move(asked, IssueState.HELD)
    assert fates(wake(world.app, prefect.connection(), dry_run=True)) == [(asked.id, Fate.WOKEN)]
    assert prefect.asked == []
    assert world.ask_outcome(asked) is None


def test_asks_are_woken_on_both_databases(any_world, prefect):
    issue = any_world.issue()
    any_world.ask(issue)
    other = any_world.issue(period="2026-W48")
    any_world.ask(other, "run-2")
    any_world.move(issue, IssueState.HELD)
    assert fates(wake(any_world.app, prefect.connection(), issue_id=issue.id)) == [
        (issue.id, Fate.WOKEN)
    ]
    assert any_world.ask_outcome(other) is None


# --- the commands ------------------------------------------------------------------------------


def test_a_decision_by_command_wakes_the_run_and_says_so(at_home, prefect, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect.url)
    issue = at_home.issue()
    at_home.ask(issue)
    code, out, err = at_home.command("hold", "1", "--by", "Ann", "--json")
    assert code == 0
    assert out.startswith("{")
    assert "goes on" in err
    assert prefect.states["run-1"] == ("SCHEDULED", "Resuming")
    assert at_home.ask_outcome(issue) == "held elsewhere by Ann"


def test_a_decision_stands_though_prefect_is_away(at_home, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", nowhere().api_url)
    issue = at_home.issue()
    at_home.ask(issue)
    code, _, err = at_home.command("reject", "1")
    assert code == 0
    assert "told later: Prefect does not answer" in err
    assert at_home.state(issue) == "rejected"
    assert at_home.ask_outcome(issue) is None


def test_without_an_ask_nobody_is_called(at_home, prefect, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect.url)
    at_home.issue()
    assert at_home.command("cancel", "1")[0] == 0
    assert prefect.calls == []


def test_approve_says_what_sends_the_issue(at_home, prefect, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect.url)

    def last_line(number, *, asked):
        content = to_json(specimens("weekly")[0])
        issue = at_home.issue(period=f"2026-W{number}", content=content)
        if asked:
            at_home.ask(issue)
        code, out, _ = at_home.command("approve", str(issue.id))
        assert code == 0
        return out.splitlines()[-1]

    assert last_line(11, asked=False) == "Send it with: digest deliver 1"
    assert (
        last_line(12, asked=True) == "That run sends it. By hand, should it not: digest deliver 2"
    )
    prefect.busy = True
    assert last_line(13, asked=True).startswith("Housekeeping tells the run, which sends it.")
