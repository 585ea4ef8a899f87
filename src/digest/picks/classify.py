"""All memberships of posts: every series, then every theme, each with its reason."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from digest.model import Membership
from digest.picks.series import series_members
from digest.picks.themes import theme_finder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from digest.config import Config
    from digest.model import Post

#: Raised when the same rules begin to find other posts, or to give other reasons.
METHOD = 1


def classify(posts: Iterable[Post], config: Config) -> dict[int, tuple[Membership, ...]]:
    """The memberships of each post by id, in the order of config; empty where there are none."""
    posts = tuple(posts)
    members = {slug: series_members(posts, series) for slug, series in config.series.items()}
    themes_of = theme_finder(config.themes)

    def of_post(post: Post) -> Iterator[Membership]:
        for slug, whys in members.items():
            if post.id in whys:
                yield Membership("series", slug, whys[post.id])
        for slug, why in themes_of(post).items():
            yield Membership("theme", slug, why)

    return {post.id: tuple(of_post(post)) for post in posts}


def rules_hash(config: Config) -> str:
    """Tells whether stored memberships were found by the rules that config declares now."""
    rules = {
        "method": METHOD,
        "series": {
            slug: series.model_dump(mode="json", include={"match", "exclude"})
            for slug, series in config.series.items()
        },
        "themes": {slug: theme.model_dump(mode="json") for slug, theme in config.themes.items()},
    }
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
