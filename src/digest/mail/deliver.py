"""Carries out an issue's deliveries over some connections at once, through the ledger.

A clerk alone writes the ledger; a hand for each connection submits. In each turn the clerk
commits, in one transaction, what was answered since and what the free connections begin next:
nothing that can fail stands between that commit and the first byte, and no answer waits behind
another connection. So a crash leaves at most one request on each connection in doubt.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from digest.errors import Unavailable, Uncertain
from digest.mail.decisions import decide
from digest.mail.gate import Braked, Gate, Open, Shut
from digest.mail.hands import Order, hands_of
from digest.mail.leases import LEASE, Leases
from digest.mail.letters import variants_in
from digest.mail.policy import MessageError
from digest.mail.rates import domain_of
from digest.mail.requests import request_key
from digest.masking import said
from digest.model import DeliveryState, Receipt
from digest.store import accounts
from digest.store import deliveries as ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from digest.mail.gate import Opening, Rules
    from digest.mail.hands import Done, Hands
    from digest.mail.letters import Letters
    from digest.model import MailerTraits
    from digest.ports import Clock, Mail, Mailer, Outcome
    from digest.store.accounts import StoredVariant
    from digest.store.deliveries import Answer, Claimed, Word
    from digest.store.engine import Store

log = logging.getLogger(__name__)

#: How many deliveries one claim leases at least.
BATCH = 500
#: So many requests in a row for which the mailer was not there, or gave no answer, end the
#: shift: the rest would only use up their attempts, or be in doubt as well.
UNREACHABLE = 3
#: So many domains in a row that refuse our mail by policy, and nobody between them who takes any,
#: stop the mailer: it is about us, and the rest would only use up their attempts.
REFUSING = 3
#: In characters: what is told of a server's words.
LONGEST_SAID = 200
#: How often a worker says that it lives; see LEASE.
BEAT = timedelta(minutes=1)
#: In seconds: how often it is looked whether somebody stopped the issue while nothing is done.
LOOK = 1.0
#: In seconds: the shortest pause.
BLINK = 0.02
#: A wait that is shorter is told to nobody: a pace by the second makes some each second.
TOLD = timedelta(seconds=5)
#: In seconds: how long the mailer is left alone after it was not there once, twice, ...
BACK_OFF = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Refusing:
    """A domain whose server refuses our mail by policy."""

    #: Code and words; no address stands in them.
    said: str
    #: It is left alone until then (UTC).
    until: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What one call did."""

    tried: int
    #: Why the mailer was stopped and an operator is needed; or empty.
    mailer_fault: str = ""
    #: Why the issue is to be paused: its brakes; or empty.
    brake: str = ""
    #: Why the mailer could not be reached; it is worth trying later. Or empty.
    unreachable: str = ""
    #: It gave no answer to some of what it was told at the end: those are uncertain.
    in_doubt: bool = False
    #: That was so again and again, and the rest was not even tried.
    gave_up: bool = False
    #: It ended because it was asked to, and there may be more.
    more: bool = False
    #: Nothing more may begin before then (UTC), and why; None where nothing holds it up.
    waits_until: datetime | None = None
    why: str = ""
    #: Who refuses our mail by policy, by domain, but for those that `mailer_fault` names.
    refusing: Mapping[str, Refusing] = field(default_factory=dict)

    @property
    def through(self) -> bool:
        """It did all that it found."""
        trouble = self.mailer_fault or self.brake or self.unreachable
        return not (trouble or self.more or self.waits_until)


@dataclass(frozen=True, slots=True)
class Shift:
    """One worker at one mailer."""

    store: Store
    #: Makes a connection to it, unopened; `connections` of them at most are in use at once.
    new_mailer: Callable[[], Mailer]
    connections: int
    traits: MailerTraits
    #: Names the mailer and its place; see `store.deliveries.Submission`.
    mailer_key: str
    rules: Rules
    letters: Letters
    worker: str
    clock: Clock
    #: Asked between two deliveries, e.g. whether Ctrl-C was pressed.
    should_stop: Callable[[], bool]
    #: Told of each delivery tried.
    progress: Callable[[], None]
    #: Told where a wait begins, until when (UTC) it lasts and why.
    waiting: Callable[[datetime, str], None] = lambda *_: None
    #: What is held up for no longer than this is waited for.
    patience: timedelta = timedelta(0)
    #: In seconds: the pauses after the mailer was not there once, twice, ...
    back_off: Sequence[float] = BACK_OFF
    #: Lets so many seconds pass.
    sleep: Callable[[float], object] = sleep


