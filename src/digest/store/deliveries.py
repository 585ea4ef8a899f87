"""The delivery ledger: claims, the step to `submitting`, outcomes, recovery, the account.

Every state change names the state it comes from, so that of two workers only
one can take it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, update

from digest.model import RELEASING, DeliveryState, IssueState
from digest.readers.scrub import scrubbed
from digest.store.readers import Suppression, suppress
from digest.store.tables import (
    deliveries,
    delivery_events,
    issues,
    reservations,
    subscriptions,
    suppressions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement
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


# --- claims ------------------------------------------------------------------------------------


def claim(
    c: Connection, issue_id: int, worker: str, *, now: datetime, until: datetime, most: int
) -> list[Claimed]:
    """Lease up to `most` pending deliveries that are due, while the issue is being sent."""
    d = deliveries.c
    due = or_(d.not_before.is_(None), d.not_before <= now)
    sending = select(issues.c.id).where(
        issues.c.id == issue_id, issues.c.state == IssueState.SENDING
    )
    chosen = (
        select(d.id)
        .where(d.issue_id.in_(sending), d.state == S.PENDING, due)
        .order_by(d.id)
        .limit(most)
        # SQLite needs no lock here, its writers come one by one; PostgreSQL's pass each other.
        .with_for_update(skip_locked=True)
    )
    ids = c.scalars(chosen).all()
    if not ids:
        return []
    c.execute(
        update(deliveries)
        .where(d.id.in_(ids))
        .values(state=S.CLAIMED, worker=worker, lease_until=until, state_at=now)
    )
    columns = (
        d.id,
        d.issue_id,
        d.variant_id,
        d.subscriber_id,
        d.subscription_id,
        d.address,
        d.address_key,
        d.attempts,
    )
    rows = c.execute(select(*columns).where(d.id.in_(ids)).order_by(d.id))
    return [Claimed(*row) for row in rows]


def release(c: Connection, worker: str, now: datetime) -> None:
    """Give back what a worker claimed and did not begin."""
    c.execute(
        update(deliveries)
        .where(deliveries.c.worker == worker, deliveries.c.state == S.CLAIMED)
        .values(state=S.PENDING, worker=None, lease_until=None, state_at=now)
    )


@dataclass(frozen=True, slots=True)
class Submission:
    """What is written before the first byte leaves."""

    message_id: str
    #: Which mailer, and where: only the same one may look it up later.
    mailer: str
    now: datetime
    until: datetime


def begin(c: Connection, claimed: Claimed, worker: str, submission: Submission) -> str:
    """Write `submitting`, or say why not; the caller commits before the first byte leaves.

    Suppression, consent, pause and the issue's state are checked in this same transaction (rule 6).
    Returns "go", "suppressed", "unsubscribed", "paused" (by the reader), "stopped" (the issue)
    or "lost" (the lease).
    """
    if _issue_state(c, claimed.issue_id) != IssueState.SENDING:
        return "stopped"
    barred = _bar(c, claimed, worker, submission.now)
    if barred:
        return barred
    changed = c.execute(
        update(deliveries)
        .where(*_held(claimed, worker))
        .values(
            state=S.SUBMITTING,
            message_id=submission.message_id,
            mailer=submission.mailer,
            attempts=deliveries.c.attempts + 1,
            lease_until=submission.until,
            # What was decided was about an earlier doubt.
            settled=None,
            state_at=submission.now,
        )
    )
    return "go" if changed.rowcount == 1 else "lost"


def _held(claimed: Claimed, worker: str) -> tuple[ColumnElement[bool], ...]:
    d = deliveries.c
    return d.id == claimed.id, d.worker == worker, d.state == S.CLAIMED


def _bar(c: Connection, claimed: Claimed, worker: str, now: datetime) -> str:
    """End a claimed delivery whose reader must not get it; "" where they may."""
    barred = _barred(c, claimed, now)
    if barred:
        state = S.SUPPRESSED if barred == "suppressed" else S.CANCELLED
        values = {"state": state, "reason": barred, "state_at": now}
        changed = c.execute(update(deliveries).where(*_held(claimed, worker)).values(**values))
        if changed.rowcount == 1:
            _release_posts(c, claimed.issue_id, [claimed.subscriber_id])
    return barred


def _barred(c: Connection, claimed: Claimed, now: datetime) -> str:
    suppressed = select(suppressions.c.reason).where(
        suppressions.c.address_key == claimed.address_key
    )
    if c.execute(suppressed).first():
        return "suppressed"
    s = subscriptions.c
    consent = c.execute(
        select(s.state, s.paused_until)
        .where(s.id == claimed.subscription_id)
        .with_for_update(read=True)
    ).one()
    if consent.state != "active":
        return "unsubscribed"
    return "paused" if consent.paused_until and consent.paused_until > now else ""


def fail(c: Connection, claimed: Claimed, worker: str, reason: str, now: datetime) -> None:
    """Give up a claimed delivery whose message cannot be made; an editor may retry it.

    Of a reader who must not get it anyway, it ends as theirs do.
    """
    if _bar(c, claimed, worker, now):
        return
    c.execute(
        update(deliveries)
        .where(*_held(claimed, worker))
        .values(state=S.FAILED, reason=reason, worker=None, lease_until=None, state_at=now)
    )


# --- outcomes ----------------------------------------------------------------------------------


def finish(
    c: Connection,
    claimed: Claimed,
    worker: str,
    decision: Decision,
    *,
    remote_id: str | None,
    now: datetime,
) -> bool:
    """Write what follows from an answer; False where the row was no longer this worker's.

    An answer that comes after the worker was given up for dead still counts. What would be
    tried again is cancelled where the issue was.
    """
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
        values = {"event": event, "at": now, "code": decision.code, "detail": decision.reason}
        c.execute(insert(delivery_events).values(delivery_id=claimed.id, **values))
    if decision.suppress:
        found = Suppression(reason=decision.suppress, origin="bounce", at=now)
        suppress(c, key, found)
    if state in RELEASING:
        _release_posts(c, claimed.issue_id, [claimed.subscriber_id])
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


def _issue_state(c: Connection, issue_id: int) -> str | None:
    """The issue's state, kept from changing until the transaction ends."""
    state: str | None = c.scalar(
        select(issues.c.state).where(issues.c.id == issue_id).with_for_update(read=True)
    )
    return state


def _release_posts(c: Connection, issue_id: int, subscribers: Iterable[int]) -> None:
    c.execute(
        delete(reservations).where(
            reservations.c.issue_id == issue_id,
            reservations.c.subscriber_id.in_(list(subscribers)),
        )
    )


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
    c.execute(
        delete(reservations).where(
            reservations.c.issue_id == issue_id, reservations.c.subscriber_id.in_(gone)
        )
    )
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
    c: Connection, delivery_id: int, after: DeliveryState, *, how: str, now: datetime
) -> bool:
    """Decide one uncertain delivery: submitted, pending (again), or left uncertain for good."""
    values = {"state": after, "settled": how, "state_at": now, "worker": None}
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
