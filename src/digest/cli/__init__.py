"""The command line. `digest --help` imports nothing heavy; each command imports what it needs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli import (
    check,
    decisions,
    editors,
    inbox,
    issues,
    ledger,
    overdue,
    posts,
    readers,
    social,
    store,
    up,
    web,
)
from digest.errors import ConfigError, DigestError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="digest",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Newsletters and social threads for a blog that writes in series: "
        "never twice, never lost, never unseen."
    ),
    epilog="Exit codes: 0 done, 1 unexpected, 2 bad usage or configuration, 3 done in part.",
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(version_of("digest"))
        raise typer.Exit


for room in (check, posts, issues, decisions, ledger, overdue, store, up, web):
    room.add_to(app)
app.add_typer(readers.app, name="readers", help="Subscribers: add, import, list, export, erase.")
app.add_typer(editors.app, name="editors", help="Accounts of the desk: add, list, change, disable.")
app.add_typer(inbox.app, name="inbox", help="Mails that ask to leave: read them.")
app.add_typer(social.app, name="social", help="Hashtag threads: plan, publish and see them.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; expected errors are a sentence and exit code 2, a full disk is 1.

    `arguments` stand for those of the process. Ends by SystemExit.
    """
    try:
        app(arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        print("Run `digest check` to see every fault at once.", file=sys.stderr)
        sys.exit(2)
    except DigestError as error:
        print(f"digest: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        from digest.cli.room import lacks_room

        if not lacks_room(error):
            raise
        print(
            "digest: the disk is full; nothing is lost. Make room, then run the command again: "
            "it goes on where it was",
            file=sys.stderr,
        )
        sys.exit(1)
