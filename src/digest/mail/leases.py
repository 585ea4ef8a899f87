"""What a worker has leased of an issue, in the order in which it is to begin.

A domain that must wait holds up nobody else: what is leased for it stands aside for a moment, or
goes back to whoever comes when it may be written to again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.mail.rates import domain_of
from digest.store import deliveries as ledger

if TYPE_CHECKING:
    from collections.abc import KeysView, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.store.deliveries import Claimed
    from digest.store.engine import Store

#: For how long a worker on another machine is believed to live after it last said so. Their
#: clocks may differ by less than that.
LEASE = timedelta(minutes=5)
#: What is leased for a domain that must wait is kept for so long, or else given back.
SOON = timedelta(seconds=5)


@dataclass
class Leases:
    """One worker's part of an issue's pending deliveries."""

    store: Store
    issue_id: int
    worker: str
    #: Nothing lay beyond the last claim, but for domains that were passed over.
    drained: bool = False
    _claimed: deque[Claimed] = field(default_factory=deque)
    #: By domain, of those that must wait for a moment.
    _lanes: dict[str, deque[Claimed]] = field(default_factory=dict)
    #: To be given back.
    _unwanted: list[Claimed] = field(default_factory=list)
    #: Where the next claim goes on.
    _after: int = 0
    _passed_over: frozenset[str] = frozenset()

    @property
    def kept(self) -> int:
        """How many are leased, and may begin now or in a moment."""
        return len(self._claimed) + sum(map(len, self._lanes.values()))

    @property
    def unwanted(self) -> bool:
        """Some are to be given back."""
        return bool(self._unwanted)

    @property
    def lanes(self) -> KeysView[str]:
        """The domains that something is leased for, and that had to wait for a moment."""
        return self._lanes.keys()

    def next(self, held: Mapping[str, datetime], now: datetime, most: int) -> Claimed | None:
        """The next whose domain need not wait; leases `most` more where none is at hand.

        `held` are the domains that must wait, and until when.
        """
        for domain in [domain for domain in self._lanes if domain not in held]:
            lane = self._lanes[domain]
            claimed = lane.popleft()
            if not lane:
                del self._lanes[domain]
            return claimed
        while self._claimed or self._claim(held, now, most):
            claimed = self._claimed.popleft()
            if not held or domain_of(claimed.address_key) not in held:
                return claimed
            self.set_aside(claimed, held, now)
        return None

    def set_aside(self, claimed: Claimed, held: Mapping[str, datetime], now: datetime) -> None:
        """Its domain must wait."""
        domain = domain_of(claimed.address_key)
        if held[domain] - now <= SOON:
            self._lanes.setdefault(domain, deque()).append(claimed)
        else:
            self._unwanted.append(claimed)
            self._passed_over |= {domain}

    def give_back(self, c: Connection, now: datetime) -> None:
        """Let others have what this worker will not begin soon."""
        ledger.put_back(c, self._unwanted, self.worker, now)
        self._unwanted.clear()

    def end(self, now: datetime) -> None:
        """Give back all that was not begun."""
        with self.store.write() as c:
            ledger.release(c, self.issue_id, self.worker, now)

    def _claim(self, held: Mapping[str, datetime], now: datetime, most: int) -> bool:
        """Lease some more; whether there were any."""
        # Again where a domain that was passed over need not wait any more.
        if most <= 0 or (self.drained and not self._passed_over - held.keys()):
            return False
        barring = frozenset(held) | self._lanes.keys()
        with self.store.write() as c:
            self.give_back(c, now)
            found = ledger.claim(
                c,
                self.issue_id,
                self.worker,
                now=now,
                until=now + LEASE,
                most=most,
                after=self._after,
                barring=barring,
            )
        # What became due again before the place where we are: once more from the start.
        at_start = self._after == 0
        self._after = found[-1].id if found else 0
        self._passed_over = barring if at_start else self._passed_over | barring
        self.drained = not found and at_start
        self._claimed.extend(found)
        return bool(found) or (not at_start and self._claim(held, now, most))
