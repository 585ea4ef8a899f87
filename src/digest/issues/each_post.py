"""Which post comes next for readers of each post: one at a time, the oldest first.

The archive never comes: what arrived before the newsletter began to mail each post does not, nor
what arrived while nobody took it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.issues.compose import newsletter_of
from digest.issues.shelf import read_shelf
from digest.picks.candidates import is_wanted
from digest.store import each_post

if TYPE_CHECKING:
    from datetime import datetime

    from digest.config import Config
    from digest.store.engine import Store


def next_post(store: Store, config: Config, slug: str, at: datetime, *, dry: bool) -> int | None:
    """The post that is to be mailed by itself next, or None.

    With `dry` nothing is remembered, not even that the newsletter began. Raises UsageError for an
    unknown newsletter.
    """
    newsletter = newsletter_of(config, slug)
    # What is written while reading is not kept.
    with store.read() if dry else store.write() as c:
        unmailed = each_post.unmailed(c, slug, each_post.began(c, slug, at), at)
        if not unmailed:
            return None
        if not each_post.has_readers(c, slug):
            each_post.begin_anew(c, slug, at)
            return None
        shelf = read_shelf(c, config, at)
    wanted = (p for p in unmailed if p in shelf.posts and is_wanted(shelf.candidate(p), newsletter))
    return next(wanted, None)
