"""The delivery ledger: claims, the step to `submitting`, outcomes, recovery, the account.

Every state change names the state it comes from, so that of two workers only
one can take it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import ARRAY, any_, bindparam, exists, func, insert, null, or_, select, update

from digest.masking import said
from digest.model import RELEASING, DeliveryState, IssueState
from digest.readers.scrub import scrubbed
from digest.store.dialect import address_domain
from digest.store.overflow import not_paused
from digest.store.prepared import Prepared, PreparedQuery
from digest.store.readers import Suppression, suppress
from digest.store.reserving import release_posts
from digest.store.tables import (
    deliveries,
    delivery_events,
    issues,
    subscriptions,
    suppressions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

    from digest.mail.decisions import Decision

S = DeliveryState


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery leased to one worker."""

    id: int
    issue_id: int
    variant_id: int
    subscriber_id: int
    subscription_id: int
    address: str
    address_key: str
    attempts: int


#: The columns of a `Claimed`.
CLAIMED = tuple(deliveries.c[each.name] for each in fields(Claimed))


def in_order(rows: Iterable[Row[Any]]) -> list[Claimed]:
    """What an UPDATE returned of CLAIMED, by id."""
    return sorted((Claimed(*row) for row in rows), key=attrgetter("id"))


def may_get(at: ColumnElement[datetime]) -> tuple[ColumnElement[bool], ...]:
    """Rule 6, of a row of `deliveries`: its reader consents, does not pause, is not suppressed."""
    s = subscriptions.c
    consents = exists().where(
        s.id == deliveries.c.subscription_id,
        s.state == "active",
        not_paused(at),
    )
    return consents, ~exists().where(suppressions.c.address_key == deliveries.c.address_key)


# --- claims ------------------------------------------------------------------------------------


def claim(
    c: Connection,
    issue_id: int,
    worker: str,
    *,
    now: datetime,
    until: datetime,
    most: int,
    after: int = 0,
    barring: Collection[str] = (),
) -> list[Claimed]:
    """Lease up to `most` pending deliveries that are due, while the issue is being sent.

    In the order of their ids, of those `after` one; none for the domains `barring`.
    """
    d = deliveries.c
    due = or_(d.not_before.is_(None), d.not_before <= now)
    sending = select(issues.c.id).where(
        issues.c.id == issue_id, issues.c.state == IssueState.SENDING
    )
    # The number itself as well: with the subquery alone the index is not gone through in order.
    wanted = [d.issue_id == issue_id, d.state == S.PENDING, d.id > after, due, exists(sending)]
    if barring:
        wanted.append(address_domain(c, d.address_key).not_in(list(barring)))
    chosen = (
        select(d.id)
        .where(*wanted)
        .order_by(d.id)
        .limit(most)
        # SQLite needs no lock here, its writers come one by one; PostgreSQL's pass each other.
        .with_for_update(skip_locked=True)
    )
    if c.dialect.name != "sqlite":
        # Or it might be carried out once a row, each time locking others.
        chosen = select(chosen.cte("chosen").prefix_with("MATERIALIZED").c.id)
    claimed = (
        update(deliveries)
        .where(d.id.in_(chosen))
        .values(state=S.CLAIMED, worker=worker, lease_until=until, state_at=now)
        .returning(*CLAIMED)
    )
    return in_order(c.execute(claimed))


def put_back(c: Connection, claimed: Sequence[Claimed], worker: str, now: datetime) -> None:
    """Give back some of what a worker claimed and did not begin."""
    if claimed:
        _give_back(c, now, deliveries.c.worker == worker, deliveries.c.id.in_(_ids(claimed)))


def release(c: Connection, issue_id: int, worker: str, now: datetime) -> None:
    """Give back all that a worker claimed and did not begin."""
    _give_back(c, now, deliveries.c.worker == worker, deliveries.c.issue_id == issue_id)


def _give_back(c: Connection, now: datetime, *whose: ColumnElement[bool]) -> None:
    c.execute(
        update(deliveries)
        .where(*whose, deliveries.c.state == S.CLAIMED)
        .values(state=S.PENDING, worker=None, lease_until=None, state_at=now)
    )


