"""Who must not get it any more, up to the very moment before the first byte."""

from datetime import timedelta
from threading import Event, Lock, Thread

import pytest
from sqlalchemy import event, select, update

from digest.model import IssueState, MailerTraits
from digest.readers.erasure import erase_reader
from digest.store import deliveries as ledger
from digest.store import tables
from fakes.delivering import NOW, D, address, name_of

pytestmark = pytest.mark.long


def erase(engine, name):
    erase_reader(engine.store, b"s" * 32, engine.row(name).subscriber_id, NOW)


#: What happens to a reader, and how their delivery ends.
ENDINGS = {
    "suppressed": (lambda engine, name: engine.suppress(name), "suppressed"),
    "left": (lambda engine, name: engine.subscription(name, state="ended"), "cancelled"),
    "paused": (
        lambda engine, name: engine.subscription(name, paused_until=NOW + timedelta(days=1)),
        "cancelled",
    ),
    "erased": (erase, "cancelled"),
}


@pytest.fixture(params=ENDINGS)
def ending(request):
    return ENDINGS[request.param]


@pytest.mark.parametrize("batch", [1, 6])
def test_who_must_not_get_it_between_claim_and_begin_gets_nothing(new_engine, ending, batch):
    happens, state = ending
    engine = new_engine(12)
    engine.server.traits = MailerTraits(batch=batch)
    gone = [name_of(1), name_of(4), name_of(7)]
    make = engine.letters.make

    def make_later(claimed, variant):
        # All are claimed, and two or three of each transaction must not begin.
        if address(name_of(0)) == claimed.address:
            for name in gone:
                happens(engine, name)
        return make(claimed, variant)

    engine.letters.make = make_later
    engine.deliver(connections=4)
    assert engine.states() == {"submitted": 9, state: 3}
    assert not {address(name) for name in gone} & set(engine.server.told)
    assert reserved(engine) == 9


def test_who_must_not_get_it_between_two_begins_gets_nothing(new_engine, ending):
    happens, state = ending
    engine = new_engine(12)
    told = engine.server.requests

    def at_submit(*_):
        if len(told) == 3:
            happens(engine, name_of(11))

    engine.server.at_submit = at_submit
    engine.deliver()
    assert engine.states() == {"submitted": 11, state: 1}
    assert address(name_of(11)) not in engine.server.told


@pytest.mark.parametrize(
    ("decided", "rest"), [(IssueState.PAUSED, "pending"), (IssueState.CANCELLED, "cancelled")]
)
@pytest.mark.parametrize("at", ["the first letter", "the third request"])
def test_an_issue_that_is_stopped_begins_nothing_more(new_engine, decided, rest, at):
    engine = new_engine(20)
    make, once, told_then = engine.letters.make, Lock(), []

    def stop():
        if once.acquire(blocking=False):
            engine.move(decided)
            told_then.append(len(engine.server.told))

    def make_later(claimed, variant):
        stop()
        return make(claimed, variant)

    if at == "the first letter":
        engine.letters.make = make_later
    else:
        engine.server.at_submit = lambda *_: len(engine.server.told) >= 3 and stop()
    report = engine.deliver(connections=2)
    told = len(engine.server.told)
    # One more had begun on the other connection.
    assert told <= told_then[0] + 1
    assert (report.tried, report.more) == (told, False)
    assert engine.states() == {"submitted": told, rest: 20 - told} if told else {rest: 20}


def test_a_reader_whose_answer_is_awaited_while_they_are_erased_is_counted_and_unknown(new_engine):
    engine = new_engine(5)
    name = name_of(2)

    def at_submit(recipients, _):
        if address(name) in recipients:
            erase(engine, name)

    engine.server.at_submit = at_submit
    engine.deliver(connections=2)
    assert engine.states() == {"submitted": 5}
    kept = " ".join(str(value) for row in engine.rows() for value in row if value)
    assert address(name) not in kept


