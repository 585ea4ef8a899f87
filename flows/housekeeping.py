"""Sees to what must not be forgotten, whoever died."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.chores import keep_house
from digest_prefect.parameters import DryRun  # noqa: TC001
from digest_prefect.running import running, skipped


@flow(name="housekeeping", flow_run_name="housekeeping")
def housekeeping(dry_run: DryRun = True) -> State[Any]:
    """Keeps deadlines and picks up what was left lying. Safe to run at any time.

    - Inboxes are read; what came back about mails is worked on, what is in doubt is looked up.
    - Drafts that nobody decided on in time are decided by their newsletter's policy.
    - Runs whose issue was decided elsewhere are woken.
    - Issues that stopped half-way go on.
    - Mails that readers asked for and that were left lying go out; sign-ups that nobody confirmed
      are forgotten.
    - The drop-downs of all forms show what config declares now.
    """
    with running() as run:
        if late := run.lateness():
            return skipped(run, late)
        return keep_house(run, dry_run=dry_run)
