"""Queries on channels, threads and publications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from digest.model import DeliveryState
from digest.store.dialect import insert_ignore
from digest.store.tables import channels, posts, publications, threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.engine import Connection

    from digest.model import Image


@dataclass(frozen=True, slots=True)
class PlannedSnippet:
    """A publication to be."""

    text: str
    measured: int
    image: Image | None
    slot: datetime


@dataclass(frozen=True, slots=True)
class PublicationRow:
    """One snippet of a thread as the ledger has it; `slot` in UTC."""

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


def channel_since(c: Connection, slug: str) -> datetime | None:
    """From when on the channel's posts are threaded, as recorded at its first plan."""
    return c.scalar(select(channels.c.since).where(channels.c.slug == slug))


def open_channel(c: Connection, slug: str, since: datetime) -> None:
    """Record `since` at the first plan, and plan this channel alone until the transaction ends."""
    c.execute(insert_ignore(c, channels), {"slug": slug, "since": since})
    c.execute(select(channels.c.slug).where(channels.c.slug == slug).with_for_update())


def planned_posts(c: Connection, channel: str) -> dict[int, datetime]:
    """The posts that have a thread on the channel, by id, and when it was planned."""
    query = select(threads.c.post_id, func.min(threads.c.planned_at))
    query = query.where(threads.c.channel == channel).group_by(threads.c.post_id)
    return dict(c.execute(query).tuples().all())


def taken_slots(c: Connection, channel: str, now: datetime) -> list[tuple[datetime, datetime]]:
    """The first and last slot of each thread on the channel that is not over yet."""
    first, last = func.min(publications.c.slot), func.max(publications.c.slot)
    query = select(first, last).where(publications.c.channel == channel)
    query = query.group_by(publications.c.thread_id).having(last >= now)
    return [(begins, ends) for begins, ends in c.execute(query)]


def add_thread(
    c: Connection,
    *,
    channel: str,
    post_id: int,
    scope: str,
    reason: str,
    snippets: Sequence[PlannedSnippet],
    now: datetime,
) -> bool:
    """Write a thread with its publications, pending; False where the post has one already."""
    row = {"channel": channel, "post_id": post_id, "scope": scope}
    insert = insert_ignore(c, threads).values(**row, reason=reason, planned_at=now)
    thread_id = c.scalar(insert.returning(threads.c.id))
    if thread_id is None:
        return False
    rows = [_publication(snippet, now) for snippet in snippets]
    of_thread = {"thread_id": thread_id, "channel": channel}
    numbered = [{**of_thread, **r, "position": position} for position, r in enumerate(rows, 1)]
    c.execute(publications.insert(), numbered)
    return True


def load_threads(c: Connection, channel: str | None = None) -> list[ThreadRow]:
    """All threads, or one channel's, in the order of their first slots."""
    in_order: dict[int, list[RowMapping]] = {}
    query = (
        select(*_THREAD, *_PUBLICATION)
        .join(threads, threads.c.id == publications.c.thread_id)
        .join(posts, posts.c.id == threads.c.post_id)
        .order_by(publications.c.thread_id, publications.c.position)
    )
    if channel is not None:
        query = query.where(threads.c.channel == channel)
    for row in c.execute(query).mappings():
        in_order.setdefault(row["thread_id"], []).append(row)
    found = [_thread(rows) for rows in in_order.values()]
    return sorted(found, key=lambda thread: (thread.publications[0].slot, thread.thread_id))


_THREAD = (
    threads.c.id.label("thread_id"),
    *(threads.c[name] for name in ("channel", "post_id", "scope", "planned_at")),
    threads.c.reason.label("why"),
    *(posts.c.title, posts.c.url.label("post_url")),
)
_PUBLICATION = tuple(
    publications.c[name]
    for name in (
        *("id", "position", "text", "measured", "image_url", "image_alt"),
        *("state", "slot", "url", "reason"),
    )
)


def _thread(rows: Sequence[RowMapping]) -> ThreadRow:
    row = rows[0]
    return ThreadRow(
        thread_id=row["thread_id"],
        channel=row["channel"],
        post_id=row["post_id"],
        title=row["title"],
        url=row["post_url"],
        scope=row["scope"],
        reason=row["why"],
        planned_at=row["planned_at"],
        publications=tuple(
            PublicationRow(**{column.name: row[column.name] for column in _PUBLICATION})
            for row in rows
        ),
    )


def _publication(snippet: PlannedSnippet, now: datetime) -> dict[str, object]:
    return {
        "text": snippet.text,
        "measured": snippet.measured,
        "image_url": snippet.image.url if snippet.image else None,
        "image_alt": snippet.image.alt if snippet.image else None,
        "state": DeliveryState.PENDING.value,
        "slot": snippet.slot,
        "state_at": now,
    }
