"""Posts, what they are known by, and how they changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import func, insert, or_, select, text, tuple_, update

from digest.feeds.identity import Key, identity_keys
from digest.model import CleanPost, Image, Post
from digest.store.dialect import insert_ignore
from digest.store.tables import post_changes, post_identities, posts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.engine import Connection

_T = TypeVar("_T")

#: Any number that only this transaction uses: the key of PostgreSQL's advisory lock.
_POSTS_LOCK = 0x706F7374
#: Bound parameters of one statement; SQLite takes 32,766.
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Stored:
    """A post as the store knows it, with what only a reading of feeds asks about."""

    id: int
    feed: str | None
    first_seen: datetime
    arrived: datetime
    content_hash: str
    post: CleanPost


def lock_posts(c: Connection) -> None:
    """Let one transaction at a time decide which posts are new.

    SQLite's write transaction is such a lock already.
    """
    if c.dialect.name != "sqlite":
        c.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTS_LOCK})


def load_posts(
    c: Connection, *, ids: Collection[int] | None = None, as_of: datetime | None = None
) -> list[Post]:
    """Posts, oldest first: all, those of `ids`, those that had arrived `as_of`."""
    query = select(posts).order_by(posts.c.published, posts.c.id)
    if as_of is not None:
        query = query.where(posts.c.arrived <= as_of)
    if ids is None:
        return [_post(row) for row in c.execute(query)]
    found = [
        _post(row)
        for chunk in _chunks(sorted(set(ids)))
        for row in c.execute(query.where(posts.c.id.in_(chunk)))
    ]
    return sorted(found, key=lambda post: (post.published, post.id))


def post_by_id(c: Connection, post_id: int) -> Post | None:
    row = c.execute(select(posts).where(posts.c.id == post_id)).one_or_none()
    return _post(row) if row is not None else None


def find_post(c: Connection, url_or_guid: str) -> Post | None:
    """The post that an operator means by a URL (canonical or not) or a guid."""
    keys = identity_keys("", url_or_guid, url_or_guid)
    known = set(find_identities(c, keys).values())
    query = select(posts).where(or_(posts.c.guid == url_or_guid, posts.c.id.in_(known)))
    row = c.execute(query.order_by(posts.c.id).limit(1)).one_or_none()
    return _post(row) if row is not None else None


def find_identities(c: Connection, keys: Iterable[Key]) -> dict[Key, int]:
    """The posts that these keys lead to; unknown keys are absent."""
    pairs = sorted({(key.kind, key.value) for key in keys})
    table = post_identities
    return {
        Key(row.kind, row.value): row.post_id
        for chunk in _chunks(pairs)
        for row in c.execute(select(table).where(tuple_(table.c.kind, table.c.value).in_(chunk)))
    }


def load_stored(c: Connection, ids: Collection[int]) -> dict[int, Stored]:
    return {
        row.id: Stored(
            row.id, row.feed, row.first_seen, row.arrived, row.content_hash, _clean_post(row)
        )
        for chunk in _chunks(sorted(ids))
        for row in c.execute(select(posts).where(posts.c.id.in_(chunk)))
    }


def oldest_published(c: Connection, feed: str) -> datetime | None:
    """The date of the oldest post that this feed brought; None where it brought none."""
    query = select(func.min(posts.c.published)).where(posts.c.feed == feed)
    oldest: datetime | None = c.scalar(query)
    return oldest


def insert_post(
    c: Connection, post: CleanPost, *, feed: str, first_seen: datetime, arrived: datetime
) -> int:
    values = _values(post) | {"feed": feed, "first_seen": first_seen, "arrived": arrived}
    return int(c.execute(insert(posts).values(values).returning(posts.c.id)).scalar_one())


def update_post(
    c: Connection, before: Stored, post: CleanPost, *, feed: str, arrived: datetime, now: datetime
) -> None:
    """Store an edited post, and what the edit changed."""
    values = _values(post) | {"feed": feed, "arrived": arrived, "changed_at": now}
    c.execute(update(posts).where(posts.c.id == before.id).values(values))
    fields = changed_fields(before.post, post)
    c.execute(insert(post_changes).values(post_id=before.id, at=now, fields=fields))


def mark_gone(c: Connection, post_ids: Collection[int], at: datetime) -> None:
    """The posts' pages were found gone at `at`; one gone already stays gone since then."""
    for chunk in _chunks(sorted(set(post_ids))):
        there = posts.c.id.in_(chunk) & posts.c.gone_at.is_(None)
        c.execute(update(posts).where(there).values(gone_at=at))


