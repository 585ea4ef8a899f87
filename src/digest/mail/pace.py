"""When an issue will be through: by the pace of its last minutes, and by all that holds it up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from digest.config_mailers import PERIODS, SendWindow
from digest.mail.rates import begins_at, room
from digest.mail.windows import is_open, open_until, opens_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from digest.config_mailers import Rate
    from digest.mail.rates import Used

#: Over which outcomes are counted: long enough for a server's pauses, short enough to follow it.
WINDOW = timedelta(minutes=5)

#: With fewer outcomes, or over less time, nothing is foretold.
_FEWEST = 5
_SHORTEST = timedelta(seconds=2)
#: What would take longer is nothing that anybody can tell.
_LONGEST = timedelta(days=60)
#: A pace that a rate makes is no standstill.
_STANDSTILL = timedelta(seconds=30)
_DAY = PERIODS["day"]


@dataclass(frozen=True, slots=True)
class Pace:
    """What the ledger says of an issue's last minutes, and of what is to come."""

    #: Outcomes of a stretch of time, from the first of them to now; of an issue that is held up,
    #: to the last of them.
    outcomes: int
    over: timedelta
    #: What may go out now, and when the last of those that wait for a time may.
    due: int
    waits_until: datetime | None


@dataclass(frozen=True, slots=True)
class Portion:
    """What is due of an issue and held up together: all of it, or what is for one domain."""

    due: int
    rates: Used = ()
    #: Until when nothing of it begins; None: no longer than the rest.
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds an issue up beside the pace of its mailer."""

    #: The mailer's.
    rates: Used = ()
    #: One for each domain that has rates of its own, or must wait.
    domains: tuple[Portion, ...] = ()
    #: Until when nothing begins: the mailer was asked to wait, or the canary is waited for.
    not_before: datetime | None = None
    #: For how long a canary that is on its way will be waited for.
    canary: timedelta = timedelta(0)
    window: SendWindow = field(default_factory=SendWindow)
    zone: tzinfo = UTC


def is_held(limits: Limits, now: datetime) -> bool:
    """Whether nothing goes out just now, so that the pace is that of an earlier time."""
    if limits.not_before is not None and limits.not_before > now:
        return True
    if not is_open(limits.window, limits.zone, now):
        return True
    nexts = (room(rate, slots, now).next_at for rate, slots in limits.rates)
    return any(at is not None and at - now > _STANDSTILL for at in nexts)


def through_at(pace: Pace, now: datetime, limits: Limits) -> datetime | None:
    """When the last of it will have had its outcome; None where nobody can tell.

    A pace that stands still makes the time move away, as it does.
    """
    end = now
    if pace.due:
        start = max(now, limits.not_before or now) + limits.canary
        ends = list(_ends(pace, start, limits))
        if not ends or max(ends) - now > _LONGEST:
            return None
        end = max(ends)
    if pace.waits_until is None:
        return end
    last = opens_at(limits.window, limits.zone, pace.waits_until) or pace.waits_until
    return max(end, last)


def _ends(pace: Pace, start: datetime, limits: Limits) -> Iterator[datetime]:
    """When what is due would be through by each thing that slows it; the latest is true."""
    for portion in (Portion(pace.due, limits.rates), *limits.domains):
        yield from _ends_of(portion, _each(pace), max(start, portion.not_before or start), limits)


def _ends_of(
    portion: Portion, each: timedelta | None, start: datetime, limits: Limits
) -> Iterator[datetime]:
    if each is not None:
        yield _open_until(start, each * portion.due, limits)
    elif portion.not_before is not None:
        # Where nothing else is left for minutes there is no pace, but this much is known.
        yield _open_until(start, timedelta(0), limits)
    for rate, slots in portion.rates:
        if portion.due // rate.most * rate.period > _LONGEST:
            yield start + 2 * _LONGEST
            continue
        last = begins_at(rate, slots, portion.due, start)
        # A rate that lets all of it out at once tells nothing about how long that takes.
        if each is not None or last > start:
            yield _by_rate(rate, start, last, limits)


def _each(pace: Pace) -> timedelta | None:
    """How long one delivery takes; None where too little is known."""
    known = pace.outcomes >= _FEWEST and pace.over >= _SHORTEST
    return pace.over / pace.outcomes if known else None


def _by_rate(rate: Rate, start: datetime, last: datetime, limits: Limits) -> datetime:
    if rate.period < _DAY:
        return _open_until(start, last - start, limits)
    # What may go out in a day gathers while the window is shut.
    return opens_at(limits.window, limits.zone, last) or last


def _open_until(start: datetime, work: timedelta, limits: Limits) -> datetime:
    if work > _LONGEST:
        return start + work
    return open_until(limits.window, limits.zone, start, work)


def lasts(span: timedelta) -> str:
    """A span for people, no more exact than it is known: "about 3 min", "about 2 h 10 min"."""
    minutes = -(-int(span.total_seconds()) // 60)
    if minutes <= 1:
        return "about a minute"
    if minutes < 60:  # noqa: PLR2004
        return f"about {minutes} min"
    rounded = -(-minutes // 10) * 10
    return f"about {rounded // 60} h {rounded % 60} min".removesuffix(" 0 min")
