"""When threads go out: the next free slots of a channel, right over both clock changes.

Nothing goes out in the quiet hours. A thread begins where all of it goes out before they begin;
one that is too long for that on any day pauses over them and goes on when they end.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain, count, pairwise, takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, time

    from digest.config import Config
    from digest.config_social import Channel, Quiet, Slots

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Each declared weekday twice, so that one on which the clocks change is not the only one seen.
_ALL_STARTS = timedelta(days=15)


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last slot of a thread, both included; UTC."""

    first: datetime
    last: datetime


def zone_of(channel: Channel, config: Config) -> ZoneInfo:
    """The time zone that a channel's slots are declared in."""
    return ZoneInfo(channel.slots.time_zone or config.site.time_zone)


def slots_for(
    items: int,
    slots: Slots,
    zone: ZoneInfo,
    now: datetime,
    taken: Iterable[Span],
    *,
    at_once: bool = False,
) -> tuple[datetime, ...]:
    """The slots of a thread of `items` snippets, in UTC: the first free start not before `now`.

    A start is free where no snippet of the thread would go out among those of another.
    `at_once`: the network takes the thread whole, and all of it has one slot.
    """
    pace = _pace(slots, at_once=at_once)
    spans = tuple(taken)
    is_free = _free(spans)
    # After what is taken every start is free, so what is not found by then is not there at all.
    until = max((now, *(span.last for span in spans))) + _ALL_STARTS
    near = list(takewhile(lambda start: start <= until, starts(slots, zone, now)))

    def whole(start: datetime) -> tuple[datetime, ...]:
        return tuple(start + pace * index for index in range(items))

    def is_awake(moments: Iterable[datetime]) -> bool:
        return not any(is_quiet(slots, zone, moment) for moment in moments)

    # What fits on no day of a fortnight is not looked for among months of slots.
    if any(is_awake(whole(start)) for start in near if start <= near[0] + _ALL_STARTS):
        for moments in map(whole, near):
            if is_free(_span(moments)) and is_awake(moments):
                return moments
    outside = (start for start in near if is_free(Span(start, start)) and is_awake([start]))
    paused = (_paused(start, pace, items, slots, zone) for start in chain(outside, near))
    return next(moments for moments in paused if is_free(_span(moments)))


def pause_note(given: Sequence[datetime], slots: Slots, *, at_once: bool = False) -> str | None:
    """What an editor should know of slots that `slots_for` gave: where they pause."""
    pace = _pace(slots, at_once=at_once)
    pauses = sum(later - earlier > pace for earlier, later in pairwise(given))
    if slots.quiet is None or not pauses:
        return None
    often = f", {pauses} times" if pauses > 1 else ""
    return f"too long to go out between quiet hours: it pauses over them{often}"


def is_quiet(slots: Slots, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the quiet hours end (UTC) in which `now` is; None where it is in none.

    They last from the first time that the clock shows their beginning to the last time that it
    shows their end, without a gap. Times that the clocks jump over count at both their ends.
    """
    if slots.quiet is None:
        return None
    end = now
    for begins, ends in _quiet_hours(slots.quiet, zone, now):
        if begins > end:
            break
        end = max(end, ends)
    return end if end > now else None


def _quiet_hours(
    quiet: Quiet, zone: ZoneInfo, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """From before `now` on, in order; endless. Both ends are doubtful where the clocks change."""
    overnight = timedelta(days=quiet.after > quiet.until)
    today = now.astimezone(zone).date()
    for day in (today + timedelta(days=offset) for offset in count(-2)):
        begins = min(_readings(day, quiet.after, zone))
        yield begins, max(_readings(day + overnight, quiet.until, zone))


def _readings(day: date, time: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moments that a local time can mean: two where the clocks change, else one twice."""
    local = datetime.combine(day, time, tzinfo=zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _pace(slots: Slots, *, at_once: bool) -> timedelta:
    return timedelta(minutes=0 if at_once else slots.pace_minutes)


def _paused(
    start: datetime, pace: timedelta, items: int, slots: Slots, zone: ZoneInfo
) -> tuple[datetime, ...]:
    """The slots of a thread that waits wherever it meets quiet hours."""

    def awake(moment: datetime) -> datetime:
        return is_quiet(slots, zone, moment) or moment

    return tuple(
        accumulate(range(1, items), lambda last, _: awake(last + pace), initial=awake(start))
    )


def _span(moments: Sequence[datetime]) -> Span:
    return Span(moments[0], moments[-1])


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

    Quiet hours are not looked at. A local time that does not exist (the clocks go forward) is as
    much later as the clocks jump; one that exists twice happens the first time.
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
