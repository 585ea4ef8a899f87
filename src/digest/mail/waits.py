"""How long a mailer, or a domain at a mailer, is left alone once a server asked for time.

The longer, the more often in a row it did: pure rules, no clock, no store.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

#: Instead of a domain: the mailer as a whole.
MAILER = ""

#: First and longest pause. A domain's are those of a delivery; a mailer's are short, for while
#: it is left alone nobody gets anything.
_OF_DOMAIN = (timedelta(minutes=1), timedelta(hours=4))
_OF_MAILER = (timedelta(seconds=15), timedelta(minutes=30))
#: A server that names a longer one is not believed, or nothing would go out.
LONGEST_ASKED = timedelta(days=1)
#: So long after a wait a new one has nothing to do with it.
STREAK_ENDS = timedelta(days=1)

_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be said to a mailer, or for a domain, until then (UTC)."""

    until: datetime
    #: What the server said; no address stands in it.
    reason: str
    #: How often in a row.
    streak: int

    def holds(self, now: datetime) -> bool:
        """Whether it is not over. One that is over is kept for its streak."""
        return self.until > now


def next_wait(
    before: Wait | None, key: tuple[str, str], reason: str, now: datetime, asked: timedelta | None
) -> Wait:
    """The wait of a mailer and domain (`key`) after one more answer that asked for time.

    Answers that come while it waits belong to the same trouble: they do not make the streak
    longer, and put it off only where the server names a later time.
    """
    asked = min(asked or timedelta(0), LONGEST_ASKED)
    if before is not None and before.holds(now):
        return Wait(max(before.until, now + asked), reason, before.streak)
    goes_on = before is not None and now - before.until < STREAK_ENDS
    streak = before.streak + 1 if before is not None and goes_on else 1
    return Wait(now + max(_pause(key, streak), asked), reason, streak)


def _pause(key: tuple[str, str], streak: int) -> timedelta:
    """Double with the streak, and up to a quarter longer, for the same key always alike."""
    first, longest = _OF_MAILER if key[1] == MAILER else _OF_DOMAIN
    pause = min(first * (1 << min(streak - 1, _MOST_DOUBLINGS)), longest)
    digest = hashlib.sha256(f"{key[0]}:{key[1]}:{streak}".encode()).digest()
    return pause + pause * digest[0] / (4 * 255)
