"""What is remembered of each feed between two readings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from sqlalchemy import func, literal, select, update

from digest.store.dialect import insert_ignore
from digest.store.tables import Utc, feeds

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class FeedState:
    """Times are UTC; None where nothing of the kind has happened."""

    slug: str
    url: str
    etag: str | None = None
    last_modified: str | None = None
    not_before: datetime | None = None
    paused_reason: str | None = None
    read_whole_at: datetime | None = None
    open_since: datetime | None = None
    last_read_at: datetime | None = None
    last_error: str | None = None


_COLUMNS = tuple(feeds.c[name.name] for name in fields(FeedState))


def load_feed(c: Connection, slug: str, url: str) -> FeedState:
    """The feed's state; a fresh one where it was never read, or under another URL.

    Under another URL nothing is known: what it holds may be another blog's archive.
    """
    row = c.execute(select(*_COLUMNS).where(feeds.c.slug == slug, feeds.c.url == url)).one_or_none()
    return FeedState(*row) if row is not None else FeedState(slug, url)


def begin_feed(c: Connection, slug: str, url: str) -> None:
    """Give the feed its row, void of what was known under another URL."""
    c.execute(insert_ignore(c, feeds).values(slug=slug, url=url))
    void = {column.name: None for column in _COLUMNS if column.name not in {"slug", "url"}}
    c.execute(update(feeds).where(feeds.c.slug == slug, feeds.c.url != url).values(**void, url=url))


def mark_open(c: Connection, slug: str, now: datetime) -> None:
    """A reading has stored posts and not reached its end yet: validators no longer hold."""
    since = func.coalesce(feeds.c.open_since, literal(now, Utc()))
    c.execute(
        update(feeds)
        .where(feeds.c.slug == slug)
        .values(open_since=since, etag=None, last_modified=None)
    )


def mark_whole(
    c: Connection, slug: str, now: datetime, *, etag: str | None, last_modified: str | None
) -> None:
    """A reading reached its end: everything before it is known."""
    c.execute(
        update(feeds)
        .where(feeds.c.slug == slug)
        .values(
            etag=etag,
            last_modified=last_modified,
            read_whole_at=now,
            open_since=None,
            last_read_at=now,
            last_error=None,
            not_before=None,
            paused_reason=None,
        )
    )


def mark_unchanged(c: Connection, slug: str, now: datetime) -> None:
    """A reading found nothing to read."""
    c.execute(
        update(feeds)
        .where(feeds.c.slug == slug)
        .values(last_read_at=now, last_error=None, not_before=None, paused_reason=None)
    )


def mark_failed(
    c: Connection,
    slug: str,
    now: datetime,
    error: str,
    *,
    not_before: datetime | None = None,
    paused_reason: str | None = None,
) -> None:
    """A reading did not reach its end; what it stored stays."""
    c.execute(
        update(feeds)
        .where(feeds.c.slug == slug)
        .values(
            last_read_at=now,
            last_error=error,
            not_before=not_before,
            paused_reason=paused_reason,
        )
    )
