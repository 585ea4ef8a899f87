"""Whether anybody waits for a page just now: what has time makes way for them."""

from __future__ import annotations

from threading import Condition


class Traffic:
    """Counts the pages under way; `with traffic:` is one of them."""

    def __init__(self) -> None:
        self._quiet = Condition()
        self._under_way = 0

    def __enter__(self) -> None:
        with self._quiet:
            self._under_way += 1

    def __exit__(self, *_: object) -> None:
        with self._quiet:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.notify_all()

    def wait_until_quiet(self, seconds: float) -> None:
        """Return as soon as no page is under way, at the latest after so many seconds."""
        with self._quiet:
            self._quiet.wait_for(lambda: not self._under_way, seconds)