def extend(c: Connection, issue_id: int, worker: str, until: datetime) -> None:
    """The worker lives: what it holds stays its own."""
    d = deliveries.c
    held = d.state.in_([S.CLAIMED, S.SUBMITTING])
    mine = update(deliveries).where(d.issue_id == issue_id, held, d.worker == worker)
    c.execute(mine.values(lease_until=until))


def _ids(claimed: Iterable[Claimed]) -> list[int]:
    return [one.id for one in claimed]


# --- beginning ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """A delivery that is about to be said to a mailer, and in which request."""

    claimed: Claimed
    message_id: str
    request: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What is written before the first byte leaves, alike for all starts of a transaction."""

    #: Which mailer, and where: only the same one may look it up later.
    mailer: str
    now: datetime
    until: datetime


#: "go", "suppressed", "unsubscribed", "paused" (by the reader), "stopped" (the issue) or
#: "lost" (the lease).
Word: TypeAlias = Literal["go", "suppressed", "unsubscribed", "paused", "stopped", "lost"]


def begin(
    c: Connection, issue_id: int, starts: Sequence[Start], worker: str, submission: Submission
) -> dict[int, Word]:
    """Write `submitting`, or say why not; the caller commits before the first byte leaves.

    Suppression, consent, pause and the issue's state are checked in this same transaction (rule 6).
    Returns a word for each delivery, by id.
    """
    if not starts:
        return {}
    if c.dialect.name != "sqlite":
        # Held until the commit; SQLite has one writer. The UPDATE asks for the state itself.
        _issue_state(c, issue_id)
        hold_consents(c, {start.claimed.subscription_id for start in starts})
    words: dict[int, Word] = {start.claimed.id: "go" for start in starts}
    if _write_submitting(c, starts, worker, submission) == len(starts):
        return words
    if _issue_state(c, issue_id) != IssueState.SENDING:
        return {start.claimed.id: "stopped" for start in starts}
    for start in starts:
        words[start.claimed.id] = _why(c, start, worker, submission)
    return words


#: What becomes of a delivery whose reader must not get it.
_ENDS: dict[Word, DeliveryState] = {
    "suppressed": S.SUPPRESSED,
    "unsubscribed": S.CANCELLED,
    "paused": S.CANCELLED,
}

_D = deliveries.c

_SUBMITTING = Prepared(
    {
        "one": _D.id.type,
        "of": _D.address_key.type,
        "to_message_id": _D.message_id.type,
        "to_request": _D.request.type,
    },
    lambda told: (
        update(deliveries)
        .where(
            deliveries.c.id == told["one"],
            # Of whoever was erased meanwhile it is another.
            deliveries.c.address_key == told["of"],
            deliveries.c.worker == bindparam("by"),
            deliveries.c.state == S.CLAIMED,
            exists().where(
                issues.c.id == deliveries.c.issue_id, issues.c.state == IssueState.SENDING
            ),
            *may_get(bindparam("at", type_=deliveries.c.state_at.type)),
        )
        .values(
            state=S.SUBMITTING,
            message_id=told["to_message_id"],
            request=told["to_request"],
            mailer=bindparam("to_mailer"),
            attempts=deliveries.c.attempts + 1,
            lease_until=bindparam("until", type_=deliveries.c.lease_until.type),
            # What was decided was about an earlier doubt.
            settled=null(),
            state_at=bindparam("now", type_=deliveries.c.state_at.type),
        )
    ),
)


def _write_submitting(
    c: Connection, starts: Sequence[Start], worker: str, submission: Submission
) -> int:
    """Those of them that the worker holds and whose readers may get it; returns how many."""
    alike = {
        "by": worker,
        "at": submission.now,
        "to_mailer": submission.mailer,
        "until": submission.until,
        "now": submission.now,
    }
    rows = [
        {
            "one": start.claimed.id,
            "of": start.claimed.address_key,
            "to_message_id": start.message_id,
            "to_request": start.request,
        }
        for start in starts
    ]
    return _SUBMITTING.carry_out(c, alike, rows)


_S = subscriptions.c

#: One that is asked for a list, which SQLite has no word for.
_HOLDING = PreparedQuery(
    select(func.count()).select_from(
        select(_S.id)
        .where(_S.id == any_(bindparam("ids", type_=ARRAY(_S.id.type))))
        .order_by(_S.id)
        .with_for_update(read=True)
        .subquery()
    )
)


def hold_consents(c: Connection, ids: Collection[int]) -> None:
    """Whoever leaves at this moment has left before, or leaves after; SQLite has one writer."""
    if c.dialect.name != "sqlite":
        _HOLDING.scalar(c, {"ids": sorted(ids)})


def _why(c: Connection, start: Start, worker: str, submission: Submission) -> Word:
    """What became of one of several starts, not all of which went; ends those that must not."""
    d = deliveries.c
    mine = select(d.state, d.request).where(d.id == start.claimed.id, d.worker == worker)
    found = c.execute(mine).one_or_none()
    if found is not None and tuple(found) == (S.SUBMITTING, start.request):
        return "go"
    word = _judged(c, start.claimed, worker, submission.now)
    if word in _ENDS:
        _bar(c, start.claimed, worker, word, submission.now)
    # What held it back is over since: it is not written down as begun, and so must not go.
    return "lost" if word == "go" else word


def _judged(c: Connection, claimed: Claimed, worker: str, now: datetime) -> Word:
    """Why a delivery may not begin; "lost" where the worker does not hold it."""
    s = subscriptions.c
    query = (
        select(s.state, s.paused_until, suppressions.c.address_key)
        .select_from(deliveries)
        .join(subscriptions, s.id == deliveries.c.subscription_id)
        .outerjoin(suppressions, suppressions.c.address_key == deliveries.c.address_key)
        .where(*_held(claimed, worker))
    )
    found = c.execute(query).one_or_none()
    if found is None:
        return "lost"
    if found.address_key is not None:
        return "suppressed"
    if found.state != "active":
        return "unsubscribed"
    return "paused" if found.paused_until and found.paused_until > now else "go"


def _bar(c: Connection, claimed: Claimed, worker: str, word: Word, now: datetime) -> None:
    """End a claimed delivery whose reader must not get it."""
    values = {"state": _ENDS[word], "reason": word, "state_at": now}
    changed = c.execute(update(deliveries).where(*_held(claimed, worker)).values(**values))
    if changed.rowcount == 1:
        release_posts(c, claimed.issue_id, [claimed.subscriber_id])


def _held(claimed: Claimed, worker: str) -> tuple[ColumnElement[bool], ...]:
    d = deliveries.c
    return d.id == claimed.id, d.worker == worker, d.state == S.CLAIMED


def is_sending(c: Connection, issue_id: int) -> bool:
    """Whether the issue is being sent at this moment."""
    return c.scalar(select(issues.c.state).where(issues.c.id == issue_id)) == IssueState.SENDING


def fail(c: Connection, claimed: Claimed, worker: str, reason: str, now: datetime) -> None:
    """Give up a claimed delivery whose message cannot be made; an editor may retry it.

    Of a reader who must not get it anyway, it ends as theirs do.
    """
    word = _judged(c, claimed, worker, now)
    if word in _ENDS:
        _bar(c, claimed, worker, word, now)
        return
    c.execute(
        update(deliveries)
        .where(*_held(claimed, worker))
        .values(state=S.FAILED, reason=reason, worker=None, lease_until=None, state_at=now)
    )


def fail_domain(
    c: Connection, issue_id: int, domain: str, decision: Decision, now: datetime
) -> None:
    """Give up what has not begun for a domain that takes nothing; an editor may retry it.

    Whoever holds some of it finds it lost. `decision` is about the last mail that it turned away.
    """
    waiting = (deliveries.c.issue_id == issue_id, deliveries.c.state.in_([S.PENDING, S.CLAIMED]))
    theirs = address_domain(c, deliveries.c.address_key) == domain
    c.execute(
        update(deliveries)
        .where(*waiting, theirs)
        .values(
            state=S.FAILED,
            code=decision.code or None,
            reason=said(decision.reason),
            worker=None,
            lease_until=None,
            state_at=now,
        )
    )


# --- outcomes ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows from a mailer's answer to one delivery."""

    claimed: Claimed
    decision: Decision
    remote_id: str | None = None


