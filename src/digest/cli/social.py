"""`digest social`: plan threads into the channels' slots, and see them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import By, DryRun, Home, Json, Series, opened, recorded, say, show, when

if TYPE_CHECKING:
    from pathlib import Path

    from digest.bootstrap import App

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Channel = Annotated[str | None, typer.Option("--channel", help="Only this channel.")]


@app.command()
def plan(
    channel: Channel = None,
    series: Series = None,
    post: Annotated[
        int | None, typer.Option("--post", help="Plan this post, however old. Id as in `posts`.")
    ] = None,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make threads of new posts and give each snippet its slot; a post goes out once a channel.

    Example: digest social plan --series ipc --dry-run
    """
    from digest.social.plan import plan_threads

    with (
        opened(home) as opened_app,
        recorded(
            opened_app,
            "social plan",
            by,
            channel=channel,
            series=series,
            post=post,
            dry_run=dry_run,
        ) as run,
    ):
        report = plan_threads(
            opened_app.store,
            opened_app.config,
            opened_app.templates,
            opened_app.clock(),
            channel=channel,
            series=series,
            post=post,
            dry_run=dry_run,
        )
        run.counts = {"threads": len(report.threads)}
        run.outcome = "done" if report.threads else "nothing"
        run.reason = "" if report.threads else "no post without a thread belongs on a channel"
        page = None if dry_run else _preview(opened_app)
    if as_json:
        show(
            {
                "threads": [asdict(one) for one in report.threads],
                "left_out": [asdict(one) for one in report.planned if not one.is_in],
                "dry_run": report.dry_run,
                "preview": str(page) if page else None,
            }
        )
        return
    for line in report.lines():
        say(line)
    if page:
        say(f"See the threads as they will look: {page}")


def _preview(app: App) -> Path:
    from digest.social.preview import write_preview

    page = app.var / "social" / "index.html"
    write_preview(app.store, app.config, app.templates, page)
    return page


@app.command()
def status(channel: Channel = None, home: Home = None, as_json: Json = False) -> None:
    """Show planned threads with each snippet's slot and state.

    Example: digest social status --channel mastodon
    """
    from digest.errors import UsageError
    from digest.social.plan import thread_status

    with opened(home) as opened_app:
        known = opened_app.config.channels
        if channel and channel not in known:
            raise UsageError(f"no channel {channel!r}; there are: {', '.join(sorted(known))}")
        threads = thread_status(opened_app.store, channel=channel)
        if as_json:
            show([asdict(thread) for thread in threads])
            return
        for thread in threads:
            say(f"{thread.channel}: {thread.title} ({thread.scope})")
            for item in thread.publications:
                first = item.text.splitlines()[0][:60] if item.text else ""
                slot = when(item.slot, opened_app.config)
                say(f"  {item.position}. {slot}  {item.state}  {first}")
        say(f"{len(threads)} threads.")
