"""Notices: mails outside any issue. One row, one submission at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, or_, select, update

from digest.mail.addresses import Address
from digest.mail.pacing import PAUSE, SPAN
from digest.model import DeliveryState
from digest.readers.scrub import FORGOTTEN
from digest.store.dialect import insert_ignore
from digest.store.readers import Suppression, barred, suppress
from digest.store.tables import notices, subscribers, subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

    from digest.mail.decisions import Decision

#: Far longer than a submission takes at its slowest; counts only for workers whose lock cannot
#: be seen from here.
_LEASE = timedelta(hours=1)
#: Why a notice is not sent.
SUPPRESSED = "this address is suppressed"


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice to be; its Message-ID is what makes it one of a kind."""

    kind: str
    address: str
    address_key: str
    message_id: str
    newsletter: str
    issue_id: int | None = None
    subscription_id: int | None = None
    sign_up_id: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that is due; its mail is made when it is sent."""

    id: int
    kind: str
    address: str
    address_key: str
    message_id: str
    attempts: int
    sign_up_id: int | None


def begin_notice(
    c: Connection, notice: NewNotice, worker: str, hashed: Callable[[str], str], now: datetime
) -> int | str:
    """Write `submitting` and return the notice's id, or say why not.

    Suppression is checked in this same transaction (rule 6); `hashed` is the keyed hash by which
    erased addresses are known again.
    """
    if barred(c, notice.address_key, hashed):
        return SUPPRESSED
    row = _row(notice, DeliveryState.SUBMITTING, now) | {"worker": worker}
    statement = insert_ignore(c, notices).values(row).returning(notices.c.id)
    notice_id: int | None = c.scalar(statement)
    return notice_id if notice_id is not None else "this mail went out already"


def finish_notice(
    c: Connection, notice_id: int, decision: Decision, remote_id: str | None, now: datetime
) -> None:
    """Write what became of it."""
    # Held: an erasure meanwhile waits, and takes what is written here.
    held = select(notices.c.address_key).where(notices.c.id == notice_id).with_for_update()
    key = c.scalars(held).one()
    if "@" not in key:
        decision, remote_id = _of_erased(decision), None
    if decision.suppress:
        suppress(c, key, Suppression(reason=decision.suppress, origin="bounce", at=now))
    values = {
        "remote_id": remote_id,
        "code": decision.code or None,
        "attempts": decision.attempts,
        "not_before": decision.not_before,
        "worker": None,
    }
    _move(c, notice_id, decision.state, decision.reason or None, now, **values)


def _of_erased(decision: Decision) -> Decision:
    """The answer about a reader who was erased while it was awaited.

    Its words may quote the address, and there is nobody to try again.
    """
    again = decision.state is DeliveryState.PENDING
    return replace(
        decision,
        state=DeliveryState.CANCELLED if again else decision.state,
        not_before=None,
        code="",
        reason=FORGOTTEN,
        suppress=FORGOTTEN if decision.suppress else None,
    )


def failed_notices(c: Connection, subscription_id: int) -> int:
    """How many notices to a subscription certainly did not leave."""
    query = select(func.count()).where(
        notices.c.subscription_id == subscription_id,
        notices.c.state.in_([DeliveryState.FAILED, DeliveryState.REFUSED]),
    )
    return int(c.scalar(query) or 0)


# --- notices that wait -------------------------------------------------------------------------


def queue(
    c: Connection, notice: NewNotice, now: datetime, not_before: datetime | None = None
) -> None:
    """Let a notice wait for whoever sends notices. Whether it may be sent is decided then."""
    row = _row(notice, DeliveryState.PENDING, now) | {"not_before": not_before}
    c.execute(insert(notices).values(row))


def asked_lately(c: Connection, kind: str, address_key: str, now: datetime) -> list[datetime]:
    """When notices of a kind to an address were asked for within a day, whatever became of them.

    Those that used up their attempts do not count: nothing came of them. Nor do those of a clock
    that was ahead, by more than clocks differ, for they would lock the address out until it comes
    to pass. Whoever decides by this holds the address (`dialect.lock_address`).
    """
    query = select(notices.c.created_at).where(
        notices.c.address_key == address_key,
        notices.c.kind == kind,
        notices.c.created_at.between(now - SPAN, now + PAUSE),
        notices.c.state != DeliveryState.FAILED,
    )
    return list(c.scalars(query))


def has_notice(c: Connection, sign_up_id: int) -> bool:
    """Whether a sign-up has a mail of its own, on its way or there."""
    nothing = [DeliveryState.FAILED, DeliveryState.CANCELLED]
    query = select(notices.c.id).where(
        notices.c.sign_up_id == sign_up_id, notices.c.state.not_in(nothing)
    )
    return c.scalar(query.limit(1)) is not None


def next_due(c: Connection, after: int, now: datetime) -> Waiting | None:
    """The first notice behind the id `after` whose time has come."""
    n = notices.c
    query = (
        select(n.id, n.kind, n.address, n.address_key, n.message_id, n.attempts, n.sign_up_id)
        .where(_is_due(now), n.id > after)
        .order_by(n.id)
        .limit(1)
    )
    row = c.execute(query).one_or_none()
    return None if row is None else Waiting(**row._asdict())


def count_due(c: Connection, now: datetime) -> int:
    """How many notices would be sent now."""
    return int(c.scalar(select(func.count()).where(_is_due(now))) or 0)


def _is_due(now: datetime) -> ColumnElement[bool]:
    n = notices.c
    in_time = or_(n.not_before.is_(None), n.not_before <= now)
    return and_(n.state == DeliveryState.PENDING, in_time)


def begin_waiting(
    c: Connection,
    notice: Waiting,
    *,
    newsletter: str,
    worker: str,
    hashed: Callable[[str], str],
    now: datetime,
) -> bool:
    """Write `submitting`; False where it must not be sent, or somebody else took or tried it.

    Suppression is checked in this same transaction (rule 6).
    """
    if barred(c, notice.address_key, hashed):
        drop_waiting(c, notice.id, DeliveryState.SUPPRESSED, SUPPRESSED, now)
        return False
    statement = (
        update(notices)
        .where(_is_due(now), notices.c.id == notice.id, notices.c.attempts == notice.attempts)
        .values(state=DeliveryState.SUBMITTING, newsletter=newsletter, worker=worker, state_at=now)
        .returning(notices.c.id)
    )
    return c.scalar(statement) is not None


def drop_waiting(
    c: Connection, notice_id: int, state: DeliveryState, reason: str, now: datetime
) -> None:
    """It is not sent after all; nothing where somebody else took it."""
    c.execute(
        update(notices)
        .where(notices.c.id == notice_id, notices.c.state == DeliveryState.PENDING)
        .values(state=state, reason=reason, state_at=now)
    )


def doubt_dead(c: Connection, is_dead: Callable[[str, datetime], bool], now: datetime) -> list[int]:
    """What dead workers were submitting is uncertain; returns which.

    Nobody repeats it by machine: the reader asks again.
    """
    n = notices.c
    query = select(n.id, n.worker, n.state_at).where(n.state == DeliveryState.SUBMITTING)
    held = c.execute(query.with_for_update(skip_locked=True)).all()
    doubtful = [row.id for row in held if is_dead(row.worker or "", row.state_at + _LEASE)]
    for notice_id in doubtful:
        reason = "its worker died while submitting it"
        _move(c, notice_id, DeliveryState.UNCERTAIN, reason, now)
    return doubtful


def forget_strangers(c: Connection, before: datetime) -> int:
    """Delete what was asked for before then with an address of no reader; returns how many."""
    n = notices.c
    strangers = (n.kind == "settings", n.state == DeliveryState.CANCELLED, n.created_at < before)
    return len(c.execute(delete(notices).where(*strangers).returning(n.id)).all())


# --- whom they are for -------------------------------------------------------------------------


def reader_at(c: Connection, address_key: str) -> tuple[int, list[str]] | None:
    """The subscriber of an address, and the newsletters by which they know us, liveliest first."""
    s = subscriptions.c
    subscriber_id = c.scalar(
        select(subscribers.c.id).where(subscribers.c.address_key == address_key)
    )
    if subscriber_id is None:
        return None
    # "active" comes first by its letters as well.
    query = select(s.newsletter).where(s.subscriber_id == subscriber_id).order_by(s.state, s.id)
    return subscriber_id, list(c.scalars(query))


def address_of(c: Connection, subscriber_id: int) -> Address | None:
    """Where a subscriber is written to; None for one who is erased or unknown."""
    s = subscribers.c
    query = select(s.address, s.address_key).where(s.id == subscriber_id, s.address.is_not(None))
    row = c.execute(query).one_or_none()
    return None if row is None else Address(row.address, row.address_key)


def _row(notice: NewNotice, state: DeliveryState, now: datetime) -> dict[str, Any]:
    return {
        "kind": notice.kind,
        "address": notice.address,
        "address_key": notice.address_key,
        "message_id": notice.message_id,
        "newsletter": notice.newsletter,
        "issue_id": notice.issue_id,
        "subscription_id": notice.subscription_id,
        "sign_up_id": notice.sign_up_id,
        "state": state,
        "created_at": now,
        "state_at": now,
    }


def _move(
    c: Connection,
    notice_id: int,
    state: DeliveryState,
    reason: str | None,
    now: datetime,
    **values: object,
) -> None:
    c.execute(
        update(notices)
        .where(notices.c.id == notice_id)
        .values(state=state, reason=reason, state_at=now, **values)
    )
