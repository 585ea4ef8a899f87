"""The environments of the children, from ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from digest.up.privacy import origins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digest.up.connection import Connection
    from digest.up.place import Place

#: What would lead a child to another server, account or address than the one meant here.
_ELSEWHERE = (
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_DATABASE_",
    "PREFECT_API_KEY",
    "PREFECT_API_URL",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_HOME",
    "PREFECT_PROFILE",
    "PREFECT_SERVER_API_",
    "PREFECT_SERVER_DATABASE_",
    "PREFECT_SERVER_UI_",
    "PREFECT_UI_",
    # libpq and asyncpg read PGHOST, PGPORT and so on where an URL leaves something open.
    "PG",
)


def child_environment(
    environ: Mapping[str, str], place: Place, connection: Connection
) -> dict[str, str]:
    """What every child has: the home folder, this server, and nobody told about it."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_ELSEWHERE)}
    return {
        **kept,
        # No proxy between parts of one machine.
        "NO_PROXY": _and_here(environ.get("NO_PROXY", "")),
        "no_proxy": _and_here(environ.get("no_proxy", "")),
        "DIGEST_HOME": str(place.home),
        "PREFECT_HOME": str(place.prefect),
        "PREFECT_API_URL": connection.api_url,
        "PREFECT_API_AUTH_STRING": connection.auth,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # What a child prints stands in its log at once.
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


def server_environment(
    environ: Mapping[str, str], place: Place, connection: Connection, database: URL
) -> dict[str, str]:
    """Prefect's server: its database, its password, and its UI on its own port."""
    return {
        # Runs and events are kept for a while, not for ever; facts live in our own database.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        **child_environment(environ, place, connection),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.render_as_string(hide_password=False),
        "PREFECT_SERVER_API_AUTH_STRING": connection.auth,
        # The UI calls port 4200 where it is not told.
        "PREFECT_SERVER_UI_API_URL": connection.api_url,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Not in the installed package, which may be read-only, and see `digest.up.privacy`.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(place.prefect_ui),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(origins(connection)),
    }


def runner_environment(
    environ: Mapping[str, str], place: Place, connection: Connection
) -> dict[str, str]:
    """The served flows: an editor who presses Run does not wait long."""
    return {
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_RUNNER_PROCESS_LIMIT": "5",
        **child_environment(environ, place, connection),
    }


def sqlite_url(place: Place) -> URL:
    """Prefect's own SQLite file."""
    return URL.create("sqlite+aiosqlite", database=str(place.prefect / "prefect.db"))


def _and_here(hosts: str) -> str:
    return ",".join(part for part in (hosts, "127.0.0.1", "localhost") if part)
