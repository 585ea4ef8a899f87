"""What is waited for, and until when: never for others' domains, nor longer than for the first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from digest.config_mailers import Brakes, FileMailer, SendWindow
from digest.errors import Throttled
from digest.model import IssueState
from digest.store import mail_pace, tables
from fakes.delivering import MAILER, accepted, address, name_of

pytestmark = pytest.mark.long

HOURS = timedelta(hours=4)
PATIENCE = timedelta(minutes=2)


def paced(*pace, **domains):
    return FileMailer(kind="file", pace=pace, domains=domains)


SLOW = [f"s{number}@slow.example" for number in range(3)]
OTHERS = [address(name_of(number)) for number in range(5)]


def told_of(engine, **changes):
    """What a worker says that it waits for, in seconds from now, while it does all there is."""
    told, start = [], engine.clock()

    def waiting(until, why):
        assert until > engine.clock()
        told.append(((until - start).total_seconds(), why))

    engine.deliver(patience=PATIENCE, waiting=waiting, **changes)
    return told


PACE = "as many went out as the mailer's pace allows"
DOMAINS = "all that is left is for domains that must wait"


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({"paced": paced("2/minute")}, [(63, PACE), (126, PACE)]),
        # Held up for a moment only, each time.
        ({"paced": paced("2/second")}, []),
        ({"paced": paced(**{"example.org": ["3/minute"]})}, [(63, DOMAINS)]),
        (
            {"brakes": Brakes(canary=2, canary_minutes=1)},
            [(60, "the first 2 are out; the rest follow if all is well")],
        ),
        (
            {"window": SendWindow(hours="08:01-20:00")},
            [(60, "its hours begin again on Mon 23 Nov at 08:01")],
        ),
    ],
    ids=["pace", "pace by the second", "domain", "canary", "hours"],
)
@pytest.mark.parametrize("connections", [1, 3])
def test_whoever_watches_is_told_once_what_is_waited_for(new_engine, changes, waits, connections):
    engine = new_engine(OTHERS, **changes)
    assert told_of(engine, connections=connections) == waits
    assert engine.states() == {"submitted": 5}


def test_what_a_server_said_is_told_with_the_wait_it_asked_for(new_engine):
    engine = new_engine(OTHERS)
    start = engine.clock()
    engine.server.answer = lambda one: (
        Throttled("4.7.0 slower", "421", timedelta(minutes=1), reach="mailer")
        if engine.clock() == start
        else accepted(one)
    )
    # The one that was turned away waits for a time of its own.
    assert told_of(engine) == [(60, "the mailer asked for time: 4.7.0 slower")]
    assert engine.states()["submitted"] >= 4


def test_what_is_longer_than_anybody_waits_is_no_wait(new_engine):
    engine = new_engine(OTHERS, paced=paced("2/hour"))
    assert told_of(engine) == []


def hold(engine, domain, span):
    """Another issue's mails to this domain are asked to wait."""
    with engine.store.write() as c:
        mail_pace.note_wait(c, MAILER, domain, "too fast", engine.clock(), asked=span)


@pytest.mark.parametrize("patience", [timedelta(0), PATIENCE])
def test_a_mail_that_is_tried_again_soon_does_not_wait_for_a_slow_domain(new_engine, patience):
    engine = new_engine([*SLOW, *OTHERS])
    start, greylisted = engine.clock(), OTHERS[0]
    engine.server.answer = lambda one: (
        Throttled("tomorrow", "421", HOURS, reach="domain")
        if one in SLOW
        else Throttled("greylisted", "450")
        if one == greylisted and engine.clock() == start
        else accepted(one)
    )
    report = engine.deliver(patience=patience)
    if not patience:
        assert report.waits_until == engine.row(greylisted).not_before
        assert report.why.startswith("what is left is for domains that must wait, or")
        engine.clock.now = report.waits_until
        report = engine.deliver()
    assert engine.states() == {"submitted": 5, "pending": 3}
    assert report.waits_until == start + HOURS
    assert report.why == "all that is left is for domains that must wait"


def test_a_domain_to_which_nothing_is_left_is_waited_for_by_nobody(new_engine):
    engine = new_engine(OTHERS)
    hold(engine, "slow.example", timedelta(minutes=1))
    report = engine.deliver(patience=PATIENCE)
    assert (engine.states(), engine.waits, report.waits_until) == ({"submitted": 5}, [], None)


def test_nor_by_a_mail_of_another_domain_that_is_tried_again_later(new_engine):
    engine = new_engine(OTHERS)
    hold(engine, "slow.example", HOURS)
    engine.server.answer = lambda _: Throttled("greylisted", "450")
    report = engine.deliver()
    # The ledger says of each when it may be tried again; the issue as a whole does not wait.
    assert (engine.states(), report.waits_until) == ({"pending": 5}, None)


def test_who_waits_for_a_domain_stops_at_once_when_the_issue_is_paused(new_engine):
    engine = new_engine(SLOW)
    hold(engine, "slow.example", timedelta(seconds=90))

    def sleep(seconds):
        engine.wait(seconds)
        if len(engine.waits) == 3:
            engine.move(IssueState.PAUSED)

    engine.deliver(patience=PATIENCE, sleep=sleep)
    assert (len(engine.waits), engine.states()) == (3, {"pending": 3})


def test_a_clock_that_is_set_back_is_not_waited_for(new_engine):
    engine = new_engine(SLOW)
    hold(engine, "slow.example", timedelta(seconds=90))

    def sleep(seconds):
        engine.wait(seconds)
        if len(engine.waits) == 3:
            engine.clock.later(-3600)

    report = engine.deliver(patience=PATIENCE, sleep=sleep)
    assert len(engine.waits) == 3
    assert report.waits_until - engine.clock() > timedelta(hours=1)


def test_late_bounces_of_before_do_not_stop_what_an_editor_let_go(new_engine):
    engine = new_engine(60, brakes=Brakes(after=20))
    engine.deliver(most=30)
    before = [row.id for row in engine.rows(state="submitted")]
    engine.clock.later(60)
    engine.move(IssueState.PAUSED)
    engine.move(IssueState.SENDING)
    engine.clock.later(60)
    bounce(engine, before)
    engine.deliver(most=25)
    engine.clock.later(60)
    assert engine.states() == {"submitted": 55, "pending": 5}
    bounce(engine, [row.id for row in engine.rows(state="submitted") if row.id not in before][:5])
    assert engine.deliver().brake == "5 of 25 came back, more than 10 %"


def bounce(engine, ids):
    rows = [{"delivery_id": one, "event": "bounced", "at": engine.clock()} for one in ids]
    with engine.store.write() as c:
        c.execute(insert(tables.delivery_events), rows)
