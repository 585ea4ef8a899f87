"""Queries on channels and threads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, exists, func, or_, select, update

from digest.model import DeliveryState
from digest.social.choose import Had
from digest.store.dialect import insert_ignore
from digest.store.publications import KEPT, UNDERWAY
from digest.store.tables import channels, charges, posts, publications, threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.engine import Connection

    from digest.model import Act, Image
    from digest.social.thread import LinkCard

S = DeliveryState


@dataclass(frozen=True, slots=True)
class PlannedSnippet:
    """A publication to be; `slot` in UTC."""

    text: str
    measured: int
    image: Image | None
    slot: datetime
    card: LinkCard | None = None
    #: Hashtags that stand in no text, without the #.
    tags: tuple[str, ...] = ()
    language: str = "en"


@dataclass(frozen=True, slots=True)
class NewThread:
    """A thread to be."""

    channel: str
    post_id: int
    scope: str
    reason: str
    snippets: Sequence[PlannedSnippet]
    form: str = "thread"
    #: 0, or which time it is brought back.
    repeat: int = 0
    evergreen: bool = False
    #: The thread that it goes on from, where it stands in one that grows.
    after_id: int | None = None
    post_hash: str | None = None


@dataclass(frozen=True, slots=True)
class PublicationRow:
    """One snippet of a thread as the ledger has it; times in UTC."""

    id: int
    position: int
    text: str
    measured: int
    image_url: str | None
    image_alt: str | None
    state: str
    slot: datetime
    url: str | None
    reason: str | None
    card: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None
    note: str | None = None
    attempts: int = 0
    deleted_at: datetime | None = None
    #: How it was decided, where it was in doubt.
    settled: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A thread as the ledger has it, with its publications in order; times in UTC."""

    thread_id: int
    channel: str
    post_id: int
    title: str
    url: str
    scope: str
    reason: str
    planned_at: datetime
    publications: tuple[PublicationRow, ...]
    form: str = "thread"
    repeat: int = 0
    evergreen: bool = False
    after_id: int | None = None
    post_hash: str | None = None
    held_at: datetime | None = None
    held_why: str | None = None
    undo_at: datetime | None = None
    undo_by: str | None = None
    undo_why: str | None = None
    proved_at: datetime | None = None
    differs: str | None = None
    #: The post's, now.
    content_hash: str | None = None
    gone_at: datetime | None = None

    @property
    def live(self) -> tuple[PublicationRow, ...]:
        """What is out, as far as we know."""
        return tuple(
            one for one in self.publications if one.state == S.SUBMITTED and not one.deleted_at
        )


def channel_since(c: Connection, slug: str) -> datetime | None:
    """From when on the channel's posts are threaded, as recorded at its first plan."""
    return c.scalar(select(channels.c.since).where(channels.c.slug == slug))


def open_channel(c: Connection, slug: str, since: datetime) -> None:
    """Record `since` at the first plan, and plan this channel alone until the transaction ends."""
    c.execute(insert_ignore(c, channels), {"slug": slug, "since": since})
    c.execute(select(channels.c.slug).where(channels.c.slug == slug).with_for_update())


def planned_posts(c: Connection, channel: str) -> dict[int, Had]:
    """What the channel had of posts, by their ids."""
    p = publications.c
    out = func.max(case((p.state == S.SUBMITTED, p.state_at)))
    waiting = func.max(case((or_(p.state.in_(UNDERWAY), _UNDECIDED), 1), else_=0))
    query = (
        select(
            threads.c.post_id,
            func.max(threads.c.planned_at),
            func.max(threads.c.repeat),
            out,
            waiting,
        )
        .join(publications, p.thread_id == threads.c.id)
        .where(threads.c.channel == channel)
        .group_by(threads.c.post_id)
    )
    return {
        post_id: Had(planned_at, repeats, last_out, bool(underway))
        for post_id, planned_at, repeats, last_out, underway in c.execute(query).tuples()
    }


def taken_slots(c: Connection, channel: str, now: datetime) -> list[tuple[datetime, datetime]]:
    """The first and last slot of each thread on the channel that is not over yet."""
    first, last = func.min(publications.c.slot), func.max(publications.c.slot)
    query = select(first, last).where(publications.c.channel == channel)
    query = query.group_by(publications.c.thread_id).having(last >= now)
    return [(begins, ends) for begins, ends in c.execute(query)]


