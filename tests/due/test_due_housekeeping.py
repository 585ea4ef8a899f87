"""What is not forgotten: drafts nobody decided on, issues nobody works on, runs that were killed."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from digest import sending
from digest.config_mailers import Brakes, FileMailer
from digest.housekeeping import (
    SETTLING,
    decide_overdue,
    end_killed,
    forget_pace,
    forget_told,
    unfinished,
)
from digest.mail.worker import working
from digest.model import IssueState
from digest.overdue import overdue
from digest.store import issues as issue_store
from digest.store import mail_pace, tables

MONDAY = datetime(2026, 11, 16, 8, tzinfo=UTC)
WAY = [IssueState.APPROVED, IssueState.FROZEN, IssueState.SENDING]


# --- drafts that nobody decided on -------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "state"), [("send", "approved"), ("hold", "held"), ("roll", "skipped")]
)
def test_a_deadline_passed_is_decided_by_policy_and_stored(any_world, policy, state):
    any_world.declare(unanswered=policy)
    issue = any_world.issue()
    any_world.later(hours=47, minutes=59)
    assert decide_overdue(any_world.app, any_world.now) == ()
    any_world.later(minutes=1)
    (ruling,) = decide_overdue(any_world.app, any_world.now)
    assert (ruling.policy, ruling.taken) == (policy, True)
    assert any_world.state(issue) == state
    step = any_world.last_step(issue)
    assert step.actor == "digest"
    assert step.reason.startswith("nobody decided by Wed 18 Nov 2026 08:00; ")
    assert decide_overdue(any_world.app, any_world.now) == ()


def test_a_faulty_draft_is_held_though_the_policy_says_send(world):
    world.declare(unanswered="send")
    fault = {"name": "empty", "severity": "error", "message": "no post is in this issue"}
    issue = world.issue(preflight=[fault])
    world.later(hours=48)
    assert decide_overdue(world.app, world.now)[0].policy == "hold"
    assert "no post is in this issue" in world.last_step(issue).reason


def test_after_an_outage_old_drafts_do_not_go_out(world):
    world.declare(unanswered="send", late="roll")
    old = world.issue()
    world.later(days=10)
    fresh = world.issue(period="2026-W48", decide_by=world.now)
    policies = {ruling.issue_id: ruling.policy for ruling in decide_overdue(world.app, world.now)}
    assert policies == {old.id: "roll", fresh.id: "send"}


def test_a_draft_without_a_deadline_is_not_forgotten(world):
    issue = world.issue()
    world.forget_deadline(issue)
    world.later(hours=47)
    assert decide_overdue(world.app, world.now) == ()
    world.later(hours=1)
    decide_overdue(world.app, world.now)
    assert world.state(issue) == "held"


def test_a_draft_of_a_newsletter_gone_from_config_is_held(world):
    world.declare(unanswered="send", late="send")
    issue = world.issue(newsletter="daily")
    world.later(hours=48)
    decide_overdue(world.app, world.now)
    assert world.state(issue) == "held"


def test_a_dry_run_decides_nothing(world):
    issue = world.issue()
    world.later(hours=48)
    (ruling,) = decide_overdue(world.app, world.now, dry_run=True)
    assert (ruling.policy, ruling.taken) == ("hold", False)
    assert world.state(issue) == "draft"


@pytest.mark.parametrize("policy", ["send", "hold", "roll"])
@pytest.mark.parametrize("decision", ["approved", "changed"])
def test_an_editor_who_decides_at_that_very_moment_wins(world, policy, decision):
    world.declare(unanswered=policy)
    issue = world.issue()
    world.later(hours=48)

    def decide():
        if decision == "approved":
            world.move(issue, IssueState.APPROVED, approved_hash="h")
        else:
            world.move(issue, IssueState.DRAFT, hash="another")

    app = replace(world.app, store=Meddled(world.store, decide))
    (ruling,) = decide_overdue(app, world.now)
    assert ruling.taken is False
    assert world.state(issue) == ("approved" if decision == "approved" else "draft")
    assert world.last_step(issue).actor == "Maya"


class Meddled:
    """A store in which somebody does something just before the next write."""

    def __init__(self, store, meddle):
        self.store, self.meddle, self.read = store, [meddle], store.read

    @contextmanager
    def write(self):
        while self.meddle:
            self.meddle.pop()()
        with self.store.write() as c:
            yield c


# --- issues that nobody works on ---------------------------------------------------------------


def found(world):
    return tuple(found.issue_id for found in unfinished(world.app, world.now))


@pytest.fixture(params=WAY, ids=str)
def on_its_way(request, world):
    return world.issue(request.param)


def test_an_issue_that_nobody_works_on_is_found_once_it_has_settled(world, on_its_way):
    assert found(world) == ()
    world.later(seconds=SETTLING.total_seconds())
    assert found(world) == (on_its_way.id,)


def test_an_issue_that_a_live_run_works_on_is_left_to_it(world, on_its_way):
    world.later(hours=3)
    with working(world.app.var / "run", "t") as worker:
        world.run("weekly-digest", worker, on_its_way.id)
        assert found(world) == ()
    assert found(world) == (on_its_way.id,)


def test_a_run_that_ended_works_on_nothing(world, on_its_way):
    with working(world.app.var / "run", "t") as worker:
        world.end(world.run("weekly-digest", worker, on_its_way.id), "partial")
        world.later(hours=3)
        assert found(world) == (on_its_way.id,)


def test_a_run_on_another_machine_is_believed_while_the_issue_moves(world, on_its_way):
    world.run("weekly-digest", "elsewhere:7:t", on_its_way.id)
    world.later(minutes=59)
    assert found(world) == ()
    world.delivery(on_its_way, "submitted")
    world.later(minutes=59)
    assert found(world) == ()
    world.later(minutes=2)
    assert found(world) == (on_its_way.id,)


def test_an_issue_whose_run_is_being_woken_is_left_to_it(world):
    issue = world.issue()
    world.ask(issue)
    world.move(issue, IssueState.APPROVED, approved_hash="h")
    world.later(hours=3)
    assert found(world) == ()


def test_a_run_that_was_woken_late_is_given_time_to_start(world):
    issue = world.issue()
    world.ask(issue)
    world.move(issue, IssueState.APPROVED, approved_hash="h")
    world.later(hours=3)
    with world.store.write() as c:
        c.execute(tables.asks.update().values(ended_at=world.now, outcome="approved elsewhere"))
    assert found(world) == ()
    world.later(minutes=5)
    assert found(world) == (issue.id,)


@pytest.mark.parametrize("state", ["draft", "paused", "held", "done", "cancelled", "rejected"])
def test_what_waits_for_an_editor_or_is_over_is_not_started(world, state):
    world.issue(IssueState(state))
    world.later(days=1)
    assert found(world) == ()


def test_an_issue_of_a_newsletter_gone_from_config_is_not_started_in_vain(world):
    world.issue(IssueState.APPROVED, newsletter="daily")
    world.later(days=1)
    assert found(world) == ()


def test_what_waits_for_its_time_is_started_when_it_has_come(any_world):
    issue = any_world.issue(IssueState.SENDING)
    any_world.delivery(issue, "pending", not_before=any_world.now + timedelta(hours=1))
    any_world.delivery(issue, "submitted")
    any_world.later(minutes=59)
    assert found(any_world) == ()
    any_world.later(minutes=1)
    assert found(any_world) == (issue.id,)


@pytest.mark.parametrize("state", ["claimed", "submitting"])
def test_what_a_dead_worker_held_is_taken_up_and_a_live_ones_is_not(any_world, state):
    issue = any_world.issue(IssueState.SENDING)
    with working(any_world.app.var / "run", "t") as worker:
        lease = any_world.now + timedelta(minutes=10)
        any_world.delivery(issue, state, worker=worker, lease_until=lease)
        any_world.later(hours=1)
        assert found(any_world) == ()
    assert found(any_world) == (issue.id,)


def test_an_issue_killed_before_it_could_be_closed_is_taken_up(world):
    issue = world.issue(IssueState.SENDING)
    world.delivery(issue, "submitted")
    world.later(minutes=5)
    assert found(world) == (issue.id,)


def test_an_issue_that_waits_for_its_hours_is_started_once_they_begin(any_world):
    world = any_world
    issue = world.issue(IssueState.SENDING)
    world.delivery(issue, "pending")
    begins = world.now + timedelta(hours=10)
    # One was put off for longer than that: it is not what the others wait for.
    world.delivery(issue, "pending", not_before=begins + timedelta(hours=3))
    hold(world, issue, begins)
    for _ in range(39):
        world.later(minutes=15)
        assert found(world) == ()
        assert overdue(world.store, world.config, world.now) == []
    standing = sending.standing(world.app, issue.id)
    assert standing.next_due == begins
    assert standing.note == "waits until Mon 16 Nov 18:00: its hours begin again"
    world.later(minutes=15)
    assert found(world) == (issue.id,)
    world.later(hours=3)
    [late] = overdue(world.store, world.config, world.now)
    assert late.issue == issue.id


def test_what_held_an_issue_up_is_found_out_anew_by_whoever_goes_on(any_world):
    world = any_world
    issue = world.issue(IssueState.SENDING)
    world.delivery(issue, "pending", not_before=world.now + timedelta(hours=1))
    hold(world, issue, world.now + timedelta(hours=10))
    sent = sending.deliver_batch(world.app, issue.id)
    assert (sent.issue.waits_until, sent.next_due) == (None, world.now + timedelta(hours=1))


def test_an_issue_that_is_through_is_done_however_many_were_refused(any_world):
    world = any_world
    world.declare(brakes=Brakes(after=5))
    issue = world.issue(IssueState.SENDING)
    for _ in range(5):
        world.delivery(issue, "refused")
    assert sending.deliver_batch(world.app, issue.id).issue.state is IssueState.DONE


def hold(world, issue, until):
    with world.store.write() as c:
        issue_store.set_wait(c, issue.id, until, "its hours begin again")


# --- runs that were killed ---------------------------------------------------------------------


def outcomes(world):
    query = select(tables.runs.c.outcome, tables.runs.c.reason).order_by(tables.runs.c.id)
    with world.store.read() as c:
        return [tuple(row) for row in c.execute(query)]


def test_killed_runs_are_ended_and_live_ones_are_not(any_world):
    with working(any_world.app.var / "run", "alive") as worker:
        any_world.run("ingest", worker)
        host = worker.split(":", 1)[0]
        dead = any_world.run("ingest", f"{host}:999999:dead")
        any_world.later(minutes=1)
        assert end_killed(any_world.app, any_world.now, dry_run=True) == (dead,)
        assert outcomes(any_world) == [("running", None)] * 2
        assert end_killed(any_world.app, any_world.now) == (dead,)
        assert outcomes(any_world) == [("running", None), ("failed", "killed before it ended")]
        assert end_killed(any_world.app, any_world.now) == ()


def test_a_run_on_another_machine_is_not_killed_from_here(world):
    run = world.run("weekly-digest", "elsewhere:7:t")
    world.later(hours=23)
    assert end_killed(world.app, world.now) == ()
    world.later(hours=2)
    assert end_killed(world.app, world.now) == (run,)


# --- what held up mails ------------------------------------------------------------------------


def test_pace_and_waits_of_days_ago_are_not_kept(any_world):
    paced = FileMailer(kind="file", domains={"*": ["9/day"]})

    def rows():
        with any_world.app.store.read() as c:
            both = (tables.mail_paces, tables.mail_waits)
            return [len(c.execute(select(table)).all()) for table in both]

    with any_world.app.store.write() as c:
        mail_pace.spend(c, "smtp", paced, {"a.example": 1}, any_world.now)
        mail_pace.note_wait(c, "smtp", "a.example", "busy", any_world.now)
    for hours, dry_run, left in [(24, False, [1, 1]), (240, True, [1, 1]), (0, False, [0, 0])]:
        any_world.later(hours=hours)
        forget_pace(any_world.app, dry_run=dry_run)
        assert rows() == left


def test_what_hooks_told_long_ago_is_not_kept_and_all_else_is(any_world):
    f, now = tables.feedback, any_world.now

    def row(source, number, days):
        worked_at = None if days is None else now - timedelta(days=days)
        ids = {"source": source, "event_id": f"{days} {number}"}
        return {**ids, "received_at": now - timedelta(days=200), "worked_at": worked_at}

    many = [row("hook:relay", number, 91) for number in range(1200)]
    others = [
        row("inbox:bounces", 0, 91),
        row("hook:relay", 0, None),
        row("hook:relay", 0, 89),
        row("hookah", 0, 91),
    ]
    with any_world.app.store.write() as c:
        c.execute(insert(f), [others[0], *many[:600], *others[1:], *many[600:]])

    def kept():
        with any_world.app.store.read() as c:
            return c.scalar(select(func.count(f.c.id)))

    for dry_run, left in [(True, 1204), (False, 4), (False, 4)]:
        forget_told(any_world.app, dry_run=dry_run)
        assert kept() == left
    any_world.later(hours=48)
    forget_told(any_world.app)
    assert kept() == 3
