"""Drawing recipients and reserving posts, all in SQL, inside one transaction.

The work grows with the database's speed, not with Python's: readers are never
fetched. What a reader wants depends only on their interests, of which there
are few different ones, so wants are worked out once per interests and joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    String,
    Table,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    select,
)

from digest.model import DeliveryState, Interests
from digest.store.dialect import insert_ignore
from digest.store.tables import (
    Id,
    deliveries,
    exclusions,
    reservations,
    subscribers,
    subscriptions,
    suppressions,
    variants,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

    from digest.issues.content import Rendered
    from digest.store.issues import Issue

HAD_ALL = "has had all of these posts"
WANTS_NONE = "wants none of these posts"
SUPPRESSED = "suppressed"

_wants = Table(
    "wants",
    MetaData(),
    Column("interests", String, nullable=False),
    Column("post_id", Id, nullable=False),
    Column("bit", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


def draw_recipients(
    c: Connection,
    issue: Issue,
    wants: Callable[[Interests], Iterable[tuple[int, int]]],
) -> None:
    """Reserve each reader's posts and enqueue the deliveries, without their variants yet.

    The caller holds `lock_freezing`. `wants` gives (post id, bit) for every pick that
    interests ask for. Readers left with nothing become exclusions with a reason.
    """
    _wants.create(c)
    _note_wants(c, issue, wants)
    _reserve(c, issue)
    _exclude(c, issue)
    _wants.drop(c)


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


def reserved_elsewhere(c: Connection, subscriber_id: int, *, but: int | None) -> set[int]:
    """Posts that a reader had or will have from another issue than `but`."""
    r = reservations.c
    query = select(r.post_id).where(r.subscriber_id == subscriber_id, r.repeat == 0)
    if but is not None:
        query = query.where(r.issue_id != but)
    return set(c.scalars(query))


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader's subscription, as freezing would see it."""

    subscriber_id: int
    subscription_id: int
    address: str
    interests: str
    state: str
    #: Why the address is suppressed, or None.
    suppressed: str | None


def reader_of(c: Connection, address_key: str, newsletter: str) -> Reader | None:
    """The reader with this address key, if they ever subscribed to the newsletter."""
    query = (
        select(
            subscribers.c.id,
            subscriptions.c.id,
            subscribers.c.address,
            subscriptions.c.interests,
            subscriptions.c.state,
            suppressions.c.reason,
        )
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == subscriptions.c.subscriber_id)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(subscribers.c.address_key == address_key, subscriptions.c.newsletter == newsletter)
    )
    row = c.execute(query).one_or_none()
    return Reader(*row) if row else None


def _masks(issue: Issue, bits: Mapping[int, int]) -> Select[tuple[int, int]]:
    bit = case(dict(bits), value=reservations.c.post_id)
    return (
        select(reservations.c.subscriber_id, cast(func.sum(bit), BigInteger).label("mask"))
        .where(reservations.c.issue_id == issue.id, reservations.c.repeat == _repeat(issue))
        .group_by(reservations.c.subscriber_id)
    )


def _in_audience(issue: Issue) -> tuple[ColumnElement[bool], ...]:
    return (
        subscriptions.c.newsletter == issue.newsletter,
        subscriptions.c.rhythm == issue.rhythm,
        subscriptions.c.state == "active",
        subscribers.c.address.is_not(None),
    )


def _note_wants(
    c: Connection, issue: Issue, wants: Callable[[Interests], Iterable[tuple[int, int]]]
) -> None:
    keys: Sequence[str] = c.scalars(
        select(subscriptions.c.interests)
        .distinct()
        .where(
            subscriptions.c.newsletter == issue.newsletter, subscriptions.c.rhythm == issue.rhythm
        )
    ).all()
    rows = [
        {"interests": key, "post_id": post_id, "bit": bit}
        for key in keys
        for post_id, bit in wants(Interests.from_key(key))
    ]
    if rows:
        c.execute(insert(_wants), rows)


def _reserve(c: Connection, issue: Issue) -> None:
    """Rule 3: whoever has the post already keeps it; the row here just does not come to be.

    What an issue repeats on purpose is reserved for ordinary issues too, or the next of
    those would bring it once more.
    """
    for repeat in {0, _repeat(issue)}:
        _reserve_as(c, issue, repeat)


def _repeat(issue: Issue) -> int:
    return issue.id if issue.repeat else 0


def _reserve_as(c: Connection, issue: Issue, repeat: int) -> None:
    winners = (
        select(subscribers.c.id, _wants.c.post_id, literal(repeat), literal(issue.id))
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == subscriptions.c.subscriber_id)
        .join(_wants, _wants.c.interests == subscriptions.c.interests)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(*_in_audience(issue), suppressions.c.address_key.is_(None))
        .order_by(subscribers.c.id, _wants.c.post_id)
    )
    columns = ["subscriber_id", "post_id", "repeat", "issue_id"]
    c.execute(insert_ignore(c, reservations).from_select(columns, winners))


def _exclude(c: Connection, issue: Issue) -> None:
    won = select(reservations.c.subscriber_id).where(
        reservations.c.issue_id == issue.id, reservations.c.repeat == _repeat(issue)
    )
    wanted = select(_wants.c.interests)
    reason = case(
        (suppressions.c.address_key.is_not(None), SUPPRESSED),
        (subscriptions.c.interests.in_(wanted), HAD_ALL),
        else_=WANTS_NONE,
    )
    left_out = (
        select(literal(issue.id), subscribers.c.id, reason)
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == subscriptions.c.subscriber_id)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(*_in_audience(issue), subscribers.c.id.not_in(won))
    )
    c.execute(insert(exclusions).from_select(["issue_id", "subscriber_id", "reason"], left_out))
