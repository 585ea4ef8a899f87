"""When an issue will be through, by the pace of its last minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

#: Over which outcomes are counted: long enough for a server's pauses, short enough to follow it.
WINDOW = timedelta(minutes=5)

#: With fewer outcomes, or over less time, nothing is foretold.
_FEWEST = 5
_SHORTEST = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Pace:
    """What the ledger says of an issue's last minutes, and of what is to come."""

    #: Outcomes within the window, and when the first of them came.
    outcomes: int
    since: datetime | None
    #: What may go out now, and when the last of those that wait for a time may.
    due: int
    waits_until: datetime | None


def through_at(pace: Pace, now: datetime) -> datetime | None:
    """When the last of it will have had its outcome; None where nobody can tell.

    A pace that stands still makes the time move away, as it does.
    """
    end = now
    if pace.due:
        if pace.since is None or pace.outcomes < _FEWEST or now - pace.since < _SHORTEST:
            return None
        end = now + (now - pace.since) / pace.outcomes * pace.due
    return max(end, pace.waits_until) if pace.waits_until else end


def lasts(span: timedelta) -> str:
    """A span for people, no more exact than it is known: "about 3 min", "about 2 h 10 min"."""
    minutes = -(-int(span.total_seconds()) // 60)
    if minutes <= 1:
        return "about a minute"
    if minutes < 60:  # noqa: PLR2004
        return f"about {minutes} min"
    rounded = -(-minutes // 10) * 10
    return f"about {rounded // 60} h {rounded % 60} min".removesuffix(" 0 min")
