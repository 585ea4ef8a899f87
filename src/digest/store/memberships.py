"""Memberships: kept as found, and found anew for posts or rules that changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from digest.model import Membership
from digest.picks.classify import classify, rules_hash
from digest.store.dialect import insert_ignore
from digest.store.posts import load_posts
from digest.store.tables import classified, facts, memberships, posts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from digest.config import Config

RULES_FACT = "memberships.rules"
#: Posts read into memory at a time.
BATCH = 1000


def ensure_memberships(c: Connection, config: Config) -> int:
    """Store the memberships of posts that are new, or changed, or all if the rules changed.

    Returns how many posts were read for it. Needs a writing connection; two at once wait for
    each other.
    """
    stored_rules = _lock_rules(c)
    stale = _stale(c, current=stored_rules == rules_hash(config))
    for batch in _batches(list(stale)):
        save_memberships(c, classify(load_posts(c, ids=batch), config))
        _mark_classified(c, {post_id: stale[post_id] for post_id in batch})
    c.execute(update(facts).where(facts.c.name == RULES_FACT).values(value=rules_hash(config)))
    return len(stale)


def load_memberships(c: Connection, config: Config) -> dict[int, tuple[Membership, ...]]:
    """Every post's memberships by the rules of `config`, in its order; reads only.

    What `ensure_memberships` has not stored yet is found on the spot. Posts without any
    membership may be missing.
    """
    rules = c.scalar(select(facts.c.value).where(facts.c.name == RULES_FACT))
    stale = _stale(c, current=rules == rules_hash(config))
    known = {key: place for place, key in enumerate(_keys(config))}
    found: dict[int, list[Membership]] = {}
    for row in c.execute(select(memberships)):
        if row.post_id not in stale and (row.kind, row.slug) in known:
            found.setdefault(row.post_id, []).append(Membership(row.kind, row.slug, row.why))
    loaded = {
        post_id: tuple(sorted(of_post, key=lambda m: known[m.kind, m.slug]))
        for post_id, of_post in found.items()
    }
    for batch in _batches(list(stale)):
        loaded.update(classify(load_posts(c, ids=batch), config))
    return loaded


def save_memberships(c: Connection, found: Mapping[int, Sequence[Membership]]) -> None:
    """Replace the stored memberships of these posts."""
    c.execute(delete(memberships).where(memberships.c.post_id.in_(found)))
    rows = [
        {"post_id": post_id, "kind": m.kind, "slug": m.slug, "why": m.why}
        for post_id, of_post in found.items()
        for m in of_post
    ]
    if rows:
        c.execute(insert_ignore(c, memberships), rows)


def _keys(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("series", slug) for slug in config.series)
    yield from (("theme", slug) for slug in config.themes)


def _lock_rules(c: Connection) -> str | None:
    """The rules that memberships were last found by; the row is ours until the transaction ends."""
    c.execute(insert_ignore(c, facts), {"name": RULES_FACT, "value": ""})
    return c.scalar(select(facts.c.value).where(facts.c.name == RULES_FACT).with_for_update())


def _stale(c: Connection, *, current: bool) -> dict[int, str]:
    """Ids and content hashes of posts whose stored memberships do not count."""
    query = select(posts.c.id, posts.c.content_hash)
    if current:
        seen = classified.c.content_hash
        query = query.outerjoin(classified, classified.c.post_id == posts.c.id)
        query = query.where(seen.is_(None) | (seen != posts.c.content_hash))
    return {row.id: row.content_hash for row in c.execute(query)}


def _mark_classified(c: Connection, hashes: Mapping[int, str]) -> None:
    c.execute(delete(classified).where(classified.c.post_id.in_(hashes)))
    rows = [{"post_id": post_id, "content_hash": seen} for post_id, seen in hashes.items()]
    c.execute(insert_ignore(c, classified), rows)


def _batches(ids: Sequence[int]) -> Iterator[Collection[int]]:
    yield from (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
