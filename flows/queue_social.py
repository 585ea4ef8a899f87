"""Plans threads of new posts into the channels' slots."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest.reporting import threads_markdown
from digest.social.plan import plan
from digest_prefect.artifacts import show
from digest_prefect.parameters import DryRun, shown
from digest_prefect.running import ended, running, skipped
from digest_prefect.tasks import work

Channel = Annotated[str, shown("Channel", "For which channel to plan.")]


@flow(name="queue-social", flow_run_name="queue-social {channel}")
def queue_social(channel: Channel = "all", dry_run: DryRun = True) -> State[Any]:
    """Makes threads of the posts that arrived and gives each snippet its slot.

    A post goes out once on a channel, however often this runs; where config asks for it, old
    posts of a series are brought back in turn. **publish-social** publishes what is planned
    when its slot has come.
    """
    with running() as run:
        if late := run.lateness():
            return skipped(run, late)
        only = None if channel == "all" else channel
        report = work("plan", lambda: plan(run.app, channel=only, dry_run=dry_run), retries=3)
        show("threads", threads_markdown(report, run.app.config), "What was planned, and why")
        run.record.counts = {"threads": len(report.threads)}
        if dry_run:
            message = f"{len(report.threads)} threads would be planned; nothing was stored"
            return ended(run, "Dry run", message, outcome="nothing")
        if not report.threads:
            why = "no post without a thread belongs on a channel"
            return ended(run, "Nothing to do", why, outcome="nothing")
        return ended(run, "Done", f"{len(report.threads)} threads planned")
