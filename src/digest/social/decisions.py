"""What becomes of a publication after an attempt, of one in doubt, and of one that is late.

No clock, no store. After an attempt:

| answer | next state | the rest of the thread | the channel |
|---|---|---|---|
| receipt | submitted | goes on | goes on |
| refused | refused | cancelled | goes on |
| throttled | pending | waits | waits until the time that the network named |
| unavailable | pending | waits | ends its turn |
| unauthorized | pending, as if never tried | waits | is stopped until somebody lifts it |
| uncertain | uncertain | waits for its being settled | ends its turn |

Attempts are not counted out: what could not be published in time is given up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import DeliveryState

if TYPE_CHECKING:
    from datetime import datetime

    from digest.model import Traits
    from digest.ports import Receipts, Trouble

#: So long a thread that has begun is tried to be finished: better late than broken.
LATEST_REST = timedelta(days=7)
#: Where a network asks us to wait, and does not say how long.
UNSAID = timedelta(minutes=15)
#: No network's window is longer; a longer one is a mistake of somebody's clock.
LONGEST_WAIT = timedelta(hours=24)
#: So long after a network said that it has a text already, that text is looked for: whoever
#: has a text that he does not show yet may well have ours.
SHOWN_BY = timedelta(minutes=15)
#: So much before a network no longer makes one of two equal ones we stop relying on it.
MARGIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pause:
    """What a channel must not do until then: "post", "media", "delete", "read", "money"."""

    what: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write about one publication, and whether its channel goes on."""

    state: DeliveryState
    #: How many attempts now stand against it.
    attempts: int
    reason: str = ""
    code: str = ""
    pause: Pause | None = None
    #: The channel's other snippets would fare no better now; empty where it goes on.
    stop: str = ""
    #: It takes a person to set the channel going again.
    for_operator: bool = False


def decide(outcome: Receipts | Trouble, *, attempts: int, now: datetime) -> Decision:
    """Return what follows from a channel's answer; `attempts` counts those before it."""
    tried = attempts + 1
    match outcome:
        case tuple():
            return Decision(DeliveryState.SUBMITTED, tried)
        case Refused(reason=reason, code=code):
            return Decision(DeliveryState.REFUSED, tried, reason, code)
        case Uncertain(reason=reason, code=code):
            return Decision(DeliveryState.UNCERTAIN, tried, reason, code, stop=reason)
        case Unauthorized(reason=reason, code=code):
            pending = DeliveryState.PENDING
            return Decision(pending, attempts, reason, code, stop=reason, for_operator=True)
        case Unavailable(reason=reason, code=code):
            return Decision(DeliveryState.PENDING, tried, reason, code, stop=reason)
        case Throttled(reason=reason, code=code):
            pause = pause_of(outcome, now)
            return Decision(DeliveryState.PENDING, tried, reason, code, pause, stop=reason)
        case _:
            assert_never(outcome)


def pause_of(throttled: Throttled, now: datetime) -> Pause:
    """Until when the network wants to be left alone with what."""
    asked = UNSAID if throttled.retry_after is None else throttled.retry_after
    return Pause(throttled.window, now + min(max(asked, timedelta(0)), LONGEST_WAIT))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of an uncertain publication: its state from now on, and how it is known."""

    state: DeliveryState
    how: str


def verdict(
    found: Receipts | Trouble | None,
    *,
    code: str | None,
    tried_at: datetime,
    begun_at: datetime,
    ended_at: datetime,
    traits: Traits,
    now: datetime,
) -> Verdict | None:
    """Return what a look at the network says of a doubt; None where that must wait.

    "submitting" asks for the very same to be said once more, which tells. `tried_at` and
    `begun_at` are its first and its last attempt, `ended_at` when the last one was given up.
    """
    soon = now < max(begun_at, ended_at) + traits.seen_after
    match found:
        case tuple():
            return Verdict(DeliveryState.SUBMITTED, "found on the network")
        case None if soon:
            return None
        case None if code == "duplicate" and now < begun_at + SHOWN_BY:
            return None
        case None if code == "duplicate":
            why = "the network has this text from before, and takes none twice"
            return Verdict(DeliveryState.REFUSED, why)
        case None:
            return Verdict(DeliveryState.PENDING, "the network does not have it")
    # It cannot be seen now. Said again, it is one with the first: it stays in doubt until then.
    same = traits.same_for is not None and now < tried_at + traits.same_for - MARGIN
    if same and not soon:
        return Verdict(DeliveryState.SUBMITTING, "the network makes one of two for now")
    return None


def given_up(
    attempts: int, reason: str | None, *, hours: int, begun: bool
) -> tuple[DeliveryState, str]:
    """How a snippet ends that is too late: failed where it was tried in vain."""
    late = f"more than {LATEST_REST.days} days" if begun else f"more than {hours} hours"
    why = f"{late} after its slot"
    if attempts:
        return DeliveryState.FAILED, f"{why}; last: {reason}"
    return DeliveryState.CANCELLED, why


def key_of(publication_id: int, text: str) -> str:
    """The publication's own name for ever, even where a database begins anew beside old files."""
    return f"{publication_id}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
