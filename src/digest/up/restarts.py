"""Whether and when a child that died is started again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Deaths that lie further back than this are forgotten.
MEMORY_SECONDS = 300.0

#: So many deaths within the memory, and no more attempt is made.
MOST_DEATHS = 5

_LONGEST_WAIT = 30.0


def wait_after(deaths: Sequence[float], now: float) -> float | None:
    """Seconds to wait after the last of these deaths; None: give up.

    `deaths` and `now` are on one clock, in seconds.
    """
    recent = sum(now - death < MEMORY_SECONDS for death in deaths)
    if recent >= MOST_DEATHS:
        return None
    return min(2.0 ** (recent - 1), _LONGEST_WAIT) if recent else 0.0
