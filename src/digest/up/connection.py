"""How Prefect's API is reached: what `digest up` leaves, and commands read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from digest.files import replace_text
from digest.up.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from digest.config import Config


@dataclass(frozen=True, slots=True)
class Connection:
    """The API's address, and `user:password`; empty where it asks for none."""

    api_url: str
    auth: str = field(default="", repr=False)

    @property
    def ui_url(self) -> str:
        return self.api_url.rstrip("/").removesuffix("/api")


def read_connection(
    app_home: Path, config: Config, environ: Mapping[str, str] = os.environ
) -> Connection:
    """PREFECT_API_URL and PREFECT_API_AUTH_STRING, else the running `digest up`, else config.

    The password of `digest up` is for its own server: one that the environment names gets none.
    """
    left = connection_left(app_home)
    known = left or Connection(config.prefect.api_url)
    url = environ.get("PREFECT_API_URL") or known.api_url
    auth = environ.get("PREFECT_API_AUTH_STRING")
    if auth is None:
        auth = known.auth if url.rstrip("/") == known.api_url.rstrip("/") else ""
    return Connection(url, auth)


def write_connection(home: Path, connection: Connection) -> None:
    """Leave it for the commands, for the owner's eyes alone."""
    replace_text(connection_path(home), json.dumps(asdict(connection)), mode=0o600)


def connection_path(home: Path) -> Path:
    """There while `digest up` runs, and after a kill -9 until it runs again."""
    return Place(home).prefect / "connection.json"


def connection_left(home: Path) -> Connection | None:
    """What the running `digest up` left, if any did."""
    try:
        return Connection(**json.loads(connection_path(home).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
