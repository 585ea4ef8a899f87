"""Goes on with one issue, by its number: the manual way."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.digesting import send
from digest_prefect.parameters import DryRun, shown
from digest_prefect.running import running

Issue = Annotated[int, shown("Issue", "Its number, as in `digest issues`.", ge=1)]


@flow(name="send-issue", flow_run_name="send-issue {issue}")
def send_issue(issue: Issue, dry_run: DryRun = True) -> State[Any]:
    """Goes on with an issue from wherever it stands.

    A draft is asked about, one that was held is made anew and asked about, and what was approved
    or paused goes out to those who have not had it. Nobody gets it twice.
    """
    with running() as run:
        return send(run, issue, dry_run=dry_run)
