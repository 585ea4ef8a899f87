"""What came back about mails is worked on: from a report to an event, and to a suppression.

Reports and webhooks are stored first (`digest.store.feedback.take_in`). Each is then worked on in
one short transaction of its own, once, whoever dies in between and however many do it at a time.
What a delivery became in its issue's account stays as it is: what happens later is an event. An
uncertain one is submitted, for what comes back proves that it left.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.mail.bounces import keeps_refusing
from digest.mail.feedback import Feedback
from digest.model import DeliveryState
from digest.readers.settings import leave
from digest.store import feedback as queries
from digest.store.deliveries import settle
from digest.store.readers import Suppression, suppress
from digest.store.suppressions import BOUNCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.store.feedback import About, Waiting

log = logging.getLogger(__name__)

#: A mailer may tell of a mail before its receipt is written down.
_EARLY = timedelta(hours=1)
#: How far back refusals are looked at; longer than between any two runs of housekeeping.
_REFUSED_SINCE = timedelta(days=1)
#: Of a mail that we know nothing of, or no more.
UNKNOWN = "unknown"
#: Where readers left, as it is kept in the history of consents.
FORM = "mail provider"

#: How an uncertain delivery was settled: it left, or nothing could have come back about it.
_CAME_BACK = "something came back about it"
_GIVEN_UP = "mailbox keeps refusing"


@dataclass(frozen=True, slots=True)
class Returned:
    """What was made of what came back."""

    #: By what it became, a bounce with its kind: "bounced, hard"; "unknown": about no mail of ours.
    became: Mapping[str, int]
    #: How many addresses are suppressed for it.
    suppressed: int
    #: Who wants none of our mail, whoever it is for: one line a code, without addresses.
    policy: tuple[str, ...] = ()
    #: Told of too early: to be looked at again.
    waiting: int = 0

    @property
    def counts(self) -> dict[str, int]:
        return {"suppressed": self.suppressed, "waiting": self.waiting, **self.became}

    @property
    def line(self) -> str:
        """In words, without addresses; empty where nothing was made of anything."""
        said = [f"{count} {what}" for what, count in sorted(self.became.items())]
        if self.suppressed:
            said.append(f"{self.suppressed} suppressed for it")
        return f"came back: {'; '.join(said)}" if said else ""

    @property
    def alarms(self) -> tuple[str, ...]:
        """What an operator must be told: readers' servers keep our mail out, whoever it is for."""
        cure = "check SPF, DKIM and DMARC, and the sender's reputation; the addresses are kept"
        return tuple(f"{line}; {cure}" for line in self.policy)


def work_off(app: App, *, dry_run: bool = False) -> Returned:
    """Work on all that came back. With `dry_run` it is told what would become of it."""
    became: Counter[str] = Counter()
    policy: dict[str, list[str]] = {}
    suppressed = waiting = 0
    broken: list[Exception] = []
    for one in _waiting(app):
        try:
            outcome = _work(app, one, dry_run=dry_run)
        except Exception as error:  # noqa: BLE001  told below, when the others are done
            broken.append(error)
            continue
        if outcome is None:
            continue
        waiting += outcome.early
        became[outcome.word] += not outcome.early
        suppressed += outcome.suppressed
        if outcome.policy is not None:
            code, said = outcome.policy
            policy.setdefault(code, []).append(said)
    suppressed += _give_up(app, dry_run=dry_run)
    lines = tuple(_of_policy(code, said) for code, said in policy.items())
    returned = Returned(dict(+became), suppressed, lines, waiting)
    if returned.line:
        log.info("%s", returned.line)
    if broken:
        raise ExceptionGroup(f"{len(broken)} reports could not be worked on", broken)
    return returned


def _of_policy(code: str, said: list[str]) -> str:
    first = next(filter(None, said), "no reason")
    return f"{len(said)} refused by policy, {code or 'without a code'}: {first}"


