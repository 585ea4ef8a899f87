"""A mailer that is not there, gives no answer, or asks for time: for a mail, a domain, or all."""

from datetime import timedelta
from itertools import count, pairwise
from threading import Barrier

import pytest
from sqlalchemy import select

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import MailerTraits
from digest.store import tables
from fakes.delivering import NOW, accepted, address, name_of

pytestmark = pytest.mark.long

CONNECTIONS = 4
SLOW = [f"s{number}@slow.example" for number in range(10)]
OTHERS = [address(name_of(number)) for number in range(10)]


def is_slow(recipient):
    return recipient.endswith("@slow.example")


# --- nobody there, and no answer ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Unavailable("nobody there"), "pending"), (Uncertain("no answer"), "uncertain")],
)
def test_few_are_tried_where_nobody_is_there(new_engine, outcome, state):
    engine = new_engine(30)
    engine.server.answer = lambda _: outcome
    engine.server.at_submit = meet(CONNECTIONS)
    report = engine.deliver(connections=CONNECTIONS)
    assert report.tried == len(engine.server.told) == CONNECTIONS + 2
    assert report.unreachable == outcome.reason
    assert report.in_doubt == (state == "uncertain")
    tried = [row for row in engine.rows() if row.attempts]
    assert {row.state for row in tried} == {state}
    assert engine.states().get("pending", 0) == (30 if state == "pending" else 30 - len(tried))


def test_what_is_uncertain_is_not_said_again(new_engine):
    engine = new_engine(30)
    engine.server.answer = lambda _: Uncertain("no answer")
    engine.deliver(connections=CONNECTIONS)
    doubted = engine.states()["uncertain"]
    engine.server.answer = accepted
    engine.clock.later(24 * 3600)
    engine.deliver(connections=CONNECTIONS)
    assert engine.states() == {"uncertain": doubted, "submitted": 30 - doubted}
    assert engine.server.most_copies == 1


def test_a_lost_answer_to_a_request_of_many_leaves_all_of_it_in_doubt(new_engine):
    engine = new_engine(25)
    engine.server.traits = MailerTraits(batch=10)
    doubtful = OTHERS[3]
    engine.server.answer = lambda _: (
        Uncertain("no answer") if doubtful in engine.server.requests[-1] else accepted(_)
    )
    report = engine.deliver()
    assert engine.states() == {"uncertain": 10, "submitted": 15}
    assert not report.in_doubt


def test_one_connection_looks_whether_the_mailer_is_back_and_then_all_go_on(new_engine):
    engine = new_engine(30)
    number, at_once, four = count(), [], Barrier(CONNECTIONS)

    def at_submit(*_):
        now = next(number)
        if now < CONNECTIONS or CONNECTIONS < now <= 2 * CONNECTIONS:
            four.wait(10)
        if now == CONNECTIONS:
            at_once.append(len(engine.rows(state="submitting")))

    engine.server.at_submit = at_submit
    engine.server.answer = lambda recipient: (
        Unavailable("nobody there")
        if recipient in OTHERS[:CONNECTIONS] and engine.clock() == start
        else accepted(recipient)
    )
    start = engine.clock()
    report = engine.deliver(connections=CONNECTIONS)
    assert at_once == [1]
    assert not report.unreachable
    assert engine.states() == {"submitted": 26, "pending": 4}
    engine.clock.later(120)
    engine.deliver(connections=CONNECTIONS)
    assert engine.states() == {"submitted": 30}


def meet(connections):
    """The first requests of all connections are said at once."""
    barrier, first = Barrier(connections), count()
    return lambda *_: barrier.wait(10) if next(first) < connections else None


def test_a_mailer_that_lets_nobody_in_is_told_nothing_more(new_engine):
    engine = new_engine(10)
    engine.server.answer = lambda _: Unauthorized("wrong password", "535")
    report = engine.deliver()
    assert (report.tried, report.mailer_fault) == (1, "wrong password")
    assert {row.attempts for row in engine.rows()} == {0}
    assert engine.states() == {"pending": 10}


def test_a_policy_stops_the_mailer_and_costs_no_reader(new_engine):
    engine = new_engine(10)
    engine.server.answer = lambda _: Refused("5.7.26 unauthenticated", "550 5.7.26")
    report = engine.deliver()
    assert (report.tried, report.mailer_fault) == (1, "5.7.26 unauthenticated")
    assert engine.states() == {"pending": 10}


# --- time asked for ----------------------------------------------------------------------------


