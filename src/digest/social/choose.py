"""Which posts a channel threads, under which series or theme, and why: decisions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.social.thread import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from digest.config import Config, Series, Theme
    from digest.config_social import Channel, Form
    from digest.model import Membership, Part, Post


@dataclass(frozen=True, slots=True)
class Shelf:
    """The posts at a moment by id, and what they belong to."""

    posts: Mapping[int, Post]
    memberships: Mapping[int, Sequence[Membership]]
    parts: Mapping[int, Sequence[Part]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an editor named, if anything: a series by slug, a post by id.

    `repeat`: what is named goes out again where it has been out. Of what nobody named it says
    nothing, so that no schedule repeats a channel for ever.
    """

    series: str | None = None
    post_id: int | None = None
    repeat: bool = False

    @property
    def repeats(self) -> bool:
        """Whether posts that had a thread go out again."""
        return self.repeat and (self.series is not None or self.post_id is not None)


@dataclass(frozen=True, slots=True)
class Had:
    """What a channel had of a post: threads, and single snippets that brought it back."""

    #: When the last of them was planned.
    planned_at: datetime
    #: How many times it was brought back, by an editor or by rotation; 0 after its first thread.
    repeats: int = 0
    #: When the last snippet of it went out; None where none did.
    last_out: datetime | None = None
    #: One of them is still to go out, or halfway.
    waiting: bool = False

    @property
    def last(self) -> datetime:
        """When it was last on the channel, or was last meant to be."""
        return max(self.planned_at, self.last_out or self.planned_at)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate: under what and how it goes out (None where it does not), and why."""

    post: Post
    subject: Subject | None
    reason: str
    form: Form | None = None
    #: 0 for its first thread on the channel, else which time it is brought back.
    repeat: int = 0


def candidates(shelf: Shelf, asked: Asked, since: datetime, channel: Channel) -> list[Post]:
    """What the editor named, archive included, else what arrived since.

    In order of publication; a series that was named, and one with a standing thread on the
    channel, in reading order.
    """
    if asked.post_id is not None:
        return [shelf.posts[asked.post_id]]
    if asked.series is not None:
        return _in_reading_order(shelf, shelf.posts.values(), asked.series)
    arrived = (post for post in shelf.posts.values() if post.arrived >= since)
    ordered = sorted(arrived, key=lambda post: (post.published, post.id))
    return _standing_in_order(ordered, shelf, channel)


def choose(
    post: Post,
    slug: str,
    config: Config,
    shelf: Shelf,
    *,
    asked: Asked,
    done: Mapping[int, Had],
) -> Chosen:
    """Decide on one candidate of a channel; `done` are the posts that it had something of."""
    had, channel = done.get(post.id), config.channels[slug]
    if why_not := _why_not(post, had, slug, asked):
        return Chosen(post, None, why_not)
    taken = _taken(post, shelf, channel)
    wanted = [m for m in taken if asked.series in (None, m.slug if m.kind == "series" else "")]
    if not wanted:
        asked_for = f"series {asked.series}" if asked.series else "series or theme"
        return Chosen(post, None, f"in no {asked_for} that {slug} takes")
    # Memberships come in the order of config.
    first = wanted[0]
    subject = _subject(first, post, config, shelf)
    others = [_group(m, config).title for m in taken if m is not first]
    reason = _reason(subject, first.why, others) + (_once_more(had) if had else "")
    repeat = had.repeats + 1 if had else 0
    return Chosen(post, subject, reason, channel.form_of(subject.scope), repeat)


def subject_of(scope: str, post: Post, config: Config, shelf: Shelf) -> Subject | None:
    """What a thread planned under that scope stands under; None where the post left it."""
    found = (m for m in shelf.memberships.get(post.id, ()) if _scope(m) == scope)
    membership = next(found, None)
    return _subject(membership, post, config, shelf) if membership else None


def other_hashtags(scope: str, post: Post, config: Config, shelf: Shelf) -> tuple[str, ...]:
    """Those of the other series and themes that the post is of, in the order of config."""
    others = (m for m in shelf.memberships.get(post.id, ()) if _scope(m) != scope)
    return tuple(_group(m, config).hashtag for m in others)


def why_gone(post: Post) -> str | None:
    """In words, where its page was found gone."""
    return f"withdrawn: its page was gone on {post.gone_at:%Y-%m-%d}" if post.gone_at else None


def _why_not(post: Post, had: Had | None, slug: str, asked: Asked) -> str | None:
    if had and not asked.repeats:
        return f"has a thread on {slug} already, planned {had.planned_at:%Y-%m-%d}"
    if had and had.waiting:
        return f"has a thread on {slug} that is still to go out, planned {had.planned_at:%Y-%m-%d}"
    return why_gone(post)


def _once_more(had: Had) -> str:
    was = f"was out on {had.last_out:%Y-%m-%d}" if had.last_out else "never went out"
    return f"; once more on purpose: it {was}"


def _taken(post: Post, shelf: Shelf, channel: Channel) -> list[Membership]:
    """What it belongs to that the channel takes; what it goes out under comes first."""
    return [m for m in shelf.memberships.get(post.id, ()) if _takes(channel, m)]


def _takes(channel: Channel, membership: Membership) -> bool:
    if membership.kind == "theme":
        return membership.slug in channel.themes
    return channel.series == "all" or membership.slug in channel.series


def _standing_in_order(ordered: Sequence[Post], shelf: Shelf, channel: Channel) -> list[Post]:
    """Posts of a standing series change places among themselves until they read in order."""
    series_of = {post.id: _standing_series(post, shelf, channel) for post in ordered}
    queues = {
        slug: iter(_in_reading_order(shelf, (p for p in ordered if series_of[p.id] == slug), slug))
        for slug in series_of.values()
        if slug is not None
    }
    slugs = [series_of[post.id] for post in ordered]
    return [
        post if slug is None else next(queues[slug])
        for post, slug in zip(ordered, slugs, strict=True)
    ]


def _standing_series(post: Post, shelf: Shelf, channel: Channel) -> str | None:
    for membership in _taken(post, shelf, channel)[:1]:
        scope = _scope(membership)
        if channel.form_of(scope) == "standing" and _part(shelf, post.id, membership.slug):
            return membership.slug
    return None


def _in_reading_order(shelf: Shelf, posts: Iterable[Post], series: str) -> list[Post]:
    """Those of the posts that are of the series."""
    numbered = ((_part(shelf, post.id, series), post.id) for post in posts)
    ordered = sorted((part.part, post_id) for part, post_id in numbered if part)
    return [shelf.posts[post_id] for _, post_id in ordered]


def _subject(membership: Membership, post: Post, config: Config, shelf: Shelf) -> Subject:
    group = _group(membership, config)
    part = _part(shelf, post.id, membership.slug) if membership.kind == "series" else None
    return Subject(_scope(membership), group.title, group.hashtag, part)


def _scope(membership: Membership) -> str:
    return f"{membership.kind}:{membership.slug}"


def _group(membership: Membership, config: Config) -> Series | Theme:
    declared = config.series if membership.kind == "series" else config.themes
    return declared[membership.slug]


def _part(shelf: Shelf, post_id: int, series: str) -> Part | None:
    return next((part for part in shelf.parts.get(post_id, ()) if part.slug == series), None)


def _reason(subject: Subject, why: str, others: Sequence[str]) -> str:
    part = subject.part
    place = f"part {part.part} of {part.of} of {subject.title}: " if part else ""
    once = f"; also in {', '.join(others)}, but goes out once" if others else ""
    return f"{place}{why}{once}"
