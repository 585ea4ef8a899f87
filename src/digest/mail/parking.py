"""Waiting for sockets: where the caller stands, or parked, while others of its thread go on.

Whoever talks to a server in straight lines, and asks `ready` before it would block, can be driven
in both ways. Parked work shares one thread: between two threads that hand small things to each
other, Python's lock moves from core to core, and that costs more than the things themselves. It
has no context variables of its own thread's.
"""

from __future__ import annotations

import math
import socket
from contextlib import suppress
from select import POLLIN, POLLOUT, poll
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a socket is waited for.
READ, WRITE = POLLIN, POLLOUT


_Result = TypeVar("_Result")


class HasFile(Protocol):
    def fileno(self) -> int: ...


def ready(sock: HasFile, event: int, seconds: float) -> bool:
    """Wait so long until a socket can be read from or written to; whether it can."""
    here = getcurrent()
    if isinstance(here, _Guest):
        return here.park(sock.fileno(), event, seconds)
    waiting = poll()
    waiting.register(sock, event)
    return bool(waiting.poll(_milliseconds(seconds)))


def aside(act: Callable[[], _Result], seconds: float) -> _Result:
    """What `act` returns or raises, of which nobody can tell beforehand how long it stands still.

    A thread of its own does it. Raises TimeoutError where it takes longer; it is not ended then.
    """
    here, there = socket.socketpair()
    results: list[_Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        with there:
            try:
                results.append(act())
            except BaseException as error:  # noqa: BLE001  raised again by whoever waits
                errors.append(error)

    with here:
        Thread(target=work, daemon=True).start()
        if not ready(here, READ, seconds):
            raise TimeoutError("timed out")
    if errors:
        raise errors.pop()
    return results[0]


class Lot:
    """Work that was begun by one thread, parked wherever it waits for a socket.

    It goes on only while the thread that began it calls `start` or `go_on`.
    """

    def __init__(self) -> None:
        self._poll = poll()
        self._parked: dict[int, _Guest] = {}

    @property
    def occupied(self) -> bool:
        """Some work is parked."""
        return bool(self._parked)

    def start(self, work: Callable[[], object]) -> None:
        """Begin some work; returns when it is parked, or done. What it raises comes out here."""
        _Guest(work, self).switch()

    def go_on(self, seconds: float) -> bool:
        """Let all go on whose socket is ready, or whose time was over; whether there were any.

        Waits so long for the first of them. What they raise comes out here.
        """
        now = monotonic()
        # Late is who was so before this look: all may have stood still, and the answer be there.
        late = [guest for guest in self._parked.values() if guest.until <= now]
        first = min((guest.until for guest in self._parked.values()), default=math.inf)
        found = self._poll.poll(_milliseconds(min(seconds, first - now)))
        waking = dict.fromkeys(late, False) | {self._parked[fd]: True for fd, _ in found}
        for guest, is_ready in waking.items():
            guest.switch(is_ready)
        return bool(waking)

    def end_all(self) -> None:
        """End all that is parked, where it stands."""
        for guest in list(self._parked.values()):
            guest.throw()

    def park(self, guest: _Guest, fd: int, event: int) -> bool:
        if fd in self._parked:
            raise RuntimeError("somebody waits for this socket already")
        try:
            self._parked[fd] = guest
            self._poll.register(fd, event)
            return bool(guest.host.switch())
        finally:
            # What interrupted this may have come before either.
            self._parked.pop(fd, None)
            with suppress(KeyError):
                self._poll.unregister(fd)


class _Guest(greenlet):
    """Some work that can be parked."""

    def __init__(self, work: Callable[[], object], lot: Lot) -> None:
        super().__init__(work)
        self._lot = lot
        #: Who goes on while this is parked.
        self.host = getcurrent()
        self.until = math.inf

    def park(self, fd: int, event: int, seconds: float) -> bool:
        self.until = monotonic() + seconds
        return self._lot.park(self, fd, event)


def _milliseconds(seconds: float) -> int:
    """What `poll` takes: never less time than was meant, or it would be asked in vain."""
    return math.ceil(max(seconds, 0.0) * 1000)