def test_a_mail_that_must_wait_waits_alone(new_engine):
    engine = new_engine(10)
    first = OTHERS[0]
    engine.server.answer = lambda one: Throttled("later", "450") if one == first else accepted(one)
    report = engine.deliver()
    assert engine.states() == {"submitted": 9, "pending": 1}
    assert report.waits_until is None
    assert engine.row(first).attempts == 1
    engine.server.answer = accepted
    engine.deliver()
    assert engine.server.told.count(first) == 1
    engine.clock.later(120)
    engine.deliver()
    assert engine.states() == {"submitted": 10}


@pytest.mark.parametrize("connections", [1, CONNECTIONS])
def test_a_domain_that_must_wait_holds_up_no_other_and_comes_back(new_engine, connections):
    engine = new_engine([*SLOW, *OTHERS])
    engine.server.at_submit = meet(connections)
    engine.server.answer = lambda one: (
        Throttled("too fast", "421", reach="domain") if is_slow(one) else accepted(one)
    )
    report = engine.deliver(connections=connections)
    # What was under way, and not one more.
    assert sum(map(is_slow, engine.server.told)) == connections
    assert engine.states() == {"submitted": 10, "pending": 10}
    assert report.waits_until > engine.clock()
    assert sum(row.attempts for row in engine.rows(state="pending")) == connections
    # Another worker, after a restart say, knows of it.
    engine.deliver(connections=connections)
    assert len(engine.server.told) == 10 + connections
    engine.server.answer = accepted
    engine.clock.now = report.waits_until + timedelta(minutes=2)
    engine.deliver(connections=connections)
    assert engine.states() == {"submitted": 20}
    assert waits(engine) == {}


def test_a_domain_that_waits_for_a_moment_is_waited_for_within_the_shift(new_engine):
    engine = new_engine([*SLOW, *OTHERS])
    # It takes up one, and asks for time, and takes the rest.
    asks = iter([False, True])
    engine.server.answer = lambda one: (
        Throttled("too fast", "421", reach="domain")
        if is_slow(one) and next(asks, False)
        else accepted(one)
    )
    report = engine.deliver(patience=timedelta(minutes=5))
    assert report.waits_until is None
    # But for the mail itself, which may wait a little longer.
    assert engine.states()["submitted"] >= 19
    assert timedelta(minutes=1) <= engine.clock() - NOW < timedelta(minutes=2)


@pytest.mark.parametrize("connections", [1, CONNECTIONS])
def test_a_mailer_that_asks_for_time_is_left_alone(new_engine, connections):
    engine = new_engine(20)
    engine.server.at_submit = meet(connections)
    engine.server.answer = lambda _: Throttled("too fast", "421", reach="mailer")
    report = engine.deliver(connections=connections)
    assert len(engine.server.told) == connections
    assert report.why == "the mailer asked for time: too fast"
    assert engine.states() == {"pending": 20}
    again = engine.deliver(connections=connections)
    assert (again.tried, again.waits_until) == (0, report.waits_until)
    assert len(engine.server.told) == connections
    engine.server.answer = accepted
    engine.clock.now = report.waits_until + timedelta(minutes=2)
    engine.deliver(connections=connections)
    assert engine.states() == {"submitted": 20}
    assert waits(engine) == {}


def test_the_wait_is_longer_each_time_and_as_long_as_was_asked_for(new_engine):
    engine = new_engine(20)
    engine.server.answer = lambda _: Throttled("too fast", "421", reach="mailer")
    spans = []
    for _ in range(4):
        until = engine.deliver().waits_until
        spans.append(until - engine.clock())
        engine.clock.now = until
    assert all(later > 1.5 * earlier for earlier, later in pairwise(spans))
    hours = timedelta(hours=3)
    engine.server.answer = lambda _: Throttled("too fast", "421", hours, reach="mailer")
    assert engine.deliver().waits_until == engine.clock() + hours
    assert engine.states() == {"pending": 20}


def test_all_goes_through_a_mailer_that_takes_ten_and_then_asks_for_time(new_engine):
    engine = new_engine(60)
    number = count(1)
    engine.server.answer = lambda one: (
        Throttled("ten at a time", "421", reach="mailer")
        if next(number) % 11 == 0
        else accepted(one)
    )
    while engine.states() != {"submitted": 60}:
        report = engine.deliver(connections=2)
        engine.clock.now = max(report.waits_until or engine.clock(), engine.clock())
        engine.clock.later(60)
        assert len(engine.server.told) < 100


def waits(engine):
    w = tables.mail_waits.c
    with engine.store.read() as c:
        return dict(c.execute(select(w.domain, w.streak)).tuples().all())
