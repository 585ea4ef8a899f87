"""`digest social`: plan threads into the channels' slots, publish them, settle what is in doubt."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli import threads
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
    who,
)
from digest.cli.threads import Channel

if TYPE_CHECKING:
    from pathlib import Path

    from digest.social.planned import PlanReport
    from digest.social.press import PublishReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def plan(
    channel: Channel = None,
    series: Series = None,
    post: Annotated[
        int | None, typer.Option("--post", help="Plan this post, however old. Id as in `posts`.")
    ] = None,
    repeat: Annotated[
        bool,
        typer.Option("--repeat", help="Bring back what was out: one snippet each, in other words."),
    ] = False,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make threads of new posts and give each snippet its slot; a post goes out once a channel.

    Shows each snippet with its count against the limit, what it costs, and what is left out
    and why. Sends nothing.

    Example: digest social plan --series ipc --dry-run
    """
    from digest.cli.planned import tell_plan
    from digest.social.plan import plan as plan_for
    from digest.social.preview import page_of

    asked = {"channel": channel, "series": series, "post": post, "repeat": repeat}
    with (
        opened(home) as opened_app,
        recorded(opened_app, "social plan", by, **asked, dry_run=dry_run) as run,
    ):
        report = plan_for(
            opened_app, channel=channel, series=series, post=post, repeat=repeat, dry_run=dry_run
        )
        run.counts = {"threads": len(report.threads)}
        run.outcome = "done" if report.threads and not dry_run else "nothing"
        run.reason = "" if report.threads else "no post without a thread belongs on a channel"
        page = None if dry_run else page_of(opened_app)
        if as_json:
            show(_plan_json(report, page))
            return
        tell_plan(opened_app, report, page)


def _plan_json(report: PlanReport, page: Path | None) -> dict[str, object]:
    channels = dict.fromkeys(one.channel for one in report.threads)
    return {
        "threads": [asdict(one) for one in report.threads],
        "left_out": [asdict(one) for one in report.left_out],
        "silent": dict(report.silent),
        "dollars": {slug: report.price_on(slug) for slug in channels},
        "dry_run": report.dry_run,
        "preview": str(page) if page else None,
    }


@app.command()
def publish(
    channel: Channel = None,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Publish the snippets whose slot has come, each once; what is too late is given up.

    Looks doubts up first, takes down what is to be taken down, reads back what is out and
    follows posts that were edited or withdrawn.

    Exit code 3 where a channel could not take everything, something is uncertain, or somebody
    has to decide.

    Example: digest social publish --dry-run
    """
    from digest.reporting import published_words
    from digest.social.workshop import publish as publish_for

    with (
        opened(home) as opened_app,
        recorded(opened_app, "social publish", by, channel=channel, dry_run=dry_run) as run,
    ):
        report = publish_for(opened_app, channel=channel, dry_run=dry_run)
        part = bool(report.faults or report.uncertain or report.for_person)
        run.counts, run.reason = report.counts, published_words(report)
        idle = dry_run or not report.lines
        run.outcome = "partial" if part else "nothing" if idle else "done"
    if as_json:
        show(_publish_json(report))
    else:
        _tell_publish(report)
    if part:
        finish(PARTIAL)


def _publish_json(report: PublishReport) -> dict[str, object]:
    return {
        "publications": [asdict(line) for line in report.lines],
        "faults": dict(report.faults),
        "notices": list(report.notices),
        "for_person": report.for_person,
        "uncertain": report.uncertain,
        "dry_run": report.dry_run,
    }


def _tell_publish(report: PublishReport) -> None:
    for (number, slug, title), lines in groupby(
        report.lines, key=lambda line: (line.thread, line.channel, line.title)
    ):
        say(f"Thread {number} on {slug}: {title}")
        for line in lines:
            told = ", ".join(part for part in (line.state, line.reason, line.url) if part)
            say(f"  {line.position} of {line.of}: {told}")
    for notice in report.notices:
        say(f"Notice: {notice}.")
    for slug, why in report.faults.items():
        if not any(why in notice for notice in report.notices):
            say(f"{slug} is not through: {why}.")
    if report.uncertain:
        say(
            f"{report.uncertain} uncertain: looked up at the next publishing,"
            " or decide with digest social settle."
        )
    if report.dry_run and report.lines:
        say("Nothing was published: this is what would be.")
    elif not (report.lines or report.faults or report.notices):
        say("No slot has come since the last publishing.")


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
    say(f"{count} uncertain {'snippet' if count == 1 else 'snippets'} decided: {decision}.")
    if count and decision == "resend":
        say("Publish them with: digest social publish")


threads.add_to(app)
