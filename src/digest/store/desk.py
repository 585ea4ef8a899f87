"""What the desk asks of the ledger: issues in pages, their accounts, who stands where.

Reads only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from digest.issues.scope import issue_name
from digest.mail.pace import WINDOW, Pace
from digest.model import Account, DeliveryState, IssueState
from digest.store.dialect import address_domain
from digest.store.tables import (
    asks,
    deliveries,
    exclusions,
    issue_transitions,
    issues,
    runs,
    subscribers,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

S = DeliveryState
#: So many deliveries at least are looked at for the pace of an issue, and for its domains.
_SAMPLE = 50_000
_OPEN = (S.PENDING, S.CLAIMED, S.SUBMITTING)
_ENDED = tuple(state for state in S if state not in _OPEN)
_WITH_DELIVERIES = (
    IssueState.FROZEN,
    IssueState.SENDING,
    IssueState.PAUSED,
    IssueState.DONE,
    IssueState.CANCELLED,
)


# --- issues ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IssueRow:
    """An issue in a list of the desk; the last step is the one that brought it where it is."""

    id: int
    newsletter: str
    scope: str
    period: str
    state: IssueState
    subject: str
    scheduled_at: datetime
    created_at: datetime
    decide_by: datetime | None
    step_at: datetime
    step_actor: str
    step_reason: str
    #: Nothing of it goes out before then, and why; None where nothing holds it up.
    waits_until: datetime | None
    waits_why: str | None

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47"."""
        return issue_name(self.newsletter, self.scope, self.period)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which issues: of a newsletter, in these states, of these numbers; empty means all."""

    newsletter: str = ""
    states: tuple[IssueState, ...] = ()
    ids: tuple[int, ...] = ()

    def clauses(self) -> Iterator[ColumnElement[bool]]:
        if self.newsletter:
            yield issues.c.newsletter == self.newsletter
        if self.states:
            yield issues.c.state.in_(self.states)
        if self.ids:
            yield issues.c.id.in_(self.ids)


def count_issues(c: Connection, which: Filter) -> int:
    return int(c.scalar(select(func.count()).select_from(issues).where(*which.clauses())) or 0)


def page_of_issues(c: Connection, which: Filter, *, most: int, skip: int = 0) -> list[IssueRow]:
    """So many issues, newest first."""
    i, t = issues.c, issue_transitions.c
    steps = issue_transitions.alias()
    last = select(func.max(steps.c.id)).where(steps.c.issue_id == i.id).scalar_subquery()
    query = (
        select(
            i.id,
            i.newsletter,
            i.scope,
            i.period,
            i.state,
            i.subject,
            i.scheduled_at,
            i.created_at,
            i.decide_by,
            t.at.label("step_at"),
            t.actor.label("step_actor"),
            t.reason.label("step_reason"),
            i.waits_until,
            i.waits_why,
        )
        .select_from(issues)
        .join(issue_transitions, t.id == last)
        .where(*which.clauses())
        .order_by(i.id.desc())
        .limit(most)
        .offset(skip)
    )
    rows = (dict(row._mapping) for row in c.execute(query))  # noqa: SLF001  SQLAlchemy's public name for it
    return [IssueRow(**{**row, "state": IssueState(row["state"])}) for row in rows]


def newsletters_of_issues(c: Connection) -> list[str]:
    """Every newsletter that ever had an issue."""
    return list(c.scalars(select(issues.c.newsletter).distinct().order_by(issues.c.newsletter)))


def accounts_of(c: Connection, ids: Collection[int]) -> dict[int, Account]:
    """The accounts of issues; of one without recipients there is none."""
    query = (
        select(deliveries.c.issue_id, deliveries.c.state, func.count())
        .where(deliveries.c.issue_id.in_(ids))
        .group_by(deliveries.c.issue_id, deliveries.c.state)
    )
    found: dict[int, dict[str, int]] = {}
    for issue_id, state, count in c.execute(query):
        found.setdefault(issue_id, {})[state] = count
    return {
        issue_id: Account(**counts, recipients=sum(counts.values()))
        for issue_id, counts in found.items()
    }


def undecided(c: Connection, issue_id: int | None = None) -> dict[int, int]:
    """How many uncertain deliveries of which issues, or of one, nobody has decided."""
    # Named by issue, the ledger's index finds them without reading every delivery there ever was.
    frozen = select(issues.c.id).where(issues.c.state.in_(_WITH_DELIVERIES))
    if issue_id is not None:
        frozen = frozen.where(issues.c.id == issue_id)
    query = (
        select(deliveries.c.issue_id, func.count())
        .where(
            deliveries.c.issue_id.in_(frozen),
            deliveries.c.state == S.UNCERTAIN,
            deliveries.c.settled.is_(None),
        )
        .group_by(deliveries.c.issue_id)
    )
    return {issue_id: int(count) for issue_id, count in c.execute(query)}


def pace_of(c: Connection, issue_id: int, now: datetime, *, left: int, held: bool) -> Pace:
    """What an issue's deliveries did in the last minutes, and what they wait for.

    `left` is how many are open. Of an issue that is `held` up the last minutes are those before
    its last outcome.
    """
    d = deliveries.c
    mine = d.issue_id == issue_id
    share = _share(c, issue_id)
    ended = (mine, d.state.in_(_ENDED), d.id % share == 0)
    until = (c.scalar(select(func.max(d.state_at)).where(*ended)) if held else None) or now
    lately = select(func.count(), func.min(d.state_at)).where(*ended, d.state_at >= until - WINDOW)
    waiting = (mine, d.state == S.PENDING, d.not_before > now)
    late = select(func.count(), func.max(d.not_before)).where(*waiting)
    outcomes, since = c.execute(lately).one()
    waits, waits_until = c.execute(late).one()
    over = until - since if since else timedelta(0)
    return Pace(int(outcomes) * share, over, left - int(waits), waits_until)


def due_by_domain(
    c: Connection,
    issue_id: int,
    now: datetime,
    named: Collection[str],
    *,
    others: bool,
    left: int,
) -> dict[str, int]:
    """How many deliveries are due for some domains, and (`others`) for the largest of all others.

    `left` is how many are open. Of more than a sample about as many: to take a million addresses
    apart takes SQLite 0.7 seconds, a sample of them 0.2. Where it is about none, nothing is asked.
    """
    if not (named or others):
        return {}
    d = deliveries.c
    # Leased is not begun: a worker holds hundreds, those for a domain that must wait among them.
    waiting = d.state.in_((S.PENDING, S.CLAIMED))
    due = [d.issue_id == issue_id, waiting, or_(d.not_before.is_(None), d.not_before <= now)]
    share = left // _SAMPLE + 1
    if share > 1:
        due.append(d.id % share == 0)
    found = select(address_domain(c, d.address_key).label("domain")).where(*due).subquery()
    is_named = found.c.domain.in_(named)
    query = select(found.c.domain, func.count()).group_by(found.c.domain)
    if not others:
        query = query.where(is_named)
    query = query.order_by(is_named.desc(), func.count().desc()).limit(len(named) + others)
    return {domain: int(count) * share for domain, count in c.execute(query)}


def _share(c: Connection, issue_id: int) -> int:
    """Each which delivery tells enough of the pace of all: reading a million takes too long."""
    submitted = (deliveries.c.issue_id == issue_id, deliveries.c.state == S.SUBMITTED)
    first, last = (
        select(end(deliveries.c.id)).where(*submitted).scalar_subquery()
        for end in (func.min, func.max)
    )
    return int(c.scalar(select(last - first)) or 0) // _SAMPLE + 1


# --- what ran, and who was asked ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run about an issue."""

    id: int
    what: str
    actor: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    reason: str | None
    prefect_run_id: str | None


