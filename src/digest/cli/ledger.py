"""Who got what: issues, accounts, settling, runs."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import (
    PARTIAL,
    By,
    Home,
    Json,
    finish,
    opened,
    progress,
    recorded,
    say,
    show,
    table,
    when,
    who,
)
from digest.cli.issues import IssueId, account_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from digest.bootstrap import App
    from digest.model import DeliveryState
    from digest.sending import Sent
    from digest.store.desk import Who


def issues(
    newsletter: Annotated[str | None, typer.Argument(help="Only those of this newsletter.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List issues, newest first.

    Example: digest issues weekly
    """
    from digest.issues.compose import newsletter_of
    from digest.store.issues import list_issues

    with opened(home) as app:
        if newsletter:
            newsletter_of(app.config, newsletter)
        with app.store.read() as c:
            lines = list_issues(c, newsletter)
        if as_json:
            show([{"issue": line.id, **asdict(line)} for line in lines])
            return
        rows = [
            (str(line.id), line.newsletter, line.scope, line.period, line.state, line.subject)
            for line in lines
        ]
        table(rows, ("issue", "newsletter", "scope", "period", "state", "subject"))


def account(
    issue: IssueId,
    state: Annotated[
        str | None,
        typer.Option("--who", metavar="STATE", help="List the addresses in this state."),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="Write addresses as a table; - is stdout."),
    ] = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The balanced account of an issue, or the addresses in one state.

    With --csv every delivery is a row, or every one in the state of --who; only you can read
    the file.

    Example: digest account 3 --who uncertain
    """
    from digest.errors import UsageError
    from digest.sending import take_back

    if csv == "-" and as_json:
        raise UsageError("--csv - and --json would both be written to stdout; say one of them")
    with opened(home) as app:
        # What a killed worker held is nobody's any more: it counts as what it is.
        take_back(app, issue)
        if csv is not None:
            _csv(app, issue, state, csv, by, as_json=as_json)
        elif state:
            _who(app, issue, state, as_json=as_json)
        else:
            _account(app, issue, as_json=as_json)


def _state(text: str) -> DeliveryState:
    from digest.errors import UsageError
    from digest.model import DeliveryState

    if text not in list(DeliveryState):
        raise UsageError(f"no state {text!r}; there are: {', '.join(DeliveryState)}")
    return DeliveryState(text)


def _csv(
    app: App, issue_id: int, state: str | None, csv: str, by: str | None, *, as_json: bool
) -> None:
    from digest.model import DeliveryState
    from digest.store import accounts, desk
    from digest.store.issues import get_issue

    states = [_state(state)] if state else list(DeliveryState)
    # That somebody took them is kept.
    with (
        recorded(app, "account", by, issue=issue_id, state=state or "") as run,
        app.store.read() as c,
    ):
        run.issue_id = get_issue(c, issue_id).id
        counted = accounts.account(c, issue_id)
        total = sum(getattr(counted, one) for one in states)
        try:
            with progress("writing", total) as step:
                count = _write(csv, _told(desk.everyone(c, issue_id, states), step))
        except BrokenPipeError:
            run.outcome, run.reason = "partial", "what read the table closed the pipe"
            # Python flushes stdout once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        run.counts = {"addresses": count}
    if csv == "-":
        return
    if as_json:
        show({"file": csv, "addresses": count})
    else:
        say(f"Saved to {csv}, which only you can read: {count} addresses.")


def _told(lines: Iterable[Who], step: Callable[[], None]) -> Iterator[Who]:
    for line in lines:
        yield line
        step()


def _write(csv: str, lines: Iterator[Who]) -> int:
    """Write the table to a file, whole or not at all, or to stdout. Returns how many rows.

    Raises BrokenPipeError where whoever read stdout has had enough.
    """
    from digest.errors import UsageError
    from digest.files import must_be_replaceable, replacing
    from digest.who_csv import ENCODING, write_table

    if csv == "-":
        count = write_table(sys.stdout, lines)
        sys.stdout.flush()
        return count
    try:
        must_be_replaceable(Path(csv))
        with replacing(Path(csv), mode=0o600) as out:
            text = io.TextIOWrapper(out, encoding=ENCODING, newline="")
            count = write_table(text, lines)
            text.detach()
    except OSError as error:
        raise UsageError(f"{csv} cannot be written: {error.strerror}") from error
    return count


def _who(app: App, issue_id: int, state: str, *, as_json: bool) -> None:
    from digest.store.accounts import lines
    from digest.store.issues import get_issue

    wanted = _state(state)
    with app.store.read() as c:
        get_issue(c, issue_id)
        found = lines(c, issue_id, wanted)
    if as_json:
        show([asdict(line) for line in found])
        return
    rows = [
        (
            line.address if "@" in line.address else f"(a forgotten reader) {line.address}",
            when(line.at, app.config),
            line.code or "",
            line.settled or line.reason or "",
        )
        for line in found
    ]
    table(rows, ("address", "since", "code", "reason"))


def _account(app: App, issue_id: int, *, as_json: bool) -> None:
    from digest.eta import to_go
    from digest.store import accounts
    from digest.store.issues import get_issue, transitions_of

    with app.store.read() as c:
        issue = get_issue(c, issue_id)
        counted = accounts.account(c, issue_id)
        left = to_go(app, c, issue, counted)
        left_out = accounts.exclusion_counts(c, issue_id)
        steps = transitions_of(c, issue_id)
    if as_json:
        show(asdict(counted))
        return
    say(f"Issue {issue.id} ({issue.name}): {issue.state}. Subject: {issue.subject or '-'}")
    say(account_words(counted))
    if left:
        say(f"{left[0].upper()}{left[1:]}.")
    for reason, count in left_out.items():
        say(f"Left out: {count}, {reason}.")
    for step in steps:
        at = when(step.at, app.config)
        say(f"  {at}  {step.after:<10} by {step.actor}: {step.reason}")


def settle(
    issue: IssueId,
    leave: Annotated[
        bool, typer.Option("--leave", help="They may have it; do not send again.")
    ] = False,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send again; some may get it twice.")
    ] = False,
    look: Annotated[
        bool, typer.Option("--look", help="Ask the mailer, where it can tell.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ADDRESS", help="Decide this one alone; may be repeated."),
    ] = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Decide the uncertain deliveries of an issue, for good or to be sent again.

    See them first with `digest account ISSUE --who uncertain`.

    Example: digest settle 3 --leave --only ann@example.org
    """
    from digest import sending
    from digest.errors import UsageError
    from digest.model import Act
    from digest.settling import settle_deliveries

    asked = {"leave": leave, "resend": resend, "look": look}
    decisions = [decision for decision, said in asked.items() if said]
    if len(decisions) != 1:
        raise UsageError("say one of --leave, --resend and --look")
    with opened(home) as app, recorded(app, "settle", by, issue=issue, **asked) as run:
        act = Act(who(by), app.clock(), "digest settle")
        count = settle_deliveries(app, issue, decisions[0], act, only=only)
        run.issue_id, run.counts = issue, {"settled": count}
        sent = sending.standing(app, issue)
    if as_json:
        show(asdict(sent.account))
    else:
        _tell_settled(sent, decisions[0], count)
    if look and sent.undecided:
        finish(PARTIAL)


