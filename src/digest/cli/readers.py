"""`digest readers`: add, confirm, import, list, leave, suppress and lift, export, erase."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli import own_data
from digest.cli import suppressed as suppressed_readers
from digest.cli.common import (
    PARTIAL,
    By,
    DryRun,
    Home,
    Json,
    finish,
    moment,
    opened,
    recorded,
    say,
    show,
    table,
    when,
    who,
)

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.recording import RunRecord
    from digest.store.readers import ListedSubscription

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An e-mail address.")]


@app.command()
def add(
    address: Address,
    newsletter: Annotated[str, typer.Option("--newsletter", help="E.g. weekly.")],
    series: Annotated[
        list[str] | None, typer.Option("--series", help="Follow this series; may be repeated.")
    ] = None,
    theme: Annotated[
        list[str] | None, typer.Option("--theme", help="Follow this theme; may be repeated.")
    ] = None,
    rhythm: Annotated[
        str, typer.Option("--rhythm", help="each-post, weekly or monthly.")
    ] = "weekly",
    source: Annotated[
        str, typer.Option("--source", help="Where the consent comes from.")
    ] = "added by hand",
    consent_at: Annotated[
        str | None,
        typer.Option("--consent-at", metavar="ISO", help="When they agreed, if that is known."),
    ] = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Add a subscription. Without --consent-at the reader is asked by an opt-in mail.

    No --series and no --theme means everything.

    Example: digest readers add ann@example.org --newsletter weekly --series ipc
    """
    from digest.errors import UsageError
    from digest.model import Interests, Rhythm
    from digest.readers.subscriptions import subscribe

    if rhythm not in list(Rhythm):
        raise UsageError(f"no rhythm {rhythm!r}; there are: {', '.join(Rhythm)}")
    chosen = [f"series:{slug}" for slug in series or ()] + [f"theme:{slug}" for slug in theme or ()]
    with (
        opened(home) as opened_app,
        recorded(opened_app, "readers add", by, newsletter=newsletter) as run,
    ):
        result = subscribe(
            opened_app.store,
            opened_app.config,
            opened_app.secret,
            address=address,
            newsletter=newsletter,
            interests=Interests(tuple(chosen)),
            rhythm=Rhythm(rhythm),
            consent_source=source,
            consent_at=moment(consent_at, opened_app.config),
            now=opened_app.clock(),
        )
        run.counts = {str(result.outcome): 1}
        message = result.message
        if result.outcome == "pending" and result.subscription_id is not None:
            message += _ask(opened_app, run, newsletter, result.subscription_id, address)
    _answer(str(result.outcome), message, good={"active", "pending", "unchanged"}, as_json=as_json)
    if run.outcome == "partial":
        finish(PARTIAL)


def _ask(
    opened_app: App, run: RunRecord, newsletter: str, subscription_id: int, address: str
) -> str:
    """Send the opt-in mail, and say in words how that went."""
    from digest.logs import mask
    from digest.notices import send_opt_in

    notice = send_opt_in(opened_app, newsletter, subscription_id, address)
    run.outcome = "done" if notice.state in {"submitted", "suppressed"} else "partial"
    # A server's words may quote whom the mail was for.
    run.reason = mask(notice.reason)
    return f" (opt-in mail: {notice.reason or notice.state})"


def _bare(token: str) -> str:
    """The token alone: the whole subject of the reader's mail, or the whole link, will do."""
    return "".join(token.split()[-1:]).rsplit("/", 1)[-1]


def _answer(outcome: str, message: str, *, good: set[str], as_json: bool) -> None:
    if as_json:
        show({"outcome": outcome, "message": message})
    else:
        starts_with_address = "@" in message.partition(" ")[0]
        say(f"{message if starts_with_address else message[:1].upper() + message[1:]}.")
    if outcome not in good:
        finish(2)


