"""What is in doubt and can be proved: the same request again, and looking mails up."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Thread

import pytest
from sqlalchemy import update

from digest.config import Newsletter, Site
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.letters import Letters
from digest.mail.proving import Inquiry, prove
from digest.model import UNSUBSCRIBE_MARK, DeliveryState, IssueState, MailerTraits, Receipt
from digest.readers.erasure import erase_reader
from digest.store import deliveries as ledger
from digest.store import tables
from fakes.delivering import MAILER, NOW, Engine, address, name_of

pytestmark = pytest.mark.long

DAY = timedelta(days=1)
LOST = Uncertain("no answer")


@dataclass
class Keeper:
    """Carries out each key once; a request with the key of another it takes for a mistake."""

    traits: MailerTraits = field(default_factory=lambda: MailerTraits(batch=10, same_for=DAY))
    name: str = MAILER
    #: What was carried out under which key, and how often anybody got something.
    kept: dict = field(default_factory=dict)
    copies: Counter = field(default_factory=Counter)
    said: list = field(default_factory=list)
    #: Requests get lost on their way; answers on theirs.
    loses_requests: bool = False
    loses_answers: bool = False
    #: Instead of an answer.
    instead: object = None

    def submit(self, mails, key):
        self.said.append(key)
        body = tuple((mail.envelope, mail.content()) for mail in mails)
        if self.instead is not None:
            return (self.instead,) * len(mails)
        if self.loses_requests:
            return (LOST,) * len(mails)
        if key not in self.kept:
            self.kept[key] = body
            self.copies.update(mail.envelope.recipient for mail in mails)
        if self.kept[key] != body:
            return (Uncertain("another request had this key", "409"),) * len(mails)
        if self.loses_answers:
            return (LOST,) * len(mails)
        return tuple(Receipt(f"got {mail.envelope.recipient}", NOW) for mail in mails)

    def close(self):
        """Nothing is open."""


def in_doubt(new_engine, keeper, readers=25, **changes) -> Engine:
    """An issue all of whose requests are in doubt."""
    engine = new_engine(readers, **changes)
    engine.server.traits = keeper.traits
    keeper.loses_answers = True
    engine.deliver(new_mailer=lambda: keeper)
    keeper.loses_answers = False
    assert engine.states() == {"uncertain": readers}
    keeper.said.clear()
    return engine


def proved(engine, keeper, worker="elsewhere:prover", **changes):
    usual = {
        "store": engine.store,
        "mailer": keeper,
        "mailer_key": MAILER,
        "letters": engine.letters,
        "issue_id": engine.issue.id,
        "worker": worker,
        "clock": engine.clock,
    }
    return prove(Inquiry(**usual | changes))


@pytest.fixture
def keeper():
    return Keeper()


def test_a_request_said_again_has_the_answer_that_was_lost(new_engine, keeper):
    engine = in_doubt(new_engine, keeper)
    assert proved(engine, keeper) == 25
    assert engine.states() == {"submitted": 25}
    assert set(keeper.copies.values()) == {1}
    assert len(keeper.said) == 3
    row = engine.row(name_of(3))
    assert (row.remote_id, row.settled) == (
        f"got {address(name_of(3))}",
        "the same request again to scripted",
    )
    assert row.attempts == 1
    # Nothing is left to prove, nor to deliver.
    assert proved(engine, keeper) == 0
    engine.deliver(new_mailer=lambda: keeper)
    assert len(keeper.said) == 3


def test_a_request_that_never_arrived_is_carried_out_now(new_engine, keeper):
    keeper.loses_requests = True
    engine = in_doubt(new_engine, keeper)
    keeper.loses_requests = False
    assert proved(engine, keeper) == 25
    assert set(keeper.copies.values()) == {1}
    assert len(keeper.copies) == 25


@pytest.mark.parametrize(("after", "again"), [(DAY - timedelta(seconds=1), 25), (DAY, 0)])
def test_a_key_is_good_for_so_long_and_no_longer(new_engine, keeper, after, again):
    engine = in_doubt(new_engine, keeper)
    engine.clock.now += after
    assert proved(engine, keeper) == again
    assert len(keeper.said) == (3 if again else 0)
    assert set(keeper.copies.values()) == {1}


def erase(engine, name):
    erase_reader(engine.store, b"s" * 32, engine.row(name).subscriber_id, NOW)


def leave_be(engine, name):
    settle(engine, name, DeliveryState.UNCERTAIN)


def settle(engine, name, after):
    with engine.store.write() as c:
        number = engine.row(name).id
        assert ledger.settle(c, number, after, how="by Maya", now=engine.clock())


@pytest.mark.parametrize(
    "happens",
    [
        lambda engine, name: engine.suppress(name),
        lambda engine, name: engine.subscription(name, state="ended"),
        lambda engine, name: engine.subscription(name, paused_until=NOW + DAY),
        erase,
        leave_be,
        lambda engine, name: settle(engine, name, DeliveryState.PENDING),
    ],
    ids=["suppressed", "left", "paused", "erased", "left be", "sent again"],
)
def test_a_request_is_not_said_again_with_somebody_who_must_not_get_it(new_engine, keeper, happens):
    engine = in_doubt(new_engine, keeper)
    happens(engine, name_of(4))
    before = {row.id: row.state for row in engine.rows()[:10]}
    assert proved(engine, keeper) == 15
    # The whole request stays as it was, without a trace.
    assert {row.id: row.state for row in engine.rows()[:10]} == before
    assert {row.worker for row in engine.rows()[:10]} <= {"elsewhere:1-1", None}
    assert engine.states()["submitted"] == 15
    assert len(keeper.said) == 2


def test_what_is_left_of_a_request_is_another_request_and_proves_nothing(new_engine, keeper):
    engine = in_doubt(new_engine, keeper, readers=10)
    settle(engine, name_of(4), DeliveryState.PENDING)
    engine.deliver(new_mailer=lambda: keeper)
    assert engine.states() == {"uncertain": 9, "submitted": 1}
    assert proved(engine, keeper) == 0
    assert engine.states() == {"uncertain": 9, "submitted": 1}
    # By an editor's word one got it again, and nobody else.
    assert keeper.copies.pop(address(name_of(4))) == 2
    assert set(keeper.copies.values()) == {1}


@pytest.mark.parametrize("state", [IssueState.PAUSED, IssueState.CANCELLED])
def test_an_issue_that_is_stopped_says_nothing_again(new_engine, keeper, state):
    engine = in_doubt(new_engine, keeper)
    engine.move(state)
    assert proved(engine, keeper) == 0
    assert keeper.said == []
    assert engine.states() == {"uncertain": 25}


def test_an_issue_that_is_done_may_still_prove_what_became_of_it(new_engine, keeper):
    engine = in_doubt(new_engine, keeper)
    engine.move(IssueState.DONE)
    assert proved(engine, keeper) == 25


def test_only_the_mailer_that_was_told_is_told_again(new_engine, keeper):
    engine = in_doubt(new_engine, keeper)
    assert proved(engine, keeper, mailer_key="another") == 0
    assert keeper.said == []


@pytest.mark.parametrize(
    "outcome",
    [
        Throttled("too fast", "429", reach="mailer"),
        Unavailable("nobody there"),
        LOST,
        Uncertain("already under way", "409"),
        Unauthorized("wrong key", "401"),
        Refused("the sender is not verified", "422"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_no_answer_to_the_second_saying_proves_anything_but_a_real_one(new_engine, keeper, outcome):
    engine = in_doubt(new_engine, keeper)
    keeper.instead = outcome
    for _ in range(3):
        assert proved(engine, keeper) == 0
    assert engine.states() == {"uncertain": 25}
    assert {(row.attempts, row.settled) for row in engine.rows()} == {(1, None)}
    # Later it is as good as it was.
    keeper.instead = None
    assert proved(engine, keeper) == 25
    assert set(keeper.copies.values()) == {1}


def test_an_address_that_was_refused_was_refused(new_engine, keeper):
    engine = in_doubt(new_engine, keeper)
    keeper.instead = Refused("no such mailbox", "406", address_fault=True)
    assert proved(engine, keeper) == 25
    assert engine.states() == {"refused": 25}


class Killed(BaseException):
    """Nothing after this is done."""


def test_a_kill_before_the_second_answer_leaves_it_in_doubt_and_provable(new_engine, keeper):
    engine = in_doubt(new_engine, keeper, readers=10)
    submit = keeper.submit

    def killed(mails, key):
        submit(mails, key)
        raise Killed

    keeper.submit = killed
    with pytest.raises(Killed):
        proved(engine, keeper)
    assert engine.states() == {"submitting": 10}
    # While its worker lives nobody else says it.
    keeper.submit = submit
    assert proved(engine, keeper, worker="elsewhere:second") == 0
    assert engine.recover() == 10
    assert engine.states() == {"uncertain": 10}
    assert proved(engine, keeper) == 10
    assert set(keeper.copies.values()) == {1}


def test_two_who_prove_at_once_say_it_once(new_engine, keeper):
    engine = in_doubt(new_engine, keeper)
    submit, others = keeper.submit, []

    def meanwhile(mails, key):
        keeper.submit = submit
        others.append(proved(engine, keeper, worker="elsewhere:second"))
        return submit(mails, key)

    keeper.submit = meanwhile
    assert proved(engine, keeper) + others[0] == 25
    assert sorted(keeper.said) == sorted(set(keeper.said))


def test_a_mail_that_cannot_be_made_again_leaves_its_request_in_doubt(new_engine, keeper):
    engine = in_doubt(new_engine, keeper)
    engine.letters.broken.add(address(name_of(4)))
    assert proved(engine, keeper) == 15
    assert engine.states() == {"uncertain": 10, "submitted": 15}
    engine.letters.broken.clear()
    assert proved(engine, keeper) == 10


def test_what_it_says_again_is_equal_whatever_time_it_is(new_engine, keeper):
    engine = new_engine(5)
    html = f"<html><body>{UNSUBSCRIBE_MARK}</body></html>"
    with engine.store.write() as c:
        c.execute(update(tables.variants).values(html=html, text=UNSUBSCRIBE_MARK))
    engine.letters = Letters(SITE, NEWSLETTER, engine.issue, b"s" * 32, engine.clock)
    engine.server.traits = keeper.traits
    keeper.loses_answers = True
    engine.deliver(new_mailer=lambda: keeper)
    keeper.loses_answers = False
    engine.clock.later(20 * 3600)
    again = Letters(SITE, NEWSLETTER, engine.issue, b"s" * 32, engine.clock)
    assert proved(engine, keeper, letters=again) == 5


SITE = Site(
    name="Bench",
    url="https://bench.example/",
    contact="https://bench.example/",
    postal_address="Bench",
    links_url="https://bench.example",
)
NEWSLETTER = Newsletter(
    title="Weekly",
    from_name="Bench",
    from_address="a@bench.example",
    bounce_address="b@bench.example",
    reply_to="c@bench.example",
    unsubscribe_mailto="u@bench.example",
    list_id="weekly.bench.example",
    mailer=MAILER,
)


@pytest.mark.parametrize(
    "any_store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_who_is_just_leaving_has_left_before_it_is_said_again(new_engine, keeper):
    """SQLite has one writer at a time."""
    engine = in_doubt(new_engine, keeper, readers=10)
    subscription = engine.row(name_of(1)).subscription_id
    found = []
    prover = Thread(target=lambda: found.append(proved(engine, keeper)))
    with engine.store.write() as c:
        s = tables.subscriptions.c
        c.execute(update(tables.subscriptions).where(s.id == subscription).values(state="ended"))
        prover.start()
        prover.join(0.3)
        assert prover.is_alive()
        assert keeper.said == []
    prover.join(10)
    assert found == [0]
    assert keeper.said == []
    assert engine.states() == {"uncertain": 10}


# --- looked up ---------------------------------------------------------------------------------


@dataclass
class Shelf:
    """Knows by their Message-IDs what it took."""

    traits: MailerTraits
    found: dict
    name: str = MAILER
    asked: int = 0

    def find(self, message_id):
        self.asked += 1
        return self.found.get(message_id)


@pytest.mark.parametrize(
    ("absence", "states"),
    [(True, {"submitted": 2, "pending": 1}), (False, {"submitted": 2, "uncertain": 1})],
)
def test_what_a_mailer_finds_was_submitted(new_engine, absence, states):
    engine = new_engine(3)
    engine.server.answer = lambda _: LOST
    engine.deliver()
    ids = [row.message_id for row in engine.rows()]
    shelf = Shelf(
        MailerTraits(can_find=True, finds_absence=absence),
        {one: Receipt("r", NOW) for one in ids[:2]},
    )
    assert proved(engine, shelf) == (3 if absence else 2)
    assert engine.states() == states


def test_a_mailer_that_cannot_tell_now_is_not_asked_on(new_engine):
    engine = new_engine(3)
    engine.server.answer = lambda _: LOST
    engine.deliver()
    ids = [row.message_id for row in engine.rows()]
    shelf = Shelf(
        MailerTraits(can_find=True, finds_absence=True), {ids[0]: Unavailable("nobody there")}
    )
    assert proved(engine, shelf) == 0
    assert shelf.asked == 1
    assert engine.states() == {"uncertain": 3}
