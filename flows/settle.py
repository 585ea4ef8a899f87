"""Decides what may be out already, and nobody knows."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.parameters import Approver, DryRun, shown
from digest_prefect.running import running
from digest_prefect.settling import settle_issue, settle_threads

Issue = Annotated[
    int, shown("Issue", "Its number; 0 decides the snippets of threads instead.", ge=0)
]
Decision = Annotated[
    str,
    shown(
        "Decision",
        "look: ask the mailer or channel, where it can tell. leave: never send them again. "
        "resend: send them again; some may get it twice.",
    ),
]


@flow(name="settle", flow_run_name="settle {issue} {decision}")
def settle(
    issue: Issue, decision: Decision, approver: Approver, dry_run: DryRun = True
) -> State[Any]:
    """Decides the uncertain deliveries of an issue, or the uncertain snippets of threads.

    Uncertain is what was being sent when something broke: it may have arrived, or not. It is
    never sent again by itself.
    """
    with running() as run:
        if issue == 0:
            return settle_threads(run, decision, approver, dry_run=dry_run)
        return settle_issue(run, issue, decision, approver, dry_run=dry_run)
