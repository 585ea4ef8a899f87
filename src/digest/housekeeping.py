"""What must not be forgotten, whoever died: steps of the flow of that name, all safe to repeat.

Our own tables say what is to be done. With `dry_run` a step says so and changes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from digest import notices, sending
from digest.errors import StateError
from digest.issues import desk
from digest.issues.due import decision_due, verdict
from digest.mail.worker import death_certificate
from digest.model import Act, IssueState
from digest.store import doubts, feedback, mail_pace, underway
from digest.store import issues as issue_store
from digest.store import notices as notice_store
from digest.store import runs as run_store
from digest.store import sign_ups as sign_up_store

if TYPE_CHECKING:
    from datetime import datetime

    from digest.bootstrap import App
    from digest.config import Policy
    from digest.store.underway import Running, Underway

log = logging.getLogger(__name__)

#: What showed a sign of life so lately is given time to go on by itself: a run that was woken
#: has to start first, and a person at a terminal to type the next command.
SETTLING = timedelta(minutes=5)

#: For how long a run on another machine, whose lock cannot be seen from here, counts as alive
#: after the last sign of life of its issue.
ELSEWHERE = timedelta(hours=1)

_ACTOR = "digest"


# --- drafts that nobody decided on -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ruling:
    """A draft decided by policy: "send", "hold" or "roll", and why.

    `taken` is False in a dry run, and where somebody else decided at that very moment.
    """

    issue_id: int
    name: str
    policy: Policy
    reason: str
    taken: bool


def decide_overdue(app: App, now: datetime, *, dry_run: bool = False) -> tuple[Ruling, ...]:
    """Decide the drafts whose time for a decision is over, by their newsletters' policies."""
    with app.store.read() as c:
        drafts = [
            issue_store.get_issue(c, line.id)
            for line in underway.list_underway(c, now, (IssueState.DRAFT,))
            if _deadline(app, line) <= now
        ]
    ruled, broken = [], []
    for issue in drafts:
        try:
            ruled.append(_decide(app, issue, now, dry_run=dry_run))
        except Exception as error:  # noqa: BLE001  told below, when the others are decided
            broken.append(error)
    if broken:
        raise ExceptionGroup(f"{len(broken)} drafts could not be decided", broken)
    return tuple(ruled)


def _deadline(app: App, issue: Underway | issue_store.Issue) -> datetime:
    newsletter = app.config.newsletters.get(issue.newsletter)
    return decision_due(newsletter, issue.decide_by, issue.created_at)


def _decide(app: App, issue: issue_store.Issue, now: datetime, *, dry_run: bool) -> Ruling:
    deadline = _deadline(app, issue)
    policy, why = verdict(app.config, issue.newsletter, issue.scope, issue.errors, now - deadline)
    by = deadline.astimezone(app.config.site.zone)
    reason = f"nobody decided by {by:%a %d %b %Y %H:%M}; {why}"
    taken = not dry_run and _rule(app, issue, policy, Act(_ACTOR, now, reason))
    return Ruling(issue.id, issue.name, policy, reason, taken)


def _rule(app: App, issue: issue_store.Issue, policy: Policy, act: Act) -> bool:
    """Store the decision on the draft as it was read; False where it is not that any more."""
    try:
        if policy == "send":
            desk.approve(app.store, app.templates, issue.id, act, seen=issue.hash)
        else:
            after = IssueState.HELD if policy == "hold" else IssueState.SKIPPED
            with app.store.write() as c:
                issue_store.move_issue(c, issue, after, act)
    except StateError as error:
        log.info("issue %s: decided by somebody else just now: %s", issue.id, error)
        return False
    log.info("issue %s: %s: %s", issue.id, policy, act.reason)
    return True


# --- issues that nobody works on ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An issue that nobody works on, and the last sign of life of it."""

    issue_id: int
    moved_at: datetime


