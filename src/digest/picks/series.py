"""Series: which posts are of one, and which part each of them is.

A part's number is never stored: it is derived from the posts given, so that a look at an
earlier moment has that moment's numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from digest.model import Part, PostLink
from digest.picks.fold import plain, url_key
from digest.picks.match import match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from digest.config import Config, Order, Series
    from digest.model import Membership, Post


def series_members(posts: Iterable[Post], series: Series) -> dict[int, str]:
    """The posts of a series by id, each with the reason. What is excluded stays out."""
    found = ((post, match(post, series.match)) for post in posts)
    return {post.id: why for post, why in found if why and not match(post, series.exclude)}


def number_parts(posts_of_series: Iterable[Post], order: Order) -> tuple[int, ...]:
    """The ids in reading order: published order, as far as `order` does not say otherwise."""
    ranked = sorted(posts_of_series, key=lambda p: (_rank(p, order), p.published, p.id))
    return tuple(post.id for post in ranked)


def parts_of(
    posts: Iterable[Post], memberships: Mapping[int, Sequence[Membership]], config: Config
) -> dict[int, tuple[Part, ...]]:
    """For each post of a series, where it stands; a post of several has several parts.

    Only `posts` count: give all that were published by the moment in question. The parts of
    one post come in the order in which config declares the series.
    """
    by_id = {post.id: post for post in posts}
    parts: dict[int, list[Part]] = {}
    for slug, series in config.series.items():
        whys = _whys(by_id, memberships, slug)
        numbers = number_parts((by_id[post_id] for post_id in whys), series.order)
        ordered = [by_id[post_id] for post_id in numbers]
        for index, post in enumerate(ordered):
            part = _part(slug, series, ordered, index, whys[post.id])
            parts.setdefault(post.id, []).append(part)
    return {post_id: tuple(found) for post_id, found in parts.items()}


def _whys(
    ids: Iterable[int], memberships: Mapping[int, Sequence[Membership]], slug: str
) -> dict[int, str]:
    return {
        post_id: membership.why
        for post_id in ids
        for membership in memberships.get(post_id, ())
        if (membership.kind, membership.slug) == ("series", slug)
    }


def _part(slug: str, series: Series, posts: Sequence[Post], index: int, why: str) -> Part:
    return Part(
        slug=slug,
        title=series.title,
        hashtag=series.hashtag,
        part=index + 1,
        of=len(posts),
        why=why,
        first=_link(posts[0]),
        previous=_link(posts[index - 1]) if index else None,
        next=_link(posts[index + 1]) if index + 1 < len(posts) else None,
    )


def _link(post: Post) -> PostLink:
    return PostLink(post.title, post.url)


def _rank(post: Post, order: Order) -> tuple[int, int]:
    """First, then listed, then the rest, then last; within each as declared."""
    for group, rules in ((0, order.first), (1, order.listed), (3, order.last)):
        for index, rule in enumerate(rules):
            if _names(rule, post):
                return group, index
    return 2, 0


def _names(rule: str, post: Post) -> bool:
    if rule.startswith(("http://", "https://")):
        return url_key(rule) in (url_key(post.url), url_key(post.guid))
    return any(re.search(rule, title, re.IGNORECASE) for title in (post.title, plain(post.title)))