def runs_of(c: Connection, issue_id: int, most: int) -> list[RunRow]:
    """The last runs about an issue, newest first."""
    r = runs.c
    query = select(
        r.id, r.what, r.actor, r.started_at, r.ended_at, r.outcome, r.reason, r.prefect_run_id
    )
    query = query.where(r.issue_id == issue_id).order_by(r.id.desc()).limit(most)
    return [RunRow(*row) for row in c.execute(query)]


@dataclass(frozen=True, slots=True)
class AskRow:
    """The last question about an issue: open, or what became of it."""

    prefect_run_id: str
    asked_at: datetime
    ended_at: datetime | None
    outcome: str | None


def last_ask(c: Connection, issue_id: int) -> AskRow | None:
    a = asks.c
    query = select(a.prefect_run_id, a.asked_at, a.ended_at, a.outcome)
    row = c.execute(
        query.where(a.issue_id == issue_id).order_by(a.id.desc()).limit(1)
    ).one_or_none()
    return AskRow(*row) if row else None


# --- who got it --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Who:
    """A delivery, or an exclusion, with the address it is about; that is personal data."""

    address: str
    state: str
    at: datetime | None
    attempts: int
    not_before: datetime | None
    mailer: str | None
    message_id: str | None
    code: str | None
    reason: str | None
    settled: str | None


