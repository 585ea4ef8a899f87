"""Issues that should have gone out and have not, as our own database and config tell.

Asks nobody else, so that it can sound an alarm when everything else is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.config import rhythm_of, served_rhythms
from digest.issues.due import decision_due, last_due
from digest.issues.scope import issue_name
from digest.model import IssueState
from digest.store import underway
from digest.store.issues import find_current, find_ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.issues.due import Due
    from digest.store.engine import Store
    from digest.store.underway import Underway

#: How long something may stand still before it is overdue.
GRACE = timedelta(hours=2)

#: How long housekeeping may take to decide on a draft that nobody decided on.
DECISION_GRACE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Overdue:
    """An issue that waits for somebody to look; `issue` and `state` are None where none is made."""

    newsletter: str
    scope: str
    period: str
    due: datetime
    issue: int | None
    state: str | None
    #: Half a sentence each: what is wrong since when, and what to do about it.
    why: str
    remedy: str

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47 (issue 3)"."""
        number = f" (issue {self.issue})" if self.issue is not None else ""
        return issue_name(self.newsletter, self.scope, self.period) + number


def overdue(store: Store, config: Config, now: datetime) -> list[Overdue]:
    """What was due and was neither sent nor put aside, longest due first."""
    with store.read() as c:
        found = [
            *_never_made(c, config, now),
            *_standing_still(c, config, now),
            *_stranded(c, config, now),
        ]
    return sorted(found, key=lambda each: (each.due, each.issue or 0))


# --- never made --------------------------------------------------------------------------------


def _never_made(c: Connection, config: Config, now: datetime) -> list[Overdue]:
    begun = underway.first_run_at(c)
    if begun is None:
        return []
    missing = {
        (due.newsletter, str(due.scope), due.period): _missing(c, config, due)
        for due in last_due(config, now - GRACE)
        if due.at >= begun and not _made(c, due)
    }
    return list(missing.values())


def _made(c: Connection, due: Due) -> bool:
    """Whether there is an issue of it, whatever became of it."""
    of = due.newsletter, str(due.scope), due.period
    return bool(find_current(c, *of) or find_ended(c, *of))


def _missing(c: Connection, config: Config, due: Due) -> Overdue:
    failure = underway.last_failure(c, due.flow, due.at)
    why = "no run has made it"
    if failure:
        why = f"no run has made it; the last one of {due.flow} failed: {failure.rstrip('.')}"
    return Overdue(
        newsletter=due.newsletter,
        scope=str(due.scope),
        period=due.period,
        due=due.at,
        issue=None,
        state=None,
        why=why,
        remedy=f"see whether Prefect runs and {due.flow} is switched on, or make it by hand:"
        f" {_send_command(config, due)}",
    )


def _send_command(config: Config, due: Due) -> str:
    at = due.at.astimezone(config.site.zone).isoformat(timespec="minutes")
    own = due.rhythm is rhythm_of(config.newsletters[due.newsletter])
    parts = (
        f"digest send {due.newsletter}",
        "" if due.scope.is_all else f"--{due.scope.kind} {due.scope.slug}",
        "" if own else f"--rhythm {due.rhythm}",
        f"--edition {due.edition}" if due.edition > 1 else "",
        "--repeat" if due.repeat else "",
        f"--as-of {at}",
    )
    return " ".join(part for part in parts if part)


# --- stranded ----------------------------------------------------------------------------------


def _stranded(c: Connection, config: Config, now: datetime) -> Iterator[Overdue]:
    """Readers whose rhythm no schedule serves any more: nobody would ever write to them."""
    for newsletter, rhythm, readers in underway.rhythms_wanted(c):
        served = served_rhythms(config, newsletter) if newsletter in config.newsletters else set()
        # A newsletter without any schedule is sent by hand, whatever its rhythms.
        if served and rhythm not in served:
            want = "reader wants" if readers == 1 else "readers want"
            yield Overdue(
                newsletter=newsletter,
                scope="all",
                period=str(rhythm),
                due=now,
                issue=None,
                state=None,
                why=f"{readers} {want} it {rhythm}, which no schedule serves",
                remedy="add a schedule for it to [flows] in config, or make it by hand:"
                f" digest send {newsletter} --rhythm {rhythm}",
            )


# --- standing still ----------------------------------------------------------------------------


def _standing_still(c: Connection, config: Config, now: datetime) -> list[Overdue]:
    return [
        Overdue(
            newsletter=issue.newsletter,
            scope=issue.scope,
            period=issue.period,
            due=issue.scheduled_at,
            issue=issue.id,
            state=str(issue.state),
            why=_what_is_wrong(config, issue),
            remedy=_remedy(config, issue),
        )
        for issue in underway.list_underway(c, now)
        if now > _patience_ends(config, issue)
    ]


def _patience_ends(config: Config, issue: Underway) -> datetime:
    if issue.state is IssueState.DRAFT:
        if _needs_nobody(config, issue):
            return issue.moved_at + GRACE
        return _decision_due(config, issue) + DECISION_GRACE
    return max(issue.moved_at, issue.next_at or issue.moved_at) + GRACE


def _needs_nobody(config: Config, issue: Underway) -> bool:
    newsletter = config.newsletters.get(issue.newsletter)
    return newsletter is not None and newsletter.approval == "none" and not issue.errors


def _decision_due(config: Config, issue: Underway) -> datetime:
    newsletter = config.newsletters.get(issue.newsletter)
    return decision_due(newsletter, issue.decide_by, issue.created_at)


def _what_is_wrong(config: Config, issue: Underway) -> str:
    def since(moment: datetime) -> str:
        return f"{moment.astimezone(config.site.zone):%a %d %b %Y %H:%M}"

    moved = since(issue.moved_at)
    if issue.newsletter not in config.newsletters:
        return f"{issue.state} since {moved}, and its newsletter stands in config no more"
    if issue.state is IssueState.DRAFT and _needs_nobody(config, issue):
        return f"a draft since {moved}, although its newsletter sends without approval"
    if issue.state is IssueState.DRAFT:
        deadline = since(_decision_due(config, issue))
        return f"a draft that was to be decided by {deadline}, and housekeeping did not do it"
    if issue.state is IssueState.PAUSED:
        return f"paused since {moved}: {issue.step_reason.rstrip('.')}"
    if issue.state is IssueState.SENDING:
        return f"being sent, and nothing has moved since {moved}"
    return f"{issue.state} since {moved}, and nothing of it has gone out"


def _remedy(config: Config, issue: Underway) -> str:
    number = issue.id
    if issue.newsletter not in config.newsletters:
        return f"put the newsletter back into config, or: digest cancel {number}"
    if issue.state is IssueState.DRAFT:
        return f"decide: digest approve {number}, digest hold {number} or digest reject {number}"
    if issue.state is IssueState.PAUSED:
        return (
            f"go on: digest resume {number}, then digest deliver {number};"
            f" or end it: digest cancel {number}"
        )
    return f"go on: digest deliver {number}"
