"""Issues, their transitions, picks and variants. State changes are compare-and-set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from digest.errors import StateError, UsageError
from digest.issues.lifecycle import BEFORE_FREEZE, TAKING, check_transition
from digest.issues.scope import issue_name
from digest.model import Act, Check, IssueState, Pick, Rhythm, Severity
from digest.picks.candidates import CARRYING, DROPPED, OVERFLOW, History
from digest.store.dialect import insert_ignore
from digest.store.tables import issue_transitions, issues, newsletters, picks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Row, Select
    from sqlalchemy.engine import Connection

#: No issue's number.
_STAND_IN = -1


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue as stored. `content` is JSON for `digest.issues.content.from_json`."""

    id: int
    newsletter: str
    scope: str
    period: str
    rhythm: Rhythm
    repeat: bool
    state: IssueState
    scheduled_at: datetime
    created_at: datetime
    content: dict[str, Any]
    subject: str
    fallback_subject: str
    html: str
    text: str
    preflight: tuple[Check, ...]
    hash: str
    approved_hash: str | None
    checked_at: datetime | None
    decide_by: datetime | None
    #: Nothing more of it goes out before then, and why.
    waits_until: datetime | None = None
    waits_why: str | None = None

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47", "weekly series:ipc 2026-W47"."""
        return issue_name(self.newsletter, self.scope, self.period)

    @property
    def set_aside(self) -> bool:
        """Skipped although there was something to send: by a policy, not for want of posts."""
        return self.state is IssueState.SKIPPED and bool(self.html)

    @property
    def errors(self) -> tuple[Check, ...]:
        return tuple(check for check in self.preflight if check.severity is Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of an issue's life: who, when, why."""

    before: str | None
    after: str
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class IssueLine:
    """An issue in a list, without its content."""

    id: int
    newsletter: str
    scope: str
    period: str
    state: str
    subject: str
    scheduled_at: datetime


# --- reading -----------------------------------------------------------------------------------


def _issue(row: Row[Any]) -> Issue:
    values = dict(row._mapping)  # noqa: SLF001  SQLAlchemy's public name for it
    values["rhythm"] = Rhythm(values["rhythm"])
    values["state"] = IssueState(values["state"])
    values["preflight"] = checks_from_json(values["preflight"])
    return Issue(**values)


def get_issue(c: Connection, issue_id: int, *, lock: bool = False) -> Issue:
    """The issue; raises UsageError where there is none of that number.

    `lock` keeps others from changing it until the transaction ends.
    """
    query = select(issues).where(issues.c.id == issue_id)
    row = c.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UsageError(f"there is no issue {issue_id}; `digest issues` lists them")
    return _issue(row)


def find_current(c: Connection, newsletter: str, scope: str, period: str) -> Issue | None:
    """The one issue of a period that is neither rejected nor cancelled."""
    live = issues.c.state.not_in(_ENDED)
    row = c.execute(_of_period(newsletter, scope, period).where(live)).one_or_none()
    return _issue(row) if row else None


def find_ended(c: Connection, newsletter: str, scope: str, period: str) -> Issue | None:
    """The last issue of a period that was rejected or cancelled."""
    ended = _of_period(newsletter, scope, period).where(issues.c.state.in_(_ENDED))
    row = c.execute(ended.order_by(issues.c.id.desc()).limit(1)).one_or_none()
    return _issue(row) if row else None


_ENDED = (IssueState.REJECTED, IssueState.CANCELLED)


def _of_period(newsletter: str, scope: str, period: str) -> Select[Any]:
    return select(issues).where(
        issues.c.newsletter == newsletter, issues.c.scope == scope, issues.c.period == period
    )


def list_issues(c: Connection, newsletter: str | None = None) -> list[IssueLine]:
    """All issues, newest first."""
    query = select(
        issues.c.id,
        issues.c.newsletter,
        issues.c.scope,
        issues.c.period,
        issues.c.state,
        issues.c.subject,
        issues.c.scheduled_at,
    ).order_by(issues.c.id.desc())
    if newsletter:
        query = query.where(issues.c.newsletter == newsletter)
    return [IssueLine(*row) for row in c.execute(query)]


def transitions_of(c: Connection, issue_id: int) -> list[Transition]:
    t = issue_transitions.c
    query = select(t.before, t.after, t.at, t.actor, t.reason)
    rows = c.execute(query.where(t.issue_id == issue_id).order_by(t.id))
    return [Transition(*row) for row in rows]


def picks_of(c: Connection, issue_id: int) -> tuple[Pick, ...]:
    """All picks of an issue: those in by position, then those out."""
    query = (
        select(picks.c.post_id, picks.c.is_in, picks.c.position, picks.c.reason, picks.c.code)
        .where(picks.c.issue_id == issue_id)
        .order_by(picks.c.is_in.desc(), picks.c.position, picks.c.post_id)
    )
    return tuple(Pick(*row) for row in c.execute(query))


def history(c: Connection, newsletter: str, scope: str, rhythm: Rhythm, *, but: str) -> History:
    """What the issues of a newsletter, scope and rhythm did, leaving out the period `but`."""
    query = (
        select(picks.c.post_id, picks.c.is_in, picks.c.code, issues.c.state, issues.c.period)
        .join(issues, issues.c.id == picks.c.issue_id)
        .where(
            issues.c.newsletter == newsletter,
            issues.c.scope == scope,
            issues.c.rhythm == rhythm,
            issues.c.period != but,
            # Such a pick takes the post from nobody: its ordinary readers had it, or will.
            picks.c.code != OVERFLOW,
        )
        .order_by(issues.c.scheduled_at, issues.c.id)
    )
    taken: dict[int, str] = {}
    waiting: dict[int, str] = {}
    dropped: dict[int, str] = {}
    for post_id, is_in, code, state, period in c.execute(query):
        if is_in and state in TAKING:
            unsent = state in BEFORE_FREEZE
            taken[post_id] = f"{period}, which is {state}" if unsent else period
        elif code == DROPPED and state in TAKING:
            dropped[post_id] = period
        elif code in CARRYING or is_in:
            waiting[post_id] = period
    settled = taken.keys() | dropped.keys()
    left = {post_id: at for post_id, at in waiting.items() if post_id not in settled}
    return History(taken, left, dropped)


def decided_posts(c: Connection, newsletter: str, scope: str, rhythm: Rhythm) -> set[int]:
    """Posts that any issue of this newsletter, scope and rhythm has decided on."""
    query = (
        select(picks.c.post_id)
        .distinct()
        .join(issues, issues.c.id == picks.c.issue_id)
        .where(
            issues.c.newsletter == newsletter,
            issues.c.scope == scope,
            issues.c.rhythm == rhythm,
        )
    )
    return set(c.scalars(query))


def began_at(c: Connection, newsletter: str) -> datetime | None:
    """When the newsletter began, if it ever made an issue."""
    found: datetime | None = c.scalar(
        select(newsletters.c.began_at).where(newsletters.c.slug == newsletter)
    )
    return found


# --- writing -----------------------------------------------------------------------------------


def record_beginning(c: Connection, newsletter: str, at: datetime) -> None:
    """Remember when a newsletter began; of several words the earliest stands."""
    c.execute(insert_ignore(c, newsletters).values(slug=newsletter, began_at=at))
    later = (newsletters.c.slug == newsletter, newsletters.c.began_at > at)
    c.execute(update(newsletters).where(*later).values(began_at=at))


def insert_issue(c: Connection, values: dict[str, Any], act: Act) -> int | None:
    """Store a new issue; None where its period has one already, whoever was first."""
    statement = insert_ignore(c, issues).values(**values, created_at=act.at).returning(issues.c.id)
    issue_id: int | None = c.scalar(statement)
    if issue_id is not None:
        _record(c, issue_id, (None, values["state"]), values["hash"], act)
    return issue_id


def insert_stand_in(c: Connection, **values: Any) -> Issue:
    """An issue for a transaction that is rolled back, to see what would become of a real one.

    It takes no number, and no period from the issue that may have it.
    """
    unsaid = {"content": {}, "subject": "", "fallback_subject": "", "html": "", "text": ""}
    row = {"id": _STAND_IN, "state": IssueState.REJECTED, "preflight": [], "hash": "", **unsaid}
    c.execute(insert(issues).values(**row, **values, created_at=values["scheduled_at"]))
    return get_issue(c, _STAND_IN)


def save_picks(c: Connection, issue_id: int, made: Iterable[Pick]) -> None:
    """Store the picks of an issue in the place of earlier ones."""
    c.execute(picks.delete().where(picks.c.issue_id == issue_id))
    rows = [
        {
            "issue_id": issue_id,
            "post_id": pick.post_id,
            "is_in": pick.is_in,
            "position": pick.position,
            "code": pick.code,
            "reason": pick.reason,
        }
        for pick in made
    ]
    if rows:
        c.execute(insert(picks), rows)


def move_issue(c: Connection, issue: Issue, after: IssueState, act: Act, **values: Any) -> None:
    """Take one step of an issue's life, with its row, or raise StateError.

    Compare-and-set on state and hash: where another process was faster, nothing changes.
    """
    check_transition(issue.id, issue.state, after)
    unchanged = and_(
        issues.c.id == issue.id, issues.c.state == issue.state, issues.c.hash == issue.hash
    )
    changed = c.execute(update(issues).where(unchanged).values(state=after, **values))
    if changed.rowcount != 1:
        raise StateError(f"issue {issue.id} was changed by someone else just now; look again")
    _record(c, issue.id, (issue.state, after), values.get("hash", issue.hash), act)


def _record(
    c: Connection, issue_id: int, step: tuple[str | None, str], issue_hash: str, act: Act
) -> None:
    values = {"before": step[0], "after": step[1], "hash": issue_hash, **asdict(act)}
    c.execute(insert(issue_transitions).values(issue_id=issue_id, **values))


def record_decision(c: Connection, issue: Issue, act: Act) -> None:
    """Keep a decision that leaves the issue's state as it is."""
    _record(c, issue.id, (issue.state, issue.state), issue.hash, act)


def set_wait(c: Connection, issue_id: int, until: datetime | None, why: str = "") -> None:
    """Nothing more of an issue goes out before then; None: nothing holds it up."""
    values = {"waits_until": until, "waits_why": why or None}
    c.execute(update(issues).where(issues.c.id == issue_id).values(**values))


def mark_checked(c: Connection, issue_id: int, at: datetime) -> None:
    """Note that the picked posts were fetched again and stand as approved."""
    c.execute(update(issues).where(issues.c.id == issue_id).values(checked_at=at))


# --- checks as JSON ----------------------------------------------------------------------------


def checks_to_json(checks: Iterable[Check]) -> list[dict[str, str]]:
    return [
        {"name": check.name, "severity": check.severity, "message": check.message}
        for check in checks
    ]


def checks_from_json(stored: Iterable[dict[str, str]]) -> tuple[Check, ...]:
    return tuple(
        Check(check["name"], Severity(check["severity"]), check["message"]) for check in stored
    )
