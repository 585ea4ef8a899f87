"""Who holds a lease, and whether they are still alive.

A worker on this machine holds a lock on a file of its own for as long as its
process lives: the kernel lets go of it at the very moment of a kill -9, which no
clock can tell as soon or as surely. A worker on another machine is judged by
its lease alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def working(folder: Path, token: str) -> Iterator[str]:
    """Be a worker until the end of the block; yields its name. `token` makes it unique."""
    name = f"{_host()}:{os.getpid()}:{token}"
    path = _lock_path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


def death_certificate(folder: Path, me: str, now: datetime) -> Callable[[str, datetime], bool]:
    """Judges workers by name and end of lease: True where one certainly works no more."""

    def is_dead(worker: str, lease_until: datetime) -> bool:
        if worker == me:
            return False
        if worker.split(":", 1)[0] != _host():
            return lease_until < now
        return _unlocked(_lock_path(folder, worker))

    return is_dead


def _host() -> str:
    return socket.gethostname().replace(":", "-") or "localhost"


def _lock_path(folder: Path, worker: str) -> Path:
    return folder / f"worker-{worker.replace(':', '-').replace('/', '-')}.lock"


def _unlocked(path: Path) -> bool:
    """Whether nobody holds the lock; the file of a dead worker is cleared away."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True
