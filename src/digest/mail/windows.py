"""When mails may go out: the hours and days of a newsletter, on the clock of its time zone.

It is open while the clock shows a time that is declared, whatever the clock did before: hours
that it jumps over are not there, hours that it shows twice are there twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from digest.config_mailers import SendWindow

_DAY = timedelta(days=1)


def is_open(window: SendWindow, zone: tzinfo, now: datetime) -> bool:
    """Whether mails may go out at this moment."""
    if not (window.hours or window.days or window.holidays):
        return True
    local = now.astimezone(zone)
    if not window.opens_on(local.date()):
        return False
    begins, ends = window.hours or (time.min, time.max)
    # The day's very last moment stands for 24:00.
    return begins <= local.time() and (local.time() < ends or ends == time.max)


def opens_at(window: SendWindow, zone: tzinfo, now: datetime) -> datetime | None:
    """When it opens next (UTC); None: it is open now.

    It opens sooner or later: config refuses a window that does not.
    """
    if is_open(window, zone, now):
        return None
    return next(at for at in _edges(window, zone, now) if is_open(window, zone, at))


def closes_at(window: SendWindow, zone: tzinfo, now: datetime) -> datetime | None:
    """When it shuts next (UTC), from the moment it is open on; None: never."""
    begins = opens_at(window, zone, now) or now
    if window.stays_open_from(begins.astimezone(zone).date()):
        return None
    return next(at for at in _edges(window, zone, begins) if not is_open(window, zone, at))


def open_until(window: SendWindow, zone: tzinfo, start: datetime, work: timedelta) -> datetime:
    """When work that goes on only while it is open is through, if it begins then."""
    at = opens_at(window, zone, start) or start
    while (shuts := closes_at(window, zone, at)) is not None and at + work > shuts:
        work -= shuts - at
        at = opens_at(window, zone, shuts) or shuts
    return at + work


def _edges(window: SendWindow, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Every later moment (UTC) at which it may open or shut, in order; endless."""
    begins, ends = window.hours or (time.min, time.max)
    times = {time.min, begins, ends} - {time.max}
    for since in (after.astimezone(UTC) + _DAY * number for number in count()):
        today = since.astimezone(zone).date()
        near = (today + _DAY * offset for offset in (-1, 0, 1, 2))
        shown = [datetime.combine(day, each, tzinfo=zone) for day in near for each in times]
        # Two where the clocks change: of these, those that are not shown then open nothing.
        readings = {each.replace(fold=fold).astimezone(UTC) for each in shown for fold in (0, 1)}
        edges = readings | _changes(zone, since)
        yield from sorted(at for at in edges if since < at <= since + _DAY)


def _changes(zone: tzinfo, since: datetime) -> set[datetime]:
    """The moment in the day from then on (UTC) at which the clocks change, if any."""

    def offset(microseconds: int) -> timedelta | None:
        return (since + timedelta(microseconds=microseconds)).astimezone(zone).utcoffset()

    first, last = 0, _DAY // timedelta(microseconds=1)
    before = offset(first)
    if offset(last) == before:
        return set()
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (middle, last) if offset(middle) == before else (first, middle)
    return {since + timedelta(microseconds=last)}
