"""Queries behind the desk's charts: who followed what over time, what became of deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, case, exists, func, literal, or_, select, union_all

from digest.issues.scope import issue_name
from digest.model import DeliveryState
from digest.store.tables import consents, deliveries, delivery_events, issues, subscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection


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


def stretches(c: Connection, moments: Sequence[datetime]) -> list[Stretches]:
    """How subscriptions stood at each of these moments, which are in order.

    What readers did themselves is in `consents`, with what they followed from then on. A
    subscription that has none there, because it was imported, or its reader erased, counts
    from its consent to its end as it is now.
    """
    told = union_all(_before_the_first_consent(), _between_consents()).subquery()
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


def _before_the_first_consent() -> Select[Any]:
    s, first = subscriptions.c, _consents_in_order()
    began_before = or_(first.c.at.is_(None), s.consent_at < first.c.at)
    return (
        select(
            func.coalesce(first.c.interests, s.interests).label("interests"),
            s.consent_at.label("begins"),
            func.coalesce(first.c.at, s.ended_at).label("ends"),
        )
        .outerjoin(first, and_(first.c.subscription_id == s.id, first.c.place == 1))
        .where(s.consent_at.is_not(None), began_before)
    )


def _between_consents() -> Select[Any]:
    each = _consents_in_order()
    ends = func.coalesce(each.c.until, subscriptions.c.ended_at)
    return (
        select(each.c.interests, each.c.at, ends)
        .join(subscriptions, subscriptions.c.id == each.c.subscription_id)
        .where(each.c.event != "left")
    )


def _consents_in_order() -> Any:
    k = consents.c
    order: dict[str, Any] = {"partition_by": k.subscription_id, "order_by": (k.at, k.id)}
    return select(
        k.subscription_id,
        k.event,
        k.interests,
        k.at,
        func.lead(k.at).over(**order).label("until"),
        func.row_number().over(**order).label("place"),
    ).subquery()


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
