"""Several connections under one clerk: each reader once, and the ledger always a step ahead."""

from itertools import count
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import event, text

from digest.errors import Refused, Throttled
from digest.model import MailerTraits
from fakes.delivering import accepted, address, name_of

pytestmark = pytest.mark.long

CONNECTIONS = 4


def test_every_reader_is_written_to_once(new_engine):
    engine = new_engine(50)
    report = engine.deliver(connections=CONNECTIONS)
    assert report.tried == 50
    assert (not report.more, report.waits_until) == (True, None)
    assert engine.states() == {"submitted": 50}
    assert sorted(engine.server.told) == [address(name_of(number)) for number in range(50)]
    assert engine.server.opened <= CONNECTIONS
    assert engine.server.closed == engine.server.opened


def test_all_connections_work_at_once(new_engine):
    engine = new_engine(8)
    # Four that wait for each other: fewer at a time would never go on.
    barrier = Barrier(CONNECTIONS)
    engine.server.at_submit = lambda *_: barrier.wait(10)
    engine.deliver(connections=CONNECTIONS)
    assert engine.states() == {"submitted": 8}


@pytest.mark.parametrize("batch", [1, 5])
def test_nothing_is_said_that_was_not_written_down_before(new_engine, batch):
    engine = new_engine(40)
    engine.server.traits = MailerTraits(batch=batch)
    seen, most_at_once = [], []

    def look(recipients, key):
        """From another connection of the database, at the moment of the first byte."""
        rows = engine.rows(state="submitting")
        mine = {row.address for row in rows if row.request == key}
        seen.append(mine == set(recipients) and all(row.lease_until for row in rows))
        most_at_once.append(len(rows))

    engine.server.at_submit = look
    engine.deliver(connections=CONNECTIONS)
    assert seen == [True] * (40 // batch)
    assert max(most_at_once) <= CONNECTIONS * batch
    assert engine.states() == {"submitted": 40}


def test_an_answer_stands_in_the_ledger_before_its_connection_begins_another(new_engine):
    engine = new_engine(40)
    last, open_before = {}, []

    def connect():
        connection = type(engine.server).connect(engine.server)
        submit = connection.submit

        def watched(mails, key):
            before = last.get(id(connection))
            if before is not None:
                open_before.append(engine.rows(address=before)[0].state)
            last[id(connection)] = mails[0].envelope.recipient
            return submit(mails, key)

        connection.submit = watched
        return connection

    engine.deliver(connections=CONNECTIONS, new_mailer=connect)
    assert len(open_before) == 40 - len(last)
    assert set(open_before) == {"submitted"}


def test_a_slow_connection_holds_up_no_other(new_engine):
    engine = new_engine(20)
    others_are_through = Event()
    slow = address(name_of(0))

    def at_submit(recipients, _):
        if recipients == (slow,):
            assert others_are_through.wait(10)
        elif len(engine.server.told) == 20:
            others_are_through.set()

    engine.server.at_submit = at_submit
    engine.deliver(connections=2)
    assert engine.states() == {"submitted": 20}


def test_requests_are_in_the_order_of_ids_and_every_row_has_its_key(new_engine):
    engine = new_engine(250)
    engine.server.traits = MailerTraits(batch=100)
    transactions = []
    event.listen(engine.store.engine, "commit", lambda _: transactions.append(1))
    engine.deliver(connections=2)
    by_key = {}
    for row in engine.rows():
        by_key.setdefault(row.request, []).append(row.address)
    assert sorted(map(len, by_key.values())) == [50, 100, 100]
    told = dict(zip(engine.server.keys, engine.server.requests, strict=True))
    assert {key: tuple(addresses) for key, addresses in by_key.items()} == told
    # A claim, the starts, the answers: not one for each.
    assert len(transactions) < 15


def test_a_request_that_is_refused_in_part(new_engine):
    engine = new_engine(10)
    engine.server.traits = MailerTraits(batch=10)
    answers = {
        address(name_of(2)): Refused("no such user", "550 5.1.1", address_fault=True),
        address(name_of(5)): Throttled("later", "450"),
    }
    engine.server.answer = lambda recipient: answers.get(recipient) or accepted(recipient)
    engine.deliver()
    assert engine.states() == {"submitted": 8, "refused": 1, "pending": 1}
    assert [row.address for row in engine.rows(state="refused")] == [address(name_of(2))]
    assert [row.address for row in engine.rows(state="pending")] == [address(name_of(5))]


# --- ends --------------------------------------------------------------------------------------


def test_it_ends_after_so_many_and_says_that_there_may_be_more(new_engine):
    engine = new_engine(10)
    report = engine.deliver(most=7, connections=CONNECTIONS)
    assert (report.tried, report.more) == (7, True)
    assert engine.states() == {"submitted": 7, "pending": 3}
    assert engine.deliver(most=7).tried == 3
    assert engine.server.most_copies == 1


def test_whoever_asks_it_to_stop_leaves_nothing_in_doubt(new_engine):
    engine = new_engine(20)
    asked = Event()
    engine.server.at_submit = meeting(CONNECTIONS, lambda _: asked.set())
    report = engine.deliver(connections=CONNECTIONS, should_stop=asked.is_set)
    told = len(engine.server.told)
    assert (report.more, report.tried) == (True, told)
    assert told < 20
    assert engine.states() == {"submitted": told, "pending": 20 - told}


def test_a_mail_that_cannot_be_made_fails_alone(new_engine):
    engine = new_engine(5)
    engine.letters.broken.add(address(name_of(1)))
    report = engine.deliver(connections=2)
    assert report.tried == 5
    assert engine.states() == {"submitted": 4, "failed": 1}
    assert engine.row(name_of(1)).reason == f"{address(name_of(1))} is no address"
    assert address(name_of(1)) not in engine.server.told


def test_one_who_is_told_of_progress_is_told_of_every_delivery(new_engine):
    engine, told = new_engine(9), []
    engine.deliver(connections=2, progress=lambda: told.append(None))
    assert len(told) == 9


# --- surprises ---------------------------------------------------------------------------------


def meeting(connections, then=lambda recipients: None):
    """The first requests of all connections are said at once; what each does `then`."""
    barrier, first = Barrier(connections), count()

    def at_submit(recipients, _):
        if next(first) < connections:
            barrier.wait(10)
        then(recipients)

    return at_submit


def crashes_at_the_first_reader(recipients):
    if address(name_of(0)) in recipients:
        surprise()


def surprise():
    raise RuntimeError("nobody expected this")


def test_a_surprise_on_one_connection_loses_no_answer_of_the_others(new_engine):
    engine = new_engine(20)
    engine.server.at_submit = meeting(CONNECTIONS, crashes_at_the_first_reader)
    with pytest.raises(RuntimeError, match="nobody expected this"):
        engine.deliver(connections=CONNECTIONS)
    told = len(engine.server.told)
    assert told >= CONNECTIONS
    assert engine.states() == {"submitting": 1, "submitted": told - 1, "pending": 20 - told}
    assert engine.recover() == 1
    engine.server.at_submit = lambda *_: None
    engine.deliver(connections=CONNECTIONS)
    assert engine.states() == {"uncertain": 1, "submitted": 19}
    assert engine.server.most_copies == 1


def test_a_connection_that_answers_for_too_few_is_a_surprise(new_engine):
    engine = new_engine(12)
    engine.server.traits = MailerTraits(batch=3)
    barrier = Barrier(4)

    def connect():
        connection = type(engine.server).connect(engine.server)
        submit = connection.submit

        def short(mails, key):
            outcomes = submit(mails, key)
            barrier.wait(10)
            first = mails[0].envelope.recipient == address(name_of(0))
            return outcomes[:2] if first else outcomes

        connection.submit = short
        return connection

    with pytest.raises(ValueError, match="2"):
        engine.deliver(connections=4, new_mailer=connect)
    assert engine.states() == {"submitting": 3, "submitted": 9}


def test_a_connection_that_cannot_be_made_leaves_nothing_in_doubt(new_engine):
    engine = new_engine(5)
    with pytest.raises(RuntimeError, match="nobody expected this"):
        engine.deliver(new_mailer=surprise)
    assert engine.states() == {"pending": 5}


def test_who_shows_progress_and_fails_loses_no_answer(new_engine):
    engine = new_engine(20)
    engine.server.at_submit = meeting(CONNECTIONS)
    with pytest.raises(RuntimeError, match="nobody expected this"):
        engine.deliver(connections=CONNECTIONS, progress=surprise)
    told = len(engine.server.told)
    assert engine.states() == {"submitted": told, "pending": 20 - told}


def test_a_letter_that_fails_badly_loses_no_answer(new_engine):
    engine = new_engine(20)
    make, made = engine.letters.make, []

    def make_some(claimed, variant):
        made.append(claimed)
        return make(claimed, variant) if len(made) < 9 else surprise()

    engine.letters.make = make_some
    with pytest.raises(RuntimeError, match="nobody expected this"):
        engine.deliver(connections=CONNECTIONS)
    states = engine.states()
    assert set(states) == {"submitted", "pending"}
    assert states["submitted"] == len(engine.server.told)


def test_a_ledger_that_fails_in_the_middle_leaves_one_request_a_connection_in_doubt(new_engine):
    engine = new_engine(40)
    fails_after(engine.store, "submitted", address(name_of(20)))
    with pytest.raises(Exception, match="the disk is full"):
        engine.deliver(connections=CONNECTIONS)
    repair(engine.store)
    in_doubt = engine.recover()
    assert 1 <= in_doubt <= CONNECTIONS
    engine.deliver(connections=CONNECTIONS)
    assert engine.states() == {"uncertain": in_doubt, "submitted": 40 - in_doubt}
    assert sorted(engine.server.told) == sorted({row.address for row in engine.rows()})


def test_answers_are_written_though_nothing_more_can_be_begun(new_engine):
    engine = new_engine(40)
    fails_after(engine.store, "submitting", address(name_of(20)))
    with pytest.raises(Exception, match="the disk is full"):
        engine.deliver(connections=CONNECTIONS)
    repair(engine.store)
    assert engine.recover() == 0
    assert engine.states()["submitted"] == len(engine.server.told)
    engine.deliver(connections=CONNECTIONS)
    assert engine.states() == {"submitted": 40}
    assert engine.server.most_copies == 1


def fails_after(store, state, who):
    """From now on the database does not take this state of this reader's delivery."""
    when = f"NEW.state = '{state}' AND NEW.address = '{who}'"
    if store.is_sqlite:
        body = "BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"
        statements = [f"CREATE TRIGGER full BEFORE UPDATE ON deliveries WHEN {when} {body}"]
    else:
        raises = "BEGIN RAISE EXCEPTION 'the disk is full'; END"
        function = f"CREATE FUNCTION refuse() RETURNS trigger AS $$ {raises} $$ LANGUAGE plpgsql"
        trigger = (
            f"CREATE TRIGGER full_ BEFORE UPDATE ON deliveries FOR EACH ROW WHEN ({when})"
            " EXECUTE FUNCTION refuse()"
        )
        statements = [function, trigger]
    run(store, statements)


def repair(store):
    statement = "DROP TRIGGER full" if store.is_sqlite else "DROP TRIGGER full_ ON deliveries"
    run(store, [statement])


def run(store, statements):
    with store.write() as c:
        for statement in statements:
            c.execute(text(statement))


# --- several workers ---------------------------------------------------------------------------


def test_two_workers_share_an_issue_and_its_readers(new_engine):
    engine = new_engine(600)
    shares = [Thread(target=engine.deliver, kwargs={"connections": 3}) for _ in range(2)]
    # Neither is through before the other has begun.
    engine.server.at_submit = meeting(6)
    for share in shares:
        share.start()
    for share in shares:
        share.join(30)
    assert engine.states() == {"submitted": 600}
    assert engine.server.most_copies == 1
