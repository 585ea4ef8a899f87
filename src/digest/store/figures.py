"""Queries behind the desk's charts: who followed what over time, what became of deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, String, case, exists, func, literal, select, union_all

from digest.issues.scope import issue_name
from digest.model import DeliveryState
from digest.store.tables import consents, deliveries, delivery_events, issues, subscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select, Subquery
    from sqlalchemy.engine import Connection

#: Beside what readers do: a consent as the subscription itself has it.
_BEGAN, _LEFT = "began", "left"
#: Beside the ids of what readers did at the same moment.
_FIRST, _LAST = literal(0, BigInteger), literal(2**62, BigInteger)


@dataclass(frozen=True, slots=True)
class Stretches:
    """So many subscriptions that had these interests from one of the moments asked for on.

    `begins` and `ends` are indices of moments: they count at the first and not at the second.
    """

    interests: str
    begins: int
    ends: int
    count: int


@dataclass(frozen=True, slots=True)
class IssueFigures:
    """What became of one issue's deliveries."""

    id: int
    newsletter: str
    scope: str
    period: str
    states: dict[DeliveryState, int]
    #: Refused at once, or sent back later.
    bounced: int
    complained: int

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47"."""
        return issue_name(self.newsletter, self.scope, self.period)

    @property
    def recipients(self) -> int:
        return sum(self.states.values())

    @property
    def answered(self) -> int:
        """Mails that a server accepted or refused: what shares are of."""
        return self.states[DeliveryState.SUBMITTED] + self.states[DeliveryState.REFUSED]


@dataclass(frozen=True, slots=True)
class Figures:
    """All that charts are drawn from."""

    #: At which subscriptions were counted; the last is when that was.
    moments: Sequence[datetime]
    stretches: Sequence[Stretches]
    #: Newest first.
    issues: Sequence[IssueFigures]


def figures(c: Connection, moments: Sequence[datetime], most_issues: int) -> Figures:
    """How subscriptions stood at these moments, and what became of the last issues."""
    return Figures(moments, stretches(c, moments), last_issues(c, most_issues))


def stretches(c: Connection, moments: Sequence[datetime]) -> list[Stretches]:
    """How subscriptions stood at each of these moments, which are in order.

    What readers did themselves is in `consents`, with what they followed from then on. A
    subscription that has none there, because it was imported, or its reader erased, counts
    from its consent to its end as it is now.
    """
    told = _stretches()
    # Named inside: PostgreSQL would not know two equal expressions for one, each with
    # parameters of its own.
    placed = select(
        told.c.interests,
        _first_at(told.c.begins, moments).label("begins"),
        _first_at(told.c.ends, moments).label("ends"),
    ).subquery()
    place = placed.c
    query = (
        select(place.interests, place.begins, place.ends, func.count())
        .where(place.begins < place.ends)
        .group_by(place.interests, place.begins, place.ends)
    )
    return [Stretches(*row) for row in c.execute(query)]


def _stretches() -> Subquery:
    """Each time that a subscription was in force with the same interests; without an end: now.

    All that happened to a subscription in one order, so that the large tables are sorted once.
    """
    s, k = subscriptions.c, consents.c
    happened = union_all(
        # First of what is at the same moment: the consent that a reader's own word renewed.
        _events(s.id, s.consent_at, _FIRST, _BEGAN, s.interests).where(s.consent_at.is_not(None)),
        _events(k.subscription_id, k.at, k.id, k.event, k.interests),
        _events(s.id, s.ended_at, _LAST, _LEFT, s.interests).where(s.ended_at.is_not(None)),
    ).subquery()
    h = happened.c
    order: dict[str, Any] = {"partition_by": h.subscription, "order_by": (h.at, h.place)}
    told = select(
        h.event,
        h.at.label("begins"),
        func.lead(h.at).over(**order).label("ends"),
        h.interests,
        func.lead(h.interests).over(**order).label("later"),
    ).subquery()
    t = told.c
    # What was followed before the reader's first own word is not kept: taken to be the same.
    followed = case((t.event == _BEGAN, func.coalesce(t.later, t.interests)), else_=t.interests)
    return select(followed.label("interests"), t.begins, t.ends).where(t.event != _LEFT).subquery()


def _events(
    subscription: ColumnElement[Any],
    at: ColumnElement[Any],
    place: ColumnElement[Any],
    event: ColumnElement[Any] | str,
    interests: ColumnElement[Any],
) -> Select[Any]:
    word = literal(event, String) if isinstance(event, str) else event
    return select(
        subscription.label("subscription"),
        at.label("at"),
        place.label("place"),
        word.label("event"),
        interests.label("interests"),
    )


def _first_at(
    moment: ColumnElement[Any], moments: Sequence[datetime], before: int = 0
) -> ColumnElement[int]:
    """The index of the first of `moments` that is not before `moment`; their number if none.

    By halves, so that a row costs six comparisons and not fifty. NULL is after all.
    """
    if not moments:
        return literal(before, Integer)
    half = len(moments) // 2
    return case(
        (moment <= moments[half], _first_at(moment, moments[:half], before)),
        else_=_first_at(moment, moments[half + 1 :], before + half + 1),
    )


def last_issues(c: Connection, most: int) -> list[IssueFigures]:
    """The last issues that were to go to anybody, newest first."""
    i = issues.c
    has_any = exists().where(deliveries.c.issue_id == i.id)
    query = select(i.id, i.newsletter, i.scope, i.period).where(has_any)
    rows = c.execute(query.order_by(i.id.desc()).limit(most)).all()
    ids = [row.id for row in rows]
    states, bounced = _states(c, ids), _with_event(c, ids, "bounced", besides_refused=True)
    complained = _with_event(c, ids, "complained")
    return [
        IssueFigures(
            *(row.id, row.newsletter, row.scope, row.period),
            states=states[row.id],
            bounced=states[row.id][DeliveryState.REFUSED] + bounced.get(row.id, 0),
            complained=complained.get(row.id, 0),
        )
        for row in rows
    ]


def _states(c: Connection, ids: Sequence[int]) -> dict[int, dict[DeliveryState, int]]:
    d = deliveries.c
    query = select(d.issue_id, d.state, func.count()).where(d.issue_id.in_(ids))
    found = {issue_id: dict.fromkeys(DeliveryState, 0) for issue_id in ids}
    for issue_id, state, count in c.execute(query.group_by(d.issue_id, d.state)):
        found[issue_id][DeliveryState(state)] = count
    return found


def _with_event(
    c: Connection, ids: Sequence[int], event: str, *, besides_refused: bool = False
) -> dict[int, int]:
    """Of how many of an issue's deliveries that became known, however often it was told."""
    d, e = deliveries.c, delivery_events.c
    query = (
        select(d.issue_id, func.count(d.id.distinct()))
        .join(delivery_events, e.delivery_id == d.id)
        .where(e.event == event, d.issue_id.in_(ids))
    )
    if besides_refused:
        query = query.where(d.state != DeliveryState.REFUSED)
    return dict(c.execute(query.group_by(d.issue_id)).tuples().all())
