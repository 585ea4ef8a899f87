"""Which of the threads that are out a digest names below a post."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.issues.content import Talk
from digest.issues.links import is_web
from digest.social.networks import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from digest.config_social import Channel
    from digest.store.talks import Root


def talks_of(roots: Iterable[Root], channels: Mapping[str, Channel]) -> dict[int, tuple[Talk, ...]]:
    """The talks about each post by its id, in the order of the declared channels.

    A network is named once: the first of its accounts that has the post. `roots` come oldest
    first; of a post that was repeated on a channel, the newest thread is the one to join.
    """
    urls = {(root.post_id, root.channel): root.url for root in roots if is_web(root.url)}
    found: dict[int, dict[str, Talk]] = {post_id: {} for post_id, _ in urls}
    for slug, channel in channels.items():
        if channel.kind != "account":
            continue
        name = NETWORKS[channel.network].name
        for post_id, talks in found.items():
            if (post_id, slug) in urls:
                talks.setdefault(name, Talk(name, urls[post_id, slug]))
    return {post_id: tuple(talks.values()) for post_id, talks in found.items()}