def test_what_is_free_again_a_moment_later_is_not_taken_for_begun(new_engine):
    """The suppression is lifted between the step to `submitting` and the look why it failed."""
    engine = new_engine(3)
    engine.suppress(name_of(1))

    def lift(c, cursor, statement, *_):
        # The first look after it.
        if statement.startswith("SELECT deliveries.state, deliveries.request"):
            cursor.execute("DELETE FROM suppressions")

    event.listen(engine.store.engine, "before_cursor_execute", lift)
    engine.deliver(connections=3)
    assert engine.server.told.count(address(name_of(1))) <= 1
    rows = {row.address: row.state for row in engine.rows()}
    told = set(engine.server.told)
    assert told == {one for one, state in rows.items() if state == "submitted"}
    # Nobody was forgotten either.
    engine.deliver()
    assert engine.states() == {"submitted": 3}
    assert engine.server.most_copies == 1


def reserved(engine):
    r = tables.reservations.c
    with engine.store.read() as c:
        return len(c.scalars(select(r.subscriber_id).where(r.issue_id == engine.issue.id)).all())


# --- at that very moment, on PostgreSQL --------------------------------------------------------


#: SQLite has one writer at a time.
two_at_once = pytest.mark.parametrize(
    "any_store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


@two_at_once
def test_who_is_just_leaving_has_left_before_anything_begins(new_engine):
    engine = new_engine(4)
    subscription = engine.row(name_of(1)).subscription_id
    s = tables.subscriptions.c
    worker = Thread(target=engine.deliver, kwargs={"connections": 4})
    with engine.store.write() as leaving:
        ending = update(tables.subscriptions).where(s.id == subscription)
        leaving.execute(ending.values(state="ended"))
        worker.start()
        wait_for_a_lock(engine.store)
        assert engine.server.told == []
    worker.join(10)
    assert engine.states() == {"submitted": 3, "cancelled": 1}
    assert address(name_of(1)) not in engine.server.told


@two_at_once
def test_who_leaves_while_it_begins_has_left_after_that(new_engine, monkeypatch):
    engine = new_engine(2)
    left, seen = Event(), []
    subscription = engine.row(name_of(1)).subscription_id

    def leave():
        s = tables.subscriptions.c
        with engine.store.write() as c:
            c.execute(
                update(tables.subscriptions).where(s.id == subscription).values(state="ended")
            )
        left.set()

    leaver, begun = Thread(target=leave), []

    def holding(c, ids):
        held_by(c, ids)
        begun.append(c)

    def between(c):
        if c in begun and not leaver.ident:
            leaver.start()
            wait_for_a_lock(engine.store)
            seen.append(left.is_set())

    held_by = ledger.hold_consents
    monkeypatch.setattr(ledger, "hold_consents", holding)
    event.listen(engine.store.engine, "commit", between)
    engine.deliver(connections=2)
    leaver.join(10)
    assert seen == [False]
    assert engine.states() == {"submitted": 2}


@two_at_once
def test_an_issue_that_is_just_cancelled_begins_nothing(new_engine):
    engine = new_engine(4)
    worker = Thread(target=engine.deliver, kwargs={"connections": 4})
    i = tables.issues.c
    with engine.store.write() as cancelling:
        own = cancelling.execute(select(i.id).where(i.id == engine.issue.id).with_for_update())
        assert own.scalar_one()
        worker.start()
        wait_for_a_lock(engine.store)
        change = update(tables.issues).where(i.id == engine.issue.id)
        cancelling.execute(change.values(state=IssueState.CANCELLED))
        of_it = update(tables.deliveries).where(D.state.in_(["pending", "claimed"]))
        values = {"state": "cancelled", "worker": None, "lease_until": None}
        cancelling.execute(of_it.values(**values))
    worker.join(10)
    assert engine.server.told == []
    assert engine.states() == {"cancelled": 4}


def wait_for_a_lock(store):
    """Until somebody on this database waits for somebody else."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(2000):
        with store.read() as c:
            if c.exec_driver_sql(waiting).scalar():
                return
    raise AssertionError("nobody waits")