def last_standing(c: Connection, channel: str, scope: str) -> tuple[int, datetime] | None:
    """The newest thread of a standing one that is not taken down, and its last slot."""
    mine = (threads.c.channel == channel, threads.c.scope == scope, threads.c.form == "standing")
    newest = select(func.max(threads.c.id)).where(*mine, threads.c.undo_at.is_(None))
    thread_id = c.scalar(newest)
    if thread_id is None:
        return None
    slots = select(func.max(publications.c.slot)).where(publications.c.thread_id == thread_id)
    return thread_id, c.execute(slots).scalar_one()


def news_on(c: Connection, channel: str, since: datetime) -> list[datetime]:
    """When something new went out on the channel since then, or is to go out."""
    p = publications.c
    alive = p.state.in_([*UNDERWAY, S.UNCERTAIN, S.SUBMITTED])
    moment = case((p.state == S.SUBMITTED, p.state_at), else_=p.slot)
    query = (
        select(moment)
        .join(threads, threads.c.id == p.thread_id)
        .where(threads.c.channel == channel, threads.c.repeat == 0, alive, moment >= since)
    )
    return list(c.scalars(query))


def last_brought(c: Connection, channel: str) -> datetime | None:
    """The latest slot of what rotation brought back on the channel."""
    query = (
        select(func.max(publications.c.slot))
        .join(threads, threads.c.id == publications.c.thread_id)
        .where(threads.c.channel == channel, threads.c.evergreen)
    )
    found: datetime | None = c.scalar(query)
    return found


def was_said(c: Connection, channel: str, texts: Sequence[str]) -> bool:
    """Whether one of these texts is, or will be, on the channel already."""
    p = publications.c
    mine = (p.channel == channel, p.text.in_(list(texts)), p.state != S.CANCELLED)
    return c.scalar(select(exists(select(p.id).where(*mine)))) is True


def add_thread(c: Connection, new: NewThread, now: datetime) -> int | None:
    """Write a thread with its publications, pending; None where the post has one already."""
    insert = insert_ignore(c, threads).values(
        channel=new.channel,
        post_id=new.post_id,
        scope=new.scope,
        reason=new.reason,
        form=new.form,
        repeat=new.repeat,
        evergreen=new.evergreen,
        after_id=new.after_id,
        post_hash=new.post_hash,
        planned_at=now,
    )
    thread_id = c.scalar(insert.returning(threads.c.id))
    if thread_id is not None:
        _add_publications(c, thread_id, new.channel, new.snippets, now)
    return thread_id


def remake_thread(
    c: Connection,
    thread: ThreadRow,
    snippets: Sequence[PlannedSnippet],
    post_hash: str | None,
    now: datetime,
) -> bool:
    """Put other snippets in the place of those of a thread of which nothing was ever tried.

    False where it was taken down a moment ago.
    """
    open_one = (threads.c.id == thread.thread_id, threads.c.undo_at.is_(None))
    if c.scalar(select(threads.c.id).where(*open_one).with_for_update()) is None:
        return False
    p = publications.c
    # What its pictures cost stays spent.
    gone = select(p.id).where(p.thread_id == thread.thread_id)
    spent = update(charges).where(charges.c.publication_id.in_(gone))
    c.execute(spent.values(publication_id=None))
    c.execute(delete(publications).where(p.thread_id == thread.thread_id))
    _add_publications(c, thread.thread_id, thread.channel, snippets, now)
    compared(c, thread.thread_id, post_hash)
    return True


def compared(c: Connection, thread_id: int, post_hash: str | None) -> None:
    """Record with which version of its post a thread was last compared."""
    mine = threads.c.id == thread_id
    c.execute(update(threads).where(mine).values(post_hash=post_hash))


def hold(c: Connection, thread_id: int, why: str, now: datetime) -> bool:
    """Let a thread wait for an editor; False where it does already."""
    mine = (threads.c.id == thread_id, threads.c.held_at.is_(None))
    values = {"held_at": now, "held_why": why}
    return c.execute(update(threads).where(*mine).values(**values)).rowcount == 1


def release_thread(c: Connection, thread_id: int) -> bool:
    """Let a held thread go on; False where it is not held."""
    mine = (threads.c.id == thread_id, threads.c.held_at.is_not(None))
    # Why it was stays: it is not held for the same again.
    return c.execute(update(threads).where(*mine).values(held_at=None)).rowcount == 1


