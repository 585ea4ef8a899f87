"""How the flow settle decides, and what it shows: counts and reasons, never an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digest import sending
from digest.model import Act
from digest.recording import about
from digest.reporting import undecided_markdown
from digest.settling import settle_deliveries, settle_publications
from digest.showing import account_markdown
from digest.social.settle import undecided
from digest.social.workshop import press_of
from digest.store import accounts
from digest_prefect.artifacts import at_the_desk, show
from digest_prefect.running import ended
from digest_prefect.tasks import work

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from digest_prefect.running import Run


def settle_issue(
    run: Run, issue_id: int, decision: str, approver: str, *, dry_run: bool
) -> State[Any]:
    """Decide the uncertain deliveries of an issue, and show its account after."""
    app = run.app
    sent = sending.standing(app, issue_id)
    about(app, run.record, issue_id)
    if not dry_run:
        act = Act(approver, app.clock(), f"run {run.flow}")
        count = work("settle", lambda: settle_deliveries(app, issue_id, decision, act))
        sent = sending.standing(app, issue_id)
    with app.store.read() as c:
        left_out = accounts.exclusion_counts(c, issue_id)
    told = account_markdown(sent, left_out) + at_the_desk(app, issue_id)
    show(f"account-{issue_id}", told, "The account as it stands")
    if dry_run:
        message = f"{sent.undecided} uncertain deliveries would be decided: {decision}"
        return ended(run, "Dry run", message, outcome="nothing")
    waiting = f"; {sent.account.pending} go out by send-issue {issue_id}" * bool(sent.account.open)
    return _end(run, count, sent.undecided, waiting)


def settle_threads(run: Run, decision: str, approver: str, *, dry_run: bool) -> State[Any]:
    """Decide the uncertain publications of all threads."""
    app, press = run.app, press_of(run.app, None)
    if dry_run:
        left = undecided(press)
        show("uncertain-snippets", undecided_markdown(left), "Uncertain snippets")
        message = f"{len(left)} uncertain snippets would be decided: {decision}"
        return ended(run, "Dry run", message, outcome="nothing")
    act = Act(approver, app.clock(), f"run {run.flow}")
    count = work("settle", lambda: settle_publications(app, decision, act))
    left = undecided(press)
    show("uncertain-snippets", undecided_markdown(left), "Uncertain snippets")
    return _end(run, count, len(left), "")


def _end(run: Run, count: int, left: int, more: str) -> State[Any]:
    run.record.counts = {"settled": count}
    if left:
        message = f"{count} decided{more}; {left} are uncertain still: they cannot be looked up"
        return ended(run, "Done in part", message, outcome="partial")
    if not count:
        return ended(run, "Nothing to do", f"nothing was uncertain{more}", outcome="nothing")
    return ended(run, "Done", f"{count} decided{more}")
