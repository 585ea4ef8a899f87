"""Deciding publications that may be out: looked up where a channel can, else by an editor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from digest.model import DeliveryState
from digest.social.publish import look_up, recover
from digest.store import publications as ledger

if TYPE_CHECKING:
    from digest.model import Act
    from digest.social.publish import Press
    from digest.store.publications import Publication

log = logging.getLogger(__name__)


def undecided(press: Press) -> list[Publication]:
    """The uncertain publications of the press's channels that nobody has decided on."""
    with press.store.read() as c:
        return [one for slug in press.channels for one in ledger.uncertain(c, slug)]


def look(press: Press) -> int:
    """Let every channel that can prove its uncertain publications; returns how many."""
    recover(press)
    return sum(look_up(press, slug) for slug in press.channels)


def settle(press: Press, act: Act, *, resend: bool) -> int:
    """Decide every uncertain publication: leave it be, or publish it again. Returns how many.

    Left, the rest of its thread has nothing to answer to, and is cancelled by the next
    publishing. Published again, its thread goes on from now, as paced as it was planned.
    """
    recover(press)
    after = DeliveryState.PENDING if resend else DeliveryState.UNCERTAIN
    how = f"{'resend' if resend else 'leave'}, by {act.actor}"
    count = 0
    for one in undecided(press):
        with press.store.write() as c:
            settled = ledger.settle(c, one.id, after, how=how, now=act.at)
            if settled and resend:
                ledger.put_off(c, one, act.at)
        log.info("publication %s on %s: %s", one.id, one.channel, how)
        count += settled
    return count
