"""How far a delivery is, how long it will take and what it waits for, at the terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from digest.bootstrap import App
    from digest.sending import Watch

#: In seconds: how often the bar moves, and how often the ledger is asked at most.
_MOVES = 0.2
_LOOKS = 10.0
#: In characters: the bar, beside which there is room for what it waits for.
_WIDTH = 20
#: Looking takes no more than this part of the time: of a million deliveries it takes a while.
_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Course:
    """Where an issue stands."""

    through: int
    recipients: int
    #: "about 3 min to go", what it waits for right now, or empty.
    left: str


@contextmanager
def delivering(app: App, issue_id: int, should_stop: Callable[[], bool]) -> Iterator[Watch]:
    """Follows a delivery: with a progress bar on stderr where a person is watching."""
    from digest.eta import holds_up
    from digest.sending import PATIENCE, Watch, logging_waits

    logged = logging_waits(app, issue_id)
    if not sys.stderr.isatty():
        yield Watch(waiting=logged, should_stop=should_stop, patience=PATIENCE)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    columns = (TextColumn("delivering"), BarColumn(_WIDTH), MofNCompleteColumn())
    # What a server said stands in it, brackets and all; and it may take two lines.
    left = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=False))
    with Progress(*columns, left, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(course: Course) -> None:
            bar.update(
                task,
                total=course.recipients,
                completed=course.through,
                description=course.left,
                # A draft that waits for approval has none.
                visible=course.recipients > 0,
                refresh=True,
            )

        step, told = following(lambda: _course(app, issue_id), show, monotonic)

        def waiting(until: datetime, why: str) -> None:
            logged(until, why)
            told(holds_up(app, until, why))

        yield Watch(step, waiting, should_stop, PATIENCE)
        show(_course(app, issue_id))


def following(
    look: Callable[[], Course], show: Callable[[Course], None], clock: Callable[[], float]
) -> tuple[Callable[[], None], Callable[[str], None]]:
    """Shows a course now and then. To be called with each delivery; and with what it waits for.

    That stands there until the next delivery.
    """
    course: Course | None = None
    more, moves_at, looks_at = 0, clock(), clock()

    def step() -> None:
        nonlocal more, moves_at
        more += 1
        now = clock()
        if now < moves_at:
            return
        known = looked(now)
        moves_at = clock() + _MOVES
        show(known)

    def wait(why: str) -> None:
        nonlocal moves_at
        moves_at = clock()
        show(replace(looked(moves_at), left=why))

    def looked(now: float) -> Course:
        nonlocal course, more, looks_at
        if course is None or now >= looks_at:
            course, more = look(), 0
            looks_at = clock() + max(_LOOKS, (clock() - now) / _SHARE)
        # What is tried again later is counted twice until the ledger is asked.
        return replace(course, through=min(course.through + more, course.recipients))

    return step, wait


def _course(app: App, issue_id: int) -> Course:
    from digest.eta import to_go
    from digest.store import accounts
    from digest.store.issues import get_issue

    with app.store.read() as c:
        account = accounts.account(c, issue_id)
        left = to_go(app, c, get_issue(c, issue_id), account)
    return Course(account.recipients - account.open, account.recipients, left)
