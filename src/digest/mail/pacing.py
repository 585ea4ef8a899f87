"""How often notices that anyone may ask for go to one address: pure, of times and now."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

#: One an hour, and so many a day: anybody can type anybody's address into a form.
PAUSE = timedelta(hours=1)
SPAN = timedelta(days=1)
MOST_IN_SPAN = 3


def earliest(asked: Sequence[datetime], now: datetime) -> datetime:
    """From when one more may leave, given when those of the last day were asked for."""
    times = sorted(asked)
    moments = [now]
    if times:
        moments.append(times[-1] + PAUSE)
    if len(times) >= MOST_IN_SPAN:
        moments.append(times[-MOST_IN_SPAN] + SPAN)
    return max(moments)
