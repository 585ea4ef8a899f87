"""Reading feeds as one task, tried again for those alone that failed for a passing reason."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from digest.feeds.refresh import RefreshReport, refresh_failed, refresh_feeds
from digest.store.memberships import ensure_memberships
from digest_prefect.running import ended, failed
from digest_prefect.tasks import NotNow, work

if TYPE_CHECKING:
    from typing import Any

    from prefect.client.schemas.objects import State

    from digest_prefect.running import Run


def read_feeds(run: Run, feed: str) -> RefreshReport:
    """Read the feed of that slug, or all; the report is of every try together."""
    app, only = run.app, None if feed == "all" else feed
    known: list[RefreshReport] = []

    def step() -> None:
        fetcher = app.fetcher()
        try:
            if known:
                again = (app.store, app.config, fetcher, app.clock(), known[-1])
                known.append(refresh_failed(*again))
            else:
                first = (app.store, app.config, fetcher, app.clock())
                known.append(refresh_feeds(*first, only=only))
        finally:
            fetcher.close()
        if waiting := known[-1].passing:
            raise NotNow("; ".join(f"{one.slug}: {one.error}" for one in waiting))

    # What was read counts; which feeds were not is told at the end.
    with suppress(NotNow):
        work("read feeds", step, retries=2)
    return known[-1]


def classify(run: Run) -> int:
    """Sort what is new into series and themes; how many posts were looked at."""

    def step() -> int:
        with run.app.store.write() as c:
            return ensure_memberships(c, run.app.config)

    return work("sort into series and themes", step, retries=2)


def read_end(run: Run, report: RefreshReport) -> State[Any]:
    """How the run ends: failed only where no feed at all was read."""
    new = sum(feed.new for feed in report.feeds)
    changed = sum(feed.changed for feed in report.feeds)
    run.record.counts = {"new": new, "changed": changed, "failed": len(report.failed)}
    wrong = "; ".join(f"{feed.slug}: {feed.error}" for feed in report.failed)
    if report.failed and len(report.failed) == len(report.feeds):
        return failed(run, wrong)
    if report.failed:
        message = f"{new} new, {changed} changed; not read: {wrong}"
        return ended(run, "Done in part", message, outcome="partial")
    if not new and not changed:
        told = "; ".join(f"{feed.slug}: {feed.proof}" for feed in report.feeds)
        return ended(run, "Nothing new", told or "no feed is declared", outcome="nothing")
    return ended(run, "Done", f"{new} new, {changed} changed")
