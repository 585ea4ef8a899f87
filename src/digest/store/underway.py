"""Issues on their way, with the last sign of life of each: what must not be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select

from digest.issues.scope import issue_name
from digest.model import Check, DeliveryState, IssueState, Rhythm, Severity
from digest.store.issues import checks_from_json
from digest.store.tables import (
    asks,
    deliveries,
    issue_transitions,
    issues,
    runs,
    subscribers,
    subscriptions,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row, ScalarSelect
    from sqlalchemy.engine import Connection

#: States in which somebody or something has to do the next step, and nobody put it aside.
UNDER_WAY = (
    IssueState.DRAFT,
    IssueState.APPROVED,
    IssueState.FROZEN,
    IssueState.SENDING,
    IssueState.PAUSED,
)

_OPEN = (DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.SUBMITTING)
_HELD = (DeliveryState.CLAIMED, DeliveryState.SUBMITTING)


@dataclass(frozen=True, slots=True)
class Underway:
    """An issue that is not at its end, without its content."""

    id: int
    newsletter: str
    scope: str
    period: str
    rhythm: Rhythm
    state: IssueState
    scheduled_at: datetime
    created_at: datetime
    decide_by: datetime | None
    checks: tuple[Check, ...]
    #: The last transition: when, and why.
    step_at: datetime
    step_reason: str
    #: When a delivery last changed its state, and when a run was last told of a decision.
    delivered_at: datetime | None
    answered_at: datetime | None
    #: An editor is asked about it, and the run that asks knows of no answer.
    asked: bool
    #: It has deliveries that are not at their end; some of them may be tried now.
    open: bool
    due: bool
    #: From when on the first of those that are pending may be tried.
    next_at: datetime | None

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47", "weekly series:ipc 2026-W47"."""
        return issue_name(self.newsletter, self.scope, self.period)

    @property
    def errors(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.severity is Severity.ERROR)

    @property
    def moved_at(self) -> datetime:
        """The last sign of life."""
        signs = (self.step_at, self.delivered_at, self.answered_at)
        return max(sign for sign in signs if sign is not None)


def list_underway(
    c: Connection, now: datetime, states: tuple[IssueState, ...] = UNDER_WAY
) -> list[Underway]:
    """The issues in these states, oldest first."""
    i, t, d, a = issues.c, issue_transitions.c, deliveries.c, asks.c
    pending = d.state == DeliveryState.PENDING
    may_go_at = func.coalesce(d.not_before, d.state_at)
    let_out = or_(i.waits_until.is_(None), i.waits_until <= now)
    may_go = and_(pending, or_(d.not_before.is_(None), d.not_before <= now), let_out)
    query = (
        select(
            i.id,
            i.newsletter,
            i.scope,
            i.period,
            i.rhythm,
            i.state,
            i.scheduled_at,
            i.created_at,
            i.decide_by,
            i.preflight,
            t.at.label("step_at"),
            t.reason.label("step_reason"),
            _of_issue(func.max(d.state_at), d.issue_id).label("delivered_at"),
            _of_issue(func.max(a.ended_at), a.issue_id).label("answered_at"),
            exists().where(a.issue_id == i.id, a.ended_at.is_(None)).label("asked"),
            exists().where(d.issue_id == i.id, d.state.in_(_OPEN)).label("open"),
            exists().where(d.issue_id == i.id, or_(may_go, d.state.in_(_HELD))).label("due"),
            _of_issue(func.min(may_go_at), d.issue_id, pending).label("next_at"),
            i.waits_until,
        )
        .select_from(issues)
        .join(issue_transitions, t.id == _last_step())
        .where(i.state.in_(states))
        .order_by(i.id)
    )
    return [_underway(row) for row in c.execute(query)]


def _of_issue(
    value: ColumnElement[Any], issue_id: ColumnElement[int], *more: ColumnElement[bool]
) -> ScalarSelect[Any]:
    return select(value).where(issue_id == issues.c.id, *more).scalar_subquery()


def _last_step() -> ScalarSelect[int]:
    steps = issue_transitions.alias()
    return select(func.max(steps.c.id)).where(steps.c.issue_id == issues.c.id).scalar_subquery()


def _underway(row: Row[Any]) -> Underway:
    values = dict(row._mapping)  # noqa: SLF001  SQLAlchemy's public name for it
    values["rhythm"] = Rhythm(values["rhythm"])
    values["state"] = IssueState(values["state"])
    values["checks"] = checks_from_json(values.pop("preflight"))
    waits_until = values.pop("waits_until")
    if values["next_at"] is not None and waits_until is not None:
        values["next_at"] = max(values["next_at"], waits_until)
    return Underway(**values)


def workers_on(c: Connection, issue_id: int) -> list[tuple[str, datetime]]:
    """Who holds deliveries of the issue, and until when at most."""
    d = deliveries.c
    query = select(d.worker, func.max(d.lease_until)).where(
        d.issue_id == issue_id, d.state.in_(_HELD)
    )
    return [(worker, until) for worker, until in c.execute(query.group_by(d.worker))]


@dataclass(frozen=True, slots=True)
class Running:
    """A run that says it is running: whether that is so its worker's lock can tell."""

    id: int
    what: str
    worker: str
    started_at: datetime
    issue_id: int | None


def list_running(c: Connection) -> list[Running]:
    """The runs that have not ended; a run is about the issue it was asked for, or came to."""
    r = runs.c
    query = select(r.id, r.what, r.worker, r.started_at, r.issue_id, r.parameters).where(
        r.outcome == "running", r.worker.is_not(None)
    )
    return [
        Running(run_id, what, worker, started_at, issue_id or parameters.get("issue"))
        for run_id, what, worker, started_at, issue_id, parameters in c.execute(
            query.order_by(r.id)
        )
    ]


def first_run_at(c: Connection) -> datetime | None:
    """Since when this database is in use."""
    found: datetime | None = c.scalar(select(func.min(runs.c.started_at)))
    return found


def last_failure(c: Connection, what: str, since: datetime) -> str:
    """Why the last run of a flow failed, if that was since then; else an empty text."""
    r = runs.c
    query = select(r.outcome, r.reason).where(r.what == what, r.started_at >= since)
    row = c.execute(query.order_by(r.id.desc()).limit(1)).one_or_none()
    return (row.reason or "") if row and row.outcome == "failed" else ""


def rhythms_wanted(c: Connection) -> list[tuple[str, Rhythm, int]]:
    """How many active readers each newsletter has of each rhythm."""
    s = subscriptions.c
    query = (
        select(s.newsletter, s.rhythm, func.count())
        .join_from(subscriptions, subscribers)
        .where(s.state == "active", subscribers.c.address.is_not(None))
        .group_by(s.newsletter, s.rhythm)
        .order_by(s.newsletter, s.rhythm)
    )
    return [(slug, Rhythm(rhythm), count) for slug, rhythm, count in c.execute(query)]
