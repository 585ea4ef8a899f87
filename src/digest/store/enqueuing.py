"""What readers were left with: sets of picks, and of each set one variant and its deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, func, insert, literal, select

from digest.model import DeliveryState
from digest.store.freezing import won
from digest.store.tables import deliveries, subscribers, variants

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.issues.content import Rendered
    from digest.store.issues import Issue


def mask_counts(c: Connection) -> dict[int, int]:
    """The different sets of picks that readers were left with, and how many readers each."""
    mask = won.c.mask
    rows = c.execute(select(mask, func.count()).where(mask != 0).group_by(mask).order_by(mask))
    return {int(found): int(readers) for found, readers in rows}


def mask_of(c: Connection, subscriber_id: int) -> int:
    """The set of picks that one reader was left with; 0 for none."""
    return int(c.scalar(select(won.c.mask).where(won.c.subscriber_id == subscriber_id)) or 0)


def enqueue(c: Connection, issue: Issue, rendered: Mapping[int, Rendered], now: datetime) -> int:
    """Store the variants and one pending delivery per recipient; returns how many."""
    for mask, variant in sorted(rendered.items()):
        c.execute(
            insert(variants).values(
                issue_id=issue.id,
                mask=mask,
                subject=variant.subject,
                html=variant.html,
                text=variant.text,
                preflight=[],
            )
        )
    chosen = (
        select(
            literal(issue.id),
            variants.c.id,
            won.c.subscriber_id,
            won.c.subscription_id,
            subscribers.c.address,
            subscribers.c.address_key,
            literal(str(DeliveryState.PENDING)),
            literal(0),
            literal(now, deliveries.c.state_at.type),
        )
        .select_from(won)
        .join(variants, and_(variants.c.issue_id == issue.id, variants.c.mask == won.c.mask))
        .join(subscribers, subscribers.c.id == won.c.subscriber_id)
        .order_by(won.c.subscriber_id)
    )
    columns = (
        "issue_id variant_id subscriber_id subscription_id address address_key"
        " state attempts state_at"
    )
    c.execute(insert(deliveries).from_select(columns.split(), chosen))
    # PostgreSQL's driver tells no row count of an INSERT ... SELECT.
    counted = select(func.count()).where(deliveries.c.issue_id == issue.id)
    return int(c.scalar(counted) or 0)
