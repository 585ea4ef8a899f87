"""Queries behind the desk's calendar: issues and threads of a stretch of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, select

from digest.issues.scope import issue_name
from digest.model import Check, DeliveryState, IssueState, Severity
from digest.store.issues import checks_from_json
from digest.store.publications import UNDERWAY
from digest.store.tables import issues, posts, publications, threads

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

S = DeliveryState


@dataclass(frozen=True, slots=True)
class DatedIssue:
    """An issue by when it was or is scheduled, without its content."""

    id: int
    newsletter: str
    scope: str
    period: str
    state: IssueState
    scheduled_at: datetime
    created_at: datetime
    decide_by: datetime | None
    subject: str
    checks: tuple[Check, ...]

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47"."""
        return issue_name(self.newsletter, self.scope, self.period)

    @property
    def errors(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.severity is Severity.ERROR)


@dataclass(frozen=True, slots=True)
class DatedThread:
    """A thread by its slots."""

    id: int
    channel: str
    title: str
    held: bool
    snippets: int
    out: int
    #: To go out, or perhaps out.
    to_come: int
    first_slot: datetime
    #: Of what is to come; None where nothing is.
    next_slot: datetime | None


def issues_between(c: Connection, since: datetime, until: datetime) -> list[DatedIssue]:
    """The issues scheduled then, oldest first."""
    i = issues.c
    query = (
        select(
            *(i.id, i.newsletter, i.scope, i.period, i.state, i.scheduled_at),
            *(i.created_at, i.decide_by, i.subject, i.preflight),
        )
        .where(i.scheduled_at >= since, i.scheduled_at < until)
        .order_by(i.scheduled_at, i.id)
    )
    found = []
    for row in c.execute(query):
        values = row._asdict()
        values["state"] = IssueState(row.state)
        values["checks"] = checks_from_json(values.pop("preflight"))
        found.append(DatedIssue(**values))
    return found


def threads_between(c: Connection, since: datetime, until: datetime) -> list[DatedThread]:
    """The threads with a slot then that nobody has asked to be taken down, by their slots."""
    t, p = threads.c, publications.c
    dated = select(p.thread_id).where(p.slot >= since, p.slot < until)
    is_out = and_(p.state == S.SUBMITTED, p.deleted_at.is_(None))
    is_to_come = p.state.in_([*UNDERWAY, S.UNCERTAIN])
    first = func.min(p.slot)
    query = (
        select(
            *(t.id, t.channel, posts.c.title, t.held_at.is_not(None), func.count()),
            func.sum(case((is_out, 1), else_=0)),
            func.sum(case((is_to_come, 1), else_=0)),
            first,
            func.min(case((is_to_come, p.slot))),
        )
        .join(publications, p.thread_id == t.id)
        .join(posts, posts.c.id == t.post_id)
        .where(t.id.in_(dated), t.undo_at.is_(None))
        .group_by(t.id, t.channel, posts.c.title, t.held_at)
        .order_by(first, t.id)
    )
    return [
        DatedThread(number, channel, title, bool(held), int(count), int(out), int(to_come), *slots)
        for number, channel, title, held, count, out, to_come, *slots in c.execute(query)
    ]
