"""What keeps a channel from publishing: stops by people, waits by networks, money spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from digest.store.dialect import insert_ignore
from digest.store.tables import charges, stops, waits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

#: The channel that stands for every one.
ALL = "all"


@dataclass(frozen=True, slots=True)
class Stop:
    """A channel, or "all", publishes nothing until somebody lets it."""

    channel: str
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A channel must not do this before a time."""

    channel: str
    #: "post", "media", "delete", "read", "money"
    what: str
    until: datetime
    reason: str


def stop(c: Connection, channel: str, *, at: datetime, actor: str, reason: str) -> bool:
    """Stop a channel, or "all"; False where it stands stopped already."""
    row = {"channel": channel, "at": at, "actor": actor, "reason": reason}
    return c.execute(insert_ignore(c, stops), row).rowcount == 1


def start(c: Connection, channel: str) -> bool:
    """Lift the stop of a channel, or of "all"; False where there is none."""
    return c.execute(delete(stops).where(stops.c.channel == channel)).rowcount == 1


def stops_of(c: Connection, channel: str | None = None) -> list[Stop]:
    """What stops this channel, or any."""
    query = select(stops).order_by(stops.c.channel)
    if channel is not None:
        query = query.where(stops.c.channel.in_([channel, ALL]))
    return [Stop(**row) for row in c.execute(query).mappings()]


def wait(c: Connection, channel: str, what: str, *, until: datetime, reason: str) -> bool:
    """Have a channel wait; False where it was told so already, until this or another time."""
    own = (waits.c.channel == channel, waits.c.what == what)
    anew = update(waits).where(*own).values(until=until, reason=reason)
    if c.execute(anew).rowcount:
        return False
    row = {"channel": channel, "what": what, "until": until, "reason": reason}
    # Another worker may be told the same at the same moment.
    if c.execute(insert_ignore(c, waits), row).rowcount:
        return True
    c.execute(anew)
    return False


def waits_of(c: Connection, now: datetime, channel: str | None = None) -> list[Wait]:
    """What a channel, or any, must not do yet."""
    query = select(waits).where(waits.c.until > now).order_by(waits.c.channel, waits.c.what)
    if channel is not None:
        query = query.where(waits.c.channel == channel)
    return [Wait(**row) for row in c.execute(query).mappings()]


def forget_wait(c: Connection, channel: str, what: str) -> bool:
    """Let a channel do this again; False where it need not wait."""
    own = (waits.c.channel == channel, waits.c.what == what)
    return c.execute(delete(waits).where(*own)).rowcount == 1


def forget_waits(c: Connection, now: datetime) -> None:
    """Clear away what is over."""
    c.execute(delete(waits).where(waits.c.until <= now))


def charge(
    c: Connection,
    channel: str,
    what: str,
    micros: int,
    *,
    now: datetime,
    publication: int | None = None,
) -> None:
    """Record what a call costs, in millionths of a dollar; free ones leave no row."""
    if micros:
        row = {"channel": channel, "publication_id": publication, "what": what}
        c.execute(charges.insert(), {**row, "micros": micros, "at": now})


def uncharge(c: Connection, publication_ids: Iterable[int], at: datetime) -> None:
    """Take back what saying these at that moment was to cost: nothing was accepted."""
    of = charges.c.publication_id.in_(list(publication_ids))
    mine = (of, charges.c.at == at, charges.c.what == "create")
    c.execute(delete(charges).where(*mine))


def spent(c: Connection, channel: str, since: datetime) -> int:
    """Millionths of a dollar spent on a channel since then."""
    total = select(func.coalesce(func.sum(charges.c.micros), 0))
    return int(c.scalar(total.where(charges.c.channel == channel, charges.c.at >= since)) or 0)
