"""What is costly to work out is worked out once a minute, however often a page is looked at."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

_SECONDS = 60.0
_MOST = 100


class Remembered(Generic[T]):
    """Values by key, each for a minute; whoever asks at the same time waits for the same answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[Hashable, tuple[float, T]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            now = self._clock()
            kept = self._kept.get(key)
            if kept is not None and now - kept[0] < _SECONDS:
                return kept[1]
            value = make()
            fresh = {k: v for k, v in self._kept.items() if now - v[0] < _SECONDS}
            self._kept = dict(list(fresh.items())[1 - _MOST :]) | {key: (now, value)}
            return value
