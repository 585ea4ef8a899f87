"""A mailer that is not there, gives no answer, or asks for time: for a mail, a domain, or all."""

from datetime import timedelta
from itertools import count, pairwise
from threading import Barrier

import pytest
from sqlalchemy import select

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.decisions import MAX_ATTEMPTS
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


# --- refusals by policy ------------------------------------------------------------------------

BY_POLICY = Refused("unauthenticated (answer to RCPT)", "550 5.7.26")
HOUR = timedelta(hours=1)


def of_domains(count, each=4):
    """Readers of so many domains, by turns."""
    return [f"r{n}@d{place}.example" for n in range(each) for place in range(count)]


def domain(recipient):
    return recipient.partition("@")[2]


def refuses(*domains):
    """These refuse by policy, or all where none is named."""
    return lambda one: BY_POLICY if not domains or domain(one) in domains else accepted(one)


@pytest.mark.parametrize("connections", [1, CONNECTIONS])
def test_three_domains_in_a_row_that_refuse_by_policy_stop_the_mailer(new_engine, connections):
    engine = new_engine(of_domains(10))
    engine.server.answer = refuses()
    engine.server.at_submit = meet(connections)
    report = engine.deliver(connections=connections)
    said = "refuse our mail by policy, and nobody between them takes any: 550 5.7.26"
    assert report.mailer_fault.partition(" refuse")[0].count(".example") == 3
    assert said in report.mailer_fault
    # But for those that were under way.
    assert report.tried <= 3 + connections - 1
    assert sum(row.attempts for row in engine.rows()) == report.tried
    assert engine.states() == {"pending": 40}


def test_a_domain_that_refuses_by_policy_holds_up_no_other_and_is_asked_once_an_hour(new_engine):
    engine = new_engine(of_domains(5))
    engine.server.answer = refuses("d2.example")
    report = engine.deliver()
    assert (report.mailer_fault, engine.states()) == ("", {"submitted": 16, "pending": 4})
    assert report.refusing.keys() == {"d2.example"}
    told = report.refusing["d2.example"]
    assert told.said == "550 5.7.26 unauthenticated (answer to RCPT)"
    assert HOUR <= told.until - engine.clock() <= 1.25 * HOUR
    assert report.waits_until == told.until
    for asked in range(2, 6):
        # Another worker, after a restart say, knows of it.
        engine.clock.later(3500)
        quiet = engine.deliver()
        assert (quiet.tried, quiet.refusing) == (0, {})
        engine.clock.now = quiet.waits_until
        report = engine.deliver()
        assert (report.tried, report.mailer_fault) == (1, "")
        assert report.refusing.keys() == {"d2.example"}
        assert sum(row.attempts for row in engine.rows(state="pending")) == asked
    engine.server.answer = accepted
    engine.clock.now = report.waits_until
    assert engine.deliver().refusing == {}
    # Those that were tried in vain come last.
    engine.clock.later(2 * 3600)
    engine.deliver()
    assert engine.states() == {"submitted": 20}
    assert waits(engine) == {}


def test_several_domains_of_one_provider_that_refuse_do_not_stop_the_issue(new_engine):
    bad = [f"d{place}.example" for place in (1, 4, 6, 8)]
    engine = new_engine(of_domains(10))
    engine.server.answer = refuses(*bad)
    for _ in range(4):
        report = engine.deliver()
        # All others have it by the second round: nobody is there who takes any between.
        assert (report.mailer_fault, report.refusing.keys()) == ("", set(bad))
        assert engine.states() == {"submitted": 24, "pending": 16}
        engine.clock.later(2 * 3600)


def test_a_domain_alone_that_refuses_by_policy_is_waited_for(new_engine):
    """Nothing else would be held up by going on, and the operator is told either way."""
    engine = new_engine(10)
    engine.server.answer = refuses()
    report = engine.deliver()
    assert (report.tried, report.mailer_fault) == (1, "")
    assert report.refusing.keys() == {"example.org"}
    engine.server.answer = accepted
    engine.clock.now = report.waits_until
    engine.deliver()
    engine.clock.later(2 * 3600)
    engine.deliver()
    assert engine.states() == {"submitted": 10}


