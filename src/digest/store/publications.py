"""The publication ledger: what is due in each chain, claims, outcomes, recovery, settling.

A thread is a chain: only what has every snippet before it submitted can go out, and the first
of a thread that goes on from another waits until that one is through. Every state change names
the state it comes from, so that of two workers only one can take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select, true, update

from digest.model import DeliveryState, Image, Receipt
from digest.store.tables import channels, posts, publications, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

    from digest.social.decisions import Decision

S = DeliveryState
_P = publications.c
#: Not over: it may still go out, or be out.
UNDERWAY = (S.PENDING, S.CLAIMED, S.SUBMITTING)
#: A snippet that is later than this puts the ones after it off: their pace is kept.
ON_TIME = timedelta(seconds=90)
#: The code of what is out and cannot be taken down.
KEPT = "kept"
#: Another thread begins where the next snippet of one that has begun is further off than this.
_FAR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Publication:
    """A row of the ledger, with the thread it stands in; times in UTC."""

    id: int
    thread_id: int
    channel: str
    position: int
    #: How many snippets its thread has.
    of: int
    #: The post's.
    title: str
    post_id: int
    form: str
    text: str
    language: str
    image_url: str | None
    image_alt: str | None
    card: Mapping[str, Any] | None
    tags: Sequence[str] | None
    picture: str | None
    card_picture: str | None
    note: str | None
    state: str
    slot: datetime
    attempts: int
    body: str | None
    tried_at: datetime | None
    begun_at: datetime | None
    reply_to: str | None
    remote_id: str | None
    version: str | None
    url: str | None
    code: str | None
    reason: str | None
    state_at: datetime
    deleted_at: datetime | None
    #: Since when its thread is to be taken down.
    undo_at: datetime | None

    @property
    def image(self) -> Image | None:
        return Image(self.image_url, self.image_alt or "") if self.image_url else None

    @property
    def shows_picture(self) -> bool:
        """It has one, of its own or on its card."""
        return bool(self.image_url or (self.card and self.card["image_url"]))

    @property
    def receipt(self) -> Receipt | None:
        """What the network gave for it, where it is out."""
        if self.remote_id is None:
            return None
        return Receipt(self.remote_id, self.state_at, self.url or "", version=self.version or "")

    @property
    def is_live(self) -> bool:
        """It is out, as far as we know."""
        return self.state == S.SUBMITTED and self.deleted_at is None


@dataclass(frozen=True, slots=True)
class Oldest:
    """Slots that are not later than these are too late to be kept; UTC."""

    #: For the first snippet of a thread.
    start: datetime
    #: For the rest of a thread that has begun.
    rest: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What is committed of a publication before the first byte leaves."""

    publication: Publication
    body: str
    reply_to: str | None
    #: Of its first try.
    tried_at: datetime
    picture: str | None = None
    card_picture: str | None = None
    note: str | None = None


# --- what is due -------------------------------------------------------------------------------


def due(
    c: Connection, channel: str, *, now: datetime, oldest: Oldest, pace: timedelta
) -> list[Publication]:
    """The next snippet of each thread that could go out now, the earliest slot first."""
    room = _room(c, channel, now, pace)
    query = _select().where(*_is_due(channel, now, oldest), _is_next(), room)
    return _rows(c, query.order_by(_P.slot, _P.id))


def late(
    c: Connection, channel: str | None, oldest: Oldest, *, besides: Collection[str] = ()
) -> list[Publication]:
    """What could go out and has a slot that is too old; on one channel, or all `besides` some.

    What waits for an editor, or for an older instalment, does so for as long as that takes.
    """
    waits = and_(_P.position == 1, _follows_unfinished())
    is_late = (_P.state == S.PENDING, ~_young(oldest), _is_next(), _is_open(), ~waits)
    query = _select().where(*is_late)
    return _rows(c, _of(channel, query.where(_P.channel.not_in(besides))))


def broken(c: Connection, channel: str | None = None) -> list[Publication]:
    """What waits for an earlier snippet of its thread that will never be out."""
    never = _earlier.state.in_([S.REFUSED, S.FAILED, S.CANCELLED, S.SUPPRESSED])
    left = _earlier.settled.is_not(None)
    gone = _any_earlier(or_(never, (_earlier.state == S.UNCERTAIN) & left))
    return _rows(c, _of(channel, _select().where(_P.state == S.PENDING, gone)))