@app.command()
def confirm(
    token: Annotated[str, typer.Option("--token", help="From the opt-in mail.")],
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Confirm a subscription by the token of its opt-in mail.

    Example: digest readers confirm --token TOKEN
    """
    from digest.readers.subscriptions import confirm as confirm_step

    with opened(home) as opened_app, recorded(opened_app, "readers confirm", by) as run:
        bare = _bare(token)
        result = confirm_step(opened_app.store, opened_app.secret, bare, opened_app.clock())
        run.counts = {str(result.outcome): 1}
    _answer(str(result.outcome), result.message, good={"active", "already"}, as_json=as_json)


@app.command()
def unsubscribe(
    token: Annotated[
        str | None, typer.Option("--token", help="From the mail that the reader sent.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Or the reader's address.")
    ] = None,
    newsletter: Annotated[
        str, typer.Option("--newsletter", help="With --address: which newsletter.")
    ] = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """End a subscription at once, by the token of any mail ever sent or by address.

    Example: digest readers unsubscribe --token TOKEN
    """
    from digest.errors import UsageError
    from digest.readers.subscriptions import end_subscription, unsubscribe_by_token

    if bool(token) == bool(address):
        raise UsageError("say one of --token and --address")
    if address and not newsletter:
        raise UsageError("with --address, say which --newsletter")
    with opened(home) as opened_app, recorded(opened_app, "readers unsubscribe", by) as run:
        now = opened_app.clock()
        if token:
            result = unsubscribe_by_token(opened_app.store, opened_app.secret, _bare(token), now)
        else:
            result = end_subscription(
                opened_app.store,
                address=address or "",
                newsletter=newsletter,
                reason="unsubscribed by hand",
                now=now,
            )
        run.counts = {str(result.outcome): 1}
    _answer(str(result.outcome), result.message, good={"ended", "already"}, as_json=as_json)


@app.command()
def suppress(
    address: Address,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept for good.")],
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Never mail an address again, whatever is imported or signed up later.

    Example: digest readers suppress ann@example.org --reason "asked by phone"
    """
    from digest.readers.subscriptions import suppress as suppress_step

    with opened(home) as opened_app, recorded(opened_app, "readers suppress", by) as run:
        result = suppress_step(opened_app.store, address, reason, who(by), opened_app.clock())
        run.counts = {str(result.outcome): 1}
    _answer(str(result.outcome), result.message, good={"suppressed", "already"}, as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file.")],
    newsletter: Annotated[
        list[str] | None,
        typer.Option("--newsletter", help="Of every line, where no column says; repeatable."),
    ] = None,
    series: Annotated[list[str] | None, typer.Option("--series", help="Likewise.")] = None,
    theme: Annotated[list[str] | None, typer.Option("--theme", help="Likewise.")] = None,
    rhythm: Annotated[str | None, typer.Option("--rhythm", help="Likewise, once.")] = None,
    consent_source: Annotated[
        str | None, typer.Option("--consent-source", help="Likewise, once.")
    ] = None,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Import subscribers from CSV; every row that is not taken is reported with its reason.

    Columns: email, newsletters, series, themes, rhythm, consent_source, consent_at. An import
    never brings back who has left, is suppressed or was erased; running it again changes nothing.

    Mailchimp's export is read as it is: consent_at from CONFIRM_TIME or OPTIN_TIME. Who has an
    UNSUB_TIME or CLEAN_TIME there is refused.

    Example: digest readers import subscribers.csv --dry-run
    """
    from digest.readers.importing import import_subscribers

    said = {
        "newsletters": ";".join(newsletter or ()),
        "series": ";".join(series or ()),
        "themes": ";".join(theme or ()),
        "rhythm": rhythm,
        "consent_source": consent_source,
    }
    defaults = {column: text for column, text in said.items() if text}
    with (
        opened(home) as opened_app,
        recorded(opened_app, "readers import", by, dry_run=dry_run) as run,
    ):
        report = import_subscribers(
            opened_app.store,
            opened_app.config,
            opened_app.secret,
            file,
            opened_app.clock(),
            defaults=defaults,
            dry_run=dry_run,
        )
        run.counts = report.counts()
        run.outcome = "partial" if report.bad_rows else "done"
    if as_json:
        show(asdict(report))
    else:
        for line in report.lines():
            say(line)
    if report.bad_rows:
        finish(PARTIAL)


@app.command("list")
def list_(
    newsletter: Annotated[str | None, typer.Option("--newsletter", help="Only this one.")] = None,
    suppressed: Annotated[
        bool, typer.Option("--suppressed", help="Instead, who is never mailed, and why.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List subscriptions with interests, rhythm, state and consent.

    Example: digest readers list --newsletter weekly
    """
    from digest.errors import UsageError
    from digest.issues.compose import newsletter_of
    from digest.readers.subscriptions import list_subscribers

    if suppressed and newsletter:
        raise UsageError("an address is suppressed for all newsletters; leave out --newsletter")
    with opened(home) as opened_app:
        if suppressed:
            suppressed_readers.list_suppressed(opened_app, as_json=as_json)
            return
        if newsletter:
            newsletter_of(opened_app.config, newsletter)
        listed = list(list_subscribers(opened_app.store, newsletter=newsletter))
        if as_json:
            rows = [{**asdict(line), "interests": line.interests.key} for line in listed]
            show(rows)
            return
        table(
            [
                (
                    line.address,
                    line.newsletter,
                    _state(line, opened_app),
                    str(line.rhythm),
                    line.interests.key.replace("|", ", "),
                    when(line.consent_at, opened_app.config),
                )
                for line in listed
            ],
            ("address", "newsletter", "state", "rhythm", "interests", "consent"),
        )
        say(f"{len(listed)} subscriptions.")


def _state(line: ListedSubscription, opened_app: App) -> str:
    if line.suppressed:
        return "suppressed"
    pause = line.paused_until
    if line.state == "active" and pause and pause > opened_app.clock():
        return f"paused until {when(pause, opened_app.config)}"
    return line.state


suppressed_readers.add_to(app)
own_data.add_to(app)
