"""Which period an issue stands for, from its scheduled time in the newsletter's zone.

Never from the moment a run happens to start: a run that is late, or repeated
after midnight, is about the same period. Weeks are ISO 8601 weeks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.model import Rhythm

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_PERIOD = re.compile(
    r"(?P<year>\d{4})-(?:W(?P<week>\d{2})|(?P<month>\d{2}))(?:\.(?P<edition>\d+))?"
)


@dataclass(frozen=True, slots=True)
class Week:
    """A moment, and the week from Monday to Sunday that a weekly cap counts at that moment."""

    now: datetime
    #: Its Monday at 00:00 on the wall clock, and the Monday after: the first not in it any more.
    began: datetime
    ended: datetime


def week_of(now: datetime, zone: ZoneInfo) -> Week:
    """The week of an aware moment, on the clock of a zone: 167 to 169 hours."""
    local = now.astimezone(zone).date()
    monday = local - timedelta(days=local.weekday())
    began, ended = (
        datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
        for day in (monday, monday + timedelta(days=7))
    )
    return Week(now, began, ended)


def period_of(rhythm: Rhythm, scheduled: datetime, zone: ZoneInfo, *, edition: int = 1) -> str:
    """The period of an aware `scheduled` time: "2026-W47", "2026-11", "2026-W47.2".

    Raises UsageError for the rhythm "each-post", whose periods are posts.
    """
    local = scheduled.astimezone(zone)
    year, week, _ = local.isocalendar()
    if rhythm is Rhythm.WEEKLY:
        base = f"{year:04}-W{week:02}"
    elif rhythm is Rhythm.MONTHLY:
        base = f"{local.year:04}-{local.month:02}"
    else:
        raise UsageError("issues of the rhythm each-post are made one per post")
    return base if edition == 1 else f"{base}.{edition}"


def period_days(period: str) -> tuple[date, date]:
    """The first and last day of a period, both within it."""
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise UsageError(f"{period!r} is not a period such as 2026-W47 or 2026-11")
    year = int(match["year"])
    if match["week"]:
        first = date.fromisocalendar(year, int(match["week"]), 1)
        return first, first + timedelta(days=6)
    first = date(year, int(match["month"]), 1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def period_before(rhythm: Rhythm, moment: datetime, zone: ZoneInfo) -> datetime:
    """One period earlier on the local clock: the same wall time a week or a month ago.

    Right over both clock changes, because the subtraction is done in local time.
    """
    local = moment.astimezone(zone)
    if rhythm is not Rhythm.MONTHLY:
        return (local - timedelta(days=7)).astimezone(moment.tzinfo)
    last_of_previous = local.replace(day=1) - timedelta(days=1)
    day = min(local.day, last_of_previous.day)
    return last_of_previous.replace(day=day).astimezone(moment.tzinfo)