def work_at_once(app: App, source: str, event_id: str) -> None:
    """Work on one thing that was just taken in, and leave the others lying."""
    with app.store.read() as c:
        waiting = queries.waiting_named(c, source, event_id)
    if waiting is not None:
        _work(app, waiting, dry_run=False)


@dataclass(frozen=True, slots=True)
class _Outcome:
    word: str
    early: bool = False
    suppressed: bool = False
    #: Code and words of who does not want our mail.
    policy: tuple[str, str] | None = None


def _waiting(app: App) -> Iterator[Waiting]:
    """What waits, a page at a time; nothing is open while one of it is worked on."""
    last: Waiting | None = None
    while True:
        with app.store.read() as c:
            page = queries.waiting(c, last)
        if not page:
            return
        yield from page
        last = page[-1]


def _work(app: App, waiting: Waiting, *, dry_run: bool) -> _Outcome | None:
    """Work on one; None where somebody else did."""
    now, feedback = app.clock(), Feedback.from_json(waiting.body)
    if feedback.event == "unsubscribed" and not dry_run:
        # Before the delivery is held, as everywhere: subscriptions come first.
        with app.store.read() as c:
            about = queries.find(c, feedback, held=False)
        if about is not None and about.subscription_id is not None:
            leave(app.store, about.subscription_id, FORM, now)
    with app.store.write() as c:
        outcome = _write(c, waiting, feedback, now)
        if dry_run:
            c.rollback()
    return outcome


def _write(c: Connection, waiting: Waiting, feedback: Feedback, now: datetime) -> _Outcome | None:
    about = queries.find(c, feedback)
    if about is None and feedback.remote_id and now - waiting.received_at < _EARLY:
        return _Outcome(UNKNOWN, early=True)
    became = feedback.event if about else UNKNOWN
    if not queries.finish(c, waiting.id, became, about.delivery_id if about else None, now):
        return None
    if about is None:
        return _Outcome(UNKNOWN)
    if "@" not in about.address_key:
        # Of an erased reader: what was said may name them, and what to look for is forgotten.
        feedback = replace(feedback, detail="")
    if about.delivery_id is not None:
        queries.add_event(c, about.delivery_id, feedback)
        if about.in_doubt and feedback.event != UNKNOWN:
            settle(c, about.delivery_id, DeliveryState.SUBMITTED, how=_CAME_BACK, now=now)
    reason = _why_suppress(c, about, feedback, now)
    found = Suppression(reason, _origin(feedback), now) if reason else None
    return _Outcome(
        f"bounced, {feedback.kind}" if feedback.kind else feedback.event,
        suppressed=found is not None and suppress(c, about.address_key, found),
        policy=(feedback.code, feedback.detail) if feedback.kind == "policy" else None,
    )


def _why_suppress(c: Connection, about: About, feedback: Feedback, now: datetime) -> str:
    """Why its reader must never be mailed again; empty where they may."""
    if feedback.event == "complained":
        return "called our mail spam"
    if feedback.kind == "hard":
        return f"no such address: {feedback.code or 'it bounced'}"
    return _keeps_refusing(c, about, feedback.code, now) if feedback.kind == "soft" else ""


def _origin(feedback: Feedback) -> str:
    return "complaint" if feedback.event == "complained" else BOUNCE


def _keeps_refusing(c: Connection, about: About, code: str, now: datetime) -> str:
    reader = about.subscriber_id
    if reader is None or not keeps_refusing(queries.history(c, reader, now), now):
        return ""
    return f"{_GIVEN_UP}: {code}" if code else _GIVEN_UP


def _give_up(app: App, *, dry_run: bool) -> int:
    """Suppress those whose servers refused delivery upon delivery; returns how many."""
    now = app.clock()
    with app.store.read() as c:
        again = queries.refused_again(c, now - _REFUSED_SINCE)
    count = 0
    for number in again:
        with app.store.write() as c:
            about = queries.hold(c, number)
            reason = _keeps_refusing(c, about, "", now) if about else ""
            if about and reason:
                count += suppress(c, about.address_key, Suppression(reason, BOUNCE, now))
            if dry_run:
                c.rollback()
    return count
