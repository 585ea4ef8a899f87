"""Who has had enough for the week, and the posts that wait for them.

A row says that a reader's weekly cap kept a post back. It counts as long as no issue has the
post reserved for that reader: what a cancelled issue gives back waits again, by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, func, or_, select

from digest.model import RELEASING, DeliveryState, IssueState, Rhythm
from digest.picks.candidates import GIVEN_UP
from digest.store.tables import (
    deliveries,
    issue_transitions,
    overflow,
    picks,
    reservations,
    subscribers,
    subscriptions,
    suppressions,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

    from digest.issues.period import Week
    from digest.store.issues import Issue

#: Nothing of the issue reached the reader, or it will not.
_NOT_HAD = (*RELEASING, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A post that waits for readers of the same interests, as these stand today."""

    post_id: int
    interests: str
    readers: int
    #: When it was first kept back from them, and last from anybody.
    first: datetime
    last: datetime


def kept_back(c: Connection, newsletter: str, rhythm: Rhythm, week: Week) -> list[Kept]:
    """The posts that wait for somebody whom an issue of this rhythm may be mailed to now."""
    o, anybody = overflow.c, overflow.alias()
    last = (
        select(func.max(anybody.c.at))
        .where(anybody.c.newsletter == newsletter, anybody.c.at <= week.now)
        .where(anybody.c.post_id == o.post_id)
        .scalar_subquery()
    )
    query = (
        select(o.post_id, subscriptions.c.interests, func.count(), func.min(o.at), last)
        .select_from(overflow)
        .join(
            subscriptions,
            and_(
                subscriptions.c.subscriber_id == o.subscriber_id,
                subscriptions.c.newsletter == o.newsletter,
            ),
        )
        .join(subscribers, subscribers.c.id == o.subscriber_id)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(
            o.newsletter == newsletter,
            o.at <= week.now,
            subscriptions.c.state == "active",
            subscribers.c.address.is_not(None),
            suppressions.c.address_key.is_(None),
            not_paused(week.now),
            brought_by(rhythm),
            unreserved(),
            subscribers.c.id.not_in(at_cap(week)),
        )
        .group_by(o.post_id, subscriptions.c.interests)
    )
    return [Kept(*row) for row in c.execute(query)]


def at_cap(week: Week) -> Select[tuple[int]]:
    """Readers who have had as many issues in the week as they want, whichever newsletter's."""
    return select(subscribers.c.id).where(is_at_cap(week))


def is_at_cap(week: Week) -> ColumnElement[bool]:
    """The subscriber of the row has had as many issues in the week as they want."""
    t, d = issue_transitions.c, deliveries.c
    frozen = select(t.issue_id).where(
        t.after == IssueState.FROZEN, t.at >= week.began, t.at < week.ended
    )
    had = (
        select(func.count())
        .where(
            d.subscriber_id == subscribers.c.id,
            d.issue_id.in_(frozen),
            d.state.not_in(_NOT_HAD),
        )
        .correlate(subscribers)
        .scalar_subquery()
    )
    return and_(subscribers.c.weekly_cap.is_not(None), subscribers.c.weekly_cap <= had)


def not_paused(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """A pause is over at its moment, without anybody doing anything."""
    until = subscriptions.c.paused_until
    return or_(until.is_(None), until <= now)


def brought_by(rhythm: Rhythm) -> ColumnElement[bool]:
    """Whose posts an issue of a rhythm brings when they were kept back.

    A digest brings everybody's; a mail about one post only those of its own readers, for nobody
    who asked for a weekly mail wants such.
    """
    if rhythm is Rhythm.EACH_POST:
        return subscriptions.c.rhythm == rhythm
    return subscriptions.c.rhythm.is_not(None)


def unreserved(but: int | None = None) -> ColumnElement[bool]:
    """No issue has the post of the row for its reader, leaving out the issue `but`."""
    r = reservations.c
    same = and_(
        r.subscriber_id == overflow.c.subscriber_id,
        r.post_id == overflow.c.post_id,
        r.repeat == 0,
    )
    held = exists().where(same) if but is None else exists().where(same, r.issue_id != but)
    return ~held


def tidy(c: Connection, issue: Issue) -> None:
    """Forget what a reader has had by now, and what this issue says is too old."""
    o, r, d = overflow.c, reservations.c, deliveries.c
    submitted = exists().where(
        r.subscriber_id == o.subscriber_id,
        r.post_id == o.post_id,
        r.repeat == 0,
        d.issue_id == r.issue_id,
        d.subscriber_id == r.subscriber_id,
        d.state == DeliveryState.SUBMITTED,
    )
    old = select(picks.c.post_id).where(picks.c.issue_id == issue.id, picks.c.code == GIVEN_UP)
    # What was kept back since it was composed it said nothing about.
    over = or_(submitted, and_(o.post_id.in_(old), o.at <= issue.scheduled_at))
    c.execute(delete(overflow).where(o.newsletter == issue.newsletter, over))