def withdrawn(c: Connection, channel: str | None = None) -> list[Publication]:
    """What waits in a thread that is to be taken down."""
    return _rows(c, _of(channel, _select().where(_P.state == S.PENDING, _undone())))


def kept_waiting(c: Connection, channel: str, now: datetime) -> list[Publication]:
    """What would be due if the instalment before it were through."""
    waits = (_P.state == S.PENDING, _P.position == 1, _P.slot <= now, _follows_unfinished())
    return _rows(c, _of(channel, _select().where(*waits)))


def begun(c: Connection, channel: str) -> list[Publication]:
    """What is to come of the threads that have begun."""
    first = _any_earlier(_earlier.position == 1, _earlier.state == S.SUBMITTED)
    return _rows(c, _of(channel, _select().where(_P.state.in_(UNDERWAY), first)))


def give_up(
    c: Connection, publication_id: int, after: DeliveryState, reason: str, now: datetime
) -> bool:
    """End a pending publication that will not go out; False where it is not pending any more."""
    values = {"state": after, "reason": reason, "state_at": now}
    return _change(c, publication_id, (S.PENDING,), values)


def of_thread(c: Connection, thread_id: int) -> list[Publication]:
    """The publications of a thread, in order."""
    return _rows(c, _select().where(_P.thread_id == thread_id).order_by(_P.position))


def chain(c: Connection, thread_id: int) -> list[Publication]:
    """What is or was out of this thread and those it goes on from, the newest first."""
    own = select(threads.c.id, threads.c.after_id).where(threads.c.id == thread_id)
    line = own.cte(recursive=True)
    older = threads.alias("older").c
    line = line.union(select(older.id, older.after_id).where(older.id == line.c.after_id))
    out = (_P.state == S.SUBMITTED, _P.remote_id.is_not(None))
    query = _select().where(_P.thread_id.in_(select(line.c.id)), *out)
    return _rows(c, query.order_by(_P.thread_id.desc(), _P.position.desc()))


# --- claims and outcomes -----------------------------------------------------------------------


def claim(
    c: Connection,
    channel: str,
    worker: str,
    *,
    now: datetime,
    oldest: Oldest,
    until: datetime,
    pace: timedelta,
    whole: bool,
) -> list[Publication]:
    """Lease the next publication of the channel that can go out now; `whole`: with the rest.

    The rest is what is pending of the same thread. Empty where nothing can go out.
    """
    lock(c, channel)
    chosen = (
        select(_P.id, _P.thread_id)
        .where(*_is_due(channel, now, oldest), _is_next(), _room(c, channel, now, pace))
        .order_by(_P.slot, _P.id)
        .limit(1)
        # SQLite needs no lock here, its writers come one by one; PostgreSQL's pass each other.
        .with_for_update(skip_locked=True)
    )
    row = c.execute(chosen).one_or_none()
    if row is None:
        return []
    which = _P.thread_id == row.thread_id if whole else _P.id == row.id
    values = {"state": S.CLAIMED, "worker": worker, "lease_until": until, "state_at": now}
    c.execute(update(publications).where(which, _P.state == S.PENDING).values(**values))
    mine = _select().where(which, _P.state == S.CLAIMED, _P.worker == worker)
    return _rows(c, mine.order_by(_P.position))


def lock(c: Connection, channel: str) -> None:
    """Let one worker at a time take from a channel, until the transaction ends."""
    c.execute(select(channels.c.slug).where(channels.c.slug == channel).with_for_update())


