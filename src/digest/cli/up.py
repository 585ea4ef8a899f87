"""`digest up`: Prefect's server and UI, the served flows and the pages, on this machine."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Home, Json, finish, note, say

if TYPE_CHECKING:
    from pathlib import Path

    from digest.config import Config
    from digest.up.supervisor import Up

Port = Annotated[
    int | None,
    typer.Option(
        "--port", min=1, max=65535, help="Of Prefect. Default: that of [prefect] api_url."
    ),
]


def up(home: Home = None, port: Port = None, as_json: Json = False) -> None:
    """Run all of it on this machine until Ctrl-C: Prefect with its UI, the flows, the pages.

    Everything is kept in var/ of the home folder and answers on this machine alone. With --json
    the one document is a line, written when all is ready.

    Example: digest up --port 4300
    """
    from digest.settings import find_home, load_config
    from digest.up.child import ChildError
    from digest.up.supervisor import GaveUpError, StoppedError, Wish, listening, running

    folder = find_home(home)
    config = load_config(folder)
    began, wish = time.monotonic(), Wish()
    try:
        with (
            # Stopped before all was ready: as good an end as any other.
            suppress(StoppedError),
            listening(wish),
            running(folder, config, port=port, tell=tell, wish=wish) as all_,
        ):
            report(all_, config, time.monotonic() - began, as_json=as_json)
            all_.look_after_until(wish.to_stop)
    except (ChildError, GaveUpError) as error:
        tell(f"digest: {error}")
        finish(1)
    tell("Stopped")


def tell(text: str) -> None:
    """A line on stderr; where the terminal was closed, all the same goes on to its end."""
    with suppress(OSError):
        note(text)


def report(all_: Up, config: Config, seconds: float, *, as_json: bool) -> None:
    """Say that all is ready, and what to open."""
    found = findings(all_, config, seconds)
    if as_json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
        return
    lines = [
        ("Prefect", f"{found['prefect']['ui']}  asks for a password:"),
        ("", f"the whole line in {found['prefect']['password_file']}"),
        ("Pages", f"{found['pages']}  what readers see"),
        ("Desk", f"{found['desk']}  for whom `digest editors add` made an account"),
        *(("Mails", page) for page in found["mailboxes"]),
        ("Logs", found["logs"]),
        ("Stop", "Ctrl-C"),
    ]
    say(f"\nReady after {seconds:.0f} s, {found['flows']} flows served. Open in a browser:")
    for label, text in lines:
        say(f"  {label:<8} {text}")
    # Whoever waits for it may read from a pipe.
    sys.stdout.flush()


def findings(all_: Up, config: Config, seconds: float) -> dict[str, Any]:
    """Where everything is, as values."""
    place = all_.place
    return {
        "ready": True,
        "seconds": round(seconds, 1),
        "prefect": {
            "ui": all_.connection.ui_url,
            "api": all_.connection.api_url,
            "password_file": str(place.password),
            "database": all_.database,
        },
        "flows": all_.flows,
        "pages": all_.pages_url,
        "desk": f"{all_.pages_url}desk",
        "mailboxes": [str(page) for page in mailboxes(place.home, config)],
        "logs": str(place.logs),
    }


def mailboxes(home: Path, config: Config) -> list[Path]:
    """The pages of the local mailboxes; each is there once a mail is."""
    return [
        home / mailer.path / "index.html"
        for mailer in config.mailers.values()
        if mailer.kind == "file"
    ]


def add_to(app: typer.Typer) -> None:
    app.command()(up)
