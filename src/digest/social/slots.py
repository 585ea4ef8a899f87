"""When threads go out: the next free slots of a channel, right over both clock changes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

    from digest.config import Config
    from digest.config_social import Channel, Slots

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last slot of a thread, both included; UTC."""

    first: datetime
    last: datetime


def zone_of(channel: Channel, config: Config) -> ZoneInfo:
    """The time zone that a channel's slots are declared in."""
    return ZoneInfo(channel.slots.time_zone or config.site.time_zone)


def slots_for(
    items: int, slots: Slots, zone: ZoneInfo, now: datetime, taken: Iterable[Span]
) -> tuple[datetime, ...]:
    """The slots of a thread of `items` snippets, in UTC: the first free start not before `now`.

    A start is free where no snippet of the thread would go out among those of another.
    """
    pace = timedelta(minutes=slots.pace_minutes)
    is_free = _free(taken)
    free = (
        start
        for start in starts(slots, zone, now)
        if is_free(Span(start, start + pace * (items - 1)))
    )
    start = next(free)
    return tuple(start + pace * index for index in range(items))


def _free(taken: Iterable[Span]) -> Callable[[Span], bool]:
    """Whether a span meets none that is taken, asked without looking at each of them."""
    spans = sorted(taken, key=lambda span: span.first)
    firsts = [span.first for span in spans]
    # How far the spans up to each one reach.
    reach = list(accumulate((span.last for span in spans), max))

    def is_free(span: Span) -> bool:
        before = bisect_right(firsts, span.last)
        return not before or reach[before - 1] < span.first

    return is_free


def starts(slots: Slots, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """The declared weekdays and times from `now` on, in UTC, in order, each once; endless.

    A local time that does not exist (the clocks go forward) is as much later as the clocks
    jump; one that exists twice happens the first time.
    """
    today = now.astimezone(zone).date()
    last = now - timedelta(microseconds=1)
    # A day early: a time moved by the clocks may end up on the next day.
    for day in (today + timedelta(days=offset) for offset in count(-1)):
        if _WEEKDAYS[day.weekday()] in slots.weekdays:
            for moment in _moments(day, slots, zone):
                if moment > last:
                    last = moment
                    yield moment


def _moments(day: date, slots: Slots, zone: ZoneInfo) -> list[datetime]:
    local = (datetime.combine(day, time.replace(tzinfo=zone)) for time in slots.times)
    return sorted(moment.astimezone(UTC) for moment in local)
