"""Housekeeping's chores, each a task of its own: one that fails keeps none of the others back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect.deployments import run_deployment

from digest.housekeeping import (
    decide_overdue,
    end_killed,
    forget_pace,
    forget_strangers,
    forget_told,
    prove_doubts,
    send_notices,
    unfinished,
)
from digest.inbox.reading import read_inboxes
from digest.logs import mask
from digest.reporting import chores_markdown
from digest.returning import work_off
from digest.up.connection import read_connection
from digest.waking import Fate, wake
from digest_prefect.artifacts import show
from digest_prefect.deploying import refresh_forms
from digest_prefect.running import HOUSEKEEPING, ended, failed
from digest_prefect.tasks import work

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from prefect.client.schemas.objects import State

    from digest.housekeeping import Unfinished
    from digest_prefect.running import Run

log = logging.getLogger("digest.flows")

#: The deployment that goes on with an issue by its number.
SEND_ISSUE = "send-issue/send-issue"


@dataclass(frozen=True, slots=True)
class Done:
    """What a chore did, in lines, and what it could not do yet and the next run tries again."""

    lines: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    #: What is done, and a person has to know of.
    alarms: tuple[str, ...] = ()


def keep_house(run: Run, *, dry_run: bool) -> State[Any]:
    """Do every chore, in this order: what is decided is then told, and then sent."""
    now = run.app.clock()
    chores: dict[str, Callable[[], Done]] = {
        "end runs that were killed": lambda: _end_killed(run, now, dry_run=dry_run),
        "read the inboxes": lambda: _read_inboxes(run, dry_run=dry_run),
        "work on what came back": lambda: _work_off(run, dry_run=dry_run),
        "decide drafts nobody decided on": lambda: _decide(run, now, dry_run=dry_run),
        "wake runs that were decided elsewhere": lambda: _wake(run, dry_run=dry_run),
        "prove what is in doubt": lambda: Done(prove_doubts(run.app, now, dry_run=dry_run)),
        "go on with unfinished issues": lambda: _go_on(run, now, dry_run=dry_run),
        "send notices that were left": lambda: Done(send_notices(run.app, dry_run=dry_run)),
        "forget addresses nobody confirmed": lambda: Done(
            forget_strangers(run.app, dry_run=dry_run)
        ),
        "forget what mailers took up": lambda: _forget_pace(run, dry_run=dry_run),
        "forget what mailers told": lambda: _forget_told(run, dry_run=dry_run),
    }
    # By schedule in any case: Prefect forgets "dry_run = false" of a schedule that is switched off
    # and on, and this gives it back, its own among them.
    if not dry_run or run.by_schedule:
        chores["bring forms up to date"] = lambda: _forms(run)
    done: dict[str, Done] = {}
    broken: list[str] = []
    for name, chore in chores.items():
        try:
            done[name] = work(name, chore)
        except Exception as error:
            # Told at the end, when the other chores have been done.
            log.exception("%s: failed", name)
            broken.append(f"{name}: {type(error).__name__}: {error}")
    return _end(run, done, broken, dry_run=dry_run)


def _end(run: Run, done: dict[str, Done], broken: list[str], *, dry_run: bool) -> State[Any]:
    lines = {name: [*one.lines, *one.left, *one.alarms] for name, one in done.items()}
    if told := chores_markdown(lines):
        show("housekeeping", mask(told), "What was done, or would be")
    counts = {name: len(one.lines) for name, one in done.items() if one.lines}
    run.record.counts = counts
    left = [line for one in done.values() for line in one.left]
    # Those whom [alerts] names are told of failed runs, and of no others.
    alarms = [line for one in done.values() for line in one.alarms]
    if broken or (alarms and not dry_run):
        return failed(run, "; ".join([*broken, *alarms]))
    if left:
        return ended(run, "Done in part", "; ".join(left), outcome="partial")
    words = ", ".join(f"{name}: {count}" for name, count in counts.items())
    if dry_run:
        return ended(run, "Dry run", words or "nothing would be done", outcome="nothing")
    if words:
        return ended(run, "Done", words)
    return ended(run, "Nothing to do", "all is in order", outcome="nothing")


def _end_killed(run: Run, now: datetime, *, dry_run: bool) -> Done:
    ids = end_killed(run.app, now, dry_run=dry_run)
    return Done(tuple(f"run {number} was killed" for number in ids))


def _read_inboxes(run: Run, *, dry_run: bool) -> Done:
    reports = read_inboxes(run.app, sorted(run.app.config.inboxes), dry_run=dry_run)
    lines = tuple(each.line for each in reports if each.handled and not each.trouble)
    return Done(lines, tuple(each.line for each in reports if each.trouble))


def _work_off(run: Run, *, dry_run: bool) -> Done:
    returned = work_off(run.app, dry_run=dry_run)
    return Done((returned.line,) if returned.line else (), alarms=returned.alarms)


def _forget_pace(run: Run, *, dry_run: bool) -> Done:
    forget_pace(run.app, dry_run=dry_run)
    return Done()


def _forget_told(run: Run, *, dry_run: bool) -> Done:
    forget_told(run.app, dry_run=dry_run)
    return Done()


def _decide(run: Run, now: datetime, *, dry_run: bool) -> Done:
    ruled = decide_overdue(run.app, now, dry_run=dry_run)
    mine = [one for one in ruled if one.taken or dry_run]
    return Done(tuple(f"{one.name}: {one.policy}, {one.reason}" for one in mine))


def _wake(run: Run, *, dry_run: bool) -> Done:
    connection = read_connection(run.app.home, run.app.config)
    report = wake(run.app, connection, dry_run=dry_run)
    told = [*report.of(Fate.WOKEN), *report.of(Fate.ENDED)]
    lines = [f"issue {one.issue_id}: {one.fate}, {one.reason}" for one in told]
    again = [f"issue {one.issue_id}: {one.reason}" for one in report.of(Fate.AGAIN)]
    return Done(tuple(lines), tuple([*again, report.trouble] if report.trouble else again))


def _go_on(run: Run, now: datetime, *, dry_run: bool) -> Done:
    """Start a run of send-issue for each issue that nobody works on.

    One that did not move since its last run is tried again every hour, not at each housekeeping.
    """
    lines, left = [], []
    for found in unfinished(run.app, now):
        state = None if dry_run else _start(found, now)
        if state is not None and state.is_final():
            left.append(f"issue {found.issue_id}: does not get on; tried again within the hour")
        else:
            lines.append(f"issue {found.issue_id}: goes on")
    return Done(tuple(lines), tuple(left))


def _start(found: Unfinished, now: datetime) -> State[Any] | None:
    started: Any = run_deployment(
        SEND_ISSUE,
        parameters={"issue": found.issue_id, "dry_run": False},
        timeout=0,
        as_subflow=False,
        idempotency_key=f"send-{found.issue_id}-{found.moved_at:%Y%m%dT%H%M%S}-{now:%Y%m%d%H}",
        tags=[HOUSEKEEPING],
    )
    state: State[Any] | None = started.state
    return state


def _forms(run: Run) -> Done:
    report = refresh_forms(run.app.config)
    lines = tuple(f"{name}: brought up to date" for name in report.changed)
    return Done(lines, report.failed)
