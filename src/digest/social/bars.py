"""What keeps a channel from publishing now: a stop, a wait, quiet hours; and setting them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from digest.social.money import dollars, from_micros, month_of, to_micros
from digest.social.networks import links_in
from digest.social.slots import is_quiet
from digest.store import standstill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config_social import Channel
    from digest.social.decisions import Decision, Pause
    from digest.social.press import Press, Turn
    from digest.store.publications import Publication

log = logging.getLogger(__name__)

#: A stop that a network's answer made, not a person.
BY_NETWORK = "digest"
#: What keeps snippets from going out; a wait of another kind does not.
_FOR_POSTING = frozenset({"post", "media", "money"})


def bar(c: Connection, press: Press, slug: str, now: datetime) -> str:
    """Why nothing can go out on the channel now; empty where it can."""
    if why := fault(c, slug, now):
        return why
    until = is_quiet(press.declared[slug].slots, press.workshop.zone(slug), now)
    return f"quiet hours until {until:%Y-%m-%d %H:%M} UTC" if until else ""


def fault(c: Connection, slug: str, now: datetime) -> str:
    """The stop or wait of a channel; empty where there is none."""
    for stop in standstill.stops_of(c, slug):
        what = "publishing" if stop.channel == standstill.ALL else slug
        return f"{what} was stopped by {stop.actor}: {stop.reason}"
    for wait in standstill.waits_of(c, now, slug):
        if wait.what in _FOR_POSTING:
            return f"waits until {wait.until:%Y-%m-%d %H:%M} UTC: {wait.reason}"
    return ""


def must_wait(c: Connection, slug: str, what: str, now: datetime) -> str:
    """Why the channel must not "delete" or "read" now; empty where it may."""
    for wait in standstill.waits_of(c, now, slug):
        if wait.what == what:
            return f"waits until {wait.until:%Y-%m-%d %H:%M} UTC: {wait.reason}"
    return ""


def pause(c: Connection, slug: str, pause: Pause, reason: str) -> None:
    """Have the channel wait as its network asked."""
    standstill.wait(c, slug, pause.what, until=pause.until, reason=reason)


def heed(c: Connection, turn: Turn, slug: str, decision: Decision, now: datetime) -> None:
    """Let a channel wait, or stop it, as its answer asks; somebody is told of a stop once."""
    if decision.pause:
        pause(c, slug, decision.pause, decision.reason)
    if decision.for_operator:
        halt(c, turn, slug, decision.reason, now)
    if decision.stop:
        turn.faults[slug] = decision.stop


def halt(c: Connection, turn: Turn, slug: str, reason: str, now: datetime) -> None:
    """Stop a channel whose network takes nothing from it; somebody is told once."""
    if standstill.stop(c, slug, at=now, actor=BY_NETWORK, reason=reason):
        turn.tell(f"{slug} was stopped: {reason}; then: digest social start {slug}")
        log.warning("channel %s was stopped: %s", slug, reason)


def price_of(one: Publication, channel: Channel) -> int:
    """What saying it costs, in millionths of a dollar."""
    prices = channel.price_list
    create = prices.create_with_link if links_in(one.text) else prices.create
    alt = prices.media if one.image_url and one.image_alt else 0
    return to_micros(create + alt)


def over_cap(
    c: Connection, turn: Turn, slug: str, batch: Sequence[Publication], now: datetime
) -> str:
    """Why the month's money does not do for these; the channel then waits until the next."""
    channel = turn.press.declared[slug]
    if channel.monthly_cap is None:
        return ""
    month, price = month_of(now), sum(price_of(one, channel) for one in batch)
    spent = standstill.spent(c, slug, month.begins)
    if spent + price <= to_micros(channel.monthly_cap):
        return ""
    why = (
        f"the cap of {dollars(channel.monthly_cap)} for {month} is reached:"
        f" {dollars(from_micros(spent))} spent, {dollars(from_micros(price))} needed"
    )
    if standstill.wait(c, slug, "money", until=month.ends, reason=why):
        turn.tell(f"{slug} waits: {why}")
    return why


def charge(
    c: Connection, press: Press, slug: str, batch: Sequence[Publication], now: datetime
) -> None:
    """Record what saying these costs, before they are said."""
    channel = press.declared[slug]
    for one in batch:
        micros = price_of(one, channel)
        standstill.charge(c, slug, "create", micros, now=now, publication=one.id)


def charge_calls(press: Press, slug: str, what: str, count: int) -> None:
    """Record what so many posts to "read" or "delete" cost."""
    prices = press.declared[slug].price_list
    each = to_micros(prices.read if what == "read" else prices.delete)
    if each and count:
        with press.store.write() as c:
            standstill.charge(c, slug, what, each * count, now=press.clock())
