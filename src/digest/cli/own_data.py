"""`digest readers export` and `digest readers erase`: what is held about one reader."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import By, DryRun, Home, Json, finish, opened, recorded, say, show

if TYPE_CHECKING:
    from digest.readers.erasure import Erased
    from digest.store.erasing import Wiped

_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The reader's address.")]


def export(
    address: _Address,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it here, for you alone.")
    ] = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Everything that is held about one reader, as one JSON document.

    Example: digest readers export ann@example.org --out ann.json
    """
    from digest.errors import UsageError
    from digest.files import replace_text
    from digest.mail.addresses import AddressProblem, parse_address
    from digest.readers.exporting import export_address

    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        raise UsageError(parsed.reason)
    with opened(home) as app:
        with app.store.read() as c:
            document = export_address(c, parsed.display, parsed.key)
        if document is None:
            raise UsageError("nothing is held about this address")
        # That somebody looked is kept; about whom is not.
        with recorded(app, "readers export", by):
            if out is not None:
                text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
                try:
                    replace_text(out, text, mode=0o600)
                except OSError as error:
                    raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    if out is None:
        show(document)
    elif as_json:
        show({"file": str(out), "bytes": out.stat().st_size})
    else:
        say(f"Saved to {out}, which only you can read.")


def erase(
    address: _Address,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Forget a reader for good; accounts stay, and a suppression holds by a keyed hash.

    Nobody but the reader, by their own mail, brings the address back. Backups and mails that
    went out are not reached; a backup restored into this database erases them again.

    Example: digest readers erase ann@example.org --dry-run
    """
    from digest.readers.erasure import Outcome, erase_address

    with opened(home) as app:
        tried = erase_address(app.store, app.secret, address, app.clock(), dry_run=True)
        if tried.wiped is not None and not as_json:
            for line in _lines(tried.wiped):
                say(line)
        if tried.wiped is not None and not (dry_run or yes):
            _ask()
        with recorded(app, "readers erase", by, dry_run=dry_run) as run:
            done = tried
            if not dry_run:
                done = erase_address(app.store, app.secret, address, app.clock())
            run.counts = asdict(done.wiped) if done.wiped else {}
            run.outcome = "done" if done.wiped else "nothing"
    _answer(done, dry_run=dry_run, as_json=as_json)
    if done.outcome is Outcome.UNKNOWN:
        finish(2)


def _lines(wiped: Wiped) -> list[str]:
    counts = [
        ("Subscriptions that end", wiped.subscriptions),
        ("Consents and sign-ups that are deleted", wiped.consents + wiped.sign_ups),
        ("Deliveries that lose the address and stay in their accounts", wiped.deliveries),
        ("of them not gone out yet, and cancelled", wiped.cancelled),
        ("Posts kept back for a next issue, and forgotten", wiped.overflow),
        ("Other mails that lose the address", wiped.notices),
        ("Suppressions that hold on, by a keyed hash", wiped.suppressed),
    ]
    return [f"{words}: {count}." for words, count in counts if count]


def _ask() -> None:
    from digest.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("nothing was changed: say --yes, for nobody can be asked here")
    typer.confirm("This cannot be undone. Erase?", abort=True)


def _answer(done: Erased, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        wiped = asdict(done.wiped) if done.wiped else None
        show({"outcome": done.outcome, "dry_run": dry_run, "wiped": wiped})
    elif done.wiped is not None:
        say("Nothing was changed." if dry_run else "Erased.")
    else:
        say({"already": "Erased before.", "unknown": "Nothing is held here."}[done.outcome])


def add_to(app: typer.Typer) -> None:
    app.command()(export)
    app.command()(erase)
