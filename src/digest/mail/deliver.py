"""Carries out an issue's deliveries over some connections at once, through the ledger.

A clerk, in the caller's thread, alone writes the ledger; a thread a connection submits. In each
turn the clerk commits, in one transaction, what was answered since and what the free connections
begin next: nothing that can fail stands between that commit and the first byte, and no answer
waits behind another connection. So a crash leaves at most one request on each connection in doubt.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from digest.errors import Throttled, Unavailable, Uncertain
from digest.mail.decisions import decide
from digest.mail.hands import Hands, Order
from digest.mail.policy import MessageError
from digest.model import DeliveryState, Receipt
from digest.store import accounts
from digest.store import deliveries as ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from digest.mail.hands import Done
    from digest.mail.letters import Letters
    from digest.model import MailerTraits
    from digest.ports import Clock, Mail, Mailer, Outcome
    from digest.store.deliveries import Answer, Claimed
    from digest.store.engine import Store

log = logging.getLogger(__name__)

#: How many deliveries one claim leases at least.
BATCH = 500
#: So many requests in a row for which the mailer was not there, or gave no answer, end the
#: shift: the rest would only use up their attempts, or be in doubt as well.
UNREACHABLE = 3
#: For how long a worker on another machine is believed to live after it last said so, and how
#: often it does. Their clocks may differ by less than that.
LEASE = timedelta(minutes=5)
BEAT = timedelta(minutes=1)
#: In seconds: how often it is looked whether somebody stopped the issue while nothing is done.
LOOK = 1.0
#: In seconds: how long the mailer is left alone after it was not there once, twice, ...
BACK_OFF = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Report:
    """What one call did."""

    tried: int
    #: Why the mailer was stopped and an operator is needed; or empty.
    mailer_fault: str = ""
    #: Why the mailer could not be reached; it is worth trying later. Or empty.
    unreachable: str = ""
    #: It gave no answer to some of what it was told at the end: those are uncertain.
    in_doubt: bool = False
    #: It ended because it was asked to, and there may be more.
    more: bool = False


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
    letters: Letters
    worker: str
    clock: Clock
    #: Asked between two deliveries, e.g. whether Ctrl-C was pressed.
    should_stop: Callable[[], bool]
    #: Told of each delivery tried.
    progress: Callable[[], None]
    #: In seconds: the pauses after the mailer was not there once, twice, ...
    back_off: Sequence[float] = BACK_OFF


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
    #: Leased; then their mails are made.
    claimed: deque[Claimed] = field(default_factory=deque)
    ready: deque[_Ready] = field(default_factory=deque)
    #: Where the next claim goes on, and whether nothing lay beyond.
    after: int = 0
    drained: bool = False
    requests: int = 0
    begun: int = 0
    tried: int = 0
    #: Requests in a row for which the mailer was not there, or gave no answer; and, as time that
    #: only goes on, until when it is left alone for it.
    missed: int = 0
    alone_until: float = 0.0
    fault: str = ""
    unreachable: str = ""
    in_doubt: bool = False
    #: The issue is not being sent any more; or somebody asked us to stop.
    stopped: bool = False
    asked_to_stop: bool = False
    surprise: BaseException | None = None

    def work(self) -> Report:
        shift = self.shift
        with shift.store.read() as c:
            self.variants = accounts.load_variants(c, self.issue_id)
        self.hands: Hands[Claimed] = Hands(shift.new_mailer, shift.connections)
        self.beat_at = shift.clock() + BEAT
        try:
            while self._turn():
                pass
        except Exception:
            self._wind_up()
            raise
        finally:
            with shift.store.write() as c:
                ledger.release(c, self.issue_id, shift.worker, shift.clock())
            self.hands.close()
        more = (self.asked_to_stop or self._enough) and not self.stopped
        return Report(self.tried, self.fault, self.unreachable, self.in_doubt, more=more)

    def _turn(self) -> bool:
        """Write down what was answered and begin what can be; False where all is done."""
        answers = self._answers(self._await())
        candidates = self._candidates()
        if answers or candidates:
            self._write(answers, candidates)
        if self.surprise is not None:
            raise self.surprise
        self._live()
        return bool(self.hands.busy or candidates or self._waits_for_mailer)

    def _wind_up(self) -> None:
        """Something is wrong here; what is under way has its answers written down all the same."""
        while self.hands.busy:
            self._write(self._answers(self.hands.take(LOOK)), [])

    # --- what is begun -------------------------------------------------------------------------

    @property
    def _enough(self) -> bool:
        return self.most is not None and self.begun >= self.most

    @property
    def _goes_on(self) -> bool:
        """Whether more is to be begun, now or in a moment."""
        if not self.asked_to_stop:
            self.asked_to_stop = self.shift.should_stop()
        ended = self.asked_to_stop or self.stopped or bool(self.fault) or self._enough
        return not ended and self.surprise is None and self.missed < UNREACHABLE

    @property
    def _waits_for_mailer(self) -> bool:
        return self._goes_on and self.missed > 0 and not (self.drained and not self._left)

    @property
    def _left(self) -> int:
        return len(self.ready) + len(self.claimed)

    @property
    def _usable(self) -> int:
        """How many connections may be given something now: one, to see, after a miss."""
        if not self.missed:
            return self.hands.free
        return 0 if self.hands.busy or monotonic() < self.alone_until else 1

    def _await(self) -> list[Done[Claimed]]:
        """What the connections did; waits for it unless something else can be begun."""
        self._make_ahead()
        if self._usable and self.ready and self._goes_on:
            return self.hands.take(0)
        if self.hands.busy:
            return self.hands.take(LOOK)
        if self._waits_for_mailer:
            sleep(min(LOOK, max(0.0, self.alone_until - monotonic())))
        return []

    def _candidates(self) -> list[_Ready]:
        """What the free connections may begin now."""
        if not self._goes_on:
            return []
        room = self._usable * self.shift.traits.batch
        if self.most is not None:
            room = min(room, self.most - self.begun)
        self._make_ahead()
        return [self.ready.popleft() for _ in range(min(room, len(self.ready)))]

    def _make_ahead(self) -> None:
        """Make the mails that the connections will want next, while they are busy."""
        ahead = self.shift.connections * self.shift.traits.batch
        while len(self.ready) < ahead and self._goes_on:
            if not self.claimed and not self._claim():
                return
            claimed = self.claimed.popleft()
            try:
                mail = self.shift.letters.make(claimed, self.variants[claimed.variant_id])
            except MessageError as error:
                self._cannot_be_made(claimed, error)
            else:
                self.ready.append(_Ready(claimed, mail))

    def _claim(self) -> bool:
        """Lease some more; whether there were any."""
        if self.drained:
            return False
        shift, now = self.shift, self.shift.clock()
        most = max(BATCH, 2 * shift.connections * shift.traits.batch)
        if self.most is not None:
            most = min(most, self.most - self.begun - self._left)
        with shift.store.write() as c:
            found = ledger.claim(
                c,
                self.issue_id,
                shift.worker,
                now=now,
                until=now + LEASE,
                most=most,
                after=self.after,
            )
        # What became due again before the place where we are: once more from the start.
        self.drained = not found and not self.after
        self.after = found[-1].id if found else 0
        self.claimed.extend(found)
        return bool(found) or (not self.drained and self._claim())

    def _cannot_be_made(self, claimed: Claimed, error: MessageError) -> None:
        shift = self.shift
        with shift.store.write() as c:
            ledger.fail(c, claimed, shift.worker, str(error), shift.clock())
        log.error("delivery %s: failed, its message cannot be made", claimed.id)
        self.begun += 1
        self._tell_tried()

    # --- what is written -----------------------------------------------------------------------

    def _write(self, answers: list[Answer], candidates: list[_Ready]) -> None:
        """One transaction; then the connections are given what it let begin."""
        shift, now = self.shift, self.shift.clock()
        submission = ledger.Submission(shift.mailer_key, now, now + LEASE)
        requests = self._requests(candidates)
        starts = [
            ledger.Start(one.claimed, one.mail.envelope.message_id, key)
            for key, ready in requests.items()
            for one in ready
        ]
        with shift.store.write() as c:
            ledger.finish_all(c, answers, shift.worker, now)
            words = ledger.begin(c, self.issue_id, starts, shift.worker, submission)
        for key, ready in requests.items():
            going = [one for one in ready if words[one.claimed.id] == "go"]
            if going:
                known, mails = [one.claimed for one in going], [one.mail for one in going]
                self.hands.give(Order(key, known, mails))
                self.begun += len(going)
        for number, word in words.items():
            self.stopped |= word == "stopped"
            if word != "go":
                log.info("delivery %s: not submitted, %s", number, word)

    def _requests(self, candidates: list[_Ready]) -> dict[str, list[_Ready]]:
        """What goes together in one request, by its key."""
        batch, found = self.shift.traits.batch, {}
        for begin in range(0, len(candidates), batch):
            self.requests += 1
            key = request_key(self.shift.worker, self.requests, self.shift.clock())
            found[key] = candidates[begin : begin + batch]
        return found

    def _live(self) -> None:
        """Say now and then that this worker lives."""
        shift, now = self.shift, self.shift.clock()
        if now >= self.beat_at:
            with shift.store.write() as c:
                ledger.extend(c, self.issue_id, shift.worker, now + LEASE)
            self.beat_at = now + BEAT

    # --- what was answered ---------------------------------------------------------------------

    def _answers(self, done: list[Done[Claimed]]) -> list[Answer]:
        return [answer for one in done for answer in self._judge(one)]

    def _judge(self, done: Done[Claimed]) -> Iterator[Answer]:
        if done.surprise is not None:
            self.surprise = done.surprise
            return
        now = self.shift.clock()
        for claimed, outcome in zip(done.order.known, done.outcomes, strict=True):
            decision = decide(outcome, delivery_id=claimed.id, attempts=claimed.attempts, now=now)
            if decision.stop_mailer:
                self.fault = self.fault or decision.reason or "mailer stopped"
            # The ledger has every delivery; a line for each would bury the others.
            if decision.state is not DeliveryState.SUBMITTED:
                log.info("delivery %s: %s %s", claimed.id, decision.state, decision.code)
            remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
            self._tell_tried()
            yield ledger.Answer(claimed, decision, remote_id)
        self._note_missing(done.outcomes)

    def _note_missing(self, outcomes: Sequence[Outcome]) -> None:
        missing = [why for outcome in outcomes if (why := _not_there(outcome))]
        in_doubt = any(isinstance(outcome, Uncertain) for outcome in outcomes)
        self.in_doubt = in_doubt or (self.in_doubt and bool(missing))
        self.unreachable = missing[-1] if missing else ""
        if missing:
            pauses = self.shift.back_off
            self.alone_until = monotonic() + pauses[min(self.missed, len(pauses) - 1)]
        self.missed = self.missed + 1 if missing else 0

    def _tell_tried(self) -> None:
        self.tried += 1
        self.shift.progress()


def request_key(worker: str, number: int, now: datetime) -> str:
    """A request's own name, no other's; it begins with when it was made, in seconds of POSIX."""
    name = hashlib.sha256(f"{worker}:{number}".encode()).hexdigest()[:32]
    return f"{int(now.timestamp())}-{name}"


def _not_there(outcome: Outcome) -> str:
    """Why the mailer itself, not this message, seems to be at fault; or empty.

    421 closes the whole connection (RFC 5321, 3.8).
    """
    match outcome:
        case Unavailable(reason=reason) | Uncertain(reason=reason):
            return reason
        case Throttled(reason=reason, code=code) if code.startswith("421"):
            return reason
        case _:
            return ""
