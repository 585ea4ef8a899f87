"""Reads the feeds and stores what is new or edited."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest.reporting import feeds_markdown
from digest_prefect.artifacts import show
from digest_prefect.parameters import shown
from digest_prefect.reading import classify, read_end, read_feeds
from digest_prefect.running import running, skipped

Feed = Annotated[str, shown("Feed", "Which feed to read.")]


@flow(name="refresh-feeds", flow_run_name="refresh-feeds {feed}")
def refresh_feeds(feed: Feed = "all") -> State[Any]:
    """Reads the feeds, stores what is new or edited, and sorts it into series and themes.

    A feed that fails stops no other, and is tried again where that may help. Nothing is sent.
    """
    with running() as run:
        if late := run.lateness():
            return skipped(run, late)
        report = read_feeds(run, feed)
        classify(run)
        show("feeds", feeds_markdown(report), "What each feed gave")
        return read_end(run, report)
