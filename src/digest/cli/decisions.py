"""What an editor decides about an issue: approve, change, reject, hold, cancel, pause, resume."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import (
    PARTIAL,
    By,
    Home,
    Json,
    finish,
    note,
    opened,
    recorded,
    say,
    show,
    who,
)
from digest.cli.issues import IssueId, tell_forecast

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.store.issues import Issue
    from digest.waking import Fate

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


def _decide(
    home: Path | None, by: str | None, issue: int, word: str, reason: str, *, as_json: bool
) -> None:
    from digest.issues import desk
    from digest.model import Act

    with opened(home) as app, recorded(app, word, by, issue=issue) as run:
        act = Act(who(by), app.clock(), reason or word)
        if word == "resume":
            decided = desk.resume(app.store, app.config, app.templates, issue, act)
        else:
            step = {
                "reject": desk.reject,
                "hold": desk.hold,
                "pause": desk.pause,
                "cancel": desk.cancel,
            }[word]
            decided = step(app.store, issue, act)
        run.issue_id = issue
        _tell_issue(decided, as_json=as_json)
        _wake(app, issue)


def _wake(app: App, issue: int) -> Fate | None:
    """Tell the run that asked an editor about the issue, if one did; says what came of it.

    The decision stands, whatever becomes of this; without an open ask nobody is called.
    """
    from digest.store.asks import open_ask

    with app.store.read() as c:
        if open_ask(c, issue) is None:
            return None
    from digest.up.connection import read_connection
    from digest.waking import BRISK, Fate, wake

    report = wake(app, read_connection(app.home, app.config), issue_id=issue, timeout=BRISK)
    for told in report.told:
        if told.fate is Fate.WOKEN:
            note("The run in Prefect that asked about it goes on.")
        elif told.fate is Fate.ENDED:
            note(f"The run in Prefect that asked about it does not go on: {told.reason}.")
        elif told.fate is Fate.AGAIN:
            note(f"The run in Prefect that asked about it is told later: {told.reason}.")
    return report.told[0].fate if report.told else None


def approve(
    issue: IssueId,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Send under this subject instead.")
    ] = None,
    reason: Reason = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Approve a draft. What was approved is what goes out, with the next `digest deliver`.

    Example: digest approve 3 --by "Maya"
    """
    from digest.issues import desk
    from digest.model import Act

    with opened(home) as app, recorded(app, "approve", by, issue=issue) as run:
        act = Act(who(by), app.clock(), reason or "approved")
        decided = desk.approve(app.store, app.templates, issue, act, subject=subject)
        run.issue_id = issue
        _tell_issue(decided, as_json=as_json)
        if not as_json:
            tell_forecast(app, decided)
        fate = _wake(app, issue)
    if not as_json:
        say(_what_sends(issue, fate))


def _what_sends(issue: int, fate: Fate | None) -> str:
    by_hand = f"digest deliver {issue}"
    if fate is None:
        return f"Send it with: {by_hand}"
    from digest.waking import Fate

    if fate is Fate.WOKEN:
        return f"That run sends it. By hand, should it not: {by_hand}"
    if fate is Fate.AGAIN:
        return f"Housekeeping tells the run, which sends it. Or send it now with: {by_hand}"
    return f"Send it with: {by_hand}"


def change(
    issue: IssueId,
    introduction: Annotated[
        str | None, typer.Option("--introduction", help="A new introduction.")
    ] = None,
    drop: Annotated[
        list[int] | None, typer.Option("--drop", help="Id of a post to leave out.")
    ] = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Change a draft's introduction, or leave posts out; it is rendered anew and asked again.

    Example: digest change 3 --drop 17 --introduction "A quiet week."
    """
    from digest.errors import UsageError
    from digest.issues import desk
    from digest.model import Act

    if introduction is None and not drop:
        raise UsageError("say what to change: --introduction, --drop, or both")
    with opened(home) as app, recorded(app, "change", by, issue=issue) as run:
        act = Act(who(by), app.clock(), "changed")
        decided = desk.change(
            app.store, app.templates, issue, act, introduction=introduction, drop=drop or ()
        )
        run.issue_id = issue
        _tell_issue(decided, as_json=as_json)
        _wake(app, issue)


def reject(
    issue: IssueId,
    reason: Reason = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """End an issue before anything went out; its posts are free for another.

    Example: digest reject 3 --reason "wrong introduction"
    """
    _decide(home, by, issue, "reject", reason, as_json=as_json)


def hold(
    issue: IssueId,
    reason: Reason = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put a draft or an approved issue aside; `digest resume` makes the draft anew.

    Example: digest hold 3 --reason "waiting for the minister"
    """
    _decide(home, by, issue, "hold", reason, as_json=as_json)


def cancel(
    issue: IssueId,
    reason: Reason = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """End an issue in any state: what has not gone out never will.

    Example: digest cancel 3 --reason "sent too early"
    """
    _decide(home, by, issue, "cancel", reason, as_json=as_json)


def pause(
    issue: IssueId,
    reason: Reason = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Stop a running delivery at once; `digest resume` and `digest deliver` go on.

    Example: digest pause 3
    """
    _decide(home, by, issue, "pause", reason, as_json=as_json)


def resume(issue: IssueId, by: By = None, home: Home = None, as_json: Json = False) -> None:
    """Let a paused issue go on, or make the draft of a held one anew from the posts as they are.

    Example: digest resume 3
    """
    _decide(home, by, issue, "resume", "", as_json=as_json)


def _tell_issue(issue: Issue, *, as_json: bool) -> None:
    if as_json:
        show(issue_json(issue))
    else:
        say(f"Issue {issue.id} ({issue.name}): {issue.state}. Subject: {issue.subject or '-'}")


def issue_json(issue: Issue) -> dict[str, Any]:
    """An issue as the commands report it."""
    return {
        "issue": issue.id,
        "newsletter": issue.newsletter,
        "scope": issue.scope,
        "period": issue.period,
        "state": str(issue.state),
        "subject": issue.subject,
        "scheduled_at": issue.scheduled_at,
        "hash": issue.hash,
        "preflight": [asdict(check) for check in issue.preflight],
    }


def test(
    issue: IssueId,
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Who gets the copy.")],
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send a test copy of an issue to one address; no reader, no account is touched.

    Example: digest test 3 --to editor@example.org
    """
    from digest.logs import mask
    from digest.notices import send_test_copy
    from digest.store.issues import get_issue

    with opened(home) as app, recorded(app, "test", by, issue=issue) as run:
        sent = send_test_copy(app, issue, to)
        with app.store.read() as c:
            shown = get_issue(c, issue)
        run.issue_id = issue
        run.outcome = "done" if sent.state == "submitted" else "failed"
        # A server's words may quote whom the mail was for.
        run.reason = mask(sent.reason)
    if as_json:
        show({**issue_json(shown), "test": {"state": str(sent.state), "reason": sent.reason}})
    else:
        say(f"Test copy: {sent.state}" + (f", {sent.reason}" if sent.reason else ""))
    if sent.state != "submitted":
        finish(PARTIAL)


def add_to(app: typer.Typer) -> None:
    for command in (approve, change, reject, hold, cancel, pause, resume, test):
        app.command()(command)
