"""Decides deliveries in doubt where their mailer can tell what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.model import DeliveryState, Receipt
from digest.store import deliveries as ledger

if TYPE_CHECKING:
    from digest.ports import Clock, Mailer
    from digest.store.engine import Store


def look_up(store: Store, mailer: Mailer, mailer_key: str, issue_id: int, clock: Clock) -> int:
    """Decide the uncertain deliveries that were said to this very mailer, where it can prove them.

    Returns how many: submitted, or, where the mailer can tell that too, pending again.
    """
    if not mailer.traits.can_find:
        return 0
    with store.read() as c:
        doubtful = ledger.uncertain_ids(c, issue_id, mailer=mailer_key)
    decided = 0
    for delivery_id, message_id in doubtful:
        found = mailer.find(message_id)
        if found is not None and not isinstance(found, Receipt):
            break
        if found is None and not mailer.traits.finds_absence:
            continue
        after = DeliveryState.SUBMITTED if found else DeliveryState.PENDING
        with store.write() as c:
            ledger.settle(c, delivery_id, after, how=f"looked up in {mailer_key}", now=clock())
        decided += 1
    return decided
