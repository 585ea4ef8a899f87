"""Queries on addresses that are never mailed again: which, why, and those given free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  a field of the value below
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from digest.mail.bounces import LIFTED
from digest.model import DeliveryState
from digest.store.tables import deliveries, delivery_events, subscribers, suppressions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

#: Origin of what mail systems said; every other suppression is a person's word.
BOUNCE = "bounce"

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class SuppressedAddress:
    """An address that is never mailed again."""

    address: str
    reason: str
    origin: str
    at: datetime


def listed(c: Connection) -> Iterator[SuppressedAddress]:
    """All of them, the latest first; those of erased readers are known by hashes alone."""
    s = suppressions.c
    query = select(s.address_key, s.reason, s.origin, s.at).order_by(s.at.desc(), s.address_key)
    for row in c.execute(query.execution_options(yield_per=_PAGE)):
        yield SuppressedAddress(*row)


def lift(c: Connection, address_key: str, reason: str, now: datetime) -> bool:
    """Let an address be mailed again that a mail system called dead; False where none did.

    What came back before counts no more: that is written beside the last delivery.
    """
    s, d = suppressions.c, deliveries.c
    mine = (s.address_key == address_key, s.origin == BOUNCE)
    if c.execute(delete(suppressions).where(*mine)).rowcount != 1:
        return False
    answered = d.state.in_([DeliveryState.SUBMITTED, DeliveryState.REFUSED])
    reader = select(subscribers.c.id).where(subscribers.c.address_key == address_key)
    last = select(d.id).where(d.subscriber_id == reader.scalar_subquery(), answered)
    number = c.scalar(last.order_by(d.state_at.desc(), d.id.desc()).limit(1))
    if number is not None:
        said = {"delivery_id": number, "event": LIFTED, "at": now, "detail": reason}
        c.execute(insert(delivery_events).values(said))
    return True
