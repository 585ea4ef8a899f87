"""An issue on its way: preview, send, deliver."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import (
    PARTIAL,
    By,
    DryRun,
    Home,
    Json,
    Series,
    Theme,
    finish,
    moment,
    note,
    opened,
    recorded,
    say,
    show,
    when,
    who,
)
from digest.cli.delivering import delivering
from digest.cli.stopping import stop_gently

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from digest.bootstrap import App
    from digest.issues.compose import Request
    from digest.issues.preview import PickLine, Preview
    from digest.previews import PreviewFiles
    from digest.sending import Sent
    from digest.store.issues import Issue

Newsletter = Annotated[str, typer.Argument(help="A newsletter of config, e.g. weekly.")]
IssueId = Annotated[
    int, typer.Argument(metavar="ISSUE", min=1, max=2**31 - 1, help="The issue's number.")
]
Repeat = Annotated[
    bool, typer.Option("--repeat", help="Also to readers who have had the posts already.")
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="ISO", help="When the issue is due. Default: now."),
]
Rhythm = Annotated[
    str | None,
    typer.Option(
        "--rhythm",
        help="For which readers: weekly, monthly or each-post. Default: the cadence.",
    ),
]
PostId = Annotated[
    int | None,
    typer.Option(
        "--post", help="Just this post, to readers of the rhythm each-post. Id as in `posts`."
    ),
]
Edition = Annotated[
    int, typer.Option("--edition", min=1, help="2 asks for a second issue in one period.")
]


def _request(
    app: App,
    newsletter: str,
    series: str | None,
    theme: str | None,
    *,
    repeat: bool,
    as_of: str | None,
    rhythm: str | None,
    edition: int,
    post: int | None,
) -> Request:
    from digest.config import rhythm_of
    from digest.errors import UsageError
    from digest.issues.compose import Request, newsletter_of
    from digest.issues.scope import make_scope
    from digest.model import Rhythm

    declared = newsletter_of(app.config, newsletter)
    if post is not None:
        if rhythm or series or theme:
            raise UsageError("--post stands alone: no --rhythm, --series or --theme with it")
        rhythm = Rhythm.EACH_POST
    elif rhythm and rhythm not in list(Rhythm):
        raise UsageError(f"no rhythm {rhythm!r}; there are: {', '.join(Rhythm)}")
    return Request(
        newsletter=newsletter,
        scope=make_scope(app.config, series, theme),
        rhythm=Rhythm(rhythm) if rhythm else rhythm_of(declared),
        scheduled_at=moment(as_of, app.config) or app.clock(),
        repeat=repeat,
        edition=edition,
        post_id=post,
    )


NO_POST = "no new post waits, or nobody takes each post by itself"


def _next_post(app: App, newsletter: str, as_of: str | None, *, dry: bool) -> int | None:
    """The post that `--rhythm each-post` is about where no `--post` names it."""
    from digest.issues.each_post import next_post

    at = moment(as_of, app.config) or app.clock()
    return next_post(app.store, app.config, newsletter, at, dry=dry)


# --- preview -----------------------------------------------------------------------------------


def preview(
    newsletter: Newsletter,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")],
    series: Series = None,
    theme: Theme = None,
    repeat: Repeat = False,
    as_of: AsOf = None,
    rhythm: Rhythm = None,
    post: PostId = None,
    edition: Edition = 1,
    reader: Annotated[
        str | None, typer.Option("--for", metavar="ADDRESS", help="The copy of this reader.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write what would go out, and why each post was picked; sends nothing.

    Example: digest preview weekly --out /tmp/preview
    """
    from digest.errors import UsageError
    from digest.issues.preview import preview as make_preview

    with opened(home) as app:
        if rhythm == "each-post" and post is None:
            rhythm, post = None, _next_post(app, newsletter, as_of, dry=True)
            if post is None:
                raise UsageError(f"nothing to show: {NO_POST}")
        request = _request(
            app,
            newsletter,
            series,
            theme,
            repeat=repeat,
            as_of=as_of,
            rhythm=rhythm,
            edition=edition,
            post=post,
        )
        _classify(app)
        with app.store.read() as c:
            shown = make_preview(c, app.config, app.templates, request)
        made = _write_preview(app, shown, out, reader, request.scheduled_at)
        document = _preview_json(shown, made)
    if as_json:
        show(document)
    else:
        _tell_preview(shown, made.picks, document, out)


