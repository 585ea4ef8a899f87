"""Open connections to a mailer, each driven by a thread of its own.

What a hand is given was written down as begun before; what it answers is written down by whoever
gave it. A hand itself never touches the ledger.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digest.ports import Mail, Mailer, Outcome

#: What the giver knows the request's mails by.
Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class Order(Generic[Known]):
    """One request, and what its mails are known by, in the same order."""

    key: str
    known: Sequence[Known]
    mails: Sequence[Mail]


@dataclass(frozen=True, slots=True)
class Done(Generic[Known]):
    """An order and its outcomes, one a mail; or the surprise that ended the hand."""

    order: Order[Known]
    outcomes: Sequence[Outcome] = ()
    surprise: BaseException | None = None


class Hands(Generic[Known]):
    """So many connections of one mailer; each is opened when it is first needed."""

    def __init__(self, make: Callable[[], Mailer], most: int) -> None:
        self._make = make
        self._most = most
        self._free: list[_Hand[Known]] = []
        self._done: SimpleQueue[tuple[_Hand[Known], Done[Known]]] = SimpleQueue()
        self.busy = 0

    @property
    def free(self) -> int:
        """How many can be given an order now."""
        return self._most - self.busy

    def prepare(self, hands: int) -> None:
        """Have so many free hands: to `give` them something cannot fail then."""
        while len(self._free) < hands:
            self._free.append(self._new())

    def give(self, order: Order[Known]) -> None:
        """Let a free hand, one of those prepared, submit the request."""
        self.busy += 1
        # The one that was busy last: its connection is the least likely to have been closed.
        self._free.pop().orders.put(order)

    def take(self, seconds: float) -> list[Done[Known]]:
        """What was done since; waits so long for the first of it."""
        found = []
        with suppress(Empty):
            found.append(self._done.get(timeout=seconds))
            while True:
                found.append(self._done.get_nowait())
        self.busy -= len(found)
        for hand, done in found:
            if done.surprise is None:
                self._free.append(hand)
        return [done for _, done in found]

    def close(self) -> None:
        """End the connections of the hands that are free, and wait for their goodbyes."""
        for hand in self._free:
            hand.orders.put(None)
        for hand in self._free:
            hand.join()
        self._free.clear()

    def _new(self) -> _Hand[Known]:
        hand = _Hand(self._make(), self._done)
        hand.start()
        return hand


class _Hand(Thread, Generic[Known]):
    """One connection. A daemon: whoever ends the process at once does not wait for a server."""

    def __init__(self, mailer: Mailer, done: SimpleQueue[tuple[_Hand[Known], Done[Known]]]) -> None:
        super().__init__(name=f"{mailer.name} connection", daemon=True)
        self._mailer = mailer
        self._done = done
        self.orders: SimpleQueue[Order[Known] | None] = SimpleQueue()

    def run(self) -> None:
        while (order := self.orders.get()) is not None:
            try:
                outcomes = self._submit(order)
            except BaseException as surprise:  # noqa: BLE001  raised again by the clerk
                self._done.put((self, Done(order, surprise=surprise)))
                return
            self._done.put((self, Done(order, outcomes)))
        self._mailer.close()

    def _submit(self, order: Order[Known]) -> Sequence[Outcome]:
        outcomes = self._mailer.submit(order.mails, order.key)
        if len(outcomes) != len(order.mails):
            raise ValueError(f"{len(outcomes)} answers to {len(order.mails)} mails")
        return outcomes
