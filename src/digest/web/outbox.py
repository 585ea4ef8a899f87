"""Sends what the pages queued, in a thread beside them: an answer must not wait for a mail."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from digest import notices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from digest.web.pages import Web

#: Between two looks where nobody queued anything: other processes queue as well, and what did
#: not leave has a time from which it is tried again.
_SECONDS = 30.0
#: How long the pages wait at their end for the one notice that is being submitted.
_GRACE_SECONDS = 20.0

#: How long a notice waits at most for the readers who wait for a page.
_PATIENCE_SECONDS = 0.5

log = logging.getLogger(__name__)


@contextmanager
def sending(web: Web, seconds: float = _SECONDS) -> Iterator[None]:
    """Until the end of the block, send notices as they fall due."""
    ending = Event()
    thread = Thread(target=_work, args=(web, ending, seconds), name="outbox", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        web.queued.set()
        thread.join(_GRACE_SECONDS)


def _work(web: Web, ending: Event, seconds: float) -> None:
    def stop() -> bool:
        web.traffic.wait_until_quiet(_PATIENCE_SECONDS)
        return ending.is_set()

    while not ending.is_set():
        web.queued.clear()
        try:
            notices.send_due(web.current(), should_stop=stop)
        except Exception:
            # Whatever it was, the next notices must leave; what was lost in it is uncertain.
            log.exception("notices could not be sent; tried again in a while")
            ending.wait(seconds)
        web.queued.wait(seconds)
