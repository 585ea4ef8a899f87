"""What ran: every execution of a command or flow, kept with its outcome and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from digest.store.tables import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Run:
    """A run as stored; `outcome` is running, done, nothing, partial or failed."""

    id: int
    what: str
    parameters: dict[str, Any]
    actor: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    counts: dict[str, int]
    reason: str | None
    issue_id: int | None
    prefect_run_id: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `reason` says why nothing was sent, or what went wrong."""

    outcome: str
    counts: Mapping[str, int]
    reason: str = ""
    issue_id: int | None = None


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known as a run begins; `parameters` are ids, slugs, switches, never an address."""

    what: str
    parameters: Mapping[str, Any]
    actor: str
    #: By whose lock the run is known to be alive.
    worker: str
    #: The flow run, where it is one.
    prefect_run_id: str | None = None


def begin_run(c: Connection, begun: Beginning, now: datetime) -> int:
    """Note that something runs, and return its number."""
    run_id: int = c.execute(
        insert(runs)
        .values(
            what=begun.what,
            parameters=dict(begun.parameters),
            actor=begun.actor,
            worker=begun.worker,
            prefect_run_id=begun.prefect_run_id,
            started_at=now,
            outcome="running",
            counts={},
        )
        .returning(runs.c.id)
    ).scalar_one()
    return run_id


def note_issue(c: Connection, run_id: int, issue_id: int) -> None:
    """Say at once which issue a run is about, so that it is known whatever becomes of the run."""
    c.execute(update(runs).where(runs.c.id == run_id).values(issue_id=issue_id))


def earlier_tries(c: Connection, prefect_run_id: str) -> list[Run]:
    """What a flow run did before it was suspended, retried or killed, oldest first."""
    mine = _all().where(runs.c.prefect_run_id == prefect_run_id)
    return [Run(*row) for row in c.execute(mine.order_by(runs.c.id))]


#: After this long a run on another machine, whose lock cannot be seen from here, counts as dead.
LONGEST = timedelta(days=1)


def killed(c: Connection, is_dead: Callable[[str, datetime], bool]) -> list[int]:
    """The runs that were killed: what still says "running" and is not."""
    alive = select(runs.c.id, runs.c.worker, runs.c.started_at).where(
        runs.c.outcome == "running", runs.c.worker.is_not(None)
    )
    return [
        run_id
        for run_id, worker, started_at in c.execute(alive.order_by(runs.c.id)).all()
        if is_dead(worker, started_at + LONGEST)
    ]


def end_killed(c: Connection, is_dead: Callable[[str, datetime], bool], now: datetime) -> None:
    """End the runs that were killed."""
    for run_id in killed(c, is_dead):
        end_run(c, run_id, Ending("failed", {}, "killed before it ended"), now)


def end_run(c: Connection, run_id: int, ending: Ending, now: datetime) -> None:
    c.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            ended_at=now,
            outcome=ending.outcome,
            counts=dict(ending.counts),
            reason=ending.reason or None,
            # One that was noted under way stays.
            issue_id=func.coalesce(ending.issue_id, runs.c.issue_id),
        )
    )


def list_runs(c: Connection, most: int) -> list[Run]:
    """The last runs, newest first."""
    return [Run(*row) for row in c.execute(_all().order_by(runs.c.id.desc()).limit(most))]


def _all() -> Select[Any]:
    r = runs.c
    return select(
        r.id,
        r.what,
        r.parameters,
        r.actor,
        r.started_at,
        r.ended_at,
        r.outcome,
        r.counts,
        r.reason,
        r.issue_id,
        r.prefect_run_id,
    )