def mark_shown(c: Connection, post_ids: Collection[int], now: datetime) -> None:
    """A reading that began at `now` found the posts to be there: what was gone before is back."""
    for chunk in _chunks(sorted(set(post_ids))):
        gone = posts.c.id.in_(chunk) & (posts.c.gone_at <= now)
        c.execute(update(posts).where(gone).values(gone_at=None))


def add_identities(c: Connection, identities: Iterable[tuple[Key, int]]) -> None:
    """Let keys lead to posts; a key that leads somewhere already stays as it is."""
    rows = [{"kind": k.kind, "value": k.value, "post_id": post_id} for k, post_id in identities]
    if rows:
        c.execute(insert_ignore(c, post_identities), rows)


def content_hash(post: CleanPost) -> str:
    """sha256 over every field that a reader could see."""
    written = json.dumps(_shown(post), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode("ascii")).hexdigest()


def changed_fields(before: CleanPost, after: CleanPost) -> dict[str, dict[str, Any]]:
    """{"title": {"before": ..., "after": ...}, ...} of the fields a reader could see."""
    old, new = _shown(before), _shown(after)
    return {
        name: {"before": old[name], "after": new[name]} for name in new if old[name] != new[name]
    }


def _shown(post: CleanPost) -> dict[str, Any]:
    """Every field that a reader could see, ready for JSON."""
    image = post.image
    return {
        "url": post.url,
        "title": post.title,
        "author": post.author,
        "published": post.published.isoformat(),
        "categories": list(post.categories),
        "html": post.html,
        "text": post.text,
        "excerpt": post.excerpt,
        "image": [image.url, image.alt, image.width, image.height] if image else None,
        "reading_minutes": post.reading_minutes,
    }


def _values(post: CleanPost) -> dict[str, Any]:
    image = post.image
    return {
        "guid": post.guid,
        "url": post.url,
        "title": post.title,
        "author": post.author,
        "published": post.published,
        "categories": list(post.categories),
        "html": post.html,
        "text": post.text,
        "excerpt": post.excerpt,
        "image_url": image.url if image else None,
        "image_alt": image.alt if image else None,
        "image_width": image.width if image else None,
        "image_height": image.height if image else None,
        "reading_minutes": post.reading_minutes,
        "content_hash": content_hash(post),
    }


def _shared(row: Row[Any]) -> dict[str, Any]:
    """The one place where a row becomes the fields of a post."""
    image = None
    if row.image_url:
        size = (row.image_width or 0, row.image_height or 0)
        image = Image(row.image_url, row.image_alt or "", *size)
    return {
        "guid": row.guid,
        "url": row.url,
        "title": row.title,
        "author": row.author,
        "published": row.published,
        "categories": tuple(row.categories),
        "html": row.html,
        "text": row.text,
        "excerpt": row.excerpt,
        "image": image,
        "reading_minutes": row.reading_minutes,
    }


def _post(row: Row[Any]) -> Post:
    return Post(id=row.id, arrived=row.arrived, gone_at=row.gone_at, **_shared(row))


def _clean_post(row: Row[Any]) -> CleanPost:
    return CleanPost(**_shared(row))


def _chunks(values: list[_T]) -> list[list[_T]]:
    return [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