def finish_all(c: Connection, answers: Sequence[Answer], worker: str, now: datetime) -> None:
    """Write what follows from some answers, each as `finish` does."""
    plain = [one for one in answers if one.decision.state is S.SUBMITTED]
    if plain and _write_submitted(c, plain, worker, now) < len(plain):
        # One of them was changed meanwhile. For those written just now this does nothing.
        for answer in plain:
            finish(c, answer, worker, now)
    # Two workers that suppress the same addresses do so in the same order.
    others = (one for one in answers if one.decision.state is not S.SUBMITTED)
    for answer in sorted(others, key=lambda one: one.claimed.address_key):
        finish(c, answer, worker, now)


_SUBMITTED = Prepared(
    {
        "one": _D.id.type,
        "of": _D.address_key.type,
        "to_attempts": _D.attempts.type,
        "to_remote_id": _D.remote_id.type,
    },
    lambda told: (
        update(deliveries)
        .where(
            deliveries.c.id == told["one"],
            deliveries.c.address_key == told["of"],
            deliveries.c.worker == bindparam("by"),
            or_(deliveries.c.state == S.SUBMITTING, deliveries.c.state == S.UNCERTAIN),
        )
        .values(
            state=S.SUBMITTED,
            attempts=told["to_attempts"],
            not_before=null(),
            remote_id=told["to_remote_id"],
            code=null(),
            reason=null(),
            lease_until=null(),
            state_at=bindparam("now", type_=deliveries.c.state_at.type),
        )
    ),
)