def unfinished(app: App, now: datetime) -> tuple[Unfinished, ...]:
    """Issues that were decided to go out, could go on right now, and that nobody works on.

    A run of `send-issue` for each goes on with them; one too many does no harm. Those whose
    newsletter is gone from config cannot be sent: `digest overdue` tells of them.
    """
    on_their_way = (IssueState.APPROVED, IssueState.FROZEN, IssueState.SENDING)
    with app.store.read() as c:
        issues = underway.list_underway(c, now, on_their_way)
        running = underway.list_running(c)
        held = {issue.id: underway.workers_on(c, issue.id) for issue in issues if issue.open}
    is_dead = death_certificate(app.var / "run", "", now)
    return tuple(
        Unfinished(issue.id, issue.moved_at)
        for issue in issues
        if _may_go_on(app, issue, now)
        and not any(
            run.issue_id == issue.id and not is_dead(run.worker, _last_sign(run, issue))
            for run in running
        )
        and all(is_dead(worker, until) for worker, until in held.get(issue.id, ()))
    )


def _may_go_on(app: App, issue: Underway, now: datetime) -> bool:
    # One that is being sent and has nothing open was killed before it could be closed.
    waits_for_a_time = issue.open and not issue.due
    return (
        issue.newsletter in app.config.newsletters
        and not issue.asked
        and not waits_for_a_time
        and now - issue.moved_at >= SETTLING
    )


def _last_sign(run: Running, issue: Underway) -> datetime:
    return max(run.started_at, issue.moved_at) + ELSEWHERE


# --- deliveries in doubt -----------------------------------------------------------------------

#: Longer than any mailer knows a request's key; what cannot be proved by then is an editor's.
PROVABLE = timedelta(days=2)


def prove_doubts(app: App, now: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
    """Let mailers prove what is in doubt, where they can and its newsletter's hours allow it."""
    with app.store.read() as c:
        doubtful = doubts.issues_in_doubt(c, now - PROVABLE)
        found = [issue_store.get_issue(c, number) for number in doubtful]
    lines = []
    for issue in found:
        if not sending.can_prove(app, issue):
            continue
        act = Act(_ACTOR, now, "housekeeping")
        count = 0 if dry_run else sending.look_up(app, issue.id, act)
        if count or dry_run:
            lines.append(f"issue {issue.id}: {count or 'some'} in doubt looked up")
    return tuple(lines)


# --- runs that were killed ---------------------------------------------------------------------


def end_killed(app: App, now: datetime, *, dry_run: bool = False) -> tuple[int, ...]:
    """End the runs that still say "running" and are dead; returns their numbers."""
    is_dead = death_certificate(app.var / "run", "", now)
    with app.store.write() as c:
        found = run_store.killed(c, is_dead)
        if not dry_run:
            run_store.end_killed(c, is_dead, now)
    return tuple(found)


# --- notices ------------------------------------------------------------------------------------


def send_notices(app: App, *, dry_run: bool = False) -> tuple[str, ...]:
    """Send the notices that are due and were left lying, where no pages run or they died."""
    if dry_run:
        with app.store.read() as c:
            due = notice_store.count_due(c, app.clock())
        return (f"{due} due",) if due else ()
    done = notices.send_due(app)
    return (*(f"{count} {state}" for state, count in done.states.items()), *done.faults)


def forget_strangers(app: App, *, dry_run: bool = False) -> tuple[str, ...]:
    """Delete addresses that somebody typed in and nobody confirmed, once no link to them works."""
    before = app.clock() - sign_up_store.KEPT
    with app.store.write() as c:
        sign_ups = sign_up_store.forget_unconfirmed(c, before)
        asked = notice_store.forget_strangers(c, before)
        if dry_run:
            c.rollback()
    counts = {"sign-ups nobody confirmed": sign_ups, "links nobody here asked for": asked}
    return tuple(f"{count} {what}" for what, count in counts.items() if count)


def forget_pace(app: App, *, dry_run: bool = False) -> None:
    """Delete what holds up no mail any more: of a domain that is not written to nobody else does.

    Nothing that anybody has to be told of.
    """
    if not dry_run:
        with app.store.write() as c:
            mail_pace.forget_past(c, app.clock())


def forget_told(app: App, *, dry_run: bool = False) -> None:
    """Delete what mailers told of their mails long ago, a little at a time.

    Nothing that anybody has to be told of: the events themselves are kept with their deliveries.
    """
    left = not dry_run
    while left:
        with app.store.write() as c:
            left = bool(feedback.forget_past(c, app.clock()))
