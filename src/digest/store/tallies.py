"""What the brakes of an issue go by, counted in the ledger. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select, text

from digest.mail.brakes import OUTCOMES, Tally
from digest.model import DeliveryState, IssueState
from digest.store.tables import BRAKING, deliveries, delivery_events, issue_transitions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config_mailers import Brakes

_D = deliveries.c
_E = delivery_events.c
_T = issue_transitions.c
S = DeliveryState

#: More than several workers that saw the canary as not yet complete can have begun between them.
_LONG_AGO = 20


def tally_of(c: Connection, issue_id: int, rules: Brakes) -> Tally:
    """What became of an issue that is being sent.

    Meant for the start of a run and then now and then, for what other workers and mail servers
    did; `brakes.counted` keeps it up between. A million deliveries take some 50 ms, and half a
    second once an editor has let the issue go again.
    """
    since, first = _let_go(c, issue_id)
    ever = _counts(c, issue_id, None)
    counts = _counts(c, issue_id, since) if since > first else ever
    events = _events(c, issue_id, since)
    total = sum(ever.values())
    return Tally(
        let_go_at=since,
        tried=sum(counts.values()),
        refused=counts.get(S.REFUSED, 0),
        failed=counts.get(S.FAILED, 0),
        bounced=events.get("bounced", 0),
        complained=events.get("complained", 0),
        ever=total,
        canary_at=_canary_at(c, issue_id, rules, total),
    )


def _let_go(c: Connection, issue_id: int) -> tuple[datetime, datetime]:
    """When the issue was last let go, and when first."""
    moves = (_T.issue_id == issue_id, _T.after == IssueState.SENDING, _T.before != _T.after)
    last, first = c.execute(select(func.max(_T.at), func.min(_T.at)).where(*moves)).one()
    return last, first


def _counts(c: Connection, issue_id: int, since: datetime | None) -> dict[DeliveryState, int]:
    """How many ended how; without a time the index alone tells it."""
    ended = select(_D.state, func.count()).where(_D.issue_id == issue_id, _D.state.in_(OUTCOMES))
    if since is not None:
        ended = ended.where(_D.state_at >= since)
    return {S(state): int(count) for state, count in c.execute(ended.group_by(_D.state))}


def _events(c: Connection, issue_id: int, since: datetime) -> dict[str, int]:
    """How many of its deliveries that a server took bounced, or were complained of, later.

    Of a delivery that was refused at once the bounce is counted already.
    """
    taken = exists().where(
        _D.id == _E.delivery_id,
        _D.issue_id == issue_id,
        _D.state.in_([S.SUBMITTED, S.UNCERTAIN]),
        # What comes back late of those before is no share of those tried since.
        _D.state_at >= since,
    )
    later = select(_E.event, func.count(_E.delivery_id.distinct())).where(
        text(BRAKING), _E.at >= since, taken
    )
    return {event: int(count) for event, count in c.execute(later.group_by(_E.event))}


def _canary_at(c: Connection, issue_id: int, rules: Brakes, ever: int) -> datetime | None:
    """See `Tally.canary_at`."""
    if not rules.canary <= ever <= max(_LONG_AGO * rules.canary, rules.after) or not rules.canary:
        return None
    ended = select(_D.state_at).where(_D.issue_id == issue_id, _D.state.in_(OUTCOMES))
    last: datetime | None = c.scalar(ended.order_by(_D.state_at).offset(rules.canary - 1).limit(1))
    return last