def _classify(app: App) -> None:
    from digest.store.memberships import ensure_memberships

    with app.store.write() as c:
        ensure_memberships(c, app.config)


def _write_preview(
    app: App, shown: Preview, out: Path, reader: str | None, date: datetime
) -> PreviewFiles:
    from digest.errors import UsageError
    from digest.previews import PREVIEW_FILES, preview_files

    made = preview_files(app, shown, reader, date)
    picks = json.dumps(_picks_json(made.picks), ensure_ascii=False, indent=2) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in PREVIEW_FILES:
            # What an earlier preview left here is not this one.
            (out / name).unlink(missing_ok=True)
        for name, data in {**made.files, "picks.json": picks.encode()}.items():
            (out / name).write_bytes(data)
    except OSError as error:
        raise UsageError(f"--out: cannot write {error.filename}: {error.strerror}") from error
    return made


def _picks_json(picks: Sequence[PickLine]) -> list[dict[str, Any]]:
    return [
        {
            "guid": line.guid,
            "title": line.title,
            "in": line.pick.is_in,
            "position": line.pick.position,
            "reason": line.pick.reason,
        }
        for line in picks
    ]


def _preview_json(shown: Preview, made: PreviewFiles) -> dict[str, Any]:
    return {
        "subject": made.subject,
        "html_bytes": len(made.files.get("issue.html", b"")),
        "picks": _picks_json(made.picks),
        "preflight": [asdict(check) for check in made.preflight],
        "issue": shown.issue_id,
        "nothing": shown.nothing,
    }


def _tell_preview(
    shown: Preview, picks: Sequence[PickLine], document: dict[str, Any], out: Path
) -> None:
    if shown.standing:
        say(f"This is {shown.standing}.")
    if shown.nothing:
        say(f"Nothing to send: {shown.nothing}.")
    else:
        say(f"Subject: {document['subject']}")
    for line in picks:
        place = f"{line.pick.position:>3}." if line.pick.is_in else "  - "
        say(f"{place} {line.title}\n       {line.pick.reason}")
    for check in document["preflight"]:
        say(f"{check['severity']}: {check['name']}: {check['message']}")
    say(f"Written to {out}" + ("" if shown.nothing else f"; open {out / 'issue.html'}"))


# --- send and deliver --------------------------------------------------------------------------