def who(
    c: Connection, issue_id: int, state: DeliveryState, *, most: int | None = None, skip: int = 0
) -> list[Who]:
    """Whose delivery is in a state, by address."""
    query = _who().where(deliveries.c.issue_id == issue_id, deliveries.c.state == state)
    query = query.order_by(deliveries.c.address, deliveries.c.id).offset(skip)
    return _rows(c, query if most is None else query.limit(most))


def everyone(c: Connection, issue_id: int, states: Iterable[DeliveryState]) -> Iterator[Who]:
    """Whose delivery is in one of these states, by state and address; a few in memory at once."""
    for state in states:
        query = _who().where(deliveries.c.issue_id == issue_id, deliveries.c.state == state)
        query = query.order_by(deliveries.c.address, deliveries.c.id)
        yield from (Who(*row) for row in c.execute(query.execution_options(yield_per=1000)))


def who_is(c: Connection, issue_id: int, address_key: str) -> Sequence[Who]:
    """What became of one reader, delivery or exclusion; empty where the issue knows none."""
    mine = (deliveries.c.issue_id == issue_id, deliveries.c.address_key == address_key)
    found = _rows(c, _who().where(*mine))
    left_out = _excluded(issue_id).where(subscribers.c.address_key == address_key)
    return found or _excluded_rows(c, left_out)


def excluded(c: Connection, issue_id: int, *, most: int | None = None, skip: int = 0) -> list[Who]:
    """Who was left out, by reason and address."""
    query = _excluded(issue_id)
    query = query.order_by(exclusions.c.reason, subscribers.c.address, subscribers.c.id)
    query = query.offset(skip)
    return _excluded_rows(c, query if most is None else query.limit(most))


def _who() -> Select[tuple[str, str, datetime, int, datetime, str, str, str, str, str]]:
    d = deliveries.c
    return select(
        d.address,
        d.state,
        d.state_at,
        d.attempts,
        d.not_before,
        d.mailer,
        d.message_id,
        d.code,
        d.reason,
        d.settled,
    )


def _rows(
    c: Connection,
    query: Select[tuple[str, str, datetime, int, datetime, str, str, str, str, str]],
) -> list[Who]:
    return [Who(*row) for row in c.execute(query)]


def _excluded(issue_id: int) -> Select[tuple[str, str]]:
    query = select(subscribers.c.address, exclusions.c.reason)
    return query.join(subscribers, subscribers.c.id == exclusions.c.subscriber_id).where(
        exclusions.c.issue_id == issue_id
    )


def _excluded_rows(c: Connection, query: Select[tuple[str, str]]) -> list[Who]:
    return [
        Who(address or "(erased)", "left out", None, 0, None, None, None, None, reason, None)
        for address, reason in c.execute(query)
    ]
