"""Claims, the step to submitting, outcomes and recovery; on both databases."""

from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import func, select, update

from digest.mail.decisions import Decision
from digest.model import Act, DeliveryState, IssueState
from digest.store import accounts, tables
from digest.store import deliveries as ledger
from digest.store import issues as issue_store

S = DeliveryState
REQUESTS = count()


@pytest.fixture
def issue(world):
    world.post()
    for name in ("ann", "bob", "cid"):
        world.reader(name)
    return world.issue(1)


def claim(world, issue, worker="w1", most=10):
    until = world.now + timedelta(minutes=5)
    with world.store.write() as c:
        return ledger.claim(c, issue.id, worker, now=world.now, until=until, most=most)


def begin(world, claimed, worker="w1", mailer="smtp"):
    until = world.now + timedelta(minutes=5)
    submission = ledger.Submission(mailer, world.now, until)
    start = ledger.Start(claimed, f"<{claimed.id}@example.org>", f"request {next(REQUESTS)}")
    with world.store.write() as c:
        return ledger.begin(c, claimed.issue_id, [start], worker, submission)[claimed.id]


def finish(world, claimed, state, worker="w1", **more):
    decision = Decision(state, claimed.attempts + 1, **more)
    with world.store.write() as c:
        return ledger.finish(c, ledger.Answer(claimed, decision, "r"), worker, world.now)


def account(world, issue):
    with world.store.read() as c:
        found = accounts.account(c, issue.id)
    assert found.balanced
    return {state: getattr(found, state) for state in S if getattr(found, state)}


def reserved(world):
    with world.store.read() as c:
        return c.scalar(select(func.count()).select_from(tables.reservations))


def test_two_workers_never_hold_the_same_delivery(world, issue):
    first, second = claim(world, issue, "w1", 2), claim(world, issue, "w2")
    assert (len(first), len(second)) == (2, 1)
    assert not {d.id for d in first} & {d.id for d in second}
    assert account(world, issue) == {S.CLAIMED: 3}


def test_the_way_of_an_accepted_delivery(world, issue):
    one, *_ = claim(world, issue)
    assert begin(world, one) == "go"
    assert account(world, issue) == {S.CLAIMED: 2, S.SUBMITTING: 1}
    assert finish(world, one, S.SUBMITTED)
    assert account(world, issue) == {S.CLAIMED: 2, S.SUBMITTED: 1}


def test_a_second_begin_of_the_same_delivery_is_lost(world, issue):
    one, *_ = claim(world, issue)
    assert begin(world, one) == "go"
    assert begin(world, one) == "lost"
    assert begin(world, one, "w2") == "lost"


@pytest.mark.parametrize("state", [IssueState.PAUSED, IssueState.CANCELLED])
def test_nothing_begins_while_the_issue_is_not_being_sent(world, issue, state):
    one, *_ = claim(world, issue)
    with world.store.write() as c:
        issue_store.move_issue(c, issue, state, Act("Maya", world.now, "stop"))
    assert begin(world, one) == "stopped"
    assert claim(world, issue, "w2") == []


def test_suppression_beats_everything_up_to_the_last_moment(world, issue):
    one, *_ = claim(world, issue)
    world.suppress(one.address.split("@")[0])
    assert begin(world, one) == "suppressed"
    assert account(world, issue) == {S.SUPPRESSED: 1, S.CLAIMED: 2}
    assert reserved(world) == 2


def test_who_leaves_after_the_freeze_gets_nothing_more(world, issue):
    one, *_ = claim(world, issue)
    with world.store.write() as c:
        c.execute(
            update(tables.subscriptions)
            .where(tables.subscriptions.c.id == one.subscription_id)
            .values(state="ended")
        )
    assert begin(world, one) == "unsubscribed"
    assert account(world, issue) == {S.CANCELLED: 1, S.CLAIMED: 2}
    assert reserved(world) == 2


