"""Where posts are out on channels, for digests to name below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from digest.model import DeliveryState
from digest.store.tables import publications, threads

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.engine import Connection

#: Bound parameters of one statement; SQLite takes 32,766.
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Root:
    """The first snippet of a post's thread, as it is out on a channel."""

    post_id: int
    channel: str
    url: str


def live_roots(c: Connection, post_ids: Collection[int], as_of: datetime) -> list[Root]:
    """The roots of these posts' threads that were out `as_of`, on all channels, oldest first.

    Neither what was taken down by then nor what was to be.
    """
    p = publications.c
    query = (
        select(threads.c.post_id, p.channel, p.url)
        .join(threads, threads.c.id == p.thread_id)
        .where(
            p.position == 1,
            p.state == DeliveryState.SUBMITTED,
            p.state_at <= as_of,
            p.url.is_not(None),
            or_(p.deleted_at.is_(None), p.deleted_at > as_of),
            or_(threads.c.undo_at.is_(None), threads.c.undo_at > as_of),
        )
        .order_by(p.state_at, p.id)
    )
    ids = sorted(set(post_ids))
    chunks = (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
    return [
        Root(row.post_id, row.channel, row.url)
        for chunk in chunks
        for row in c.execute(query.where(threads.c.post_id.in_(chunk)))
    ]
