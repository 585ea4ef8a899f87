"""Notices: mails outside any issue. One row, one submission at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from digest.model import DeliveryState
from digest.store.dialect import insert_ignore
from digest.store.readers import Suppression, suppress
from digest.store.tables import notices, suppressions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.mail.decisions import Decision


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice about to be submitted; its Message-ID is what makes it one of a kind."""

    kind: str
    address: str
    address_key: str
    message_id: str
    issue_id: int | None = None
    subscription_id: int | None = None


def begin_notice(c: Connection, notice: NewNotice, now: datetime) -> int | str:
    """Write `submitting` and return the notice's id, or say why not.

    Suppression is checked in this same transaction (rule 6).
    """
    barred = select(suppressions.c.reason).where(suppressions.c.address_key == notice.address_key)
    if c.execute(barred).first():
        return "this address is suppressed"
    statement = (
        insert_ignore(c, notices)
        .values(
            kind=notice.kind,
            address=notice.address,
            address_key=notice.address_key,
            issue_id=notice.issue_id,
            subscription_id=notice.subscription_id,
            state=DeliveryState.SUBMITTING,
            message_id=notice.message_id,
            created_at=now,
            state_at=now,
        )
        .returning(notices.c.id)
    )
    notice_id: int | None = c.scalar(statement)
    return notice_id if notice_id is not None else "this mail went out already"


def finish_notice(
    c: Connection, notice_id: int, decision: Decision, remote_id: str | None, now: datetime
) -> None:
    """Write what became of it. Nobody retries a notice: what may come later has failed now."""
    again = decision.state is DeliveryState.PENDING
    state = DeliveryState.FAILED if again else decision.state
    if decision.suppress:
        key = select(notices.c.address_key).where(notices.c.id == notice_id)
        found = Suppression(reason=decision.suppress, origin="bounce", at=now)
        suppress(c, c.execute(key).scalar_one(), found)
    c.execute(
        update(notices)
        .where(notices.c.id == notice_id)
        .values(
            state=state,
            remote_id=remote_id,
            code=decision.code or None,
            reason=decision.reason or None,
            state_at=now,
        )
    )


def failed_notices(c: Connection, subscription_id: int) -> int:
    """How many notices to a subscription certainly did not leave."""
    query = select(func.count()).where(
        notices.c.subscription_id == subscription_id,
        notices.c.state.in_([DeliveryState.FAILED, DeliveryState.REFUSED]),
    )
    return int(c.scalar(query) or 0)
