"""One child process: started in a session of its own, logged to a file, ended for certain.

Ctrl-C in a terminal reaches its foreground group alone, so the children get it
from nobody but the supervisor. Each child inherits a locked file (`digest.locks`),
by which the next `digest up` knows whether it outlived this one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from digest import locks
from digest.errors import DigestError
from digest.up import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: How often a waiting loop looks.
LOOK_SECONDS = 0.05

_LARGEST_LOG = 5 * 1024 * 1024
_OLD_LOGS = 3
_LAST_LINES = 15
_LAST_BYTES = 8 * 1024


def always() -> bool:
    return True


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Program:
    """What a child is to run."""

    name: str
    """Of its log and lock."""
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    cwd: Path
    log: Path
    lock: Path
    patience: float = 10
    """Seconds between the request to stop and the end by force."""
    stop_signal: signal.Signals = signal.SIGTERM
    followers_first: bool = False
    """Whether those in its group are ended before it: it would take them down by force."""
    user: str | None = None
    """The account to run as, where that is not ours."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """What to say beside words that its log may hold."""
    may_start: Callable[[], bool] = always
    """Whether what it leans on is there; asked before it is started again."""


@dataclass(slots=True)
class Child:
    """A program under way."""

    program: Program
    process: subprocess.Popen[bytes]
    log_start: int
    """Where in its log this child's own lines begin."""
    launched: float
    """When, on the monotonic clock."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self) -> int | None:
        """Its exit code once it ended; below zero the signal that ended it."""
        return self.process.poll()

    def said(self) -> str:
        """What it has logged since its start."""
        with self.program.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")


class ChildError(DigestError):
    """A child ended before it was ready; the message has the last lines of its log."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        """Its exit code, where it ended by itself."""


def launch(program: Program) -> Child:
    """Start the program. Raises ChildError where it cannot even be started."""
    _rotate(program.log)
    lock = locks.take(program.lock)
    if lock is None:
        raise ChildError(
            f"{program.title} seems to run already: process {locks.holder(program.lock)} holds "
            f"{program.lock}; end it first"
        )
    try:
        with program.log.open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(  # noqa: S603  our own command, no shell
                program.command,
                env=dict(program.environment),
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
                user=program.user,
                group=program.user,
                # Else it would keep root's groups.
                extra_groups=[] if program.user else None,
            )
        locks.sign(lock, process.pid)
    except OSError as error:
        raise ChildError(f"{program.title} could not be started: {error}") from error
    finally:
        # The child has the same open file and with it the lock.
        os.close(lock)
    return Child(program, process, start, time.monotonic())


def wait_until(
    ready: Callable[[], bool], child: Child, seconds: float, check: Callable[[], None]
) -> None:
    """Wait for the child to be ready. Raises ChildError where it ends or takes too long.

    `check` is called all the while and may raise to leave.
    """
    until = time.monotonic() + seconds
    while not ready():
        check()
        code = child.ended()
        if code is not None:
            how = how_it_ended(code)
            raise ChildError(f"{child.program.title} {how}.\n{last_lines(child)}", code)
        if time.monotonic() > until:
            raise ChildError(
                f"{child.program.title} was not ready after {seconds:.0f} s.\n{last_lines(child)}"
            )
        time.sleep(LOOK_SECONDS)


def start(
    program: Program, ready: Callable[[], bool], seconds: float, check: Callable[[], None]
) -> Child:
    """Launch the program and wait until it is ready; what fails at it is stopped."""
    child = launch(program)
    try:
        wait_until(ready, child, seconds, check)
    except BaseException:
        stop(child)
        raise
    return child


def stop(child: Child, hurry: Callable[[], bool] = never) -> None:
    """Ask it to stop, then end it by force, and with it whatever it left in its group.

    From the moment that `hurry` says so the patience is over.
    """
    program = child.program
    if child.ended() is None:
        if program.followers_first:
            end_followers(child.pid, program.patience, hurry)
        _send(child.pid, program.stop_signal)
        if not _within(program.patience, lambda: child.ended() is not None, hurry):
            child.process.kill()
            child.process.wait()
    sweep(child.pid, hurry)


def end_followers(group: int, patience: float, hurry: Callable[[], bool] = never) -> None:
    """Ask all of the group but its leader to end, those too that it starts meanwhile."""
    asked: set[int] = set()

    def ended() -> bool:
        left = groups.members(group)
        groups.signal_all(set(left) - asked, signal.SIGTERM)
        asked.update(left)
        return not left

    _within(patience, ended, hurry)


def sweep(leader: int, hurry: Callable[[], bool] = never) -> None:
    """End what is left in the group of a leader that ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = groups.members(leader)
        if not left:
            return
        groups.signal_all(left, number)
        _within(5, lambda: not groups.members(leader), hurry)


def end_leftover(
    name: str,
    lock: Path,
    stop_signal: signal.Signals,
    say: Callable[[str], None],
    *,
    followers_first: bool,
) -> None:
    """End the child that an earlier supervisor left behind when it was killed.

    While the lock is held the process that signed it lives, or one of its own children: so its
    number, which is that of its group too, cannot be another's by now.
    """
    if not locks.is_held(lock):
        return
    pid = locks.holder(lock)
    if pid is None:
        raise DigestError(f"an unknown process holds {lock}: find it with `lsof` and end it")
    say(f"Ending {name} of last time, process {pid}")
    if followers_first:
        end_followers(pid, 30)
    for number, patience in ((stop_signal, 30), (signal.SIGKILL, 10)):
        _send(pid, number)
        if _within(patience, lambda: not locks.is_held(lock), never):
            break
    else:
        raise DigestError(f"process {pid} ({name}) does not end; see {lock}")
    sweep(pid)


def how_it_ended(code: int) -> str:
    """In words: `ended with code 1`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def last_lines(child: Child) -> str:
    """The end of what it logged, and where the rest is."""
    said = child.said()
    lines = said[-_LAST_BYTES:].splitlines()[-_LAST_LINES:]
    quoted = "\n".join(f"  | {line}" for line in lines if line.strip())
    hints = (hint for words, hint in child.program.hints.items() if words in said)
    return "\n".join(part for part in (quoted, *hints, f"Its log: {child.program.log}") if part)


def _within(seconds: float, done: Callable[[], bool], hurry: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not done():
        if hurry() or time.monotonic() > until:
            return done()
        time.sleep(LOOK_SECONDS)
    return True


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _rotate(log: Path) -> None:
    """Put a long log aside, and keep a few of those."""
    if not log.exists() or log.stat().st_size < _LARGEST_LOG:
        return
    aside = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, _OLD_LOGS + 1))]
    for newer, older in reversed(list(pairwise(aside))):
        if newer.exists():
            newer.replace(older)