def _write_submitted(c: Connection, answers: Sequence[Answer], worker: str, now: datetime) -> int:
    """The usual case, together; returns how many rows were as expected."""
    rows = [
        {
            "one": one.claimed.id,
            "of": one.claimed.address_key,
            "to_attempts": one.decision.attempts,
            "to_remote_id": one.remote_id,
        }
        for one in answers
    ]
    return _SUBMITTED.carry_out(c, {"by": worker, "now": now}, rows)


def finish(c: Connection, answer: Answer, worker: str, now: datetime) -> bool:
    """Write what follows from an answer; False where the row was no longer this worker's.

    An answer that comes after the worker was given up for dead still counts. What would be
    tried again is cancelled where the issue was.
    """
    claimed, decision, remote_id = answer.claimed, answer.decision, answer.remote_id
    state = decision.state
    if state is S.PENDING and _issue_state(c, claimed.issue_id) == IssueState.CANCELLED:
        state = S.CANCELLED
    again = state is S.PENDING
    key: str | None = c.scalar(
        update(deliveries)
        .where(
            deliveries.c.id == claimed.id,
            deliveries.c.worker == worker,
            deliveries.c.state.in_([S.SUBMITTING, S.UNCERTAIN]),
        )
        .values(
            state=state,
            attempts=decision.attempts,
            not_before=decision.not_before if again else None,
            remote_id=remote_id,
            code=decision.code or None,
            reason=decision.reason or None,
            worker=None if again else worker,
            lease_until=None,
            state_at=now,
        )
        .returning(deliveries.c.address_key)
    )
    if key is None:
        return False
    if key != claimed.address_key:
        decision = _forgetting(c, claimed, decision, remote_id)
    for event in decision.events:
        values = {
            "event": event,
            "kind": decision.kind,
            "at": now,
            "code": decision.code,
            "detail": decision.reason,
        }
        c.execute(insert(delivery_events).values(delivery_id=claimed.id, **values))
    if decision.suppress:
        found = Suppression(reason=decision.suppress, origin="bounce", at=now)
        suppress(c, key, found)
    if state in RELEASING:
        release_posts(c, claimed.issue_id, [claimed.subscriber_id])
    return True


def _forgetting(
    c: Connection, claimed: Claimed, decision: Decision, remote_id: str | None
) -> Decision:
    """The answer about a reader who was erased while it was awaited: it may quote the address."""
    code = scrubbed(decision.code, claimed.address_key) or ""
    reason = scrubbed(decision.reason, claimed.address_key) or ""
    c.execute(
        update(deliveries)
        .where(deliveries.c.id == claimed.id)
        .values(
            code=code or None,
            reason=reason or None,
            remote_id=scrubbed(remote_id, claimed.address_key),
        )
    )
    suppress = scrubbed(decision.suppress, claimed.address_key)
    return replace(decision, code=code, reason=reason, suppress=suppress)


_STATE = PreparedQuery(
    select(issues.c.state).where(issues.c.id == bindparam("issue")).with_for_update(read=True)
)


