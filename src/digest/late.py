"""What becomes of an issue whose run came too late: by the newsletter's policy, and stored.

An outage leaves a backlog of runs, and all of them come at once when it ends. Whatever the
policy, an issue whose next one is due by then leaves its posts to that: nobody is flooded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.issues import desk
from digest.issues.compose import newsletter_of, period_asked
from digest.issues.due import hours, superseded
from digest.model import Act, IssueState
from digest.store import issues as issue_store

if TYPE_CHECKING:
    from datetime import timedelta

    from digest.bootstrap import App
    from digest.issues.compose import Request
    from digest.store.issues import Issue


@dataclass(frozen=True, slots=True)
class Aside:
    """An issue that does not go out by this run, and why."""

    issue: Issue
    why: str


def set_aside(app: App, flow: str, request: Request, by: timedelta) -> Aside | None:
    """Hold or roll what a late run asks for; None where the policy is to send it all the same.

    `by` is how late it came. An issue of the period that is there already stays as it is.
    """
    late = hours(by)
    known = _known(app, request)
    if known is not None and known.state is not IssueState.SKIPPED:
        return Aside(known, f"the run came {late} late, and issue {known.id} is {known.state}")
    now = app.clock()
    passed = superseded(
        app.config,
        flow,
        request.scheduled_at,
        now,
        request.newsletter,
        scope=str(request.scope),
        rhythm=request.rhythm,
    )
    policy = newsletter_of(app.config, request.newsletter).late
    if policy == "send" and not passed:
        return None
    next_one = ", and the next one is due" if passed else ""
    hold = policy == "hold" and not passed
    why = f"its run came {late} late{'' if hold else next_one + ': its posts wait for the next'}"
    step = (IssueState.HELD if hold else IssueState.SKIPPED, Act("digest", now, why))
    act = Act("digest", now, f"run {flow}")
    # In one transaction: a crash leaves no draft behind that would go out by another policy.
    issue = desk.draft_issue(app.store, app.config, app.templates, request, act, aside=step)
    with app.store.read() as c:
        just_now = issue_store.transitions_of(c, issue.id)[-1].reason == why
    if just_now:
        return Aside(issue, f"held: {why}" if hold else why)
    return Aside(issue, f"the run came {late} late, and issue {issue.id} is {issue.state}")


def _known(app: App, request: Request) -> Issue | None:
    of = (request.newsletter, str(request.scope), period_asked(app.config, request))
    with app.store.read() as c:
        return issue_store.find_current(c, *of)
