"""The archive's queries: issues that went out, and what they brought. Reads only.

An issue is out once a reader may have it: when it is done, or when something of it was said to
a server, however little. Frozen is not out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select, true

from digest.issues.scope import parse_scope
from digest.model import DeliveryState, IssueState
from digest.picks.candidates import OVERFLOW
from digest.store.tables import deliveries, issue_transitions, issues, memberships, picks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

_UNDERWAY = (IssueState.SENDING, IssueState.PAUSED)
#: Somebody may have the mail. Submitting too: it may be read before we know that it arrived.
_LEFT = (DeliveryState.SUBMITTING, DeliveryState.SUBMITTED, DeliveryState.UNCERTAIN)
#: Bound parameters of one statement.
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class PublishedLine:
    """An issue that is out, in a list."""

    id: int
    newsletter: str
    scope: str
    period: str
    rhythm: str
    subject: str
    scheduled_at: datetime
    #: When it first went out.
    at: datetime
    #: How many it brought.
    posts: int


@dataclass(frozen=True, slots=True)
class PublishedIssue:
    """An issue that is out, whole; `content` is JSON for `digest.issues.content.from_json`."""

    line: PublishedLine
    content: Mapping[str, Any]
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What came out before and after an issue in its own row: newsletter, scope and rhythm."""

    previous: PublishedLine | None
    following: PublishedLine | None


def find(c: Connection, newsletter: str, scope: str, period: str) -> PublishedIssue | None:
    """The issue of a period, if it is out."""
    query = _whole().where(
        issues.c.newsletter == newsletter, issues.c.scope == scope, issues.c.period == period
    )
    return _first_whole(c, query)


def neighbours(c: Connection, line: PublishedLine) -> Neighbours:
    row = _lines().where(
        issues.c.newsletter == line.newsletter,
        issues.c.scope == line.scope,
        issues.c.rhythm == line.rhythm,
    )
    number = issues.c.id
    before = row.where(or_(_at < line.at, and_(_at == line.at, number < line.id)))
    after = row.where(or_(_at > line.at, and_(_at == line.at, number > line.id)))
    return Neighbours(
        _first(c, before.order_by(_at.desc(), number.desc())),
        _first(c, after.order_by(_at, number)),
    )


def lines(
    c: Connection, newsletter: str, scope: str, *, most: int, skip: int = 0
) -> list[PublishedLine]:
    """Issues of a newsletter, newest first.

    "all" stands for every one; a series or theme for the issues about it, and for those about
    everything that brought a post of it, as far as memberships were found by now.
    """
    query = _newest_first(_lines()).where(issues.c.newsletter == newsletter, _covers(scope))
    return [PublishedLine(*row) for row in c.execute(query.limit(most).offset(skip))]


def newest_whole(c: Connection, newsletter: str, scope: str, *, most: int) -> list[PublishedIssue]:
    """The newest of `lines`, with what they say."""
    query = _newest_first(_whole()).where(issues.c.newsletter == newsletter, _covers(scope))
    return [_whole_issue(row) for row in c.execute(query.limit(most))]


def scopes(c: Connection, newsletter: str) -> set[str]:
    """Series and themes that issues were about, or brought posts of: "series:ipc"."""
    ours = and_(issues.c.newsletter == newsletter, _is_out())
    about = select(issues.c.scope).distinct().where(ours, issues.c.scope != "all")
    found = set(c.scalars(about))
    brought = (
        select(memberships.c.kind, memberships.c.slug)
        .distinct()
        .join(picks, and_(picks.c.post_id == memberships.c.post_id, _is_news))
        .join(issues, issues.c.id == picks.c.issue_id)
        .where(ours, issues.c.scope == "all")
    )
    return found | {f"{kind}:{slug}" for kind, slug in c.execute(brought)}


def members(c: Connection, scope: str) -> list[int]:
    """The posts of a series or theme, as far as memberships were found by now."""
    wanted = parse_scope(scope)
    query = select(memberships.c.post_id).where(
        memberships.c.kind == wanted.kind, memberships.c.slug == wanted.slug
    )
    return list(c.scalars(query))


def first_appearances(
    c: Connection, newsletter: str, post_ids: Sequence[int]
) -> dict[int, PublishedLine]:
    """The issue of the newsletter that brought each post first; absent where none did."""
    found: dict[int, PublishedLine] = {}
    for start in range(0, len(post_ids), _CHUNK):
        query = (
            _lines(picks.c.post_id)
            .join(picks, and_(picks.c.issue_id == issues.c.id, _is_news))
            .where(
                issues.c.newsletter == newsletter,
                picks.c.post_id.in_(post_ids[start : start + _CHUNK]),
            )
            .order_by(_at, issues.c.id)
        )
        for *line, post_id in c.execute(query):
            found.setdefault(post_id, PublishedLine(*line))
    return found


# --- parts of queries --------------------------------------------------------------------------

_brought = picks.alias("brought")
#: What came late, to readers whose weekly cap had kept it back, was in an earlier issue.
_is_news = and_(picks.c.is_in, picks.c.code != OVERFLOW)
#: When an issue first went out: from then on its mails are on their way.
_at = (
    select(func.min(issue_transitions.c.at))
    .where(issue_transitions.c.issue_id == issues.c.id)
    .where(issue_transitions.c.after == IssueState.SENDING)
    .correlate(issues)
    .scalar_subquery()
)
_posts = (
    select(func.count())
    .where(_brought.c.issue_id == issues.c.id, _brought.c.is_in, _brought.c.code != OVERFLOW)
    .correlate(issues)
    .scalar_subquery()
)


def _is_out() -> ColumnElement[bool]:
    left = exists().where(deliveries.c.issue_id == issues.c.id, deliveries.c.state.in_(_LEFT))
    return or_(issues.c.state == IssueState.DONE, and_(issues.c.state.in_(_UNDERWAY), left))


def _lines(*more: ColumnElement[Any]) -> Select[Any]:
    i = issues.c
    line = (i.id, i.newsletter, i.scope, i.period, i.rhythm, i.subject, i.scheduled_at)
    return select(*line, _at, _posts, *more).where(_is_out())


def _whole() -> Select[Any]:
    return _lines(issues.c.content, issues.c.html, issues.c.text)


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(_at.desc(), issues.c.id.desc())


def _covers(scope: str) -> ColumnElement[bool]:
    wanted = parse_scope(scope)
    if wanted.is_all:
        return true()
    brought = (
        exists()
        .where(picks.c.issue_id == issues.c.id, _is_news)
        .where(picks.c.post_id == memberships.c.post_id)
        .where(memberships.c.kind == wanted.kind, memberships.c.slug == wanted.slug)
    )
    return or_(issues.c.scope == scope, and_(issues.c.scope == "all", brought))


def _first(c: Connection, query: Select[Any]) -> PublishedLine | None:
    row = c.execute(query.limit(1)).one_or_none()
    return PublishedLine(*row) if row else None


def _first_whole(c: Connection, query: Select[Any]) -> PublishedIssue | None:
    row = c.execute(query).one_or_none()
    return _whole_issue(row) if row else None


def _whole_issue(row: Sequence[Any]) -> PublishedIssue:
    *line, content, html, text = row
    return PublishedIssue(PublishedLine(*line), content, html, text)
