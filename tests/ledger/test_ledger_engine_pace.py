"""Pace, brakes and hours over whole shifts, on a clock that only waiting moves."""

from datetime import timedelta
from itertools import count
from threading import Lock, Thread

import pytest
from sqlalchemy import select

from digest.config_mailers import Brakes, FileMailer, SendWindow
from digest.errors import Refused, Throttled, Unavailable
from digest.mail.leases import LEASE
from digest.model import IssueState
from digest.store import tables
from fakes.delivering import NOW, D, accepted, address, name_of

pytestmark = pytest.mark.long

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
#: Longer than anything here waits.
PATIENCE = timedelta(days=2)
#: What is asked here of the database other tests ask on both.
on_sqlite = pytest.mark.parametrize("any_store", ["sqlite"], indirect=True)


def paced(*pace, **domains):
    return FileMailer(kind="file", pace=pace, domains=domains)


def begins_of(engine):
    """Collects when each delivery begins, by the ledger."""
    begins, lock = [], Lock()

    def at_submit(recipients, _):
        with engine.store.read() as c:
            until = c.scalars(select(D.lease_until).where(D.address.in_(recipients))).all()
        with lock:
            begins.extend(one - LEASE for one in until)

    engine.server.at_submit = at_submit
    return begins


def most_in(begins, period):
    """How many began in whichever window of that length, at most."""
    begins = sorted(begins)
    return max(sum(0 <= (other - one) / period < 1 for other in begins) for one in begins)


