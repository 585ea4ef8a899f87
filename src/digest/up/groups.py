"""The processes of a group: what a child started and did not put into a session of its own."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROC = Path("/proc")


def members(group: int) -> list[int]:
    """Who lives in the group, its leader left out; those that ended and wait do not count."""
    rows = _from_proc() if (_PROC / "self" / "stat").exists() else _from_ps()
    return [
        pid
        for pid, of_group, state in rows
        if of_group == group and pid != group and not state.startswith("Z")
    ]


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send each the signal; one that is gone is no fault."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def parse_stat(text: str) -> tuple[int, int, str]:
    """Process, group and state from /proc/N/stat, whose second field may hold anything."""
    head, _, rest = text.rpartition(")")
    state, _parent, group = rest.split()[:3]
    return int(head.partition(" ")[0]), int(group), state


def _from_proc() -> Iterator[tuple[int, int, str]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            # It may end while we look.
            with suppress(OSError):
                yield parse_stat((folder / "stat").read_text(encoding="utf-8", errors="replace"))


def _from_ps() -> Iterator[tuple[int, int, str]]:
    command = ["ps", "-A", "-o", "pid=,pgid=,stat="]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    for line in done.stdout.splitlines():
        pid, group, state = line.split()
        yield int(pid), int(group), state
