"""What keeps a channel from publishing now: a stop, a wait, quiet hours; and setting them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from digest.errors import Throttled, Unauthorized
from digest.social.decisions import LONGEST_WAIT, pause_of
from digest.social.money import dollars, from_micros, month_of, to_micros
from digest.social.networks import links_in
from digest.social.slots import is_quiet
from digest.store import publications as ledger
from digest.store import standstill

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config_social import Channel, Prices
    from digest.ports import Trouble
    from digest.social.decisions import Decision, Pause
    from digest.social.press import Press, Turn
    from digest.social.readying import Readied
    from digest.store.publications import Publication
    from digest.store.standstill import Wait

log = logging.getLogger(__name__)

#: A stop that a network's answer made, not a person.
BY_NETWORK = "digest"
#: What keeps snippets from going out. That the month's money is spent is reckoned each time, for
#: a cap may be raised.
_FOR_POSTING = ("post", "media")


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
    wait = wait_for(c, slug, _FOR_POSTING, now)
    return _in_words(wait) if wait else ""


def must_wait(c: Connection, slug: str, what: str, now: datetime) -> str:
    """Why the channel must not "delete" or "read" now; empty where it may.

    What a person stopped may be looked after still; where the network takes nothing from us
    it is not asked.
    """
    for stop in standstill.stops_of(c, slug):
        if stop.actor == BY_NETWORK:
            return f"{slug} was stopped by {stop.actor}: {stop.reason}"
    wait = wait_for(c, slug, (what,), now)
    return _in_words(wait) if wait else ""


def wait_for(c: Connection, slug: str, whats: Iterable[str], now: datetime) -> Wait | None:
    """The longest of these waits of a channel that holds now.

    One that is longer than any network asks for was made by a clock that was wrong.
    """
    found = [one for one in standstill.waits_of(c, now, slug) if one.what in whats]
    holding = [one for one in found if one.until - now <= LONGEST_WAIT]
    return max(holding, key=lambda one: one.until, default=None)


def _in_words(wait: Wait) -> str:
    return f"waits until {wait.until:%Y-%m-%d %H:%M} UTC: {wait.reason}"


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


def mind(turn: Turn, slug: str, trouble: Trouble, now: datetime) -> None:
    """Let a channel wait, or stop it, as its answer to something else than publishing asks."""
    with turn.press.store.write() as c:
        if isinstance(trouble, Throttled):
            pause(c, slug, pause_of(trouble, now), trouble.reason)
        if isinstance(trouble, Unauthorized):
            halt(c, turn, slug, trouble.reason, now)


def halt(c: Connection, turn: Turn, slug: str, reason: str, now: datetime) -> None:
    """Stop a channel whose network takes nothing from it; somebody is told once."""
    if standstill.stop(c, slug, at=now, actor=BY_NETWORK, reason=reason):
        turn.tell(f"{slug} was stopped: {reason}; then: digest social start {slug}")
        log.warning("channel %s was stopped: %s", slug, reason)


def over_cap(
    c: Connection, press: Press, slug: str, batch: Sequence[Publication], now: datetime
) -> str:
    """Why the month's money does not do for these; empty where it does.

    A thread is begun only if there is enough for all of it, and for the rest of those that
    have begun.
    """
    channel = press.declared[slug]
    if channel.monthly_cap is None:
        return ""
    wanted = {one.id: one for one in batch}
    if batch[0].position == 1:
        rest = [*ledger.of_thread(c, batch[0].thread_id), *ledger.begun(c, slug)]
        wanted |= {one.id: one for one in rest if one.state in ledger.UNDERWAY}
    month, price = month_of(now), sum(_price_of(one, channel) for one in wanted.values())
    spent = standstill.spent(c, slug, month.begins)
    if spent + price <= to_micros(channel.monthly_cap):
        return ""
    return (
        f"{_cap_of(channel, now)} is reached:"
        f" {dollars(from_micros(spent))} spent, {dollars(from_micros(price))} needed"
    )


def tell_cap(c: Connection, turn: Turn, slug: str, why: str, now: datetime) -> None:
    """Have a channel wait for the next month; somebody is told once of each cap."""
    cap = _cap_of(turn.press.declared[slug], now)
    known = [one for one in standstill.waits_of(c, now, slug) if one.what == "money"]
    standstill.wait(c, slug, "money", until=month_of(now).ends, reason=why)
    if not any(one.reason.startswith(f"{cap} ") for one in known):
        turn.tell(f"{slug} waits: {why}")


def forget_old_cap(c: Connection, press: Press, slug: str, now: datetime) -> None:
    """Clear a wait away that another cap made."""
    channel = press.declared[slug]
    cap = "" if channel.monthly_cap is None else f"{_cap_of(channel, now)} "
    for wait in standstill.waits_of(c, now, slug):
        if wait.what == "money" and not (cap and wait.reason.startswith(cap)):
            standstill.forget_wait(c, slug, "money")


def charge(
    c: Connection, press: Press, slug: str, batch: Sequence[Publication], now: datetime
) -> None:
    """Record what saying these costs, before they are said."""
    prices = press.declared[slug].bill
    for one in batch:
        micros = _price_of_saying(one, prices)
        standstill.charge(c, slug, "create", micros, now=now, publication=one.id)


def charge_media(
    c: Connection, press: Press, slug: str, readied: Sequence[Readied], now: datetime
) -> None:
    """Record what was spent on the alt texts of these, whatever becomes of them."""
    micros = to_micros(press.declared[slug].bill.media)
    for one in readied:
        if one.snippet.picture and one.snippet.picture.alt:
            standstill.charge(c, slug, "media", micros, now=now, publication=one.publication.id)


def charge_calls(c: Connection, press: Press, slug: str, what: str, count: int) -> None:
    """Record what so many posts to "read" or "delete" cost."""
    prices = press.declared[slug].bill
    each = to_micros(prices.read if what == "read" else prices.delete)
    standstill.charge(c, slug, what, each * count, now=press.clock())


def _cap_of(channel: Channel, now: datetime) -> str:
    assert channel.monthly_cap is not None
    return f"the cap of {dollars(channel.monthly_cap)} for {month_of(now)}"


def _price_of(one: Publication, channel: Channel) -> int:
    """What it is to cost, in millionths of a dollar."""
    prices = channel.price_list
    alt = one.image_url and one.image_alt
    return _price_of_saying(one, prices) + (to_micros(prices.media) if alt else 0)


def _price_of_saying(one: Publication, prices: Prices) -> int:
    return to_micros(prices.create_with_link if links_in(one.text) else prices.create)
