"""The parts of `digest up` as programs: Prefect's server, the served flows, the pages."""

from __future__ import annotations

import re
import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.files import replace_text
from digest.up import asking
from digest.up.child import Program
from digest.up.environment import child_environment, runner_environment, server_environment
from digest.up.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL

    from digest.up.child import Child
    from digest.up.connection import Connection
    from digest.up.place import Place

#: How long each may take to be ready: a first start makes tables, on a busy machine.
SERVER_SECONDS = 180.0
RUNNER_SECONDS = 180.0
WEB_SECONDS = 60.0

USER = "digest"

#: What each is called when people are told of it.
TITLES = {
    "web": "the server of the pages",
    "flows": "the runner of the flows",
    "prefect-server": "Prefect's server",
    "postgres": "PostgreSQL",
}

#: What the catalogue prints once its flows are registered.
_SERVING = re.compile(r"^serving (\d+) flows?\b", re.MULTILINE)


def load_password(place: Place) -> str:
    """`user:password` of Prefect's API and UI, made at the first start and kept."""
    if not place.password.exists():
        replace_text(place.password, f"{USER}:{secrets.token_urlsafe(24)}\n", mode=0o600)
    password = place.password.read_text(encoding="utf-8").strip()
    user, colon, rest = password.partition(":")
    if not (user and colon and rest):
        raise UsageError(f"{place.password} must hold one line user:password; mend or remove it")
    return password


def server(
    place: Place, connection: Connection, database: URL, environ: Mapping[str, str]
) -> Program:
    """Prefect's server with its API and UI."""
    port = connection.ui_url.rsplit(":", 1)[1]
    return Program(
        name="prefect-server",
        title=TITLES["prefect-server"],
        command=(
            *(sys.executable, "-m", "prefect", "server", "start"),
            *("--host", HOST, "--port", port),
        ),
        environment=server_environment(environ, place, connection, database),
        cwd=place.home,
        log=place.log("prefect-server"),
        hints={
            "Can't locate revision": (
                "Its database was made by a newer Prefect: install that one again, or move the "
                "database away; issues, deliveries and readers are kept in another."
            )
        },
        lock=place.lock("prefect-server"),
        patience=15,
    )


def server_ready(connection: Connection) -> bool:
    """Whether the API answers."""
    return asking.answers(f"{connection.api_url}/health")


def flows(place: Place, connection: Connection, environ: Mapping[str, str]) -> Program:
    """The runner that serves the flows of the catalogue."""
    if not place.catalogue.exists():
        raise UsageError(f"{place.catalogue} is not there: it declares the flows to serve")
    return Program(
        name="flows",
        title=TITLES["flows"],
        command=(sys.executable, str(place.catalogue), "serve", "--home", str(place.home)),
        environment=runner_environment(environ, place, connection),
        cwd=place.home,
        log=place.log("flows"),
        lock=place.lock("flows"),
        # A delivery under way ends between two messages. Asked to stop, the runner would kill its
        # flows outright, and their runs would be "Running" for ever; ended before it, each still
        # says that it crashed, and may be retried.
        patience=60,
        followers_first=True,
        may_start=partial(server_ready, connection),
    )


def flows_ready(child: Child, connection: Connection) -> bool:
    """Whether the runner says so, and the API knows as many deployments."""
    served = flows_served(child.said())
    return served is not None and asking.deployments(connection) >= served


def flows_served(log: str) -> int | None:
    """How many flows are served, from what the catalogue prints once they are."""
    found = _SERVING.search(log)
    return int(found[1]) if found else None


def web(place: Place, connection: Connection, port: int, environ: Mapping[str, str]) -> Program:
    """The pages, for readers and for editors' previews."""
    return Program(
        name="web",
        title=TITLES["web"],
        command=(
            *(sys.executable, "-m", "digest", "web", "--home", str(place.home)),
            *("--host", HOST, "--port", str(port)),
        ),
        environment=child_environment(environ, place, connection),
        cwd=place.home,
        log=place.log("web"),
        lock=place.lock("web"),
        patience=10,
    )


def web_ready(port: int) -> bool:
    """Whether the pages answer."""
    return asking.answers(f"http://{HOST}:{port}/health")
