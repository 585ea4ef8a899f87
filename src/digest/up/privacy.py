"""Prefect's UI talks to this server alone.

With its analytics switched off the page still asks its maker's service for settings,
from the editor's browser. The server copies its pages into a folder of ours when it
starts; there each page is told where it may connect to.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from digest.files import replace_text

if TYPE_CHECKING:
    from digest.up.connection import Connection
    from digest.up.place import Place

_MARK = "digest-connect"
_OURS = re.compile(rf'<meta id="{_MARK}"[^>]*>')
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


def keep_to_itself(place: Place, connection: Connection) -> None:
    """Narrow the pages that the server has copied."""
    for page in sorted(place.prefect_ui.glob("*/index.html")):
        text = page.read_text(encoding="utf-8")
        narrowed = narrow(text, connection)
        if narrowed != text:
            replace_text(page, narrowed, mode=0o644)


def narrow(page: str, connection: Connection) -> str:
    """The page with the one word on where it may connect to; again and again the same."""
    policy = "connect-src 'self' " + " ".join(_addresses(connection))
    meta = (
        f'<meta id="{_MARK}" http-equiv="Content-Security-Policy" '
        f'content="{escape(policy, quote=True)}">'
    )
    bare = _OURS.sub("", page)
    return _HEAD.sub(lambda head: head[0] + meta, bare, count=1)


def origins(connection: Connection) -> tuple[str, str]:
    """Under which names the UI may be opened; for a browser each is another origin."""
    port = connection.ui_url.rsplit(":", 1)[1]
    return connection.ui_url, f"http://localhost:{port}"


def _addresses(connection: Connection) -> list[str]:
    http = origins(connection)
    return [*http, *(origin.replace("http", "ws", 1) for origin in http)]