def deliver(shift: Shift, issue_id: int, *, most: int | None = None) -> Report:
    """Submit every delivery of the issue that is due, until none is left or something stops it.

    With `most` it ends after so many. The caller has recovered what dead workers held. Several
    workers may do this at once.
    """
    return _Clerk(shift, issue_id, most).work()


@dataclass(frozen=True, slots=True)
class _Ready:
    """A delivery whose mail is made."""

    claimed: Claimed
    mail: Mail


@dataclass
class _Clerk:
    """The state of one call of `deliver`."""

    shift: Shift
    issue_id: int
    most: int | None
    #: What is to be written down of what was answered.
    unwritten: list[Answer] = field(default_factory=list)
    #: Whose mails are made.
    ready: deque[_Ready] = field(default_factory=deque)
    requests: int = 0
    under_way: int = 0
    begun: int = 0
    tried: int = 0
    #: Requests in a row for which the mailer was not there, or gave no answer; and, as time that
    #: only goes on, until when it is left alone for it.
    missed: int = 0
    alone_until: float = 0.0
    alone: bool = False
    #: What `missed` was when each request began that has no answer yet.
    missed_at: dict[str, int] = field(default_factory=dict)
    #: The mailer accepted a mail.
    took_some: bool = False
    #: Domains that refuse our mail by policy, with code and words; those of them that began to
    #: since a mail was last accepted; and those for which the mailer was stopped.
    refusing: dict[str, str] = field(default_factory=dict)
    in_a_row: set[str] = field(default_factory=set)
    blamed: frozenset[str] = frozenset()
    fault: str = ""
    brake: str = ""
    unreachable: str = ""
    in_doubt: bool = False
    #: The issue is not being sent any more; or somebody asked us to stop.
    stopped: bool = False
    asked_to_stop: bool = False
    surprise: BaseException | None = None
    waits_until: datetime | None = None
    why: str = ""

    def __post_init__(self) -> None:
        shift = self.shift
        self.hands: Hands[Claimed] = hands_of(shift.new_mailer, shift.connections, shift.traits)
        self.leases = Leases(shift.store, self.issue_id, shift.worker)
        self.gate = Gate(shift.rules, shift.mailer_key, self.issue_id)
        self.opening: Opening = Open()
        self.held: dict[str, datetime] = {}
        self.variant: Callable[[int], StoredVariant] = variants_in(shift.store)
        self.beat_at = shift.clock() + BEAT

    def work(self) -> Report:
        shift = self.shift
        try:
            while self._turn():
                pass
        except Exception:
            self._wind_up()
            raise
        finally:
            try:
                self.leases.end(shift.clock())
            finally:
                self.hands.close()
        return Report(
            self.tried,
            self.fault,
            self.brake,
            self.unreachable,
            self.in_doubt,
            gave_up=self.missed >= UNREACHABLE,
            more=(self.asked_to_stop or self._enough) and not self.stopped,
            waits_until=self.waits_until,
            why=self.why,
            refusing=self._still_refusing(),
        )

    def _turn(self) -> bool:
        """Write down what was answered and begin what can be; False where all is done."""
        self._hear(self._await())
        self._look()
        candidates, heard = self._candidates(), len(self.unwritten)
        if heard or candidates or self.leases.unwanted:
            self._write(candidates)
        if self.surprise is not None:
            raise self.surprise
        for _ in range(heard):
            self._tell_tried()
        self._live()
        return bool(self.hands.busy) or (self._goes_on and (bool(candidates) or self._waited()))

    def _wind_up(self) -> None:
        """Something is wrong here; what is under way has its answers written down all the same."""
        while self.unwritten or self.hands.busy:
            if not self.unwritten:
                self._hear(self.hands.take(LOOK))
            self._write([])

    # --- whether more is begun -----------------------------------------------------------------

    @property
    def _enough(self) -> bool:
        return self.most is not None and self.begun >= self.most

    @property
    def _goes_on(self) -> bool:
        """Whether more is to be begun, now or later."""
        ended = self.asked_to_stop or self.stopped or self._enough or self.surprise is not None
        return not (ended or self.fault or self.brake) and self.missed < UNREACHABLE

    def _look(self) -> None:
        """See what holds mails back at this moment."""
        self.asked_to_stop = self.asked_to_stop or self.shift.should_stop()
        self.alone = self.missed > 0 and monotonic() < self.alone_until
        now = self.shift.clock()
        self.gate.look(self.shift.store, now)
        self._see(now)

    def _see(self, now: datetime) -> None:
        self.held, self.opening = self.gate.held(now), self.gate.opening(now)
        if isinstance(self.opening, Braked) and not self._empty:
            self.brake = self.opening.why

    @property
    def _room(self) -> int:
        """How many deliveries may begin now."""
        if not self._goes_on or not isinstance(self.opening, Open):
            return 0
        room = self._usable * self.shift.traits.batch
        if self.opening.most is not None:
            room = min(room, self.opening.most - self.under_way)
        return room if self.most is None else min(room, self.most - self.begun)

    @property
    def _usable(self) -> int:
        """How many connections may be given something now: one, to see, after a miss."""
        if not self.missed:
            return self.hands.free
        return 0 if self.hands.busy or self.alone else 1

    @property
    def _empty(self) -> bool:
        """Nothing is left that could begin, now or once its domain may be written to."""
        return self.leases.drained and not (self.ready or self.leases.kept)

    def _await(self) -> list[Done[Claimed]]:
        """What the connections did; waits for it unless something else can be begun."""
        if self.hands.busy:
            self._make_ahead()
        if not self.hands.busy:
            return []
        return self.hands.take(0 if self.ready and self._room > 0 else LOOK)

    def _waited(self) -> bool:
        """Wait a little for what holds everything up; False where it is too long, or nothing."""
        if self.alone and not self._empty and isinstance(self.opening, Open):
            self.shift.sleep(max(0.0, self.alone_until - monotonic()))
            return True
        now = self.shift.clock()
        until, self.why = self._next_moment()
        patience = self.shift.patience if self.why else timedelta(0)
        if until is None or until - now > patience:
            self.waits_until = until if self.why else None
            return False
        if until - now >= TOLD:
            self.shift.waiting(until, self.why)
        self._sleep_until(until)
        # What waited for a time may be due by then.
        self.leases.drained = False
        return True

    def _sleep_until(self, until: datetime) -> None:
        """Let the time pass, unless somebody stops the issue or asks us to stop."""
        shift, left, before = self.shift, until - self.shift.clock(), timedelta.max
        # A clock that is set back is no reason to wait longer: it is looked anew.
        while left < before and not (self.stopped or shift.should_stop()):
            shift.sleep(min(LOOK, max(BLINK, left.total_seconds())))
            with shift.store.read() as c:
                self.stopped = not ledger.is_sending(c, self.issue_id)
            self._live()
            before, left = left, until - shift.clock()
            if left <= timedelta(0):
                return

    def _next_moment(self) -> tuple[datetime | None, str]:
        """When something may begin again, where nothing can now, and what holds it up."""
        if isinstance(self.opening, Shut) and not self._empty:
            return self.opening.until, self.opening.why
        with self.shift.store.read() as c:
            due = accounts.next_due(c, self.issue_id, barring=self.held)
            waiting = accounts.pending_domains(c, self.issue_id, self.held)
        ends = [self.held[domain] for domain in waiting | (self.leases.lanes & self.held.keys())]
        if not ends:
            return due, ""
        if due is not None and due < min(ends):
            return due, "what is left is for domains that must wait, or is tried again later"
        return min(ends), "all that is left is for domains that must wait"

    # --- what is begun -------------------------------------------------------------------------

    def _candidates(self) -> list[_Ready]:
        """What the free connections may begin now."""
        room = self._room
        if room <= 0:
            return []
        self._make_ahead()
        return [self.ready.popleft() for _ in range(min(room, len(self.ready)))]

    def _make_ahead(self) -> None:
        """Make the mails that the connections will want next, while they are busy."""
        shift = self.shift
        ahead = shift.connections * shift.traits.batch
        while len(self.ready) < ahead and self._goes_on and isinstance(self.opening, Open):
            claimed = self.leases.next(self.held, shift.clock(), self._wanted)
            if claimed is None:
                return
            try:
                mail = shift.letters.make(claimed, self.variant(claimed.variant_id))
            except MessageError as error:
                self._cannot_be_made(claimed, error)
            else:
                self.ready.append(_Ready(claimed, mail))

    @property
    def _wanted(self) -> int:
        """How many to lease at a time."""
        usual = max(BATCH, 2 * self.shift.connections * self.shift.traits.batch)
        if self.most is None:
            return usual
        # What is kept for domains that must wait holds up no others.
        return min(usual, self.most - self.begun - len(self.ready))

    def _cannot_be_made(self, claimed: Claimed, error: MessageError) -> None:
        shift = self.shift
        with shift.store.write() as c:
            ledger.fail(c, claimed, shift.worker, str(error), shift.clock())
        log.error("delivery %s: failed, its message cannot be made", claimed.id)
        self.begun += 1
        self._tell_tried()

    # --- what is written -----------------------------------------------------------------------

    def _write(self, candidates: list[_Ready]) -> None:
        """One transaction; then the connections are given what it let begin."""
        shift, now = self.shift, self.shift.clock()
        answers = self.unwritten
        self.hands.prepare(-(-len(candidates) // shift.traits.batch))
        submission = ledger.Submission(shift.mailer_key, now, now + LEASE)
        with shift.store.write() as c:
            ledger.finish_all(c, self.gate.note(c, answers, now), shift.worker, now)
            under_way = self.under_way - len(answers)
            admitted = self.gate.admit(c, candidates, now, under_way)
            requests = self._requests(admitted.now)
            starts = [
                ledger.Start(one.claimed, one.mail.envelope.message_id, key)
                for key, ready in requests.items()
                for one in ready
            ]
            words = ledger.begin(c, self.issue_id, starts, shift.worker, submission)
            going = [one.claimed for one in admitted.now if words[one.claimed.id] == "go"]
            self.gate.count(c, going, now)
            self.leases.give_back(c, now)
        # Not before the gate knows of them, or a canary would be too many by those.
        self.under_way = under_way
        self.unwritten = []
        self._give(requests, words)
        if answers:
            # What was answered may have been the last of a canary, or one refusal too many.
            self._see(now)
        self._put_off(admitted.later)

    def _give(self, requests: dict[str, list[_Ready]], words: Mapping[int, Word]) -> None:
        """Let the connections submit what was written down as begun."""
        for key, ready in requests.items():
            going = [one for one in ready if words[one.claimed.id] == "go"]
            if going:
                known, mails = [one.claimed for one in going], [one.mail for one in going]
                self.hands.give(Order(key, known, mails))
                self.missed_at[key] = self.missed
                self.begun += len(going)
                self.under_way += len(going)
        for number, word in words.items():
            self.stopped |= word == "stopped"
            if word != "go":
                log.info("delivery %s: not submitted, %s", number, word)

    def _put_off(self, later: Sequence[_Ready]) -> None:
        """What was not let begin waits here, or in its domain's lane."""
        if not later:
            return
        now = self.shift.clock()
        self.held, self.opening = self.gate.held(now), self.gate.opening(now)
        for one in reversed(later):
            domain = domain_of(one.claimed.address_key)
            if domain in self.held:
                self.leases.set_aside(one.claimed, self.held, now)
            else:
                self.ready.appendleft(one)

    def _requests(self, candidates: Sequence[_Ready]) -> dict[str, list[_Ready]]:
        """What goes together in one request, by its key."""
        batch, found = self.shift.traits.batch, {}
        for begin in range(0, len(candidates), batch):
            self.requests += 1
            key = request_key(self.shift.worker, self.requests, self.shift.clock())
            together = candidates[begin : begin + batch]
            # In an order that is found again where the request must be said once more.
            found[key] = sorted(together, key=lambda one: one.claimed.id)
        return found

    def _live(self) -> None:
        """Say now and then that this worker lives."""
        shift, now = self.shift, self.shift.clock()
        if now >= self.beat_at:
            with shift.store.write() as c:
                ledger.extend(c, self.issue_id, shift.worker, now + LEASE)
            self.beat_at = now + BEAT

    # --- what was answered ---------------------------------------------------------------------

    def _hear(self, done: list[Done[Claimed]]) -> None:
        for one in done:
            self.unwritten += self._judge(one)

    def _judge(self, done: Done[Claimed]) -> Iterator[Answer]:
        if done.surprise is not None:
            self.surprise = done.surprise
            return
        now = self.shift.clock()
        by_policy: dict[str, str] = {}
        for claimed, outcome in zip(done.order.known, done.outcomes, strict=True):
            self.took_some |= isinstance(outcome, Receipt)
            decision = decide(
                outcome,
                delivery_id=claimed.id,
                attempts=claimed.attempts,
                now=now,
                takes_others=self.took_some,
            )
            if decision.stop_mailer:
                self.fault = self.fault or decision.reason or "mailer stopped"
            if decision.by_policy:
                words = said(f"{decision.code} {decision.reason}", LONGEST_SAID)
                by_policy[domain_of(claimed.address_key)] = words
            # The ledger has every delivery; a line for each would bury the others.
            if decision.state is not DeliveryState.SUBMITTED:
                log.info("delivery %s: %s %s", claimed.id, decision.state, decision.code)
            remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
            yield ledger.Answer(claimed, decision, remote_id)
        self._note_refusing(by_policy, done.outcomes)
        self._note_missing(done.order.key, done.outcomes)

    def _note_refusing(self, by_policy: Mapping[str, str], outcomes: Sequence[Outcome]) -> None:
        """One domain's policy is its own; that of several, while nobody takes any, is about us."""
        self.refusing |= by_policy
        if any(isinstance(outcome, Receipt) for outcome in outcomes):
            self.in_a_row.clear()
            return
        # A domain that had to wait before is asked again, and tells nothing new: or several of one
        # provider would stop the issue an hour after all others had it.
        self.in_a_row |= by_policy.keys() - self.gate.waits.keys()
        if len(self.in_a_row) >= REFUSING and not self.fault:
            self.blamed = frozenset(self.in_a_row)
            self.fault = _about_us(sorted(self.blamed), list(by_policy.values())[-1])

    def _still_refusing(self) -> dict[str, Refusing]:
        """Who refuses our mail by policy at the end, and is not told of as the mailer's fault."""
        found = {}
        for domain, words in self.refusing.items():
            wait = self.gate.waits.get(domain)
            if wait is not None and domain not in self.blamed:
                found[domain] = Refusing(words, wait.until)
        return found

    def _note_missing(self, key: str, outcomes: Sequence[Outcome]) -> None:
        missing = [why for outcome in outcomes if (why := _not_there(outcome))]
        in_doubt = any(isinstance(outcome, Uncertain) for outcome in outcomes)
        self.in_doubt = in_doubt or (self.in_doubt and bool(missing))
        self.unreachable = missing[-1] if missing else ""
        missed_before = self.missed_at.pop(key)
        if not missing:
            self.missed = 0
        elif missed_before == self.missed:
            pauses = self.shift.back_off
            self.alone_until = monotonic() + pauses[min(self.missed, len(pauses) - 1)]
            # Whatever was under way at the same time has met with the same trouble.
            self.missed += 1

    def _tell_tried(self) -> None:
        self.tried += 1
        self.shift.progress()


def _about_us(domains: Sequence[str], last: str) -> str:
    """That so many refuse our mail by policy, for an operator."""
    names, more = ", ".join(domains[:REFUSING]), len(domains) - REFUSING
    others = f" and {more} more" if more > 0 else ""
    return f"{names}{others} refuse our mail by policy, and nobody between them takes any: {last}"


def _not_there(outcome: Outcome) -> str:
    """Why the mailer itself, not this message, seems to be at fault; or empty."""
    return outcome.reason if isinstance(outcome, Unavailable | Uncertain) else ""
