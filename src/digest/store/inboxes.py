"""Queries on the subscriptions that a mail may be about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  a field of the value below
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from digest.store.tables import subscribers, subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Taken:
    """A subscription, since when its reader wants it, and when they left.

    One that waits for its reader's confirmation has no `agreed_at`, and may have been left before.
    """

    id: int
    newsletter: str
    state: str
    agreed_at: datetime | None
    ended_at: datetime | None


def taken(c: Connection, subscription_id: int) -> Taken | None:
    """One subscription, also of an erased reader."""
    row = c.execute(_query().where(subscriptions.c.id == subscription_id)).one_or_none()
    return Taken(*row) if row else None


def taken_by(c: Connection, address_key: str, newsletters: Collection[str]) -> list[Taken]:
    """An address's subscriptions to these newsletters, ended ones too."""
    query = _query().join(subscribers).where(subscribers.c.address_key == address_key)
    found = query.where(subscriptions.c.newsletter.in_(newsletters)).order_by(subscriptions.c.id)
    return [Taken(*row) for row in c.execute(found)]


def _query() -> Select[Any]:
    s = subscriptions.c
    return select(s.id, s.newsletter, s.state, s.consent_at, s.ended_at)
