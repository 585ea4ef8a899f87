"""Locks that the kernel holds for a process: it lets go at the very moment of a kill -9.

A lock belongs to an open file. A child that inherits the file goes on holding it,
so the lock of a child's own file says whether that very child lives, whatever
became of its parent; no clock, and no process id that another may bear by now.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def take(path: Path) -> int | None:
    """Lock the file and return its descriptor; None where another process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    # Who held it before holds it no more.
    os.ftruncate(handle, 0)
    return handle


def sign(handle: int, pid: int) -> None:
    """Write into a locked file who holds it."""
    os.pwrite(handle, f"{pid}\n".encode(), 0)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock; a file that is not there is held by nobody."""
    if not path.exists():
        return False
    handle = take(path)
    if handle is None:
        return True
    os.close(handle)
    return False


def holder(path: Path) -> int | None:
    """The process that signed the file, if any did."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None
