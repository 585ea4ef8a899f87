"""Queries on what a reader chose.

Whoever changes it holds the subscriber first and then the subscriptions by their ids, as
`digest.store.readers` does, so that no two wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  a field of the values below
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select, update

from digest.model import Interests, Rhythm
from digest.store.tables import subscribers, subscriptions, suppressions

if TYPE_CHECKING:
    from sqlalchemy import Row, Select
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription as its reader chose it; `paused_until` may be over."""

    id: int
    newsletter: str
    state: str
    interests: Interests
    rhythm: Rhythm
    paused_until: datetime | None
    ended_at: datetime | None

    @property
    def active(self) -> bool:
        return self.state == "active"

    def pause(self, now: datetime) -> datetime | None:
        """Until when it is paused; None where it is not, or not any more."""
        paused = self.paused_until is not None and self.paused_until > now
        return self.paused_until if paused else None


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one reader chose."""

    subscriber_id: int
    address: str
    weekly_cap: int | None
    #: The address is never written to, whatever its reader chose.
    suppressed: bool
    subscriptions: tuple[Subscription, ...]

    @property
    def active(self) -> tuple[Subscription, ...]:
        return tuple(each for each in self.subscriptions if each.active)

    def of(self, newsletter: str) -> Subscription | None:
        found = (each for each in self.subscriptions if each.newsletter == newsletter)
        return next(found, None)


def reader_of(c: Connection, subscription_id: int) -> int | None:
    """The id of the subscriber, who may be erased."""
    query = select(subscriptions.c.subscriber_id).where(subscriptions.c.id == subscription_id)
    found: int | None = c.scalar(query)
    return found


def settings_of(c: Connection, subscriber_id: int, *, held: bool = False) -> Settings | None:
    """What a reader chose, held for whoever changes it; None for one who is erased or unknown."""
    s = subscribers.c
    barred = exists().where(suppressions.c.address_key == s.address_key)
    query = select(s.id, s.address, s.weekly_cap, barred.label("suppressed")).where(
        s.id == subscriber_id, s.address_key.is_not(None)
    )
    row = c.execute(query.with_for_update(of=subscribers) if held else query).one_or_none()
    if row is None:
        return None
    chosen = _subscriptions(c, subscriber_id, held=held)
    return Settings(row.id, row.address, row.weekly_cap, row.suppressed, chosen)


def subscription(c: Connection, subscription_id: int, *, held: bool = False) -> Subscription | None:
    """One subscription, also of an erased reader, held for whoever changes it."""
    query = _query().where(subscriptions.c.id == subscription_id)
    row = c.execute(query.with_for_update() if held else query).one_or_none()
    return None if row is None else _subscription(row)


def subscription_to(c: Connection, subscriber_id: int, newsletter: str) -> Subscription:
    """A subscriber's subscription to a newsletter, which there is."""
    s = subscriptions.c
    query = _query().where(s.subscriber_id == subscriber_id, s.newsletter == newsletter)
    return _subscription(c.execute(query).one())


def choose(c: Connection, chosen: Subscription) -> None:
    """Write interests, rhythm and pause; when the reader agreed stays as it was."""
    c.execute(
        update(subscriptions)
        .where(subscriptions.c.id == chosen.id)
        .values(
            interests=chosen.interests.key,
            rhythm=chosen.rhythm,
            paused_until=chosen.paused_until,
        )
    )


def set_weekly_cap(c: Connection, subscriber_id: int, cap: int | None) -> None:
    """Write how many issues a week a reader takes at most."""
    c.execute(update(subscribers).where(subscribers.c.id == subscriber_id).values(weekly_cap=cap))


def come_back(c: Connection, subscription_id: int, source: str, now: datetime) -> None:
    """The reader's own word for a subscription that is not active: consent from now on."""
    c.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(
            state="active",
            consent_source=source,
            consent_at=now,
            ended_at=None,
            ended_reason=None,
            paused_until=None,
        )
    )


def _query() -> Select[Any]:
    s = subscriptions.c
    return select(s.id, s.newsletter, s.state, s.interests, s.rhythm, s.paused_until, s.ended_at)


def _subscriptions(c: Connection, subscriber_id: int, *, held: bool) -> tuple[Subscription, ...]:
    s = subscriptions.c
    query = _query().where(s.subscriber_id == subscriber_id).order_by(s.id)
    found = c.execute(query.with_for_update() if held else query)
    return tuple(map(_subscription, found))


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        row.id,
        row.newsletter,
        row.state,
        Interests.from_key(row.interests),
        Rhythm(row.rhythm),
        row.paused_until,
        row.ended_at,
    )
