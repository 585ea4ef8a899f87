"""What readers were left with: sets of picks, and of each set one variant and its deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, and_, case, cast, func, insert, literal, select

from digest.model import DeliveryState
from digest.store.tables import deliveries, reservations, subscribers, subscriptions, variants

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

    from digest.issues.content import Rendered
    from digest.store.issues import Issue


def mask_counts(c: Connection, issue: Issue, bits: Mapping[int, int]) -> dict[int, int]:
    """The different sets of picks that readers were left with, and how many readers each."""
    mask = _masks(issue, bits).subquery().c.mask
    rows = c.execute(select(mask, func.count()).group_by(mask).order_by(mask))
    return {int(found): int(readers) for found, readers in rows}


def enqueue(
    c: Connection,
    issue: Issue,
    rendered: Mapping[int, Rendered],
    bits: Mapping[int, int],
    now: datetime,
) -> int:
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
    won = _masks(issue, bits).subquery()
    chosen = (
        select(
            literal(issue.id),
            variants.c.id,
            subscribers.c.id,
            subscriptions.c.id,
            subscribers.c.address,
            subscribers.c.address_key,
            literal(str(DeliveryState.PENDING)),
            literal(0),
            literal(now, deliveries.c.state_at.type),
        )
        .select_from(won)
        .join(variants, and_(variants.c.issue_id == issue.id, variants.c.mask == won.c.mask))
        .join(subscribers, subscribers.c.id == won.c.subscriber_id)
        .join(
            subscriptions,
            and_(
                subscriptions.c.subscriber_id == subscribers.c.id,
                subscriptions.c.newsletter == issue.newsletter,
            ),
        )
        .order_by(subscribers.c.id)
    )
    columns = (
        "issue_id variant_id subscriber_id subscription_id address address_key"
        " state attempts state_at"
    )
    c.execute(insert(deliveries).from_select(columns.split(), chosen))
    # PostgreSQL's driver tells no row count of an INSERT ... SELECT.
    counted = select(func.count()).where(deliveries.c.issue_id == issue.id)
    return int(c.scalar(counted) or 0)


def mask_of(c: Connection, issue: Issue, bits: Mapping[int, int], subscriber_id: int) -> int:
    """The set of picks that one reader was left with; 0 for none."""
    won = _masks(issue, bits).subquery().c
    return int(c.scalar(select(won.mask).where(won.subscriber_id == subscriber_id)) or 0)


def _masks(issue: Issue, bits: Mapping[int, int]) -> Select[tuple[int, int]]:
    repeat = issue.id if issue.repeat else 0
    bit = case(dict(bits), value=reservations.c.post_id)
    return (
        select(reservations.c.subscriber_id, cast(func.sum(bit), BigInteger).label("mask"))
        .where(reservations.c.issue_id == issue.id, reservations.c.repeat == repeat)
        .group_by(reservations.c.subscriber_id)
    )
