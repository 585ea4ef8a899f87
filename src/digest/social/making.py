"""Making a post's thread for a channel: what config, templates and limits say, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.picks.series import parts_of
from digest.social.choose import Shelf, other_hashtags
from digest.social.networks import network_of
from digest.social.style import style_of
from digest.social.thread import make_thread
from digest.social.wording import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from digest.config import Config
    from digest.model import Limits, Membership, Post
    from digest.social.networks import Network
    from digest.social.thread import Subject, Thread, Unthreadable


@dataclass(frozen=True, slots=True)
class Maker:
    """What threads are made with. `templates` is the folder that holds `social/`."""

    config: Config
    templates: Path
    #: What each account takes, by channel; the network's defaults where none is known.
    limits: Mapping[str, Limits]

    def network(self, slug: str) -> Network:
        """The channel's network, with the limits of its account."""
        return network_of(self.config.channels[slug].network, self.limits.get(slug))

    def make(
        self, post: Post, subject: Subject, slug: str, shelf: Shelf, *, repeat: int = 0
    ) -> Thread | Unthreadable:
        """The thread of a post on a channel; ConfigError for a template at fault."""
        channel = self.config.channels[slug]
        others = other_hashtags(subject.scope, post, self.config, shelf)
        style = style_of(channel, subject.scope, self.config.hashtags, others=others, repeat=repeat)

        def say(name: str, **values: object) -> str:
            return fill(self.templates, f"{name}.txt", **values)

        return make_thread(post, subject, self.network(slug), style, say)


def shelf_of(
    posts: Iterable[Post], memberships: Mapping[int, Sequence[Membership]], config: Config
) -> Shelf:
    """The posts with what they belong to."""
    by_id = {post.id: post for post in posts}
    return Shelf(by_id, memberships, parts_of(by_id.values(), memberships, config))
