"""What the ledger says: an issue's account, who stands where, what they get. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from digest.model import Account, DeliveryState
from digest.store.dialect import address_domain
from digest.store.tables import deliveries, exclusions, variants

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.engine import Connection

S = DeliveryState


@dataclass(frozen=True, slots=True)
class StoredVariant:
    """A variant as frozen."""

    id: int
    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A delivery in a list for editors; `address` is personal data."""

    id: int
    address: str
    state: str
    at: datetime
    attempts: int
    code: str | None
    reason: str | None
    settled: str | None


def account(c: Connection, issue_id: int) -> Account:
    """The account, derived from the ledger this moment."""
    query = (
        select(deliveries.c.state, func.count())
        .where(deliveries.c.issue_id == issue_id)
        .group_by(deliveries.c.state)
    )
    counts = {str(state): int(count) for state, count in c.execute(query)}
    total = c.scalar(select(func.count()).where(deliveries.c.issue_id == issue_id)) or 0
    return Account(**counts, recipients=int(total))


def exclusion_counts(c: Connection, issue_id: int) -> dict[str, int]:
    """How many readers the issue leaves out, by reason."""
    query = (
        select(exclusions.c.reason, func.count())
        .where(exclusions.c.issue_id == issue_id)
        .group_by(exclusions.c.reason)
    )
    return {reason: int(count) for reason, count in c.execute(query)}


def lines(c: Connection, issue_id: int, state: DeliveryState) -> list[DeliveryLine]:
    """Who stands in a state, by address."""
    d = deliveries.c
    query = (
        select(d.id, d.address, d.state, d.state_at, d.attempts, d.code, d.reason, d.settled)
        .where(d.issue_id == issue_id, d.state == state)
        .order_by(d.address)
    )
    return [DeliveryLine(*row) for row in c.execute(query)]


def uncertain_of(c: Connection, issue_id: int, keys: Collection[str]) -> dict[str, int]:
    """The uncertain deliveries among those to these readers: address key -> delivery id."""
    d = deliveries.c
    query = select(d.address_key, d.id).where(
        d.issue_id == issue_id, d.state == S.UNCERTAIN, d.address_key.in_(keys)
    )
    return {row.address_key: row.id for row in c.execute(query)}


def get_variant(c: Connection, variant_id: int) -> StoredVariant:
    """One variant of an issue."""
    v = variants.c
    query = select(v.id, v.subject, v.html, v.text).where(v.id == variant_id)
    return StoredVariant(*c.execute(query).one())


def variant_counts(c: Connection, issue_id: int) -> list[tuple[int, str, int]]:
    """Mask and subject of each variant, and how many recipients it has."""
    v, d = variants.c, deliveries.c
    query = (
        select(v.mask, v.subject, func.count(d.id))
        .join(deliveries, d.variant_id == v.id)
        .where(v.issue_id == issue_id)
        .group_by(v.mask, v.subject)
    )
    return [(int(mask), subject, int(count)) for mask, subject, count in c.execute(query)]


def variant_with(c: Connection, issue_id: int, mask: int) -> StoredVariant | None:
    """The variant with just the items of `mask`; None where nobody gets that."""
    v = variants.c
    query = select(v.id, v.subject, v.html, v.text).where(v.issue_id == issue_id, v.mask == mask)
    row = c.execute(query).one_or_none()
    return StoredVariant(*row) if row else None


@dataclass(frozen=True, slots=True)
class Frozen:
    """What one recipient of a frozen issue gets or got."""

    address: str
    subscription_id: int
    mask: int
    variant: StoredVariant


def variant_of(c: Connection, issue_id: int, address_key: str) -> Frozen | None:
    """The variant that a recipient of a frozen issue gets or got; None where not a recipient."""
    v, d = variants.c, deliveries.c
    query = (
        select(d.address, d.subscription_id, v.mask, v.id, v.subject, v.html, v.text)
        .join(variants, v.id == d.variant_id)
        .where(d.issue_id == issue_id, d.address_key == address_key)
    )
    row = c.execute(query).one_or_none()
    return Frozen(row[0], row[1], row[2], StoredVariant(*row[3:])) if row else None


def has_left(c: Connection, issue_id: int) -> bool:
    """Whether any mail of the issue left, or may have."""
    d = deliveries.c
    gone = d.state.in_([S.SUBMITTING, S.SUBMITTED, S.UNCERTAIN])
    query = select(d.id).where(d.issue_id == issue_id, gone).limit(1)
    return c.execute(query).first() is not None


def next_due(c: Connection, issue_id: int, *, barring: Collection[str] = ()) -> datetime | None:
    """The earliest time at which a waiting delivery may be tried again; of other domains."""
    d = deliveries.c
    waiting = [d.issue_id == issue_id, d.state == S.PENDING]
    if barring:
        waiting.append(address_domain(c, d.address_key).not_in(list(barring)))
    found: datetime | None = c.scalar(select(func.min(d.not_before)).where(*waiting))
    return found


def first_due(c: Connection, issue_id: int) -> datetime | None:
    """Since when, or from when on, the first of what is pending may be tried."""
    d = deliveries.c
    may_go_at = func.min(func.coalesce(d.not_before, d.state_at))
    found: datetime | None = c.scalar(
        select(may_go_at).where(d.issue_id == issue_id, d.state == S.PENDING)
    )
    return found


def pending_domains(c: Connection, issue_id: int, among: Collection[str]) -> set[str]:
    """Those of some domains that something of the issue is pending for."""
    if not among:
        return set()
    d = deliveries.c
    domain = address_domain(c, d.address_key)
    mine = (d.issue_id == issue_id, d.state == S.PENDING, domain.in_(list(among)))
    return set(c.scalars(select(domain).where(*mine).distinct()))
