"""Requests whose answer was lost, for mailers that carry out the same request once.

Such a request may be said again only as it was: with all its mails, in the order of their ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, func, literal, select, update

from digest.model import DeliveryState, IssueState
from digest.store.deliveries import CLAIMED, hold_consents, in_order, may_get
from digest.store.tables import deliveries, issues

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.store.deliveries import Claimed, Submission

_D = deliveries.c
S = DeliveryState

#: A cancelled or paused issue says nothing more, not even again.
_SPEAKING = (IssueState.SENDING, IssueState.DONE)

_UNDECIDED = (_D.state == S.UNCERTAIN, _D.settled.is_(None))


def whole_requests(c: Connection, issue_id: int, mailer: str) -> list[str]:
    """The requests of an issue to this mailer all of whose mails are in doubt and undecided."""
    doubted = select(_D.request).where(
        _D.issue_id == issue_id, _D.mailer == mailer, _D.request.is_not(None), *_UNDECIDED
    )
    whole = (
        select(_D.request)
        .where(_D.request.in_(doubted))
        .group_by(_D.request)
        .having(func.count() == func.count().filter(*_UNDECIDED))
        .order_by(_D.request)
    )
    return [request for request in c.scalars(whole) if request is not None]


def issues_in_doubt(c: Connection, since: datetime) -> list[int]:
    """The issues on their way or done with mails in doubt and undecided, no longer than that."""
    doubt = exists().where(_D.issue_id == issues.c.id, *_UNDECIDED, _D.state_at >= since)
    query = select(issues.c.id).where(issues.c.state.in_(_SPEAKING), doubt)
    return list(c.scalars(query.order_by(issues.c.id)))


def begin_again(
    c: Connection, issue_id: int, request: str, worker: str, submission: Submission
) -> Sequence[Claimed]:
    """Write `submitting` for all mails of a request in doubt, in their order; or for none.

    None where somebody among its readers must not be mailed any more: said again without them
    it would be another request.
    """
    speaking = select(issues.c.id).where(issues.c.id == issue_id, issues.c.state.in_(_SPEAKING))
    if c.scalar(speaking.with_for_update(read=True)) is None:
        return ()
    of_it = (_D.issue_id == issue_id, _D.request == request)
    consents = c.scalars(select(_D.subscription_id).where(*of_it)).all()
    hold_consents(c, consents)
    begun = (
        update(deliveries)
        .where(
            *of_it,
            *_UNDECIDED,
            *may_get(literal(submission.now, _D.state_at.type)),
        )
        .values(
            state=S.SUBMITTING,
            worker=worker,
            lease_until=submission.until,
            state_at=submission.now,
        )
        .returning(*CLAIMED)
    )
    found = in_order(c.execute(begun))
    if len(found) != len(consents):
        c.rollback()
        return ()
    return found


def say_how(c: Connection, settled: Sequence[int], how: str, now: datetime) -> None:
    """Of what was in doubt and is not any more: by what that is known."""
    known = (_D.id.in_(settled), _D.state != S.UNCERTAIN)
    c.execute(update(deliveries).where(*known).values(settled=how, state_at=now))
