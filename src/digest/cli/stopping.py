"""Ctrl-C and SIGTERM end a delivery between two messages, not within one."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def stop_gently() -> Iterator[Callable[[], bool]]:
    """Yields a question to ask between two deliveries: shall we stop?

    The first signal is answered when the message under way has its answer; a second
    one acts as it always does.
    """
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        print("stopping after this message; again to stop at once", file=sys.stderr)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