def begin(
    c: Connection, entries: Sequence[Entry], worker: str, now: datetime, *, until: datetime
) -> str:
    """Write `submitting` for all of them, or say why not; the caller commits before it speaks.

    The lease is made new, for making ready may have taken most of it.

    Returns "go", "gone" (their post is), "held", "undone" or "lost" (a lease); then nothing
    was changed.
    """
    first = entries[0].publication
    thread = c.execute(
        select(threads.c.held_at, threads.c.undo_at, posts.c.gone_at)
        .join(posts, posts.c.id == threads.c.post_id)
        .where(threads.c.id == first.thread_id)
        .with_for_update(of=threads)
    ).one()
    for is_so, word in (
        (thread.undo_at, "undone"),
        (thread.held_at, "held"),
        (thread.gone_at, "gone"),
    ):
        if is_so is not None:
            return word
    ids = [entry.publication.id for entry in entries]
    mine = select(_P.id).where(_P.id.in_(ids), _P.state == S.CLAIMED, _P.worker == worker)
    if len(c.execute(mine.with_for_update()).all()) != len(ids):
        return "lost"
    for entry in entries:
        # What was decided before was about an earlier doubt.
        values = {
            "state": S.SUBMITTING,
            "state_at": now,
            "lease_until": until,
            "begun_at": now,
            "settled": None,
            "attempts": _P.attempts + 1,
            "body": entry.body,
            "reply_to": entry.reply_to,
            "tried_at": entry.tried_at,
            "picture": entry.picture,
            "card_picture": entry.card_picture,
            "note": entry.note,
        }
        c.execute(update(publications).where(_P.id == entry.publication.id).values(**values))
    return "go"


