"""Whether a mailbox that does not take our mail is given up: pure rules, no clock, no store.

A hard bounce or a complaint suppresses an address at once. A soft one is no more than counted,
and the count is no number that could drift: it follows from the deliveries themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

#: So many deliveries in a row came back, over so long at least, and no more is sent.
IN_A_ROW = 5
AT_LEAST = timedelta(days=14)
#: Of what was accepted so long ago and did not come back: it arrived.
SILENCE = timedelta(days=3)
#: An operator's word that a mailbox is well, kept among the events of its last delivery.
LIFTED = "lifted"
#: Nothing older says how a mailbox is now.
LOOKED_BACK = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Past:
    """A delivery that a mailer took or refused, and what became known of it."""

    at: datetime
    accepted: bool
    #: Its events, each with its kind.
    events: Collection[tuple[str, str | None]]


def keeps_refusing(newest_first: Iterable[Past], now: datetime) -> bool:
    """Whether a reader's last deliveries all came back softly, often and long enough.

    One that arrived ends the row. One of which nothing can be said yet, or that somebody's policy
    kept out, neither ends it nor counts.
    """
    row: list[datetime] = []
    for past in newest_first:
        fate = _fate(past, now)
        if fate == "arrived":
            break
        if fate == "soft":
            row.append(past.at)
    return len(row) >= IN_A_ROW and max(row) - min(row) >= AT_LEAST


def _fate(past: Past, now: datetime) -> Literal["arrived", "soft", "open"]:
    if any(event in {"delivered", LIFTED} for event, _ in past.events):
        return "arrived"
    bounces = {kind for event, kind in past.events if event == "bounced"}
    if "soft" in bounces:
        return "soft"
    quiet = past.accepted and not bounces and now - past.at >= SILENCE
    return "arrived" if quiet else "open"
