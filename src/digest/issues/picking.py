"""Which posts the issue asked for takes: the candidates are read here, the decision is `picks`'.

Reads only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.issues.period import week_of
from digest.model import Interests, Pick
from digest.picks.candidates import (
    MOST_PICKS,
    Waiting,
    pick_news,
    pick_waiting,
    pick_whole,
    window_start,
)
from digest.store import issues as issue_store
from digest.store import overflow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config import Config, Newsletter
    from digest.issues.compose import Asked
    from digest.issues.shelf import Shelf
    from digest.picks.candidates import Candidate, History
    from digest.store.overflow import Kept


def pick_posts(c: Connection, config: Config, asked: Asked, shelf: Shelf) -> tuple[Pick, ...]:
    """Every candidate of the issue, in or out, with the reason."""
    if asked.request.post_id is not None:
        return _pick_post(c, config, asked, shelf)
    if asked.request.scope.is_all:
        return _pick_news(c, config, asked, shelf)
    return _pick_whole(c, config.newsletters[asked.request.newsletter], asked, shelf)


def _history(c: Connection, asked: Asked) -> History:
    request = asked.request
    stream = (request.newsletter, str(request.scope), request.rhythm)
    return issue_store.history(c, *stream, but=asked.period)


def _oldest(newsletter: Newsletter, asked: Asked) -> datetime:
    return window_start(newsletter, asked.request.scheduled_at, asked.one_period_ago)


def _pick_news(c: Connection, config: Config, asked: Asked, shelf: Shelf) -> tuple[Pick, ...]:
    request = asked.request
    newsletter = config.newsletters[request.newsletter]
    history, oldest = _history(c, asked), _oldest(newsletter, asked)
    decided = issue_store.decided_posts(c, request.newsletter, str(request.scope), request.rhythm)
    # A post that no issue ever decided on is a candidate however old it is: after a long
    # outage it must be left out in writing, not in silence.
    candidates = [
        candidate
        for candidate in shelf.candidates()
        if candidate.post.arrived >= oldest
        or (candidate.post.arrived >= asked.began and candidate.post.id not in decided)
        or candidate.post.id in history.waiting
        or candidate.named_in(newsletter.pinned)
    ]
    waiting = _waiting(c, config, asked, shelf)
    return pick_news(
        candidates, newsletter, history, began=asked.began, oldest=oldest, waiting=waiting
    )


def _waiting(c: Connection, config: Config, asked: Asked, shelf: Shelf) -> list[Waiting]:
    """What weekly caps kept back from readers who would get it now and still want it."""
    request = asked.request
    week = week_of(request.scheduled_at, config.site.zone)
    by_post: dict[int, list[Kept]] = {}
    for kept in overflow.kept_back(c, request.newsletter, request.rhythm, week):
        there = kept.post_id in shelf.posts
        if there and Interests.from_key(kept.interests).wants(shelf.candidate(kept.post_id).groups):
            by_post.setdefault(kept.post_id, []).append(kept)
    return [
        Waiting(
            shelf.candidate(post_id),
            sum(kept.readers for kept in found),
            min(kept.first for kept in found),
            max(kept.last for kept in found),
        )
        for post_id, found in by_post.items()
    ]


def _pick_whole(
    c: Connection, newsletter: Newsletter, asked: Asked, shelf: Shelf
) -> tuple[Pick, ...]:
    """All of a series in its order, or all of a theme in order of publication."""
    scope = asked.request.scope
    members = [member for member in shelf.candidates() if str(scope) in member.groups]

    def place(candidate: Candidate) -> tuple[int, datetime, int]:
        parts = shelf.parts.get(candidate.post.id, ())
        own = [part.part for part in parts if scope.kind == "series" and part.slug == scope.slug]
        return own[0] if own else 0, candidate.post.published, candidate.post.id

    taken = {} if asked.request.repeat else _taken_in_period(c, asked)
    return pick_whole(sorted(members, key=place), newsletter, str(scope), taken)


def _taken_in_period(c: Connection, asked: Asked) -> dict[int, str]:
    """What other editions of the same period took; earlier periods are for each reader to tell."""
    history = _history(c, asked)
    base = asked.period.partition(".")[0]
    return {
        post_id: period
        for post_id, period in history.taken.items()
        if period.partition(".")[0].partition(",")[0] == base
    }


def _pick_post(c: Connection, config: Config, asked: Asked, shelf: Shelf) -> tuple[Pick, ...]:
    """The post asked for, and what waits for readers of each post."""
    newsletter, post_id = config.newsletters[asked.request.newsletter], asked.request.post_id
    if post_id is None or post_id not in shelf.posts:
        raise UsageError(f"there is no post {post_id}; `digest posts` lists them")
    if shelf.candidate(post_id).named_in(newsletter.excluded):
        reason = "excluded in the newsletter's config"
        return (Pick(post_id, is_in=False, position=None, reason=reason, code="excluded"),)
    pick = Pick(post_id, is_in=True, position=1, reason="asked for by itself", code="in")
    kept_back = pick_waiting(
        [w for w in _waiting(c, config, asked, shelf) if w.post_id != post_id],
        newsletter,
        _history(c, asked),
        oldest=_oldest(newsletter, asked),
        after=1,
        room=MOST_PICKS - 1,
    )
    return pick, *kept_back
