"""What one worker may begin now, by all that holds mails back: hours, waits, brakes and pace.

The rules are pure and stand elsewhere; here is what they are asked about, read from the store and
kept up between two looks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from digest.mail import brakes
from digest.mail.decisions import MAX_ATTEMPTS
from digest.mail.rates import domain_of
from digest.mail.waits import MAILER
from digest.mail.windows import opens_at
from digest.model import DeliveryState
from digest.store import deliveries as ledger
from digest.store import mail_pace
from digest.store.tallies import tally_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    from sqlalchemy.engine import Connection

    from digest.config_mailers import Brakes, Paced, SendWindow
    from digest.mail.decisions import Decision
    from digest.mail.waits import Wait
    from digest.store.deliveries import Answer, Claimed
    from digest.store.engine import Store

#: How often it is looked what other workers and mail servers did.
LOOK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is declared of a newsletter and its mailer."""

    paced: Paced
    window: SendWindow
    zone: tzinfo
    brakes: Brakes


@dataclass(frozen=True, slots=True)
class Open:
    """So many more may be under way at once; None: as many as there are connections."""

    most: int | None = None


@dataclass(frozen=True, slots=True)
class Shut:
    """Nothing more begins until then (UTC)."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Braked:
    """Nothing more begins until an editor has looked."""

    why: str


Opening: TypeAlias = Open | Shut | Braked


class HasClaimed(Protocol):
    @property
    def claimed(self) -> Claimed: ...


One = TypeVar("One", bound=HasClaimed)


@dataclass(frozen=True, slots=True)
class Admitted(Generic[One]):
    """Of some that want to begin, those that may, and those that must wait."""

    now: Sequence[One]
    later: Sequence[One]


@dataclass
class Gate:
    """What holds back the mails of one issue at one mailer."""

    rules: Rules
    mailer_key: str
    issue_id: int
    waits: dict[str, Wait] = field(default_factory=dict)
    #: Until when a domain, or MAILER, has used up its pace.
    spent: dict[str, datetime] = field(default_factory=dict)
    _looked_at: datetime | None = None
    _tally: brakes.Tally | None = None

    def look(self, store: Store, now: datetime) -> None:
        """Read anew what others did, now and then."""
        if self._looked_at is not None and abs(now - self._looked_at) < LOOK:
            return
        with store.read() as c:
            self._tally = tally_of(c, self.issue_id, self.rules.brakes)
            self.waits = mail_pace.waits(c, self.mailer_key, now)
        self._looked_at = now

    def opening(self, now: datetime) -> Opening:
        """Whether anything at all may begin."""
        opens = opens_at(self.rules.window, self.rules.zone, now)
        if opens is not None:
            at = opens.astimezone(self.rules.zone)
            return Shut(opens, f"its hours begin again on {at:%a %d %b at %H:%M}")
        wait = self.waits.get(MAILER)
        if wait is not None and wait.holds(now):
            return Shut(wait.until, f"the mailer asked for time: {wait.reason}")
        if (until := self.spent.get(MAILER)) is not None and until > now:
            return Shut(until, "as many went out as the mailer's pace allows")
        return self._braked(now)

    def _braked(self, now: datetime) -> Opening:
        if self._tally is None:
            return Open()
        match brakes.verdict(self.rules.brakes, self._tally, now):
            case brakes.Stop(why):
                return Braked(why)
            case brakes.Wait(until, why):
                return Shut(until, why)
            case brakes.Go(most):
                return Open(most)

    def held(self, now: datetime) -> dict[str, datetime]:
        """The domains that nothing may begin for, and until when."""
        asked = {domain: wait.until for domain, wait in self.waits.items() if wait.holds(now)}
        spent = self.spent = {name: until for name, until in self.spent.items() if until > now}
        both = asked.keys() | spent.keys()
        never = now
        return {
            domain: max(asked.get(domain, never), spent.get(domain, never))
            for domain in both
            if domain != MAILER
        }

    # --- within the transaction ----------------------------------------------------------------

    def admit(
        self, c: Connection, wanting: Sequence[One], now: datetime, under_way: int
    ) -> Admitted[One]:
        """Which of them may begin, by what was `note`-d just now and by the pace.

        `under_way` are those that began and have no outcome. What begins must be `count`-ed after.
        """
        opening, held = self.opening(now), self.held(now)
        if not isinstance(opening, Open):
            return Admitted((), wanting)
        free = len(wanting) if opening.most is None else max(opening.most - under_way, 0)
        limited = self.rules.paced.limited and bool(wanting)
        if not limited and not held and free >= len(wanting):
            return Admitted(wanting, ())
        left = self._pace_leaves(c, wanting, now) if limited else {}
        left |= dict.fromkeys(held, 0)
        whole = left.get(MAILER)
        left[MAILER] = free if whole is None else min(whole, free)
        admitted, later = [], []
        for one in wanting:
            both = (domain_of(one.claimed.address_key), MAILER)
            if any(left.get(name) == 0 for name in both):
                later.append(one)
                continue
            admitted.append(one)
            for name in both:
                room = left.get(name)
                left[name] = None if room is None else room - 1
        return Admitted(admitted, later)

    def _pace_leaves(
        self, c: Connection, wanting: Sequence[One], now: datetime
    ) -> dict[str, int | None]:
        """How many the pace leaves of each domain, and (MAILER) of all; None: no limit."""
        mail_pace.lock(c, self.mailer_key)
        domains = {domain_of(one.claimed.address_key) for one in wanting}
        allowed = mail_pace.free(c, self.mailer_key, self.rules.paced, domains, now)
        rooms = {**allowed.domains, MAILER: allowed.whole}
        for name, room in rooms.items():
            if room.next_at is not None:
                self.spent[name] = room.next_at
        return {name: room.free for name, room in rooms.items()}

    def count(self, c: Connection, begun: Iterable[Claimed], now: datetime) -> None:
        """These begin now."""
        if self.rules.paced.limited:
            counts = Counter(domain_of(claimed.address_key) for claimed in begun)
            mail_pace.spend(c, self.mailer_key, self.rules.paced, counts, now)

    def note(self, c: Connection, answers: Sequence[Answer], now: datetime) -> Sequence[Answer]:
        """Write down who asked for time, and who does so no more.

        Returns the answers as they are to be written down.
        """
        asking: dict[str, Decision] = {}
        for answer in answers:
            if answer.decision.reach != "item":
                asking[_whom(answer)] = answer.decision
        for name, decision in sorted(asking.items()):
            mail_pace.note_wait(
                c, self.mailer_key, name, decision.reason, now, asked=decision.asked
            )
        if asking:
            self.waits = mail_pace.waits(c, self.mailer_key, now)
            self._give_up(c, asking, now)
        elif self.waits:
            self._forget(c, answers, now)
        self._tell_brakes(answers, now)
        return [self._behind(answer, now) for answer in answers] if asking else answers

    def _give_up(self, c: Connection, asking: Mapping[str, Decision], now: datetime) -> None:
        """A domain that turned us away as often as any mail is tried gets no more of this issue.

        That took it most of a day, and it accepted nothing between.
        """
        for domain, decision in asking.items():
            if domain != MAILER and self._is_given_up(domain):
                ledger.fail_domain(c, self.issue_id, domain, decision, now)

    def _is_given_up(self, domain: str) -> bool:
        return self.waits[domain].streak >= MAX_ATTEMPTS

    def _behind(self, answer: Answer, now: datetime) -> Answer:
        """Next time others of its domain are tried first: it may be this mail alone."""
        decision = answer.decision
        if decision.reach != "domain" or decision.not_before is None:
            return answer
        domain = _whom(answer)
        if self._is_given_up(domain):
            given_up = replace(decision, state=DeliveryState.FAILED, not_before=None)
            return replace(answer, decision=given_up)
        until = self.waits[domain].until
        later = max(decision.not_before, until + (until - now) / 2)
        return replace(answer, decision=replace(decision, not_before=later))

    def _forget(self, c: Connection, answers: Sequence[Answer], now: datetime) -> None:
        """Who takes mails again is not asked for time any more."""
        taken = {
            name
            for answer in answers
            if answer.remote_id is not None
            for name in (domain_of(answer.claimed.address_key), MAILER)
            if name in self.waits and not self.waits[name].holds(now)
        }
        for name in sorted(taken):
            mail_pace.forget_wait(c, self.mailer_key, name, now)
            del self.waits[name]

    def _tell_brakes(self, answers: Sequence[Answer], now: datetime) -> None:
        if self._tally is not None:
            ended: Mapping[DeliveryState, int] = Counter(one.decision.state for one in answers)
            self._tally = brakes.counted(self._tally, self.rules.brakes, ended, now)


def _whom(answer: Answer) -> str:
    whole = answer.decision.reach == "mailer"
    return MAILER if whole else domain_of(answer.claimed.address_key)
