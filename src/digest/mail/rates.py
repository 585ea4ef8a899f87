"""How many mails may begin now, where so many may in any period: pure, of counts and now.

What began is counted in slots of a twentieth of the period. A slot counts until all of it is
out of the window, so that no window of the period, wherever it begins, sees more than `most`;
for that, a period takes up to a twentieth longer than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from digest.config_mailers import Paced, Rate, Rates

    #: Rates that hold together, each with how many began in its slots.
    Used: TypeAlias = tuple[tuple[Rate, Mapping[int, int]], ...]

#: A closed window of a period touches one slot more than the period has.
SLOTS = 20
SPAN = SLOTS + 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Room:
    """How many may begin now; None: no limit. `next_at` (UTC) is when one may, where none may."""

    free: int | None = None
    next_at: datetime | None = None


#: Where nothing is declared.
NO_LIMIT = Room()


def room(rate: Rate, slots: Mapping[int, int], now: datetime) -> Room:
    """What one rate leaves, given how many began in each slot.

    Slots later than a period from now are left out: they are of a clock that jumped back.
    Nearer ones count, so that by any one clock the rate holds.
    """
    current = slot_at(rate.period, now)
    free = rate.most - _near(slots, current)
    if free > 0:
        return Room(free)
    leaving = sorted(slot + SPAN for slot in slots if slot + SPAN > current)
    opens = next(slot for slot in leaving if _near(slots, slot) < rate.most)
    return Room(0, _EPOCH + opens * slot_length(rate.period))


def _near(slots: Mapping[int, int], current: int) -> int:
    """How many stand in a window with something that begins in this slot."""
    return sum(count for slot, count in slots.items() if -SPAN < slot - current < SPAN)


def begins_at(rate: Rate, slots: Mapping[int, int], mails: int, now: datetime) -> datetime:
    """When the last of so many mails may begin, where each begins as soon as it may."""
    current = slot_at(rate.period, now)
    near = sorted(slot for slot in slots if -SPAN < slot - current < SPAN)
    left = rate.most - sum(slots[slot] for slot in near)
    rounds, place = divmod(mails - 1, rate.most)
    # In each round every place is taken once: those free now, then each as it is given up.
    opens = current
    for slot in near:
        if place < left:
            break
        left, opens = left + slots[slot], slot + SPAN
    length = slot_length(rate.period)
    return max(now, _EPOCH + (opens + rounds * SPAN) * length)


def tightest(rooms: Iterable[Room]) -> Room:
    """What several limits leave together."""
    limited = [each for each in rooms if each.free is not None]
    if not limited:
        return NO_LIMIT
    free = min(each.free for each in limited if each.free is not None)
    waits = [each.next_at for each in limited if each.next_at is not None]
    return Room(free, max(waits, default=None))


def slot_length(period: timedelta) -> timedelta:
    return period / SLOTS


def slot_at(period: timedelta, now: datetime) -> int:
    """The number of the slot that a moment is in."""
    return (now - _EPOCH) // slot_length(period)


def rates_of(paced: Paced, domain: str) -> Rates:
    """What is declared for the addresses of a domain."""
    return paced.domains.get(domain, paced.domains.get("*", ()))


def domain_of(address_key: str) -> str:
    """The domain by which an address is counted."""
    return address_key.rpartition("@")[2]
