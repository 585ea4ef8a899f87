"""`digest inbox`: read the mails of readers who want to leave, and what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import PARTIAL, By, DryRun, Home, Json, finish, opened, recorded, say, show

if TYPE_CHECKING:
    from digest.config import Config
    from digest.inbox.reading import InboxReport
    from digest.returning import Returned

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _inbox() -> None:
    """A command of its own name, though it is the only one yet."""


@app.command()
def read(
    inbox: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="Only this inbox of config.")
    ] = None,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Read the inboxes of config: who wrote "unsubscribe" is taken off, at once.

    Bounces and complaints are worked on, with what webhooks told: addresses that are no more, and
    readers who called a mail spam, are suppressed. A mail that is not understood stays unread,
    flagged for a person. Housekeeping does all this by itself. Exit code 3: an inbox could not be
    read, or somebody refuses our mail by policy.

    Example: digest inbox read --dry-run
    """
    from digest.inbox.reading import read_inboxes, summed
    from digest.returning import work_off

    with opened(home) as opened_app:
        slugs = _slugs(opened_app.config, inbox)
        with recorded(opened_app, "inbox read", by, inbox=inbox, dry_run=dry_run) as run:
            reports = read_inboxes(opened_app, slugs, dry_run=dry_run)
            returned = work_off(opened_app, dry_run=dry_run)
            run.counts = summed(reports) | returned.counts
            troubles = [f"{each.inbox}: {each.trouble}" for each in reports if each.trouble]
            troubles += returned.alarms
            run.outcome, run.reason = ("partial" if troubles else "done"), "; ".join(troubles)
    if as_json:
        show({"inboxes": [_json(each) for each in reports], "returned": _json_of(returned)})
    else:
        for line in (*(each.line for each in reports), returned.line, *returned.alarms):
            if line:
                say(line)
    if troubles:
        finish(PARTIAL)


def _slugs(config: Config, wanted: str | None) -> list[str]:
    from digest.errors import UsageError

    known = sorted(config.inboxes)
    if not known:
        raise UsageError("no inbox is declared; config/site.toml shows how: [inboxes.SLUG]")
    if wanted is None:
        return known
    if wanted not in known:
        raise UsageError(f"no inbox {wanted!r}; there are: {', '.join(known)}")
    return [wanted]


def _json(report: InboxReport) -> dict[str, Any]:
    return {"inbox": report.inbox, **report.counts, "trouble": report.trouble}


def _json_of(returned: Returned) -> dict[str, Any]:
    return {**returned.counts, "policy": list(returned.policy)}
