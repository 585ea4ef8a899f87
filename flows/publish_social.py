"""Publishes the snippets whose slot has come."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest.reporting import published_markdown, published_words
from digest.social.workshop import publish
from digest_prefect.artifacts import show
from digest_prefect.parameters import DryRun, shown
from digest_prefect.running import ended, failed, running, skipped
from digest_prefect.tasks import work

Channel = Annotated[str, shown("Channel", "On which channel to publish.")]


@flow(name="publish-social", flow_run_name="publish-social {channel}")
def publish_social(channel: Channel = "all", dry_run: DryRun = True) -> State[Any]:
    """Publishes the snippets whose slot has come, each once, a thread in its order.

    What may be out already is looked up first, and never published again unless the network
    is known not to have it; else **settle** decides it. What is too late is cancelled, so that
    no backlog goes out at once. The run fails where somebody has to do something, and says what.
    """
    with running() as run:
        if late := run.lateness():
            return skipped(run, late)
        only = None if channel == "all" else channel
        # Never tried again by Prefect: the ledger alone knows what may be said once more.
        report = work("publish", lambda: publish(run.app, channel=only, dry_run=dry_run))
        message = published_words(report)
        run.record.counts = report.counts
        if report.lines or report.faults or report.notices:
            show("snippets", published_markdown(report), "What became of each snippet")
        if dry_run:
            return ended(run, "Dry run", f"{message}; nothing was published", outcome="nothing")
        if report.for_person:
            return failed(run, message)
        if report.faults or report.uncertain:
            return ended(run, "Done in part", message, outcome="partial")
        if not report.lines:
            return ended(run, "Nothing to do", message, outcome="nothing")
        return ended(run, "Done", message)
