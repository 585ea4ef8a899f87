"""What becomes of a publication after an attempt, and of one that is late: no clock, no store.

| answer | next state | the rest of the thread | the channel |
|---|---|---|---|
| receipt | submitted | goes on | goes on |
| refused | refused | cancelled | goes on |
| throttled, unavailable | pending, for a later run | waits | ends its turn |
| unauthorized | pending, as if never tried | waits | ends its turn, and says so |
| uncertain | uncertain | waits for a decision | ends its turn |

Attempts are not counted out: what could not be published within `LATEST` is given up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import DeliveryState, Receipt

if TYPE_CHECKING:
    from datetime import datetime

    from digest.ports import Outcome

#: So long after its slot a snippet is out of date: after an outage the backlog floods nobody.
LATEST = timedelta(hours=24)

_GIVEN_UP = f"more than {LATEST // timedelta(hours=1)} hours after its slot"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write about one publication, and whether its channel goes on."""

    state: DeliveryState
    #: How many attempts now stand against it.
    attempts: int
    reason: str = ""
    code: str = ""
    not_before: datetime | None = None
    #: The channel's other snippets would fare no better now; empty where it goes on.
    stop: str = ""
    #: It takes a person to set the channel going again.
    for_operator: bool = False


def decide(outcome: Outcome, *, attempts: int, now: datetime) -> Decision:
    """Return what follows from a channel's answer; `attempts` counts those before it."""
    tried = attempts + 1
    match outcome:
        case Receipt():
            return Decision(DeliveryState.SUBMITTED, tried)
        case Refused(reason=reason, code=code):
            return Decision(DeliveryState.REFUSED, tried, reason, code)
        case Uncertain(reason=reason):
            return Decision(DeliveryState.UNCERTAIN, tried, reason, stop=reason)
        case Unauthorized(reason=reason, code=code):
            return Decision(
                DeliveryState.PENDING, attempts, reason, code, stop=reason, for_operator=True
            )
        case Unavailable(reason=reason, code=code):
            return Decision(DeliveryState.PENDING, tried, reason, code, stop=reason)
        case Throttled(reason=reason, code=code, retry_after=pause):
            wait = now + min(pause, LATEST) if pause else None
            return Decision(DeliveryState.PENDING, tried, reason, code, wait, stop=reason)
        case _:
            assert_never(outcome)


def given_up(attempts: int, reason: str | None) -> tuple[DeliveryState, str]:
    """How a snippet ends that is more than `LATEST` late: failed where it was tried in vain."""
    if attempts:
        return DeliveryState.FAILED, f"{_GIVEN_UP}; last: {reason}"
    return DeliveryState.CANCELLED, _GIVEN_UP


def key_of(publication_id: int, text: str) -> str:
    """The publication's own name for ever, even where a database begins anew beside old files."""
    return f"{publication_id}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
