"""How the flow stop-issue stops an issue, and what it shows: counts, never an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digest import sending
from digest.errors import UsageError
from digest.issues import desk
from digest.model import Act, IssueState
from digest.recording import about
from digest.showing import account_markdown
from digest.store import accounts
from digest.up.connection import read_connection
from digest.waking import wake
from digest_prefect.artifacts import at_the_desk, show
from digest_prefect.running import answered, ended
from digest_prefect.tasks import work

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from digest.sending import Sent
    from digest_prefect.running import Run

#: What may be decided, and where it brings an issue.
_STATES = {"pause": IssueState.PAUSED, "cancel": IssueState.CANCELLED}
DECISIONS = tuple(_STATES)


def stop(run: Run, issue_id: int, decision: str, approver: str, *, dry_run: bool) -> State[Any]:
    """Pause or cancel an issue, and show its account after."""
    return answered(run, lambda: _stop(run, issue_id, decision, approver, dry_run=dry_run))


def _stop(run: Run, issue_id: int, decision: str, approver: str, *, dry_run: bool) -> State[Any]:
    if decision not in DECISIONS:
        raise UsageError(f"no decision {decision!r}; there are: {', '.join(DECISIONS)}")
    before = sending.standing(run.app, issue_id)
    about(run.app, run.record, issue_id)
    over = before.issue.state is _STATES[decision]
    if not (over or dry_run):
        act = Act(approver, run.app.clock(), f"run {run.flow}")
        work(decision, lambda: _decide(run, issue_id, decision, act))
    sent = sending.standing(run.app, issue_id)
    _show_account(run, sent)
    what = f"issue {issue_id} ({sent.issue.name}) is"
    if over:
        return ended(run, "Nothing to do", f"{what} {sent.issue.state} already", outcome="nothing")
    if dry_run:
        would = f"{what} {sent.issue.state}; {decision} would stop {sent.account.open} deliveries"
        return ended(run, "Dry run", would, outcome="nothing")
    run.record.counts = {"stopped": before.account.open}
    return ended(run, str(sent.issue.state).capitalize(), f"{what} {_standing(sent)}")


def _decide(run: Run, issue_id: int, decision: str, act: Act) -> None:
    step = desk.pause if decision == "pause" else desk.cancel
    step(run.app.store, issue_id, act)
    # A run that asks about the draft has nothing to ask any more.
    wake(run.app, read_connection(run.app.home, run.app.config), issue_id=issue_id)


def _show_account(run: Run, sent: Sent) -> None:
    issue_id = sent.issue.id
    with run.app.store.read() as c:
        left_out = accounts.exclusion_counts(c, issue_id)
    told = account_markdown(sent, left_out) + at_the_desk(run.app, issue_id)
    show(f"account-{issue_id}", told, "The account as it stands")


def _standing(sent: Sent) -> str:
    account = sent.account
    gone = f"{account.submitted} of {account.recipients} submitted"
    if sent.issue.state is IssueState.PAUSED:
        return f"paused: {gone}, {account.open} wait for send-issue {sent.issue.id}"
    return f"cancelled: {gone}, {account.cancelled} never go out"
