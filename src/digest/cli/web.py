"""`digest web`: the pages, served until it is stopped."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import Home, Json, note, opened, say, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from digest.bootstrap import App

#: Where pages answer, unless `site.links_url` names a port of this machine.
DEFAULT_PORT = 8780

#: How long a page that is being made may take after Ctrl-C.
_GRACE_SECONDS = 5


def web(
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; behind a proxy, as it is.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="Default: that of site.links_url, else 8780."
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Serve the readers' pages and the editors' desk, until Ctrl-C.

    Mails that are asked for there (links to confirm a sign-up, to change settings) leave from here.

    Example: digest web --port 8780
    """
    from uvicorn import Config, Server

    from digest.links import port_here
    from digest.web.app import make_app
    from digest.web.outbox import sending

    with opened(home) as app:
        pages = make_app(app)
        usual = port_here(app.config.site.links_url) or DEFAULT_PORT
        with _listening(host, usual if port is None else port) as listener:
            config = Config(
                pages,
                lifespan="off",
                # Paths hold tokens: the pages keep a log of their own.
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
            _announce(app, listener, as_json=as_json)
            with sending(pages.state.web), _quiet_ending():
                Server(config).run(sockets=[listener])
        note("The pages are closed.")


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    from digest.errors import UsageError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        why = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise UsageError(
            f"cannot listen on {host} port {port}: {why}; choose another by --port"
        ) from None
    with listener:
        yield listener


def _announce(app: App, listener: socket.socket, *, as_json: bool) -> None:
    from digest.links import path_prefix

    links_url = app.config.site.links_url
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}{path_prefix(links_url)}/"
    if as_json:
        show({"url": url, "links_url": links_url})
    else:
        say(f"The pages are at {url} (Ctrl-C ends it).")
        say(f"Links in mails lead to {links_url}")
    # Whoever started us by a pipe waits for these lines.
    sys.stdout.flush()


@contextmanager
def _quiet_ending() -> Iterator[None]:
    """The server raises the signal that ended it once more; asked for, that is no failure."""
    asked = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def add_to(app: typer.Typer) -> None:
    app.command()(web)
