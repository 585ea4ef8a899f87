"""Open connections to a mailer, each driven by a hand of its own.

What a hand is given was written down as begun before; what it answers is written down by whoever
gave it. A hand itself never touches the ledger. Where a mailer parks while it waits, its hands
share the thread of who gives; the others have a thread each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from digest.mail.parking import Lot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digest.model import MailerTraits
    from digest.ports import Mail, Mailer, Outcome

#: In seconds: how often it is looked whether all goodbyes are said.
GOODBYES = 1.0

#: In seconds: for how long answers are gathered at most once there is one.
GATHERING = 0.02

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


class Hands(ABC, Generic[Known]):
    """So many connections of one mailer; each is opened when it is first needed."""

    def __init__(self, make: Callable[[], Mailer], most: int) -> None:
        self._make = make
        self._most = most
        self.busy = 0

    @property
    def free(self) -> int:
        """How many can be given an order now."""
        return self._most - self.busy

    @abstractmethod
    def prepare(self, hands: int) -> None:
        """Have so many free hands: to `give` them something cannot fail then."""

    @abstractmethod
    def give(self, order: Order[Known]) -> None:
        """Let a free hand, one of those prepared, submit the request."""

    @abstractmethod
    def take(self, seconds: float) -> list[Done[Known]]:
        """What was done since; waits so long for the first of it."""

    @abstractmethod
    def close(self) -> None:
        """End the connections of the hands that are free, and wait for their goodbyes."""


def hands_of(make: Callable[[], Mailer], most: int, traits: MailerTraits) -> Hands[Known]:
    """Hands of the kind that the mailer can be driven by."""
    return _Parked(make, most) if traits.parks else _Threads(make, most)


def _carried_out(mailer: Mailer, order: Order[Known]) -> Done[Known]:
    try:
        return Done(order, _submitted(mailer, order))
    except BaseException as surprise:  # noqa: BLE001  raised again by the clerk
        return Done(order, surprise=surprise)


def _submitted(mailer: Mailer, order: Order[Known]) -> Sequence[Outcome]:
    outcomes = mailer.submit(order.mails, order.key)
    if len(outcomes) != len(order.mails):
        raise ValueError(f"{len(outcomes)} answers to {len(order.mails)} mails")
    return outcomes


# --- in one thread -----------------------------------------------------------------------------


class _Parked(Hands[Known]):
    """Hands that share the giver's thread, and go on while it takes."""

    def __init__(self, make: Callable[[], Mailer], most: int) -> None:
        super().__init__(make, most)
        self._lot = Lot()
        # The last one was busy last: its connection is the least likely to have been closed.
        self._free: list[Mailer] = []
        self._done: list[Done[Known]] = []

    def prepare(self, hands: int) -> None:
        while len(self._free) < hands:
            self._free.append(self._make())

    def give(self, order: Order[Known]) -> None:
        self.busy += 1
        mailer = self._free.pop()
        self._lot.start(lambda: self._carry_out(mailer, order))

    def _carry_out(self, mailer: Mailer, order: Order[Known]) -> None:
        done = _carried_out(mailer, order)
        if done.surprise is None:
            self._free.append(mailer)
        self._done.append(done)

    def take(self, seconds: float) -> list[Done[Known]]:
        until = monotonic() + seconds
        while not self._done and (left := until - monotonic()) > 0:
            self._lot.go_on(left)
        # What is ready by now as well; but whoever never stops talking holds up no answer.
        until = monotonic() + GATHERING
        while self._lot.occupied and self._lot.go_on(0) and monotonic() < until:
            pass
        found, self._done = self._done, []
        self.busy -= len(found)
        return found

    def close(self) -> None:
        # What is still under way has nobody any more who would hear its answer.
        self._lot.end_all()
        for mailer in self._free:
            self._lot.start(mailer.close)
        self._free.clear()
        while self._lot.occupied:
            self._lot.go_on(GOODBYES)


# --- in threads of their own -------------------------------------------------------------------


class _Threads(Hands[Known]):
    """Hands that may stand still while they wait."""

    def __init__(self, make: Callable[[], Mailer], most: int) -> None:
        super().__init__(make, most)
        self._free: list[_Thread[Known]] = []
        self._done: SimpleQueue[tuple[_Thread[Known], Done[Known]]] = SimpleQueue()

    def prepare(self, hands: int) -> None:
        while len(self._free) < hands:
            hand = _Thread(self._make(), self._done)
            hand.start()
            self._free.append(hand)

    def give(self, order: Order[Known]) -> None:
        self.busy += 1
        # The one that was busy last: its connection is the least likely to have been closed.
        self._free.pop().orders.put(order)

    def take(self, seconds: float) -> list[Done[Known]]:
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
        for hand in self._free:
            hand.orders.put(None)
        for hand in self._free:
            hand.join()
        self._free.clear()


class _Thread(Thread, Generic[Known]):
    """One connection. A daemon: whoever ends the process at once does not wait for a server."""

    def __init__(
        self, mailer: Mailer, done: SimpleQueue[tuple[_Thread[Known], Done[Known]]]
    ) -> None:
        super().__init__(name=f"{mailer.name} connection", daemon=True)
        self._mailer = mailer
        self._done = done
        self.orders: SimpleQueue[Order[Known] | None] = SimpleQueue()

    def run(self) -> None:
        while (order := self.orders.get()) is not None:
            done = _carried_out(self._mailer, order)
            self._done.put((self, done))
            if done.surprise is not None:
                return
        self._mailer.close()
