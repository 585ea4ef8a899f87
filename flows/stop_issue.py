"""Pauses or cancels an issue on its way, by its number."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.parameters import Approver, DryRun, shown
from digest_prefect.running import running
from digest_prefect.stopping import DECISIONS, stop

Issue = Annotated[int, shown("Issue", "Its number, as in `digest issues`.", ge=1)]
Decision = Annotated[
    str,
    shown(
        "Decision",
        "pause: stop until send-issue goes on with it. cancel: what has not gone out never will.",
        DECISIONS,
    ),
]


@flow(name="stop-issue", flow_run_name="stop-issue {issue} {decision}")
def stop_issue(
    issue: Issue, decision: Decision, approver: Approver, dry_run: DryRun = True
) -> State[Any]:
    """Stops an issue between two mails, whoever is sending it: another run, or a command.

    What a server is being told at that moment still gets its answer. **send-issue** goes on with
    what was paused; nothing brings back what was cancelled.
    """
    with running() as run:
        return stop(run, issue, decision, approver, dry_run=dry_run)