def test_a_policy_that_stays_uses_up_the_attempts_and_the_delivery_is_failed(new_engine):
    engine = new_engine(["a@d0.example"])
    engine.server.answer = refuses()
    for _ in range(MAX_ATTEMPTS):
        report = engine.deliver()
        engine.clock.later(8 * 3600)
    assert engine.states() == {"failed": 1}
    assert report.refusing.keys() == {"d0.example"}
    assert engine.deliver().refusing == {}


@pytest.mark.parametrize("answer", [BY_POLICY, Throttled("try later", "450 4.7.1", reach="domain")])
def test_a_domain_that_takes_nothing_for_a_day_does_not_keep_the_issue_open(new_engine, answer):
    """Its thousands would be tried in vain one after the other, each for a day."""
    engine = new_engine([*of_domains(2, each=40), "last@d2.example"])
    engine.server.answer = lambda one: answer if domain(one) == "d1.example" else accepted(one)
    tries, begun = 0, engine.clock()
    while engine.states().get("pending"):
        tries += engine.deliver().tried
        engine.clock.later(3600)
    assert engine.states() == {"submitted": 41, "failed": 40}
    assert tries <= 41 + CONNECTIONS * MAX_ATTEMPTS
    assert timedelta(hours=12) < engine.clock() - begun < timedelta(days=3)
    reasons = {(row.code, row.reason) for row in engine.rows(state="failed")}
    assert reasons == {(answer.code, answer.reason)}


def test_a_domain_that_takes_some_is_not_given_up_with_one_of_its_mails(new_engine):
    engine = new_engine([f"r{n}@d1.example" for n in range(20)])
    first = "r0@d1.example"
    engine.server.answer = lambda one: BY_POLICY if one == first else accepted(one)
    engine.clock.now = engine.deliver().waits_until + timedelta(minutes=10)
    engine.deliver()
    # At its second chance all others had theirs.
    assert engine.states() == {"submitted": 19, "pending": 1}
    for _ in range(4 * MAX_ATTEMPTS):
        engine.deliver()
        engine.clock.later(3600)
    assert engine.states() == {"submitted": 19, "failed": 1}


def test_a_request_of_many_that_was_taken_in_part_is_not_about_us(new_engine):
    engine = new_engine(of_domains(5))
    engine.server.traits = MailerTraits(batch=10)
    engine.server.answer = refuses("d0.example", "d1.example", "d2.example", "d3.example")
    report = engine.deliver()
    assert report.mailer_fault == ""
    assert len(report.refusing) == 4
    assert engine.states() == {"submitted": 4, "pending": 16}


def test_a_request_of_many_that_is_refused_whole_by_policy_stops_the_mailer(new_engine):
    engine = new_engine(of_domains(5))
    engine.server.traits = MailerTraits(batch=10)
    engine.server.answer = refuses()
    report = engine.deliver()
    names = "d0.example, d1.example, d2.example and 2 more refuse our mail by policy"
    assert report.mailer_fault.startswith(names)
    assert (report.tried, report.refusing) == (10, {})
    assert engine.states() == {"pending": 20}


@pytest.mark.parametrize("count", [2, 4])
def test_what_is_told_of_a_policy_has_no_address_in_it(new_engine, count):
    engine = new_engine(of_domains(count))
    engine.server.answer = lambda one: Refused(f"<{one}> wants no <b@bench.example>", "550 5.7.1")
    report = engine.deliver()
    told = report.mailer_fault + " ".join(one.said for one in report.refusing.values())
    assert "wants no" in told
    assert "@" not in told
    assert engine.rows(state="pending", attempts=1)[0].reason.count("@") == 2


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
