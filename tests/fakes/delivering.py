"""A delivery engine to play with: mailers that follow a script, letters of one line, a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from digest.config_mailers import Brakes, FileMailer, SendWindow
from digest.mail.deliver import Report, Shift, deliver
from digest.mail.gate import Rules
from digest.mail.policy import MessageError
from digest.model import Act, Content, DeliveryState, Envelope, IssueState, MailerTraits, Receipt
from digest.store import accounts, tables
from digest.store import deliveries as ledger
from digest.store import issues as issue_store

if TYPE_CHECKING:
    from sqlalchemy import Row

    from digest.ports import Outcome
    from digest.store.accounts import StoredVariant
    from digest.store.deliveries import Claimed
    from digest.store.engine import Store
    from digest.store.issues import Issue

D = tables.deliveries.c
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
MAILER = "scripted"

#: What a connection answers to a request.
Answers = Callable[[Sequence[str], str], Sequence["Outcome"]]


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Line:
    """A mail of one line."""

    envelope: Envelope
    subject: str = "Subject"

    def message(self) -> bytes:
        return b"Subject: " + self.subject.encode() + b"\r\n\r\n"

    def content(self) -> Content:
        return Content("Maya", "m@bench.example", "r@bench.example", self.subject, (), "", "")


@dataclass
class Letters:
    """Names of readers whose mail cannot be made are `broken`."""

    broken: set[str] = field(default_factory=set)

    def make(self, claimed: Claimed, variant: StoredVariant) -> Line:
        if claimed.address in self.broken:
            raise MessageError(f"{claimed.address} is no address")
        message_id = f"<{claimed.id}@bench.example>"
        return Line(Envelope("b@bench.example", claimed.address, message_id), variant.subject)


def accepted(recipient: str) -> Receipt:
    return Receipt(f"took {recipient}", NOW)


@dataclass
class Server:
    """What all connections speak to: answers one recipient at a time, or what `instead` says."""

    traits: MailerTraits = field(default_factory=MailerTraits)
    answer: Callable[[str], Outcome] = accepted
    #: Called by each connection's thread before it answers.
    at_submit: Callable[[Sequence[str], str], object] = lambda *_: None
    #: Recipients of each request, in the order of their begin, and their keys.
    requests: list[tuple[str, ...]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    lock: Lock = field(default_factory=Lock)

    def connect(self) -> Connection:
        with self.lock:
            self.opened += 1
        return Connection(self)

    @property
    def told(self) -> list[str]:
        """The recipients, in the order in which they were said."""
        return [recipient for request in self.requests for recipient in request]

    @property
    def most_copies(self) -> int:
        return max(Counter(self.told).values(), default=0)


@dataclass
class Connection:
    server: Server
    name: str = MAILER

    @property
    def traits(self) -> MailerTraits:
        return self.server.traits

    def submit(self, mails: Sequence[Any], key: str) -> tuple[Outcome, ...]:
        recipients = tuple(mail.envelope.recipient for mail in mails)
        with self.server.lock:
            self.server.requests.append(recipients)
            self.server.keys.append(key)
        self.server.at_submit(recipients, key)
        return tuple(self.server.answer(recipient) for recipient in recipients)

    def find(self, message_id: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        with self.server.lock:
            self.server.closed += 1


@dataclass
class Engine:
    """One issue, one server, and workers one after the other."""

    store: Store
    issue: Issue
    clock: Clock = field(default_factory=Clock)
    server: Server = field(default_factory=Server)
    letters: Letters = field(default_factory=Letters)
    paced: FileMailer = field(default_factory=lambda: FileMailer(kind="file"))
    window: SendWindow = field(default_factory=SendWindow)
    brakes: Brakes = field(default_factory=Brakes)
    workers: int = 0
    #: In seconds, of each wait of the clerk.
    waits: list[float] = field(default_factory=list)

    def shift(self, **changes: Any) -> Shift:
        self.workers += 1
        usual = Shift(
            store=self.store,
            new_mailer=self.server.connect,
            connections=1,
            traits=self.server.traits,
            mailer_key=MAILER,
            rules=Rules(self.paced, self.window, UTC, self.brakes),
            letters=self.letters,  # type: ignore[arg-type]  # only `make` of it is asked for
            worker=f"elsewhere:{self.issue.id}-{self.workers}",
            clock=self.clock,
            should_stop=lambda: False,
            progress=lambda: None,
            back_off=(0.0,),
            sleep=self.wait,
        )
        return replace(usual, **changes)

    def wait(self, seconds: float) -> None:
        """Time passes, but not here."""
        self.waits.append(seconds)
        self.clock.later(seconds)

    def deliver(self, most: int | None = None, **changes: Any) -> Report:
        """A worker's shift, after which it holds nothing that could be given back."""
        shift = self.shift(**changes)
        try:
            return deliver(shift, self.issue.id, most=most)
        finally:
            held = [row.address for row in self.rows(worker=shift.worker, state="claimed")]
            assert held == []

    def recover(self) -> int:
        """All workers are dead; how many deliveries are in doubt for that."""
        with self.store.write() as c:
            return ledger.recover(c, self.issue.id, lambda *_: True, self.clock())

    def rows(self, **where: Any) -> Sequence[Row[Any]]:
        query = select(tables.deliveries).where(D.issue_id == self.issue.id).order_by(D.id)
        with self.store.read() as c:
            return c.execute(query.filter_by(**where)).all()

    def row(self, name: str) -> Row[Any]:
        [row] = self.rows(address=address(name))
        return row

    def states(self) -> dict[str, int]:
        """The account, balanced, without what is none."""
        with self.store.read() as c:
            found = accounts.account(c, self.issue.id)
        assert found.balanced
        return {str(s): getattr(found, s) for s in DeliveryState if getattr(found, s)}

    def move(self, state: IssueState) -> None:
        """An editor's decision, made at this moment, whatever transactions are open."""
        with self.store.write() as c:
            issue = issue_store.get_issue(c, self.issue.id, lock=True)
            issue_store.move_issue(c, issue, state, Act("Maya", self.clock(), "because"))
            if state is IssueState.CANCELLED:
                ledger.cancel_open(c, self.issue.id, self.clock())

    def suppress(self, name: str) -> None:
        values = {"address_key": address(name), "reason": "asked", "origin": "test", "at": NOW}
        with self.store.write() as c:
            c.execute(insert(tables.suppressions).values(values))

    def subscription(self, name: str, **values: Any) -> None:
        """Change a reader's subscription, as leaving or pausing does."""
        who = select(D.subscription_id).where(D.address == address(name)).scalar_subquery()
        with self.store.write() as c:
            change = update(tables.subscriptions).where(tables.subscriptions.c.id == who)
            c.execute(change.values(**values))


def address(name: str) -> str:
    return name if "@" in name else f"{name}@example.org"


def name_of(number: int) -> str:
    return f"r{number:04}"


def subscribe(store: Store, addresses: Sequence[str]) -> None:
    """Many readers at once."""
    with store.write() as c:
        c.execute(
            insert(tables.subscribers),
            [{"address": one, "address_key": one, "created_at": NOW} for one in addresses],
        )
        s = tables.subscribers.c
        ids = c.scalars(select(s.id).where(s.address_key.in_(addresses)).order_by(s.id)).all()
        consent = {"consent_source": "test", "consent_at": NOW, "created_at": NOW}
        usual = {"newsletter": "weekly", "interests": "everything", "rhythm": "weekly"}
        rows = [{"subscriber_id": one, "state": "active", **usual, **consent} for one in ids]
        c.execute(insert(tables.subscriptions), rows)
