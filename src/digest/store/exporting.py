"""Everything held about one reader, row by row, for the reader's own eyes. Reads only.

Left out are what is not the reader's: who of the editors decided, and what keeps the machinery
going (workers, leases, Message-IDs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from digest.store.tables import (
    consents,
    deliveries,
    delivery_events,
    exclusions,
    issues,
    notices,
    overflow,
    picks,
    posts,
    reservations,
    sign_ups,
    subscribers,
    subscriptions,
    suppressions,
    variants,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

    Record: TypeAlias = dict[str, Any]

_ISSUE = (issues.c.newsletter, issues.c.scope, issues.c.period)


def _records(c: Connection, query: Select[Any]) -> list[Record]:
    return [row._asdict() for row in c.execute(query)]


def subscriber(c: Connection, subscriber_id: int) -> Record | None:
    """Address, first day and weekly cap; None where erased or unknown."""
    s = subscribers.c
    query = select(s.address, s.address_key, s.created_at, s.weekly_cap)
    found = _records(c, query.where(s.id == subscriber_id, s.address_key.is_not(None)))
    return found[0] if found else None


def subscriber_id(c: Connection, address_key: str) -> int | None:
    found: int | None = c.scalar(
        select(subscribers.c.id).where(subscribers.c.address_key == address_key)
    )
    return found


def suppression(c: Connection, address_key: str) -> Record | None:
    s = suppressions.c
    found = _records(c, select(s.reason, s.at).where(s.address_key == address_key))
    return found[0] if found else None


def all_subscriptions(c: Connection, subscriber_id: int) -> list[Record]:
    s = subscriptions.c
    columns = (s.id, s.newsletter, s.state, s.interests, s.rhythm, s.consent_source, s.consent_at)
    more = (s.created_at, s.paused_until, s.ended_at, s.ended_reason)
    query = select(*columns, *more).where(s.subscriber_id == subscriber_id)
    return _records(c, query.order_by(s.newsletter))


def all_consents(c: Connection, subscriber_id: int) -> list[Record]:
    n = consents.c
    query = (
        select(n.subscription_id, n.at, n.event, n.form, n.text, n.interests, n.rhythm)
        .join(subscriptions, subscriptions.c.id == n.subscription_id)
        .where(subscriptions.c.subscriber_id == subscriber_id)
    )
    return _records(c, query.order_by(n.at, n.id))


def all_sign_ups(c: Connection, address_key: str) -> list[Record]:
    s = sign_ups.c
    query = select(s.asked_at, s.confirmed_at, s.form, s.text, s.wishes)
    return _records(c, query.where(s.address_key == address_key).order_by(s.asked_at, s.id))


def all_deliveries(c: Connection, subscriber_id: int) -> list[Record]:
    d = deliveries.c
    query = (
        select(d.id, *_ISSUE, variants.c.subject, d.address, d.state, d.state_at, d.code, d.reason)
        .join(issues, issues.c.id == d.issue_id)
        .join(variants, variants.c.id == d.variant_id)
        .where(d.subscriber_id == subscriber_id)
    )
    return _records(c, query.order_by(issues.c.scheduled_at, d.id))


def all_events(c: Connection, subscriber_id: int) -> list[Record]:
    e = delivery_events.c
    query = (
        select(e.delivery_id, e.event, e.kind, e.at, e.code, e.detail)
        .join(deliveries, deliveries.c.id == e.delivery_id)
        .where(deliveries.c.subscriber_id == subscriber_id)
    )
    return _records(c, query.order_by(e.at, e.id))


def all_notices(c: Connection, address_key: str) -> list[Record]:
    n = notices.c
    query = select(n.kind, n.newsletter, n.created_at, n.state, n.state_at, n.code, n.reason)
    return _records(c, query.where(n.address_key == address_key).order_by(n.created_at, n.id))


def all_posts(c: Connection, subscriber_id: int) -> list[Record]:
    """Posts that reached the reader, or are promised."""
    r, d = reservations.c, deliveries.c
    # Reservations are found by post alone: by those of the issues that the reader is in.
    query = (
        select(posts.c.title, posts.c.url, *_ISSUE)
        .select_from(deliveries)
        .join(picks, and_(picks.c.issue_id == d.issue_id, picks.c.is_in))
        .join(
            reservations,
            and_(
                r.post_id == picks.c.post_id,
                r.subscriber_id == d.subscriber_id,
                r.issue_id == d.issue_id,
            ),
        )
        .join(posts, posts.c.id == r.post_id)
        .join(issues, issues.c.id == r.issue_id)
        .where(d.subscriber_id == subscriber_id)
    )
    return _records(c, query.order_by(issues.c.scheduled_at, r.issue_id, posts.c.published))


def all_overflow(c: Connection, subscriber_id: int) -> list[Record]:
    o = overflow.c
    query = (
        select(posts.c.title, posts.c.url, o.newsletter, o.at)
        .join_from(overflow, posts, posts.c.id == o.post_id)
        .where(o.subscriber_id == subscriber_id)
    )
    return _records(c, query.order_by(o.newsletter, o.at, o.post_id))


def all_exclusions(c: Connection, subscriber_id: int) -> list[Record]:
    e = exclusions.c
    query = (
        select(*_ISSUE, e.reason)
        .join_from(exclusions, issues, issues.c.id == e.issue_id)
        .where(e.subscriber_id == subscriber_id)
    )
    return _records(c, query.order_by(issues.c.scheduled_at, issues.c.id))
