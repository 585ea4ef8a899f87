"""`digest social`: plan threads into the channels' slots, publish them, and see them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import (
    PARTIAL,
    By,
    DryRun,
    Home,
    Json,
    Series,
    finish,
    opened,
    recorded,
    say,
    show,
    when,
    who,
)

if TYPE_CHECKING:
    from digest.social.press import PublishReport

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
    from digest.social.plan import plan as plan_for
    from digest.social.preview import page_of

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
        report = plan_for(opened_app, channel=channel, series=series, post=post, dry_run=dry_run)
        run.counts = {"threads": len(report.threads)}
        run.outcome = "done" if report.threads else "nothing"
        run.reason = "" if report.threads else "no post without a thread belongs on a channel"
        page = None if dry_run else page_of(opened_app)
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


@app.command()
def publish(
    channel: Channel = None,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Publish the snippets whose slot has come, each once; what is a day late is given up.

    Exit code 3 where a channel could not take everything, or something is uncertain.

    Example: digest social publish --dry-run
    """
    from digest.reporting import published_words
    from digest.social.workshop import publish as publish_for

    with (
        opened(home) as opened_app,
        recorded(opened_app, "social publish", by, channel=channel, dry_run=dry_run) as run,
    ):
        report = publish_for(opened_app, channel=channel, dry_run=dry_run)
        part = bool(report.faults or report.uncertain)
        run.counts, run.reason = report.counts, published_words(report)
        idle = dry_run or not report.lines
        run.outcome = "partial" if part else "nothing" if idle else "done"
    _tell_publish(report, as_json=as_json)
    if part:
        finish(PARTIAL)


def _tell_publish(report: PublishReport, *, as_json: bool) -> None:
    if as_json:
        show(
            {
                "publications": [asdict(line) for line in report.lines],
                "faults": dict(report.faults),
                "uncertain": report.uncertain,
                "dry_run": report.dry_run,
            }
        )
        return
    for line in report.lines:
        told = ", ".join(part for part in (line.state, line.reason, line.url) if part)
        say(f"{line.channel}: {line.title}, {line.position} of {line.of}: {told}")
    for slug, why in report.faults.items():
        say(f"{slug} stopped: {why}")
    if report.uncertain:
        say(f"{report.uncertain} uncertain: decide them with digest social settle.")
    if not report.lines and not report.faults:
        say("No slot has come since the last publishing.")
    elif report.dry_run:
        say("Nothing was published: this is what would be.")


@app.command()
def settle(
    look: Annotated[bool, typer.Option("--look", help="Look them up where that can be.")] = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="They may be out; the rest of their threads is not.")
    ] = False,
    resend: Annotated[
        bool, typer.Option("--resend", help="Publish again; some may be out twice.")
    ] = False,
    channel: Channel = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Decide the uncertain publications.

    Example: digest social settle --look
    """
    from digest.errors import UsageError
    from digest.model import Act
    from digest.settling import settle_publications

    chosen = [name for name, on in (("look", look), ("leave", leave), ("resend", resend)) if on]
    if len(chosen) != 1:
        raise UsageError("say one of --look, --leave and --resend")
    decision = chosen[0]
    with (
        opened(home) as opened_app,
        recorded(opened_app, "social settle", by, channel=channel, decision=decision) as run,
    ):
        act = Act(who(by), opened_app.clock(), "digest social settle")
        count = settle_publications(opened_app, decision, act, channel=channel)
        run.counts = {"settled": count}
        run.outcome = "done" if count else "nothing"
        run.reason = "" if count else "nothing was uncertain, or could be looked up"
    if as_json:
        show({"settled": count, "decision": decision})
        return
    say(f"{count} uncertain publications decided: {decision}.")
    if count and decision == "resend":
        say("Publish them with: digest social publish")


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
                why = f" ({item.reason})" if item.reason else ""
                say(f"  {item.position}. {slot}  {item.state}{why}  {first}")
        say(f"{len(threads)} threads.")
