"""What ran: every execution of a command or flow, kept with its outcome and reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from digest.store.tables import runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

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


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `reason` says why nothing was sent, or what went wrong."""

    outcome: str
    counts: Mapping[str, int]
    reason: str = ""
    issue_id: int | None = None


def begin_run(
    c: Connection, what: str, parameters: Mapping[str, Any], actor: str, now: datetime
) -> int:
    """Note that something runs; `parameters` are ids, slugs and switches, never an address."""
    run_id: int = c.execute(
        insert(runs)
        .values(
            what=what,
            parameters=dict(parameters),
            actor=actor,
            started_at=now,
            outcome="running",
            counts={},
        )
        .returning(runs.c.id)
    ).scalar_one()
    return run_id


def end_run(c: Connection, run_id: int, ending: Ending, now: datetime) -> None:
    c.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            ended_at=now,
            outcome=ending.outcome,
            counts=dict(ending.counts),
            reason=ending.reason or None,
            issue_id=ending.issue_id,
        )
    )


def list_runs(c: Connection, most: int) -> list[Run]:
    """The last runs, newest first."""
    r = runs.c
    query = select(
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
    ).order_by(r.id.desc())
    return [Run(*row) for row in c.execute(query.limit(most))]
