"""How far a delivery is and how long it will take, for the person at the terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from digest.bootstrap import App

#: In seconds: how often the bar moves, and how often the ledger is asked at most.
_MOVES = 0.2
_LOOKS = 10.0
#: Looking takes no more than this part of the time: of a million deliveries it takes a while.
_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Course:
    """Where an issue stands."""

    through: int
    recipients: int
    #: "about 3 min to go", or empty.
    left: str


@contextmanager
def delivering(app: App, issue_id: int) -> Iterator[Callable[[], None]]:
    """A progress bar of an issue on stderr where a person is watching; a call is one delivery."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("delivering"), BarColumn(), MofNCompleteColumn())
    left = TextColumn("{task.description}")
    with Progress(*columns, left, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(course: Course) -> None:
            total, through = course.recipients, course.through
            bar.update(task, total=total, completed=through, description=course.left)

        yield following(lambda: _course(app, issue_id), show, monotonic)
        show(_course(app, issue_id))


def following(
    look: Callable[[], Course], show: Callable[[Course], None], clock: Callable[[], float]
) -> Callable[[], None]:
    """Shows a course now and then; a call is one delivery more."""
    course: Course | None = None
    more, moves_at, looks_at = 0, clock(), clock()

    def step() -> None:
        nonlocal course, more, moves_at, looks_at
        more += 1
        now = clock()
        if now < moves_at:
            return
        if course is None or now >= looks_at:
            course, more = look(), 0
            took, now = clock() - now, clock()
            looks_at = now + max(_LOOKS, took / _SHARE)
        moves_at = now + _MOVES
        # What is tried again later is counted twice until the ledger is asked.
        through = min(course.through + more, course.recipients)
        show(Course(through, course.recipients, course.left))

    return step


def _course(app: App, issue_id: int) -> Course:
    from digest.eta import to_go
    from digest.store import accounts
    from digest.store.issues import get_issue

    with app.store.read() as c:
        account = accounts.account(c, issue_id)
        left = to_go(app, c, get_issue(c, issue_id), account)
    return Course(account.recipients - account.open, account.recipients, left)