# --- pace --------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize(
    ("pace", "most", "period"), [("5/second", 5, SECOND), ("7/minute", 7, MINUTE)]
)
def test_no_window_sees_more_than_the_pace(new_engine, connections, pace, most, period):
    engine = new_engine(30, paced=paced(pace))
    begins = begins_of(engine)
    # Over several shifts, which each go on where the last one ended, at any time.
    for share, pause in ((11, 0.0), (3, 0.3), (1, 21.0), (None, 0.0)):
        engine.deliver(connections=connections, most=share, patience=PATIENCE)
        engine.clock.later(pause)
    assert engine.states() == {"submitted": 30}
    assert most_in(begins, period) == most
    # And not much slower than it might be.
    assert max(begins) - NOW <= (30 // most + 1) * period * 21 / 20 + timedelta(seconds=22)


def test_two_workers_keep_to_one_pace(new_engine):
    engine = new_engine(40, paced=paced("6/minute"))
    begins = begins_of(engine)
    shares = [
        Thread(target=engine.deliver, kwargs={"connections": 3, "patience": PATIENCE, "most": 20})
        for _ in range(2)
    ]
    for share in shares:
        share.start()
    for share in shares:
        share.join(30)
    assert engine.states() == {"submitted": 40}
    assert engine.server.most_copies == 1
    assert most_in(begins, MINUTE) == 6


def test_a_shift_without_patience_says_when_it_goes_on(new_engine):
    engine = new_engine(25, paced=paced("10/minute"))
    shifts = 0
    while engine.states() != {"submitted": 25}:
        report = engine.deliver(connections=4)
        shifts += 1
        if report.waits_until:
            assert report.why == "as many went out as the mailer's pace allows"
            assert report.tried <= 10
            engine.clock.now = report.waits_until
    assert shifts == 3


@on_sqlite
@pytest.mark.parametrize("pace", ["10/minute", "10/second", "10/day"])
@pytest.mark.parametrize("connections", [1, 4])
def test_a_paced_domain_at_the_front_holds_up_no_other(new_engine, pace, connections):
    slow = [f"s{number}@slow.example" for number in range(60)]
    engine = new_engine([*slow, *map(name_of, range(140))], paced=paced(**{"slow.example": [pace]}))
    report = engine.deliver(connections=connections)
    assert engine.states() == {"submitted": 150, "pending": 50}
    assert report.waits_until > engine.clock()
    told = engine.server.told
    assert sum(one in slow for one in told) == 10
    shifts = 1
    while engine.states() != {"submitted": 200}:
        engine.clock.now = report.waits_until
        report = engine.deliver(connections=connections)
        shifts += 1
    assert shifts == 6
    assert engine.server.most_copies == 1


def test_lanes_empty_themselves_within_a_shift_and_others_go_first(new_engine):
    slow = [f"s{number}@slow.example" for number in range(30)]
    rates = {"slow.example": ["5/second"]}
    engine = new_engine([*slow, *map(name_of, range(70))], paced=paced(**rates))
    begins = begins_of(engine)
    engine.deliver(connections=3, patience=PATIENCE)
    assert engine.states() == {"submitted": 100}
    # All others while the domain was waited for the first time.
    assert sorted(engine.server.told[:75]) == sorted(
        [*slow[:5], *map(address, map(name_of, range(70)))]
    )
    assert timedelta(seconds=5) <= max(begins) - NOW <= timedelta(seconds=8)


def test_a_share_of_an_issue_is_not_filled_up_with_a_domain_that_waits(new_engine):
    slow = [f"s{number}@slow.example" for number in range(30)]
    engine = new_engine(
        [*slow, *map(name_of, range(70))], paced=paced(**{"slow.example": ["1/second"]})
    )
    report = engine.deliver(most=50)
    assert (report.tried, report.more) == (50, True)


def test_each_domain_has_a_pace_of_its_own(new_engine):
    domains = ["a.example", "b.example", "c.example"]
    addresses = [f"r{number}@{domain}" for domain in domains for number in range(9)]
    engine = new_engine(addresses, paced=paced("20/minute", **{"*": ["4/minute"]}))
    begins = begins_of(engine)
    engine.deliver(connections=2)
    assert sorted(one.rpartition("@")[2] for one in engine.server.told) == sorted(domains * 4)
    engine.deliver(connections=2, patience=PATIENCE)
    assert engine.states() == {"submitted": 27}
    assert most_in(begins, MINUTE) <= 12


# --- brakes ------------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("connections", [1, 3, 4, 8])
@pytest.mark.parametrize("canary", [1, 5, 10])
def test_the_canary_is_exactly_as_many_and_then_it_is_waited(new_engine, connections, canary):
    brakes = Brakes(canary=canary, canary_minutes=30)
    engine = new_engine(40, brakes=brakes)
    report = engine.deliver(connections=connections)
    assert len(engine.server.told) == canary
    assert engine.states() == {"submitted": canary, "pending": 40 - canary}
    assert report.waits_until == NOW + 30 * MINUTE
    again = engine.deliver(connections=connections)
    assert (again.tried, again.waits_until) == (0, report.waits_until)
    engine.clock.now = report.waits_until
    engine.deliver(connections=connections)
    assert engine.states() == {"submitted": 40}


def test_a_canary_that_is_turned_away_stops_the_issue_and_says_why(new_engine):
    engine = new_engine(40, brakes=Brakes(canary=10, refused_percent=20))
    refused = {address(name_of(number)) for number in (1, 3, 5)}
    engine.server.answer = lambda one: (
        Refused("no such user", "550 5.1.1", address_fault=True)
        if one in refused
        else accepted(one)
    )
    report = engine.deliver(connections=4)
    assert len(engine.server.told) == 10
    assert report.brake == "3 of 10 were refused, more than 20 %"
    engine.move(IssueState.PAUSED)
    assert engine.deliver(connections=4).tried == 0
    engine.clock.later(60)
    engine.move(IssueState.SENDING)
    # An editor has looked: the rest goes out, and neither canary nor old refusals count.
    assert engine.deliver(connections=4).brake == ""
    assert engine.states() == {"submitted": 37, "refused": 3}


@pytest.mark.parametrize("connections", [1, 4])
def test_too_many_refusals_stop_it_at_once(new_engine, connections):
    engine = new_engine(60, brakes=Brakes(after=10))
    engine.server.answer = lambda _: Refused("no such user", "550 5.1.1", address_fault=True)
    report = engine.deliver(connections=connections)
    assert report.brake.endswith("were refused, more than 10 %")
    assert len(engine.server.told) <= 10 + connections
    assert engine.states()["pending"] >= 50 - connections


def test_an_issue_whose_last_mails_are_refused_is_through_and_not_stopped(new_engine):
    engine = new_engine(10, brakes=Brakes(after=10))
    engine.server.answer = lambda _: Refused("no such user", "550 5.1.1", address_fault=True)
    assert engine.deliver().brake == ""
    assert engine.states() == {"refused": 10}


# --- hours -------------------------------------------------------------------------------------


def test_nothing_begins_before_its_hours_nor_after_them(new_engine):
    engine = new_engine(30, window=SendWindow(hours="09:00-09:10"))
    report = engine.deliver(connections=2)
    assert (report.tried, report.waits_until) == (0, NOW + timedelta(hours=1))
    assert report.why == "its hours begin again on Mon 23 Nov at 09:00"
    engine.clock.now = report.waits_until
    engine.server.at_submit = lambda *_: engine.clock.later(60)
    report = engine.deliver()
    # One a minute, until ten past.
    assert (report.tried, engine.states()) == (10, {"submitted": 10, "pending": 20})
    assert report.waits_until == NOW + DAY + timedelta(hours=1)
    engine.clock.now = report.waits_until
    engine.server.at_submit = lambda *_: None
    engine.deliver(connections=2)
    assert engine.states() == {"submitted": 30}


def test_hours_that_begin_soon_are_waited_for(new_engine):
    engine = new_engine(5, window=SendWindow(hours="08:01-20:00"))
    report = engine.deliver(patience=timedelta(minutes=2))
    assert report.waits_until is None
    assert engine.states() == {"submitted": 5}
    assert engine.clock() == NOW + MINUTE


def test_an_issue_that_is_stopped_is_not_waited_for(new_engine):
    engine = new_engine(30, paced=paced("10/minute"))
    wait = engine.wait

    def stop(seconds):
        wait(seconds)
        if len(engine.waits) == 3:
            engine.move(IssueState.CANCELLED)

    report = engine.deliver(patience=PATIENCE, sleep=stop)
    assert len(engine.waits) <= 4
    assert (report.tried, report.more) == (10, False)
    assert engine.states() == {"submitted": 10, "cancelled": 20}


def test_whoever_asks_it_to_stop_while_it_waits_is_heard_within_a_second(new_engine):
    engine = new_engine(30, paced=paced("10/minute"))
    report = engine.deliver(patience=PATIENCE, should_stop=lambda: len(engine.waits) >= 3)
    assert report.more
    assert len(engine.waits) == 3
    assert max(engine.waits) <= 1


# --- nothing is busy with waiting --------------------------------------------------------------

SLOW_PACE = paced(**{"slow.example": ["1/second"]})
SLOW = [f"s{number}@slow.example" for number in range(4)]


def once(outcome):
    """The first mail has this outcome, all others are accepted."""
    number = count()
    return lambda recipient: outcome if next(number) == 0 else accepted(recipient)


@on_sqlite
@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"paced": paced("3/minute")}, accepted),
        ({"paced": SLOW_PACE}, accepted),
        ({"paced": SLOW_PACE}, once(Unavailable("nobody there"))),
        ({"brakes": Brakes(canary=2, canary_minutes=1)}, accepted),
        ({"window": SendWindow(hours="08:01-20:00")}, accepted),
        ({}, once(Throttled("too fast", "421", reach="mailer"))),
        ({}, once(Throttled("too fast", "421", reach="domain"))),
        ({}, once(Throttled("later", "450"))),
    ],
    ids=["pace", "lane", "lane and not there", "canary", "hours", "mailer", "domain", "mail"],
)
@pytest.mark.parametrize("connections", [1, 4])
def test_nothing_is_busy_while_all_waits(new_engine, changes, answer, connections):
    engine = new_engine(SLOW, **changes)
    engine.server.answer = answer
    turns = count()

    def should_stop():
        return next(turns) > 2000

    while engine.states() != {"submitted": 4}:
        report = engine.deliver(connections=connections, patience=PATIENCE, should_stop=should_stop)
        assert not report.more
        # A mail that waits alone is not waited for here.
        engine.clock.later(0.0 if engine.states() == {"submitted": 4} else 90)
    assert next(turns) <= 2 * sum(engine.waits) + 40
    w = tables.mail_waits.c
    with engine.store.read() as c:
        assert c.scalars(select(w.until)).all() == []