def _tell_settled(sent: Sent, decision: str, count: int) -> None:
    what = {
        "leave": "stay as they are",
        "resend": "are pending again",
        "look": "were told by the mailer",
    }
    say(f"{count} uncertain deliveries {what[decision]}.")
    say(account_words(sent.account))
    if decision == "look" and sent.undecided:
        say(f"It cannot tell of {sent.undecided}: decide them by --leave or --resend.")
    if decision != "leave" and count and sent.account.pending:
        say(f"Send what is pending with: digest deliver {sent.issue.id}")


def runs(
    most: Annotated[int, typer.Option("--most", min=1, help="How many.")] = 20,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What ran, when, by whom, and with what outcome; newest first.

    Example: digest runs --most 5
    """
    from digest.mail.worker import death_certificate
    from digest.store.runs import end_killed, list_runs

    with opened(home) as app:
        now = app.clock()
        with app.store.write() as c:
            end_killed(c, death_certificate(app.var / "run", "", now), now)
            found = list_runs(c, most)
        if as_json:
            show([asdict(run) for run in found])
            return
        rows = [
            (
                str(run.id),
                when(run.started_at, app.config),
                run.what,
                run.actor,
                run.outcome,
                run.reason or ", ".join(f"{n} {k}" for k, n in run.counts.items() if n),
            )
            for run in found
        ]
        table(rows, ("run", "started", "what", "by", "outcome", "reason"))


def add_to(app: typer.Typer) -> None:
    for command in (issues, account, settle, runs):
        app.command()(command)