def ask_undo(c: Connection, thread_id: int, act: Act) -> bool:
    """Mark a thread to be taken down, and end what is still to go out; False: it is already."""
    mine = (threads.c.id == thread_id, threads.c.undo_at.is_(None))
    values = {"undo_at": act.at, "undo_by": act.actor, "undo_why": act.reason}
    asked = c.execute(update(threads).where(*mine).values(**values)).rowcount == 1
    p = publications.c
    pending = (p.thread_id == thread_id, p.state == S.PENDING)
    ended = {"state": S.CANCELLED, "reason": "its thread was taken down", "state_at": act.at}
    c.execute(update(publications).where(*pending).values(**ended))
    return asked


def proved(c: Connection, thread_id: int, differs: str, now: datetime) -> bool:
    """Record that a thread was read back, and what was not as it should be; False: it was."""
    mine = (threads.c.id == thread_id, threads.c.proved_at.is_(None))
    values = {"proved_at": now, "differs": differs or None}
    return c.execute(update(threads).where(*mine).values(**values)).rowcount == 1


def to_undo(c: Connection, channel: str) -> list[int]:
    """The threads to be taken down of which something is out that may be taken down."""
    may_be = func.coalesce(_P.code, "") != KEPT
    mine = (threads.c.channel == channel, threads.c.undo_at.is_not(None), _is_out(may_be))
    return list(c.scalars(select(threads.c.id).where(*mine).order_by(threads.c.id)))


def to_prove(c: Connection, channel: str, until: datetime) -> list[int]:
    """The threads that are through since `until`, have something out and were not read back."""
    p = publications.c
    of = p.thread_id == threads.c.id
    undecided = and_(p.state == S.UNCERTAIN, p.settled.is_(None))
    unfinished = select(p.id).where(of, or_(p.state.in_(UNDERWAY), undecided, p.state_at > until))
    out = select(p.id).where(of, p.state == S.SUBMITTED, p.deleted_at.is_(None))
    mine = (
        threads.c.channel == channel,
        threads.c.proved_at.is_(None),
        threads.c.undo_at.is_(None),
    )
    query = select(threads.c.id).where(*mine, exists(out), ~exists(unfinished))
    return list(c.scalars(query.order_by(threads.c.id)))


def broken_off(c: Connection, channel: str) -> list[int]:
    """The threads with something out of which the rest never will be, and nobody was told yet."""
    missing = exists(select(_P.id).where(_OF_IT, _P.state.in_([S.REFUSED, S.FAILED, S.CANCELLED])))
    untold = threads.c.proved_at.is_(None)
    query = select(threads.c.id).where(*_is_through(channel), missing, untold)
    return list(c.scalars(query.order_by(threads.c.id)))


def drifted(c: Connection, channel: str) -> list[int]:
    """The threads with something out whose post is not what it was, or gone."""
    other = or_(
        and_(posts.c.gone_at.is_(None), threads.c.post_hash != posts.c.content_hash),
        and_(posts.c.gone_at.is_not(None), threads.c.post_hash != GONE),
    )
    changed = (
        select(threads.c.id)
        .join(posts, posts.c.id == threads.c.post_id)
        .where(threads.c.channel == channel, other)
    )
    # First the few that changed: of every thread ever, SQLite would read all that is out.
    found = list(c.scalars(changed))
    query = select(threads.c.id).where(*_is_through(channel), threads.c.id.in_(found))
    return list(c.scalars(query.order_by(threads.c.id))) if found else []


#: In the place of a post's hash: its thread was last compared with a post that is gone.
GONE = "gone"


def lately_out(c: Connection, since: datetime) -> list[ThreadRow]:
    """A thread of each post of which something went out since then and is out still."""
    out = publications.alias("out").c
    live = (out.state == S.SUBMITTED, out.deleted_at.is_(None), out.state_at >= since)
    recent = threads.c.id.in_(select(out.thread_id).where(*live))
    found = _load(c, posts.c.gone_at.is_(None), recent)
    return list({thread.post_id: thread for thread in found}.values())


def load_thread(c: Connection, thread_id: int) -> ThreadRow | None:
    """One thread."""
    found = _load(c, threads.c.id == thread_id)
    return found[0] if found else None


