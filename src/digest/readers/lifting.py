"""The step that gives an address free which a mail system wrongly called dead.

What a reader asked for, and a complaint, is never undone: nobody else brings such a reader back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from digest.mail.addresses import AddressProblem, parse_address
from digest.readers.words import suppressed_since
from digest.store import readers, suppressions

if TYPE_CHECKING:
    from datetime import datetime

    from digest.store.engine import Store


class Lifted(StrEnum):
    """What became of it."""

    LIFTED = "lifted"
    #: Nothing was there to lift.
    NONE = "none"
    #: It is a person's word.
    KEPT = "kept"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LiftResult:
    """What became of it, and a sentence for whoever asked."""

    outcome: Lifted
    message: str


def lift(store: Store, address: str, reason: str, now: datetime) -> LiftResult:
    """Mail this address again, where no more than a bounce is against it."""
    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        return LiftResult(Lifted.REFUSED, parsed.reason)
    with store.write() as c:
        found = readers.suppressions_of(c, [parsed.key]).get(parsed.key)
        if found is None:
            return LiftResult(Lifted.NONE, "this address is not suppressed")
        if suppressions.lift(c, parsed.key, reason, now):
            return LiftResult(Lifted.LIFTED, "this address is mailed again")
    said = f"this address {suppressed_since(found)}; only what bounced can be lifted"
    return LiftResult(Lifted.KEPT, said)
