"""Reads the feeds and stores what is new or edited."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import Field

from digest_prefect.running import ended, running, skipped

Feed = Annotated[
    str,
    Field(
        json_schema_extra={
            "title": "Feed",
            "description": "Which feed to read.",
            "position": 0,
        }
    ),
]


@flow(name="refresh-feeds", flow_run_name="refresh-feeds {feed}")
def refresh_feeds(feed: Feed = "all"):
    """Reads the feeds and stores what is new or edited."""
    with running() as run:
        if late := run.lateness():
            return skipped(run, late)
        return ended(run, "Done", "a stub")
