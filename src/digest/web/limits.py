"""How often somebody may do a thing: kept in memory, and forgotten with the process.

What must hold beyond it (mails to one address) is counted in the store.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of whom times are remembered; the ones not seen for longest are forgotten first.
_MOST_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` times within any `seconds`."""

    most: int
    seconds: float


class Limiter:
    """Counts by what and who."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._times: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait(self, what: str, who: str, limit: Limit) -> int:
        """0 where it may be done, which is counted; else the seconds to wait for it."""
        with self._lock:
            now = self._clock()
            times = self._times.setdefault((what, who), deque())
            self._times.move_to_end((what, who))
            while len(self._times) > _MOST_KEYS:
                self._times.popitem(last=False)
            while times and now - times[0] >= limit.seconds:
                times.popleft()
            if len(times) >= limit.most:
                return max(1, round(limit.seconds - (now - times[0])))
            times.append(now)
            return 0

    def forget(self, what: str, who: str) -> None:
        """Begin anew, as after a sign-in that succeeded."""
        with self._lock:
            self._times.pop((what, who), None)
