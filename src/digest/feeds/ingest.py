"""Storing one page of a feed: which entries are which posts, what is new, what was edited."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from digest.feeds.clean import Unsaved, clean_entry
from digest.feeds.identity import Identified, Key, identify, identity_keys
from digest.feeds.parse import entry_key, entry_name
from digest.feeds.urls import post_url
from digest.store import posts as post_store

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.feeds.parse import Parsed
    from digest.model import CleanPost, Entry
    from digest.store.feeds import FeedState
    from digest.store.posts import Stored


@dataclass(frozen=True, slots=True)
class Page:
    """What storing a page came to.

    `known_since` is set where the page ends with a post that an earlier, whole reading left
    here unchanged: then everything before it is known. `touches` is set where any post of
    the page is such a one.
    """

    new: int
    changed: int
    problems: tuple[str, ...]
    known_since: datetime | None
    touches: datetime | None


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry that can be a post, and what it is known by."""

    name: str
    post: CleanPost
    dated: bool
    keys: tuple[Key, ...]


@dataclass
class _Taking:
    """A page while it is stored."""

    c: Connection
    state: FeedState
    now: datetime
    slugs: Collection[str]
    known: dict[Key, int]
    stored: dict[int, Stored]
    archive_until: datetime | None
    taken: dict[int, str] = field(default_factory=dict)
    edited: set[int] = field(default_factory=set)
    new: int = 0
    changed: int = 0
    problems: list[str] = field(default_factory=list)
    identities: list[tuple[Key, int]] = field(default_factory=list)
    known_since: datetime | None = None
    touches: datetime | None = None


def store_page(
    c: Connection,
    parsed: Parsed,
    state: FeedState,
    *,
    now: datetime,
    slugs: Collection[str],
    skip: Collection[str],
    archive_until: datetime | None = None,
    whole: bool = False,
) -> Page:
    """Insert new posts and update edited ones, of the page as it was parsed.

    `state` is the feed's as this reading began, `slugs` are all feeds that are read, and
    entries whose `entry_key` is in `skip` were stored before in this reading. New posts
    published before `archive_until` are archive. A post whose page was found gone is back with
    an edit, or with a `whole` reading that sees it: a feed may go on showing what is gone.
    """
    problems: list[str] = []
    fresh = (entry for entry in parsed.entries if entry_key(entry) not in skip)
    found = [one for entry in fresh if (one := _prepare(entry, parsed, state.slug, now, problems))]
    known = post_store.find_identities(c, (key for one in found for key in one.keys))
    stored = post_store.load_stored(c, set(known.values()))
    taking = _Taking(c, state, now, slugs, known, stored, archive_until, problems=problems)
    for one in found:
        _take(taking, one)
    post_store.add_identities(c, taking.identities)
    post_store.mark_shown(c, taking.taken if whole else taking.edited, now)
    counts = (taking.new, taking.changed, tuple(taking.problems))
    return Page(*counts, taking.known_since, taking.touches)


def _prepare(
    entry: Entry, parsed: Parsed, slug: str, now: datetime, problems: list[str]
) -> _Found | None:
    """The entry as a post with its keys; None, and the reason in `problems`, where it is none."""
    name = entry_name(entry)
    post = clean_entry(entry, now=now)
    if isinstance(post, Unsaved):
        problems.append(f"{name}: left out, it has {post.reason}")
        return None
    undated = entry.published is None and entry.updated is None
    if undated and entry_key(entry) not in parsed.misdated:
        problems.append(f"{name}: has no date; taken as first seen")
    if post_url(entry.url, "") is None:
        problems.append(f"{name}: its link is no web address; its guid is used instead")
    keys = identity_keys(slug, entry.guid, post.url)
    return _Found(name, post, entry.published is not None, keys)


def _take(taking: _Taking, found: _Found) -> None:
    who = identify(found.keys, taking.known)
    if who.conflict_id is not None:
        taking.problems.append(_conflict(taking, found, who))
    if who.post_id in taking.taken:
        _tell_twin(taking, found, taking.taken[who.post_id])
        post_id = who.post_id
    elif who.post_id is None:
        post_id = _insert(taking, found)
    else:
        post_id = who.post_id
        _compare(taking, found, taking.stored[post_id])
    taking.taken.setdefault(post_id, found.name)
    for key in found.keys:
        if key not in taking.known:
            taking.known[key] = post_id
            taking.identities.append((key, post_id))


def _insert(taking: _Taking, found: _Found) -> int:
    taking.known_since = None
    taking.new += 1
    return post_store.insert_post(
        taking.c,
        found.post,
        feed=taking.state.slug,
        first_seen=taking.now,
        arrived=_arrival(taking, found.post.published),
    )


def _arrival(taking: _Taking, published: datetime) -> datetime:
    """When a new post is news: what the first reading of a feed finds is archive.

    So is what lies further back than that reading could go.
    """
    archive = taking.archive_until is not None and published < taking.archive_until
    first = taking.state.read_whole_at is None
    return published if archive or first else max(published, taking.now)


def _compare(taking: _Taking, found: _Found, before: Stored) -> None:
    """Update an edited post, unless another feed that is still read brought it here."""
    post = found.post
    if not found.dated:
        post = replace(post, published=before.post.published)
    unchanged = post_store.content_hash(post) == before.content_hash
    owned = before.feed == taking.state.slug or before.feed not in taking.slugs
    if owned and not unchanged:
        taking.changed += 1
        taking.edited.add(before.id)
        arrived = before.arrived
        if arrived > taking.now:
            arrived = max(post.published, taking.now)
        post_store.update_post(
            taking.c, before, post, feed=taking.state.slug, arrived=arrived, now=taking.now
        )
    proves = _was_read_whole(before, taking.state) and (unchanged or not owned)
    taking.known_since = before.first_seen if proves else None
    taking.touches = taking.known_since or taking.touches


def _was_read_whole(before: Stored, state: FeedState) -> bool:
    """Whether the post was here when a reading of this feed last reached its end."""
    whole, opened = state.read_whole_at, state.open_since
    if whole is None or before.first_seen > whole:
        return False
    return opened is None or before.first_seen < opened


def _conflict(taking: _Taking, found: _Found, who: Identified) -> str:
    other = taking.stored.get(who.conflict_id or 0)
    whose = repr(other.post.title) if other else f"post {who.conflict_id}"
    return f"{found.name}: its URL belongs to {whose}; taken as the post that its guid names"


def _tell_twin(taking: _Taking, found: _Found, first: str) -> None:
    taking.problems.append(f"{found.name}: is the same post as {first!r}, which came first")
