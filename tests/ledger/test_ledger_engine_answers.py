"""Answers that are written down together: each as if it were alone, whatever changed meanwhile."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from digest.mail.decisions import Decision
from digest.model import DeliveryState
from digest.readers.erasure import erase_reader
from digest.store import deliveries as ledger
from digest.store import tables
from fakes.delivering import MAILER, NOW, D, address, name_of

pytestmark = pytest.mark.long

S = DeliveryState
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def engine(new_engine):
    return new_engine(6)


@pytest.fixture
def begun(engine):
    """All six are under way in one request."""
    submission = ledger.Submission(MAILER, NOW, LATER)
    with engine.store.write() as c:
        claimed = ledger.claim(c, engine.issue.id, "w", now=NOW, until=LATER, most=10)
        starts = [ledger.Start(one, f"<{one.id}@x.example>", "request") for one in claimed]
        words = ledger.begin(c, engine.issue.id, starts, "w", submission)
    assert set(words.values()) == {"go"}
    return claimed


def answers(begun):
    """Three taken, a bounce, one that waits, one lost."""
    bounce = Decision(
        S.REFUSED, 1, "no such user", "550", events=("bounced",), kind="hard", suppress="gone"
    )
    decisions = [Decision(S.SUBMITTED, 1)] * 3 + [
        bounce,
        Decision(S.PENDING, 1, "later", "450", not_before=LATER),
        Decision(S.UNCERTAIN, 1, "lost"),
    ]
    return [
        ledger.Answer(one, decision, f"of {one.address}" if decision.state is S.SUBMITTED else None)
        for one, decision in zip(begun, decisions, strict=True)
    ]


def finish(engine, found, worker="w"):
    with engine.store.write() as c:
        ledger.finish_all(c, found, worker, NOW)


def test_each_kind_of_answer_is_written_as_it_is(engine, begun):
    finish(engine, list(reversed(answers(begun))))
    assert engine.states() == {"submitted": 3, "refused": 1, "pending": 1, "uncertain": 1}
    taken, *_, refused, waits, lost = engine.rows()
    assert (taken.remote_id, taken.lease_until) == (f"of {taken.address}", None)
    assert (refused.code, waits.not_before, lost.reason) == ("550", LATER, "lost")
    assert waits.worker is None
    with engine.store.read() as c:
        assert c.scalar(select(tables.suppressions.c.address_key)) == refused.address
        assert c.scalar(select(tables.delivery_events.c.delivery_id)) == refused.id


def test_an_answer_is_written_once(engine, begun):
    for _ in range(2):
        finish(engine, answers(begun))
    assert engine.states() == {"submitted": 3, "refused": 1, "pending": 1, "uncertain": 1}
    with engine.store.read() as c:
        assert len(c.execute(select(tables.delivery_events)).all()) == 1


def test_of_one_who_was_erased_meanwhile_the_others_answers_are_as_ever(engine, begun):
    for name in (name_of(1), name_of(3)):
        erase_reader(engine.store, b"s" * 32, engine.row(name).subscriber_id, NOW)
    finish(engine, answers(begun))
    assert engine.states() == {"submitted": 3, "refused": 1, "pending": 1, "uncertain": 1}
    with engine.store.read() as c:
        kept = " ".join(str(c.execute(select(t)).all()) for t in tables.metadata.sorted_tables)
    assert address(name_of(1)) not in kept
    assert address(name_of(3)) not in kept
    assert engine.row(name_of(2)).remote_id == f"of {address(name_of(2))}"


@pytest.mark.parametrize("place", [0, 3, 4, 5])
def test_what_is_no_longer_the_workers_stays_as_it_is(engine, begun, place):
    """Given up for dead, decided by hand, and begun by another: the answer comes too late."""
    theirs = {"worker": "another", "request": "another"}
    with engine.store.write() as c:
        c.execute(update(tables.deliveries).where(D.id == begun[place].id).values(**theirs))
    finish(engine, answers(begun))
    row = engine.rows()[place]
    assert (row.state, row.worker) == ("submitting", "another")
    assert sum(engine.states().values()) == 6
    assert engine.states()["submitting"] == 1


def test_an_answer_to_a_worker_that_was_given_up_counts(engine, begun):
    assert engine.recover() == 6
    finish(engine, answers(begun))
    assert engine.states() == {"submitted": 3, "refused": 1, "pending": 1, "uncertain": 1}