def test_a_refused_address_is_a_bounce_suppressed_and_its_posts_free(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    finish(world, one, S.REFUSED, code="550 5.1.1", events=("bounced",), suppress="no such address")
    with world.store.read() as c:
        event = c.execute(select(tables.delivery_events)).one()
        assert (event.event, event.code) == ("bounced", "550 5.1.1")
        barred = c.execute(select(tables.suppressions)).one()
        assert (barred.address_key, barred.origin) == (one.address_key, "bounce")
    assert reserved(world) == 2


def test_what_waits_is_not_claimed_before_its_time(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    due = world.now + timedelta(minutes=10)
    finish(world, one, S.PENDING, not_before=due)
    with world.store.read() as c:
        assert accounts.next_due(c, issue.id) == due
    assert claim(world, issue, "w2") == []
    world.later(minutes=11)
    assert [d.id for d in claim(world, issue, "w2")] == [one.id]


def test_a_crash_leaves_the_claimed_pending_and_the_submitting_uncertain(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    with world.store.write() as c:
        assert ledger.recover(c, issue.id, lambda *_: False, world.now) == 0
        assert ledger.recover(c, issue.id, lambda worker, _: worker == "w1", world.now) == 1
    assert account(world, issue) == {S.PENDING: 2, S.UNCERTAIN: 1}
    assert [d.id for d in claim(world, issue, "w2")] != [one.id]
    assert reserved(world) == 3


def test_an_answer_that_comes_after_the_worker_was_given_up_still_counts(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    with world.store.write() as c:
        ledger.recover(c, issue.id, lambda *_: True, world.now)
    assert finish(world, one, S.SUBMITTED)
    assert account(world, issue) == {S.PENDING: 2, S.SUBMITTED: 1}


def test_an_uncertain_delivery_is_sent_again_only_by_decision(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    finish(world, one, S.UNCERTAIN)
    with world.store.write() as c:
        ledger.release(c, issue.id, "w1", world.now)
        ((doubtful, message_id),) = ledger.uncertain_ids(c, issue.id)
        assert (doubtful, message_id) == (one.id, f"<{one.id}@example.org>")
        ledger.settle(c, doubtful, S.UNCERTAIN, how="leave, by Maya", now=world.now)
        assert ledger.uncertain_ids(c, issue.id) == []
        assert ledger.uncertain_ids(c, issue.id, decided=True) == [(doubtful, message_id)]
        (line,) = accounts.lines(c, issue.id, S.UNCERTAIN)
        assert (line.address, line.settled) == (one.address, "leave, by Maya")
        assert ledger.settle(c, doubtful, S.PENDING, how="resend, by Maya", now=world.now)
    assert account(world, issue) == {S.PENDING: 3}


def test_a_second_doubt_is_somebodys_to_decide_again(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    finish(world, one, S.UNCERTAIN)
    with world.store.write() as c:
        ledger.settle(c, one.id, S.PENDING, how="resend, by Maya", now=world.now)
    [again] = [d for d in claim(world, issue) if d.id == one.id]
    begin(world, again)
    finish(world, again, S.UNCERTAIN)
    with world.store.read() as c:
        assert [number for number, _ in ledger.uncertain_ids(c, issue.id)] == [one.id]


def test_whoever_wants_it_tried_now_waits_for_nothing(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    finish(world, one, S.PENDING, not_before=world.now + timedelta(hours=1))
    with world.store.write() as c:
        ledger.release(c, issue.id, "w1", world.now)
    assert one.id not in {d.id for d in claim(world, issue, "w2")}
    with world.store.write() as c:
        ledger.end_waiting(c, issue.id)
    assert [d.id for d in claim(world, issue, "w3")] == [one.id]


def test_a_retry_takes_up_what_failed_and_nothing_else(world, issue):
    one, two, _ = claim(world, issue)
    for claimed, state in ((one, S.FAILED), (two, S.SUBMITTED)):
        begin(world, claimed)
        finish(world, claimed, state)
    with world.store.write() as c:
        ledger.release(c, issue.id, "w1", world.now)
        assert ledger.retry_failed(c, issue.id, world.now) == 1
    assert account(world, issue) == {S.PENDING: 2, S.SUBMITTED: 1}


def test_only_the_mailer_that_was_told_is_asked_what_became(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one, mailer="smtp relay:587")
    finish(world, one, S.UNCERTAIN)
    with world.store.read() as c:
        assert ledger.uncertain_ids(c, issue.id, mailer="file /var/mail") == []
        assert len(ledger.uncertain_ids(c, issue.id, mailer="smtp relay:587")) == 1


def test_what_would_be_tried_again_ends_with_its_cancelled_issue(world, issue):
    one, *_ = claim(world, issue)
    begin(world, one)
    with world.store.write() as c:
        issue_store.move_issue(c, issue, IssueState.CANCELLED, Act("Maya", world.now, "stop"))
        ledger.cancel_open(c, issue.id, world.now)
    finish(world, one, S.PENDING, not_before=world.now)
    assert account(world, issue) == {S.CANCELLED: 3}
    assert reserved(world) == 0


def test_a_message_that_cannot_be_made_fails_unless_the_reader_has_left(world, issue):
    one, two, _ = claim(world, issue)
    world.suppress(one.address.split("@")[0])
    with world.store.write() as c:
        ledger.fail(c, one, "w1", "bad header", world.now)
        ledger.fail(c, two, "w1", "bad header", world.now)
    assert account(world, issue) == {S.SUPPRESSED: 1, S.FAILED: 1, S.CLAIMED: 1}