def begin_again(
    c: Connection,
    doubtful: Sequence[Publication],
    worker: str,
    now: datetime,
    *,
    until: datetime,
) -> bool:
    """Write `submitting` for what is in doubt; False where another worker decides about it."""
    ids = [one.id for one in doubtful]
    mine = (_P.id.in_(ids), _P.begun_at == doubtful[0].begun_at, _P.settled.is_(None))
    found = select(_P.id).where(*mine, _P.state == S.UNCERTAIN).with_for_update()
    if len(c.execute(found).all()) != len(ids):
        return False
    values = {"state": S.SUBMITTING, "worker": worker, "lease_until": until}
    values |= {"state_at": now, "begun_at": now, "attempts": _P.attempts + 1}
    c.execute(update(publications).where(_P.id.in_(ids)).values(**values))
    return True


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

    An answer that comes after the worker was given up for dead still counts. What was
    certainly not accepted is as it was before: nobody has to know this attempt again.
    """
    again = decision.state is S.PENDING
    values = {
        "state": decision.state,
        "attempts": decision.attempts,
        "not_before": None,
        "code": decision.code or None,
        "reason": decision.reason or None,
        "worker": None if again else worker,
        "lease_until": None,
        "state_at": now,
        **({"tried_at": publication.tried_at} if again else {}),
        **_received(receipt),
    }
    return _change(c, publication.id, (S.SUBMITTING, S.UNCERTAIN), values, worker)


def finish_all(
    c: Connection,
    batch: Sequence[Publication],
    worker: str,
    decision: Decision,
    *,
    receipts: Sequence[Receipt | None],
    now: datetime,
) -> None:
    """Write what follows from the answer to one call, in which each answers the one before it."""
    parent = None
    for one, receipt in zip(batch, receipts, strict=True):
        finish(c, one, worker, decision, receipt=receipt, now=now)
        if parent is not None:
            answers(c, one.id, parent.remote_id)
        parent = receipt


def answers(c: Connection, publication_id: int, remote_id: str) -> None:
    """Record what it answers, known only since both are out."""
    c.execute(update(publications).where(_P.id == publication_id).values(reply_to=remote_id))


def shift(c: Connection, publication: Publication, now: datetime) -> None:
    """Put the slots of the snippets after this one off by as much as it was late."""
    delay = now - publication.slot
    rest = select(_P.id, _P.slot).where(
        _P.thread_id == publication.thread_id,
        _P.position > publication.position,
        _P.state == S.PENDING,
    )
    for row in c.execute(rest).all():
        c.execute(update(publications).where(_P.id == row.id).values(slot=row.slot + delay))


def unclaim(
    c: Connection,
    claimed: Sequence[Publication],
    worker: str,
    now: datetime,
    *,
    reason: str | None = None,
    attempts: int = 0,
    not_before: datetime | None = None,
) -> None:
    """Give back what was claimed and not begun, with why, and so many attempts more."""
    values: dict[str, Any] = {"state": S.PENDING, "worker": None, "lease_until": None}
    values |= {"state_at": now, "not_before": not_before}
    if reason is not None:
        values |= {"reason": reason, "attempts": _P.attempts + attempts}
    for one in claimed:
        _change(c, one.id, (S.CLAIMED,), values, worker)


def end(
    c: Connection,
    claimed: Sequence[Publication],
    worker: str,
    decision: Decision,
    now: datetime,
) -> None:
    """End what was claimed and will not be said."""
    values = {
        "state": decision.state,
        "reason": decision.reason,
        "code": decision.code or None,
        "state_at": now,
    }
    for one in claimed:
        _change(c, one.id, (S.CLAIMED,), values, worker)


def release(c: Connection, worker: str, now: datetime) -> None:
    """Give back all that a worker claimed and did not begin."""
    values = {"state": S.PENDING, "worker": None, "lease_until": None, "state_at": now}
    mine = (_P.worker == worker, _P.state == S.CLAIMED)
    c.execute(update(publications).where(*mine).values(**values))


# --- after a crash, and by hand ----------------------------------------------------------------


def recover(c: Connection, is_dead: Callable[[str, datetime], bool], now: datetime) -> int:
    """Take back what dead workers held: claimed becomes pending, submitting uncertain.

    `is_dead` judges a worker by its name and the end of its lease. Returns how many became
    uncertain.
    """
    held = select(_P.id, _P.state, _P.worker, _P.lease_until).where(
        _P.state.in_([S.CLAIMED, S.SUBMITTING])
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
    query = _select().where(_P.state == S.UNCERTAIN, _P.settled.is_(None))
    return _rows(c, _of(channel, query))


def settle(
    c: Connection,
    publication: Publication,
    after: DeliveryState,
    *,
    how: str,
    now: datetime,
    receipt: Receipt | None = None,
) -> bool:
    """Decide one uncertain publication: submitted, pending (again), ended, or in doubt for good.

    False where it is about another attempt by now, of which this says nothing.
    """
    values: dict[str, Any] = {"state": after, "settled": how, "state_at": now, "worker": None}
    if after in {S.REFUSED, S.CANCELLED}:
        values["reason"] = how
    if receipt:
        values |= {"code": None, "reason": None, **_received(receipt)}
    begun_at = publication.begun_at
    same = _P.begun_at.is_(None) if begun_at is None else _P.begun_at == begun_at
    mine = (_P.id == publication.id, _P.state == S.UNCERTAIN, same)
    return c.execute(update(publications).where(*mine).values(**values)).rowcount == 1


def is_known(c: Connection, channel: str, remote_id: str) -> bool:
    """Whether this is the remote id of a publication already."""
    of = (_P.channel == channel, _P.remote_id == remote_id)
    return c.scalar(select(exists(select(_P.id).where(*of)))) is True


def put_off(c: Connection, publication: Publication, now: datetime) -> None:
    """Give this snippet a slot now, and the ones after it theirs as far behind as they were."""
    shift(c, publication, now)
    own = (_P.id == publication.id, _P.state == S.PENDING)
    c.execute(update(publications).where(*own).values(slot=now))


# --- what is out -------------------------------------------------------------------------------


def deleted(c: Connection, publication_id: int, now: datetime) -> bool:
    """Record that it is out no more; False where that is known."""
    mine = (_P.id == publication_id, _P.deleted_at.is_(None))
    return c.execute(update(publications).where(*mine).values(deleted_at=now)).rowcount == 1


def keep(c: Connection, publication_id: int, reason: str) -> bool:
    """Record that its network does not let it be taken down; False where that is known."""
    mine = (_P.id == publication_id, func.coalesce(_P.code, "") != KEPT)
    values = {"code": KEPT, "reason": f"cannot be taken down: {reason}"}
    return c.execute(update(publications).where(*mine).values(**values)).rowcount == 1


def keep_no_more(c: Connection, thread_id: int) -> None:
    """Have all that is out of a thread be taken down, whatever the network said before."""
    mine = (_P.thread_id == thread_id, _P.code == KEPT)
    c.execute(update(publications).where(*mine).values(code=None, reason=None))


def edited(c: Connection, publication_id: int, values: Mapping[str, Any], receipt: Receipt) -> None:
    """Record what it now says."""
    known = {**values, "version": receipt.version or None}
    c.execute(update(publications).where(_P.id == publication_id).values(**known))


# --- pieces of queries -------------------------------------------------------------------------

_earlier_row = publications.alias("earlier")
_earlier = _earlier_row.c


def _received(receipt: Receipt | None) -> dict[str, Any]:
    return {
        "remote_id": receipt.remote_id if receipt else None,
        "url": receipt.url if receipt else None,
        "version": (receipt.version or None) if receipt else None,
    }


def _any_earlier(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    same = (_earlier.thread_id == _P.thread_id, _earlier.position < _P.position)
    return exists(select(_earlier.id).where(*same, *which))


def _is_next() -> ColumnElement[bool]:
    """Every snippet before it is out."""
    return ~_any_earlier(_earlier.state != S.SUBMITTED)


def _young(oldest: Oldest) -> ColumnElement[bool]:
    return or_(_P.slot > oldest.start, and_(_P.position > 1, _P.slot > oldest.rest))


def _is_due(channel: str, now: datetime, oldest: Oldest) -> tuple[ColumnElement[bool], ...]:
    waited = or_(_P.not_before.is_(None), _P.not_before <= now)
    state = (_P.channel == channel, _P.state == S.PENDING)
    return (*state, _P.slot <= now, _young(oldest), waited, _is_open(), ~_follows_unfinished())


def _is_open() -> ColumnElement[bool]:
    """Its thread is neither held nor to be taken down."""
    t = threads.alias("own").c
    return exists(
        select(t.id).where(t.id == _P.thread_id, t.held_at.is_(None), t.undo_at.is_(None))
    )


def _undone() -> ColumnElement[bool]:
    """Its thread is to be taken down."""
    t = threads.alias("withdrawn").c
    return exists(select(t.id).where(t.id == _P.thread_id, t.undo_at.is_not(None)))


def _follows_unfinished() -> ColumnElement[bool]:
    """It belongs to a standing thread of which something older is not through."""
    t, older = threads.alias("follower").c, threads.alias("older").c
    before = publications.alias("before").c
    undecided = and_(before.state == S.UNCERTAIN, before.settled.is_(None))
    return exists(
        select(before.id).where(
            *(t.id == _P.thread_id, t.after_id.is_not(None)),
            *(older.channel == t.channel, older.scope == t.scope, older.form == t.form),
            *(older.id < t.id, before.thread_id == older.id),
            or_(before.state.in_(UNDERWAY), undecided),
        )
    )


def _room(c: Connection, channel: str, now: datetime, pace: timedelta) -> ColumnElement[bool]:
    """No thread begins within another, nor, where it is late, right behind another.

    After an outage there are threads whose slots have all come: they are kept apart, as their
    slots would have kept them.
    """
    goes_on = _P.position > 1
    mine = _P.channel == channel
    near = (_P.state.in_(UNDERWAY), _P.position > 1, _P.slot <= now + _FAR, _is_next())
    held_by_another = _P.state.in_([S.CLAIMED, S.SUBMITTING])
    if c.scalar(select(exists(select(_P.id).where(mine, or_(held_by_another, and_(*near)))))):
        return goes_on
    said_at = func.coalesce(_P.begun_at, _P.state_at)
    may_be_out = _P.state.in_([S.SUBMITTED, S.UNCERTAIN])
    lately = (mine, may_be_out, said_at > now - min(pace, _FAR), said_at <= now)
    if c.scalar(select(exists(select(_P.id).where(*lately)))):
        return or_(goes_on, _P.slot > now - ON_TIME)
    return true()


def _select() -> Select[Any]:
    others = publications.alias("others")
    count = select(func.count()).where(others.c.thread_id == _P.thread_id)
    of = count.correlate(publications).scalar_subquery().label("of")
    own = (
        *("text", "language", "image_url", "image_alt", "card", "tags", "picture", "card_picture"),
        *("note", "state", "slot", "attempts", "body", "tried_at", "begun_at", "reply_to"),
        *("remote_id", "version", "url", "code", "reason", "state_at", "deleted_at"),
    )
    return (
        select(
            *(_P.id, _P.thread_id, _P.channel, _P.position, of),
            *(posts.c.title, threads.c.post_id, threads.c.form),
            *(_P[name] for name in own),
            threads.c.undo_at,
        )
        .join(threads, threads.c.id == _P.thread_id)
        .join(posts, posts.c.id == threads.c.post_id)
    )


def _of(channel: str | None, query: Select[Any]) -> Select[Any]:
    if channel is not None:
        query = query.where(_P.channel == channel)
    return query.order_by(_P.thread_id, _P.position)


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
    mine = update(publications).where(_P.id == publication_id, _P.state.in_(before))
    if worker is not None:
        mine = mine.where(_P.worker == worker)
    return c.execute(mine.values(**values)).rowcount == 1
