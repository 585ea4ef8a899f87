"""What was asked of editors, and which run sleeps until it is answered.

An issue has one open ask at most; the run it belongs to is woken when the decision comes from
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from digest.store.dialect import insert_ignore
from digest.store.tables import asks

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about the draft of that hash, put by a run of Prefect's."""

    id: int
    issue_id: int
    prefect_run_id: str
    hash: str


def put_ask(
    c: Connection, issue_id: int, prefect_run_id: str, issue_hash: str, now: datetime
) -> None:
    """Note that an editor is asked; where the issue has an open ask, nothing changes."""
    values = {"prefect_run_id": prefect_run_id, "hash": issue_hash, "asked_at": now}
    c.execute(insert_ignore(c, asks).values(issue_id=issue_id, **values))


def open_ask(c: Connection, issue_id: int) -> Ask | None:
    """The ask that nobody has answered yet."""
    row = c.execute(_open().where(asks.c.issue_id == issue_id)).one_or_none()
    return Ask(*row) if row else None


def open_asks(c: Connection) -> list[Ask]:
    """Every ask that nobody has answered yet, oldest first."""
    return [Ask(*row) for row in c.execute(_open().order_by(asks.c.id))]


def end_ask(c: Connection, ask_id: int, outcome: str, now: datetime) -> None:
    """The run need not be woken any more, and why."""
    ended = update(asks).where(asks.c.id == ask_id, asks.c.ended_at.is_(None))
    c.execute(ended.values(ended_at=now, outcome=outcome))


def _open() -> Select[tuple[int, int, str, str]]:
    query = select(asks.c.id, asks.c.issue_id, asks.c.prefect_run_id, asks.c.hash)
    return query.where(asks.c.ended_at.is_(None))
