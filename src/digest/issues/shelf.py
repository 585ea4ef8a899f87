"""The posts as they stood at a moment, with what series and themes they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.picks.candidates import Candidate
from digest.picks.series import parts_of
from digest.store.memberships import load_memberships
from digest.store.posts import load_posts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.model import Membership, Part, Post


@dataclass(frozen=True, slots=True)
class Shelf:
    """All posts that had arrived, by id, with memberships and parts."""

    posts: Mapping[int, Post]
    memberships: Mapping[int, Sequence[Membership]]
    parts: Mapping[int, Sequence[Part]]

    def candidates(self) -> list[Candidate]:
        """Every post as a candidate, in order of id."""
        return [self.candidate(post_id) for post_id in sorted(self.posts)]

    def candidate(self, post_id: int) -> Candidate:
        whys = {f"{m.kind}:{m.slug}": m.why for m in self.memberships.get(post_id, ())}
        return Candidate(self.posts[post_id], whys)


def read_shelf(c: Connection, config: Config, as_of: datetime | None = None) -> Shelf:
    """The shelf as of a moment, or as it is now. Memberships must be up to date."""
    posts = {post.id: post for post in load_posts(c, as_of=as_of)}
    memberships = load_memberships(c, config)
    return Shelf(posts, memberships, parts_of(posts.values(), memberships, config))
