"""Queries on subscribers, subscriptions and suppressions.

Whoever writes holds the rows it decides on: SQLite by its one write transaction, PostgreSQL
by locking subscribers and subscriptions in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  a field of the values below
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import bindparam, delete, insert, or_, select, update

from digest.model import Interests, Rhythm
from digest.store.dialect import insert_ignore, upsert
from digest.store.suppressions import BOUNCE
from digest.store.tables import erasures, subscribers, subscriptions, suppressions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.engine import Connection

#: How many rows of a long answer are held at a time.
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why an address is never mailed again."""

    reason: str
    origin: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Erasure:
    """When an address was erased, and the suppression that outlived it."""

    at: datetime
    suppression: Suppression | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one subscription stands.

    `ended_at` and `ended_reason` are set from the moment the reader left until that reader
    comes back by their own mail: a pending subscription may carry them too.
    """

    id: int
    address_key: str
    newsletter: str
    state: str
    ended_at: datetime | None
    ended_reason: str | None


@dataclass(frozen=True, slots=True)
class ListedSubscription:
    """One subscription as listed; `suppressed` is the reason where the address is."""

    id: int
    address: str
    newsletter: str
    state: str
    interests: Interests
    rhythm: Rhythm
    consent_source: str
    consent_at: datetime | None
    ended_at: datetime | None
    ended_reason: str | None
    paused_until: datetime | None
    suppressed: str | None


class NewSubscription(TypedDict):
    """A row for `add_subscriptions`."""

    subscriber_id: int
    newsletter: str
    interests: str
    rhythm: str
    state: str
    consent_source: str
    consent_at: datetime | None
    created_at: datetime


class Renewal(TypedDict):
    """New choices for a pending or ended subscription, for `renew`."""

    subscription_id: int
    interests: str
    rhythm: str
    state: str
    consent_source: str
    consent_at: datetime | None


def suppressions_of(c: Connection, keys: Collection[str]) -> dict[str, Suppression]:
    """The suppressions among these address keys."""
    s = suppressions.c
    query = select(s.address_key, s.reason, s.origin, s.at).where(s.address_key.in_(keys))
    return {
        row.address_key: Suppression(row.reason, row.origin, row.at) for row in c.execute(query)
    }


def erasures_of(
    c: Connection, keys: Collection[str], hashed: Callable[[str], str]
) -> dict[str, Erasure]:
    """Those of these address keys that were erased, told by their keyed hashes."""
    by_hash = {hashed(key): key for key in keys}
    query = select(erasures).where(erasures.c.address_hash.in_(by_hash))
    return {by_hash[row.address_hash]: _erasure(row) for row in c.execute(query)}


def _erasure(row: Row[Any]) -> Erasure:
    if row.suppressed_reason is None:
        return Erasure(row.at, None)
    suppression = Suppression(row.suppressed_reason, row.suppressed_origin, row.suppressed_at)
    return Erasure(row.at, suppression)


def barred(c: Connection, key: str, hashed: Callable[[str], str]) -> Suppression | None:
    """Why an address is never mailed: its suppression, or the one behind its erasure."""
    found = suppressions_of(c, [key]).get(key)
    if found is not None:
        return found
    erasure = erasures_of(c, [key], hashed).get(key)
    return erasure.suppression if erasure else None


def end_erasure(c: Connection, key: str, hashed: Callable[[str], str]) -> None:
    """The reader came back by their own mail; a suppression stays whatever they say."""
    gone = (erasures.c.address_hash == hashed(key), erasures.c.suppressed_reason.is_(None))
    c.execute(delete(erasures).where(*gone))


def suppress(c: Connection, key: str, suppression: Suppression) -> bool:
    """Store a suppression; False where the address has one already, which stays as it is.

    But what a mail system said can be lifted: a person's word takes its place. Of an erased
    reader the ledger knows the keyed hash alone: it goes to their erasure.
    """
    if "@" not in key:
        return _suppress_erased(c, key, suppression)
    said = {"reason": suppression.reason, "origin": suppression.origin, "at": suppression.at}
    added = upsert(c.dialect.name, suppressions).values(address_key=key, **said)
    if suppression.origin == BOUNCE:
        added = added.on_conflict_do_nothing()
    else:
        liftable = suppressions.c.origin == BOUNCE
        here = [suppressions.c.address_key]
        added = added.on_conflict_do_update(index_elements=here, set_=said, where=liftable)
    # Not by `rowcount`, which an INSERT leaves at -1 on PostgreSQL.
    return c.execute(added.returning(suppressions.c.address_key)).first() is not None


def _suppress_erased(c: Connection, address_hash: str, suppression: Suppression) -> bool:
    e = erasures.c
    liftable = e.suppressed_origin == BOUNCE
    free = e.suppressed_reason.is_(None)
    changed = c.execute(
        update(erasures)
        .where(
            e.address_hash == address_hash,
            free if suppression.origin == BOUNCE else or_(free, liftable),
        )
        .values(
            suppressed_reason=suppression.reason,
            suppressed_origin=suppression.origin,
            suppressed_at=suppression.at,
        )
    )
    return changed.rowcount == 1


def hold_subscribers(c: Connection, keys: Collection[str]) -> None:
    """Keep these subscribers as they are until the transaction ends, where they are known."""
    s = subscribers.c
    query = select(s.id).where(s.address_key.in_(keys)).order_by(s.id).with_for_update()
    c.execute(query).all()


def add_subscribers(c: Connection, addresses: Mapping[str, str], now: datetime) -> dict[str, int]:
    """The ids of these subscribers by address key, the missing ones made and all of them held.

    `addresses` gives the display form of each key; a known subscriber keeps theirs.
    """
    rows = [
        {"address": addresses[key], "address_key": key, "created_at": now}
        for key in sorted(addresses)
    ]
    if rows:
        c.execute(insert_ignore(c, subscribers), rows)
    s = subscribers.c
    query = select(s.address_key, s.id).where(s.address_key.in_(addresses))
    found = c.execute(query.order_by(s.id).with_for_update())
    return {row.address_key: row.id for row in found}


def standings_of(c: Connection, keys: Collection[str]) -> dict[tuple[str, str], Standing]:
    """The subscriptions of these address keys, by key and newsletter, all of them held."""
    query = _standings().where(subscribers.c.address_key.in_(keys))
    held = query.order_by(subscriptions.c.id).with_for_update(of=subscriptions)
    found = map(_standing, c.execute(held))
    return {(standing.address_key, standing.newsletter): standing for standing in found}


def standing(c: Connection, subscription_id: int, *, held: bool = True) -> Standing | None:
    """One subscription, held for whoever writes. Of an erased reader the address key is empty."""
    query = _standings().where(subscriptions.c.id == subscription_id)
    if held:
        query = query.with_for_update(of=subscriptions)
    row = c.execute(query).one_or_none()
    return None if row is None else _standing(row)


def _standings() -> Select[tuple[int, str, str, str, datetime, str]]:
    s = subscriptions.c
    return select(
        s.id, subscribers.c.address_key, s.newsletter, s.state, s.ended_at, s.ended_reason
    ).join_from(subscriptions, subscribers)


def _standing(row: Row[tuple[int, str, str, str, datetime, str]]) -> Standing:
    return Standing(
        row.id,
        row.address_key or "",
        row.newsletter,
        row.state,
        row.ended_at,
        row.ended_reason,
    )


def add_subscriptions(c: Connection, rows: Sequence[NewSubscription]) -> None:
    """Store new subscriptions."""
    if rows:
        c.execute(insert(subscriptions), rows)


def renew(c: Connection, rows: Sequence[Renewal]) -> None:
    """Give subscriptions new choices; that a reader left stays on record."""
    if rows:
        fields = ("interests", "rhythm", "state", "consent_source", "consent_at")
        statement = (
            update(subscriptions)
            .where(subscriptions.c.id == bindparam("subscription_id"))
            .values({field: bindparam(f"new_{field}") for field in fields})
        )
        c.execute(statement, [_renamed(row) for row in rows])


def _renamed(row: Renewal) -> dict[str, object]:
    return {k if k == "subscription_id" else f"new_{k}": v for k, v in row.items()}


def activate(c: Connection, subscription_id: int, now: datetime) -> None:
    """The reader's own word: consent from now on, and any earlier leaving is over."""
    c.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(state="active", consent_at=now, ended_at=None, ended_reason=None)
    )


def end(c: Connection, subscription_id: int, reason: str, now: datetime) -> None:
    """End a subscription, and its pause with it: whoever comes back wants to be written to."""
    c.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(state="ended", ended_at=now, ended_reason=reason, paused_until=None)
    )


def listed(
    c: Connection, newsletter: str | None, states: Iterable[str]
) -> Iterator[ListedSubscription]:
    """Subscriptions by newsletter and address, without those of erased readers."""
    s = subscriptions.c
    query = (
        select(
            *(s.id, subscribers.c.address, s.newsletter, s.state, s.interests, s.rhythm),
            *(s.consent_source, s.consent_at, s.ended_at, s.ended_reason, s.paused_until),
            suppressions.c.reason.label("suppressed"),
        )
        .join_from(subscriptions, subscribers)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(subscribers.c.address_key.is_not(None), s.state.in_(list(states)))
        .order_by(s.newsletter, subscribers.c.address_key)
    )
    if newsletter is not None:
        query = query.where(s.newsletter == newsletter)
    for row in c.execute(query.execution_options(yield_per=_PAGE)):
        fields = row._asdict()
        fields["interests"] = Interests.from_key(row.interests)
        fields["rhythm"] = Rhythm(row.rhythm)
        yield ListedSubscription(**fields)