def _issue_state(c: Connection, issue_id: int) -> str | None:
    """The issue's state, kept from changing until the transaction ends."""
    state: str | None = _STATE.scalar(c, {"issue": issue_id})
    return state


def cancel_open(c: Connection, issue_id: int, now: datetime) -> int:
    """Cancel what has not gone out, and give its posts back."""
    changed = c.execute(
        update(deliveries)
        .where(deliveries.c.issue_id == issue_id, deliveries.c.state.in_([S.PENDING, S.CLAIMED]))
        .values(
            state=S.CANCELLED,
            reason="issue cancelled",
            worker=None,
            lease_until=None,
            state_at=now,
        )
    )
    gone = select(deliveries.c.subscriber_id).where(
        deliveries.c.issue_id == issue_id, deliveries.c.state == S.CANCELLED
    )
    release_posts(c, issue_id, gone)
    return changed.rowcount


# --- after a crash, and by hand ----------------------------------------------------------------


def recover(
    c: Connection, issue_id: int, is_dead: Callable[[str, datetime], bool], now: datetime
) -> int:
    """Take back what dead workers held: claimed becomes pending, submitting uncertain.

    `is_dead` judges a worker by its name and the end of its lease. Returns how many became
    uncertain.
    """
    d = deliveries.c
    held = select(d.worker, func.max(d.lease_until)).where(
        d.issue_id == issue_id, d.state.in_([S.CLAIMED, S.SUBMITTING])
    )
    uncertain = 0
    for worker, until in c.execute(held.group_by(d.worker)).all():
        if not is_dead(worker, until):
            continue
        theirs = (d.issue_id == issue_id, d.worker == worker)
        c.execute(
            update(deliveries)
            .where(*theirs, d.state == S.CLAIMED)
            .values(state=S.PENDING, worker=None, lease_until=None, state_at=now)
        )
        uncertain += c.execute(
            update(deliveries)
            .where(*theirs, d.state == S.SUBMITTING)
            .values(
                state=S.UNCERTAIN,
                reason="the worker ended before the answer came",
                lease_until=None,
                state_at=now,
            )
        ).rowcount
    return uncertain


def uncertain_ids(
    c: Connection, issue_id: int, *, decided: bool = False, mailer: str | None = None
) -> list[tuple[int, str]]:
    """Delivery id and Message-ID of what may have been accepted.

    `decided` includes those that an editor left uncertain for good; `mailer` asks for those
    that were said to this one alone.
    """
    d = deliveries.c
    query = select(d.id, d.message_id).where(d.issue_id == issue_id, d.state == S.UNCERTAIN)
    if not decided:
        query = query.where(d.settled.is_(None))
    if mailer is not None:
        query = query.where(d.mailer == mailer)
    return [(row.id, row.message_id) for row in c.execute(query.order_by(d.id))]


def settle(
    c: Connection,
    delivery_id: int,
    after: DeliveryState,
    *,
    how: str,
    now: datetime,
    remote_id: str | None = None,
) -> bool:
    """Decide one uncertain delivery: submitted, pending (again), or left uncertain for good.

    `remote_id` is that of the receipt that was found, by which webhooks may name it.
    """
    values = {"state": after, "settled": how, "state_at": now, "worker": None}
    if remote_id is not None:
        values["remote_id"] = remote_id
    if after is S.PENDING:
        values["not_before"] = None
    changed = c.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == S.UNCERTAIN)
        .values(**values)
    )
    return changed.rowcount == 1


def end_waiting(c: Connection, issue_id: int) -> None:
    """Let what is pending be tried at once, whatever time it was to wait for."""
    waiting = (deliveries.c.issue_id == issue_id, deliveries.c.state == S.PENDING)
    c.execute(update(deliveries).where(*waiting).values(not_before=None))


def retry_failed(c: Connection, issue_id: int, now: datetime) -> int:
    """An editor's retry: what failed is pending again, with all its tries before it."""
    changed = c.execute(
        update(deliveries)
        .where(deliveries.c.issue_id == issue_id, deliveries.c.state == S.FAILED)
        .values(state=S.PENDING, attempts=0, not_before=None, state_at=now, worker=None)
    )
    return changed.rowcount