def threads_of_ids(c: Connection, thread_ids: Sequence[int]) -> list[ThreadRow]:
    """These threads, in the order of their first slots."""
    return _load(c, threads.c.id.in_(thread_ids))


def load_threads(c: Connection, channel: str | None = None) -> list[ThreadRow]:
    """All threads, or one channel's, in the order of their first slots."""
    return _load(c, *([threads.c.channel == channel] if channel is not None else []))


def _load(c: Connection, *which: Any) -> list[ThreadRow]:
    in_order: dict[int, list[RowMapping]] = {}
    query = (
        select(*_THREAD, *_PUBLICATION)
        .join(threads, threads.c.id == publications.c.thread_id)
        .join(posts, posts.c.id == threads.c.post_id)
        .where(*which)
        .order_by(publications.c.thread_id, publications.c.position)
    )
    for row in c.execute(query).mappings():
        in_order.setdefault(row["thread_id"], []).append(row)
    found = [_thread(rows) for rows in in_order.values()]
    return sorted(found, key=lambda thread: (thread.publications[0].slot, thread.thread_id))


_P = publications.c
_OF_IT = _P.thread_id == threads.c.id
_UNDECIDED = and_(_P.state == S.UNCERTAIN, _P.settled.is_(None))


def _is_out(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Something of the thread is out, of a kind."""
    live = (_P.state == S.SUBMITTED, _P.deleted_at.is_(None))
    return exists(select(_P.id).where(_OF_IT, *live, *which))


def _is_through(channel: str) -> tuple[ColumnElement[bool], ...]:
    """It is out, nothing of it is to come or in doubt, and it is to stay."""
    unfinished = exists(select(_P.id).where(_OF_IT, or_(_P.state.in_(UNDERWAY), _UNDECIDED)))
    return threads.c.channel == channel, threads.c.undo_at.is_(None), _is_out(), ~unfinished


_OWN = (
    *("channel", "post_id", "scope", "planned_at", "form", "repeat", "evergreen", "after_id"),
    "post_hash",
    *("held_at", "held_why", "undo_at", "undo_by", "undo_why", "proved_at", "differs"),
)
_OF_POST = ("title", "content_hash", "gone_at")
_THREAD = (
    threads.c.id.label("thread_id"),
    *(threads.c[name] for name in _OWN),
    threads.c.reason.label("why"),
    *(posts.c[name] for name in _OF_POST),
    posts.c.url.label("post_url"),
)
_PUBLICATION = tuple(
    publications.c[name]
    for name in (
        *("id", "position", "text", "measured", "image_url", "image_alt", "card", "tags", "note"),
        *("state", "slot", "url", "reason", "attempts", "deleted_at", "settled"),
    )
)


def _thread(rows: Sequence[RowMapping]) -> ThreadRow:
    row = rows[0]
    return ThreadRow(
        thread_id=row["thread_id"],
        url=row["post_url"],
        reason=row["why"],
        **{name: row[name] for name in (*_OWN, *_OF_POST)},
        publications=tuple(
            PublicationRow(**{column.name: row[column.name] for column in _PUBLICATION})
            for row in rows
        ),
    )


def _add_publications(
    c: Connection,
    thread_id: int,
    channel: str,
    snippets: Sequence[PlannedSnippet],
    now: datetime,
) -> None:
    of_thread = {"thread_id": thread_id, "channel": channel}
    rows = [_publication(snippet, now) for snippet in snippets]
    numbered = [{**of_thread, **r, "position": position} for position, r in enumerate(rows, 1)]
    c.execute(publications.insert(), numbered)


def _publication(snippet: PlannedSnippet, now: datetime) -> dict[str, object]:
    return {
        "text": snippet.text,
        "measured": snippet.measured,
        "language": snippet.language,
        "image_url": snippet.image.url if snippet.image else None,
        "image_alt": snippet.image.alt if snippet.image else None,
        "card": card_of(snippet.card),
        "tags": list(snippet.tags),
        "state": S.PENDING.value,
        "slot": snippet.slot,
        "state_at": now,
    }


def card_of(card: LinkCard | None) -> dict[str, Any] | None:
    """A link card as the ledger has it."""
    if card is None:
        return None
    values = asdict(card)
    image = values.pop("image")
    return {**values, "image_url": image["url"] if image else None}
