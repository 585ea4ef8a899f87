"""The publication ledger: what is due in each chain, claims, outcomes, recovery, settling.

A thread is a chain: only what has every snippet before it submitted can go out. Every state
change names the state it comes from, so that of two workers only one can take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, or_, select, update

from digest.model import DeliveryState, Image, Receipt
from digest.store.tables import posts, publications, threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

    from digest.social.decisions import Decision

S = DeliveryState


@dataclass(frozen=True, slots=True)
class Publication:
    """A row of the ledger, with the thread it stands in; `slot` in UTC."""

    id: int
    thread_id: int
    channel: str
    position: int
    #: How many snippets its thread has.
    of: int
    #: The post's.
    title: str
    text: str
    image_url: str | None
    image_alt: str | None
    state: str
    slot: datetime
    attempts: int
    reason: str | None

    @property
    def image(self) -> Image | None:
        return Image(self.image_url, self.image_alt or "") if self.image_url else None


# --- what is due -------------------------------------------------------------------------------


def due(c: Connection, channel: str, *, now: datetime, limit: datetime) -> list[Publication]:
    """What could go out now, one after the other; nothing whose slot is older than `limit`."""
    waits = or_(_earlier.state != S.PENDING, _earlier.slot <= limit, _earlier.not_before > now)
    blocked = _any_earlier(_earlier.state != S.SUBMITTED, waits)
    query = _select().where(*_is_due(channel, now, limit), ~blocked)
    return _rows(c, query.order_by(publications.c.slot, publications.c.id))


def late(c: Connection, channel: str | None, limit: datetime) -> list[Publication]:
    """What could go out and has a slot no later than `limit`; on one channel or all."""
    p = publications.c
    query = _select().where(p.state == S.PENDING, p.slot <= limit, _is_next())
    return _rows(c, _of(channel, query))


def broken(c: Connection, channel: str | None = None) -> list[Publication]:
    """What waits for an earlier snippet of its thread that will never be out."""
    never = _earlier.state.in_([S.REFUSED, S.FAILED, S.CANCELLED, S.SUPPRESSED])
    left = _earlier.settled.is_not(None)
    gone = _any_earlier(or_(never, (_earlier.state == S.UNCERTAIN) & left))
    return _rows(c, _of(channel, _select().where(publications.c.state == S.PENDING, gone)))


def give_up(
    c: Connection, publication_id: int, after: DeliveryState, reason: str, now: datetime
) -> bool:
    """End a pending publication that will not go out; False where it is not pending any more."""
    values = {"state": after, "reason": reason, "state_at": now}
    return _change(c, publication_id, (S.PENDING,), values)


# --- claims and outcomes -----------------------------------------------------------------------


def claim(
    c: Connection, channel: str, worker: str, *, now: datetime, limit: datetime, until: datetime
) -> Publication | None:
    """Lease the next publication of the channel that can go out now."""
    p = publications.c
    chosen = (
        select(p.id)
        .where(*_is_due(channel, now, limit), _is_next())
        .order_by(p.slot, p.id)
        .limit(1)
        # SQLite needs no lock here, its writers come one by one; PostgreSQL's pass each other.
        .with_for_update(skip_locked=True)
    )
    publication_id = c.scalar(chosen)
    if publication_id is None:
        return None
    values = {"state": S.CLAIMED, "worker": worker, "lease_until": until, "state_at": now}
    _change(c, publication_id, (S.PENDING,), values)
    return _rows(c, _select().where(p.id == publication_id))[0]


def before(c: Connection, publication: Publication) -> Receipt | None:
    """The receipt of the snippet before this one; None for the first of a thread."""
    p = publications.c
    query = select(p.remote_id, p.state_at, p.url).where(
        p.thread_id == publication.thread_id, p.position == publication.position - 1
    )
    row = c.execute(query).one_or_none()
    return Receipt(row.remote_id, row.state_at, row.url or "") if row else None


def begin(c: Connection, publication: Publication, worker: str, now: datetime) -> str:
    """Write `submitting`, or say why not; the caller commits before the first byte leaves.

    Returns "go", "gone" (its post is, and it is cancelled) or "lost" (the lease).
    """
    gone = select(posts.c.gone_at).join(threads, threads.c.post_id == posts.c.id)
    is_gone = c.scalar(gone.where(threads.c.id == publication.thread_id)) is not None
    # What was decided was about an earlier doubt.
    values: dict[str, Any] = {"state": S.SUBMITTING, "state_at": now, "settled": None}
    values["attempts"] = publications.c.attempts + 1
    if is_gone:
        values = {"state": S.CANCELLED, "reason": "its post is gone", "state_at": now}
    if not _change(c, publication.id, (S.CLAIMED,), values, worker):
        return "lost"
    return "gone" if is_gone else "go"


def finish(
    c: Connection,
    publication: Publication,
    worker: str,
    decision: Decision,
    *,
    receipt: Receipt | None,
    now: datetime,
) -> bool:
    """Write what follows from an answer; False where the row was no longer this worker's.

    An answer that comes after the worker was given up for dead still counts.
    """
    again = decision.state is S.PENDING
    values = {
        "state": decision.state,
        "attempts": decision.attempts,
        "not_before": decision.not_before,
        "remote_id": receipt.remote_id if receipt else None,
        "url": receipt.url if receipt else None,
        "code": decision.code or None,
        "reason": decision.reason or None,
        "worker": None if again else worker,
        "lease_until": None,
        "state_at": now,
    }
    return _change(c, publication.id, (S.SUBMITTING, S.UNCERTAIN), values, worker)


def release(c: Connection, worker: str, now: datetime) -> None:
    """Give back what a worker claimed and did not begin."""
    p = publications.c
    values = {"state": S.PENDING, "worker": None, "lease_until": None, "state_at": now}
    c.execute(update(publications).where(p.worker == worker, p.state == S.CLAIMED).values(**values))


# --- after a crash, and by hand ----------------------------------------------------------------


def recover(c: Connection, is_dead: Callable[[str, datetime], bool], now: datetime) -> int:
    """Take back what dead workers held: claimed becomes pending, submitting uncertain.

    `is_dead` judges a worker by its name and the end of its lease. Returns how many became
    uncertain.
    """
    p = publications.c
    held = select(p.id, p.state, p.worker, p.lease_until).where(
        p.state.in_([S.CLAIMED, S.SUBMITTING])
    )
    freed = {"state": S.PENDING, "worker": None, "lease_until": None, "state_at": now}
    doubted = {
        "state": S.UNCERTAIN,
        "reason": "the worker ended before the answer came",
        "lease_until": None,
        "state_at": now,
    }
    uncertain = 0
    for row in c.execute(held).all():
        if is_dead(row.worker, row.lease_until):
            values = freed if row.state == S.CLAIMED else doubted
            changed = _change(c, row.id, (row.state,), values, row.worker)
            uncertain += changed and row.state == S.SUBMITTING
    return uncertain


def uncertain(c: Connection, channel: str | None = None) -> list[Publication]:
    """What may have been accepted, and nobody has decided on."""
    p = publications.c
    query = _select().where(p.state == S.UNCERTAIN, p.settled.is_(None))
    return _rows(c, _of(channel, query))


def settle(
    c: Connection,
    publication_id: int,
    after: DeliveryState,
    *,
    how: str,
    now: datetime,
    receipt: Receipt | None = None,
) -> bool:
    """Decide one uncertain publication: submitted, pending (again), or uncertain for good."""
    values = {"state": after, "settled": how, "state_at": now, "worker": None}
    if receipt:
        values |= {"remote_id": receipt.remote_id, "url": receipt.url}
    return _change(c, publication_id, (S.UNCERTAIN,), values)


def put_off(c: Connection, publication: Publication, now: datetime) -> None:
    """Give this snippet a slot now, and the ones after it theirs as far behind as they were."""
    p = publications.c
    delay = now - publication.slot
    rest = select(p.id, p.slot).where(
        p.thread_id == publication.thread_id,
        p.position >= publication.position,
        p.state == S.PENDING,
    )
    for row in c.execute(rest).all():
        c.execute(update(publications).where(p.id == row.id).values(slot=row.slot + delay))


# --- pieces of queries -------------------------------------------------------------------------

_earlier_row = publications.alias("earlier")
_earlier = _earlier_row.c


def _any_earlier(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    p = publications.c
    same = (_earlier.thread_id == p.thread_id, _earlier.position < p.position)
    return exists(select(_earlier.id).where(*same, *which)).correlate(publications)


def _is_next() -> ColumnElement[bool]:
    return ~_any_earlier(_earlier.state != S.SUBMITTED)


def _is_due(channel: str, now: datetime, limit: datetime) -> tuple[ColumnElement[bool], ...]:
    p = publications.c
    may = or_(p.not_before.is_(None), p.not_before <= now)
    return p.channel == channel, p.state == S.PENDING, p.slot <= now, p.slot > limit, may


def _select() -> Select[Any]:
    p = publications.c
    others = publications.alias("others")
    count = select(func.count()).where(others.c.thread_id == p.thread_id)
    of = count.correlate(publications).scalar_subquery().label("of")
    return (
        select(
            *(p.id, p.thread_id, p.channel, p.position, of, posts.c.title, p.text),
            *(p.image_url, p.image_alt, p.state, p.slot, p.attempts, p.reason),
        )
        .join(threads, threads.c.id == p.thread_id)
        .join(posts, posts.c.id == threads.c.post_id)
    )


def _of(channel: str | None, query: Select[Any]) -> Select[Any]:
    if channel is not None:
        query = query.where(publications.c.channel == channel)
    return query.order_by(publications.c.thread_id, publications.c.position)


def _rows(c: Connection, query: Select[Any]) -> list[Publication]:
    return [Publication(*row) for row in c.execute(query)]


def _change(
    c: Connection,
    publication_id: int,
    before: tuple[str, ...],
    values: dict[str, Any],
    worker: str | None = None,
) -> bool:
    """Whether the publication was in one of the states, its worker's if named, and is changed."""
    p = publications.c
    mine = update(publications).where(p.id == publication_id, p.state.in_(before))
    if worker is not None:
        mine = mine.where(p.worker == worker)
    return c.execute(mine.values(**values)).rowcount == 1
