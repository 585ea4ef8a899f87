"""Requests as bytes, given to an application as a server gives them: what no client library sends.

The path arrives decoded and raw, headers are any bytes, a body may come in pieces or break off.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Whoever asked broke off.
GONE = None


@dataclass(frozen=True)
class Answer:
    """What the application said."""

    status: int
    #: In lower case, repeated ones joined by a line end.
    headers: Mapping[str, str]
    body: bytes
    raw_headers: Sequence[tuple[bytes, bytes]]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")


class Door:
    """An application, asked one request after the other."""

    def __init__(self, app: Any, peer: str = "127.0.0.1") -> None:
        self._app = app
        self._peer = peer
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.close()

    def ask(
        self,
        method: str,
        target: str | bytes,
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        body: bytes | Sequence[bytes | None] = b"",
        *,
        declared: bool = True,
    ) -> Answer:
        """`target` is path and query as in the request line; `declared`: with a Content-Length."""
        raw = target.encode() if isinstance(target, str) else target
        path, _, query = raw.partition(b"?")
        given = [(_bytes(name).lower(), _bytes(value)) for name, value in headers]
        pieces = [body] if isinstance(body, bytes) else list(body)
        if declared and not any(name == b"content-length" for name, _ in given):
            length = sum(len(piece) for piece in pieces if piece is not GONE)
            given.append((b"content-length", str(length).encode()))
        if not any(name == b"host" for name, _ in given):
            given.append((b"host", b"127.0.0.1:8780"))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            # As uvicorn has it.
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": given,
            "client": (self._peer, 50_000),
            "server": ("127.0.0.1", 8780),
            "state": {},
        }
        return self._runner.run(self._talk(scope, pieces))

    async def _talk(self, scope: dict[str, Any], pieces: list[bytes | None]) -> Answer:
        said: list[dict[str, Any]] = []
        waiting = list(pieces)

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            if not waiting or waiting[0] is GONE:
                return {"type": "http.disconnect"}
            piece = waiting.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

        async def send(message: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            said.append(message)

        await self._app(scope, receive, send)
        start = said[0]
        assert start["type"] == "http.response.start"
        headers: dict[str, str] = {}
        for name, value in start["headers"]:
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1")
            headers[key] = f"{headers[key]}\n{text}" if key in headers else text
        body = b"".join(message.get("body", b"") for message in said[1:])
        return Answer(start["status"], headers, body, start["headers"])


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text
