"""Which posts a channel threads, under which series or theme, and why: decisions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.social.thread import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from digest.config import Config, Series, Theme
    from digest.config_social import Channel
    from digest.model import Membership, Part, Post


@dataclass(frozen=True, slots=True)
class Shelf:
    """The posts at a moment by id, and what they belong to."""

    posts: Mapping[int, Post]
    memberships: Mapping[int, Sequence[Membership]]
    parts: Mapping[int, Sequence[Part]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an editor named, if anything: a series by slug, a post by id."""

    series: str | None = None
    post_id: int | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate: under what it goes out (None where it does not), and why."""

    post: Post
    subject: Subject | None
    reason: str


def candidates(shelf: Shelf, asked: Asked, since: datetime) -> list[Post]:
    """What the editor named, archive included, else what arrived since.

    In order of publication; a series in reading order.
    """
    if asked.post_id is not None:
        return [shelf.posts[asked.post_id]]
    if asked.series is not None:
        numbered = ((_part(shelf, p, asked.series), p) for p in shelf.posts)
        ordered = sorted((part.part, post_id) for part, post_id in numbered if part)
        return [shelf.posts[post_id] for _, post_id in ordered]
    arrived = (post for post in shelf.posts.values() if post.arrived >= since)
    return sorted(arrived, key=lambda post: (post.published, post.id))


def choose(
    post: Post,
    slug: str,
    config: Config,
    shelf: Shelf,
    *,
    asked: Asked,
    done: Mapping[int, datetime],
) -> Chosen:
    """Decide on one candidate of a channel; `done` are its posts with a thread, and since when."""
    if post.id in done:
        return Chosen(
            post, None, f"has a thread on {slug} already, planned {done[post.id]:%Y-%m-%d}"
        )
    taken = [m for m in shelf.memberships.get(post.id, ()) if _takes(config.channels[slug], m)]
    wanted = [m for m in taken if asked.series in (None, m.slug if m.kind == "series" else "")]
    if not wanted:
        asked_for = f"series {asked.series}" if asked.series else "series or theme"
        return Chosen(post, None, f"in no {asked_for} that {slug} takes")
    # Memberships come in the order of config.
    first = wanted[0]
    subject = _subject(first, post, config, shelf)
    others = [_group(m, config).title for m in taken if m is not first]
    return Chosen(post, subject, _reason(subject, first.why, others))


def _takes(channel: Channel, membership: Membership) -> bool:
    if membership.kind == "theme":
        return membership.slug in channel.themes
    return channel.series == "all" or membership.slug in channel.series


def _subject(membership: Membership, post: Post, config: Config, shelf: Shelf) -> Subject:
    group = _group(membership, config)
    part = _part(shelf, post.id, membership.slug) if membership.kind == "series" else None
    scope = f"{membership.kind}:{membership.slug}"
    return Subject(scope, group.title, group.hashtag, part)


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