def send(
    newsletter: Newsletter,
    series: Series = None,
    theme: Theme = None,
    repeat: Repeat = False,
    as_of: AsOf = None,
    rhythm: Rhythm = None,
    post: PostId = None,
    edition: Edition = 1,
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Compose the issue of the current period and send it.

    Where the newsletter needs approval, it stops at the draft (exit code 3). Running it again
    in the same period goes on with the same issue; nobody gets it twice.

    Example: digest send weekly
    """
    from digest import sending
    from digest.model import Act

    with opened(home) as app:
        if rhythm == "each-post" and post is None:
            rhythm, post = None, _next_post(app, newsletter, as_of, dry=dry_run)
            if post is None:
                _end_without(app, by, newsletter, as_json=as_json)
                return
        request = _request(
            app,
            newsletter,
            series,
            theme,
            repeat=repeat,
            as_of=as_of,
            rhythm=rhythm,
            edition=edition,
            post=post,
        )
        if dry_run:
            _dry_send(app, request, as_json=as_json)
            return
        with recorded(app, "send", by, **_parameters(request)) as run:
            act = Act(who(by), app.clock(), "digest send")
            with stop_gently() as stopping:
                issue = sending.draft(app, request, act).id
                with delivering(app, issue, stopping) as watch:
                    sent = sending.send_issue(app, issue, act, watch)
            _record(run, sent)
        _end_with(app, sent, as_json=as_json)


def _end_without(app: App, by: str | None, newsletter: str, *, as_json: bool) -> None:
    """Nothing is there to send; the run says why."""
    from digest.model import Account

    with recorded(app, "send", by, newsletter=newsletter, rhythm="each-post") as run:
        run.outcome, run.reason = "nothing", NO_POST
    if as_json:
        account = asdict(Account())
        show({"issue": None, "state": "nothing", "account": account, "note": NO_POST})
    else:
        say(f"Nothing to send: {NO_POST}.")


def _parameters(request: Request) -> dict[str, Any]:
    """The request as a run keeps it."""
    return {
        "newsletter": request.newsletter,
        "scope": str(request.scope),
        "rhythm": str(request.rhythm),
        "scheduled_at": request.scheduled_at.isoformat(),
        "repeat": request.repeat,
        "edition": request.edition,
        "post": request.post_id,
    }


def _dry_send(app: App, request: Request, *, as_json: bool) -> None:
    from digest.issues.preview import preview as make_preview

    _classify(app)
    with app.store.read() as c:
        shown = make_preview(c, app.config, app.templates, request)
    if as_json:
        show({"issue": shown.issue_id, "state": "dry-run", "picks": _picks_json(shown.picks)})
        return
    picked = sum(line.pick.is_in for line in shown.picks)
    say(f"Dry run: would send {picked} posts as “{shown.rendered.subject}”. Nothing was stored.")
    if shown.nothing:
        say(f"Nothing to send: {shown.nothing}.")


def deliver(
    issue: IssueId,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try those again that failed.")
    ] = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Go on with an approved or unfinished issue: what is pending is delivered, nothing twice.

    Example: digest deliver 3
    """
    from digest import sending
    from digest.model import Act

    with opened(home) as app:
        with recorded(app, "deliver", by, issue=issue) as run:
            act = Act(who(by), app.clock(), "digest deliver")
            if retry_failed:
                count = sending.retry_failed(app, issue, act)
                note(f"{count} failed deliveries are pending again.")
            with stop_gently() as stopping, delivering(app, issue, stopping) as watch:
                sent = sending.send_issue(app, issue, act, watch)
            _record(run, sent)
        _end_with(app, sent, as_json=as_json, account_only=True)


def _record(run: Any, sent: Sent) -> None:
    nothing = sent.tried == 0
    run.outcome = ("nothing" if nothing else "done") if sent.complete else "partial"
    run.counts = {"tried": sent.tried, **asdict(sent.account)}
    run.reason = sent.words if nothing or sent.refusing or not sent.complete else ""
    run.issue_id = sent.issue.id


def _end_with(app: App, sent: Sent, *, as_json: bool, account_only: bool = False) -> None:
    account = asdict(sent.account)
    if as_json:
        state = str(sent.issue.state)
        whole = {"issue": sent.issue.id, "state": state, "account": account, "note": sent.words}
        show(account if account_only else whole)
        if not sent.in_order:
            note(sent.words)
    else:
        _tell_sent(app, sent)
    if not sent.in_order:
        finish(PARTIAL)


def _tell_sent(app: App, sent: Sent) -> None:
    issue = sent.issue
    say(f"Issue {issue.id} ({issue.name}): {issue.state}.")
    if issue.subject:
        say(f"Subject: {issue.subject}")
    if sent.issue.state == "draft":
        tell_forecast(app, issue)
    if sent.account.recipients:
        say(f"Tried {sent.tried} deliveries now. {account_words(sent.account)}")
    say(f"{sent.words[:1].upper()}{sent.words[1:]}.")
    if sent.next_due and not sent.complete:
        say(f"The next try is due at {when(sent.next_due, app.config)}.")


def tell_forecast(app: App, issue: Issue) -> None:
    """Who would get what: readers have had some posts, or follow but some of them."""
    from digest.issues.freeze import forecast

    shares = forecast(app.store, issue, app.week)
    readers = sum(share.readers for share in shares)
    people = "1 reader" if readers == 1 else f"{readers} readers"
    variants = "1 variant" if len(shares) == 1 else f"{len(shares)} variants"
    say(f"As things stand {people} would get it, in {variants}:")
    for share in shares:
        posts = "1 post" if share.posts == 1 else f"{share.posts} posts"
        say(f"  {share.readers:>5} with {posts}: {share.subject}")


def account_words(account: Any) -> str:
    """The account as an equation; states at zero are left out."""
    counts = {name: count for name, count in asdict(account).items() if name != "recipients"}
    terms = " + ".join(f"{count} {name}" for name, count in counts.items() if count) or "0"
    return f"{account.recipients} recipients = {terms}."


def add_to(app: typer.Typer) -> None:
    for command in (preview, send, deliver):
        app.command()(command)
