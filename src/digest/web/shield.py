"""Around every page: headers, a limit to what is sent to us, a log without secrets, a last net.

Tokens are secrets, and stand in paths: the log names the route's pattern instead.
"""

from __future__ import annotations

import logging
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Far more than any form here or a mail program's POST needs.
LARGEST_BODY = 64 * 1024
#: What mailers tell us may hold a whole mail that came back.
LARGEST_TOLD = 512 * 1024
_TOLD = "/hooks/"
_LENGTH = re.compile(r"[0-9]{1,12}")
#: Our longest has a token of 40 characters.
_LONGEST_PATH = 1000

#: What a page may do: use our own style and script, send forms to us, frame our own pages.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
#: What a mail shown as a page may do: be looked at. Its links open beside its frame.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)

#: Set where the page itself says nothing else.
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
#: For a year, once a browser came over TLS (RFC 6797); said only where our links are https.
_TLS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}

_log = logging.getLogger(__name__)


def shielded(
    app: ASGIApp,
    *,
    patterns: Mapping[Any, str],
    error_page: Callable[[int], Response],
    tls: bool,
) -> ASGIApp:
    """The app behind its shield.

    `patterns` gives each endpoint's route as it may be logged; `tls` says whether the pages'
    addresses are https.
    """
    usual = {**_HEADERS, **(_TLS_ONLY if tls else {})}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope)
        body = refusal or await _body(scope, receive)
        if isinstance(body, int):
            await error_page(body)(scope, receive, send)
            return
        await app(scope, _replayed(body, receive), send)

    async def shield(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        status, began = 0, perf_counter()

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in usual.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await answer(scope, receive, with_headers)
        except Exception:
            _log.exception("a page failed: %s", _name(scope, patterns))
            if status:
                raise
            await error_page(500)(scope, receive, with_headers)
        finally:
            took = round((perf_counter() - began) * 1000)
            _log.info("%s %s %s, %s ms", scope["method"], _name(scope, patterns), status, took)

    return shield


def _name(scope: Scope, patterns: Mapping[Any, str]) -> str:
    return patterns.get(scope.get("endpoint"), "(no such page)")


def _refusal(scope: Scope) -> int:
    """The status of what no page of ours was ever asked for, or 0."""
    # A number of thousands of digits is more than Python reads.
    if len(scope["path"]) > _LONGEST_PATH:
        return 404
    # No keyboard writes it, and PostgreSQL cannot look for it.
    return 400 if "\x00" in scope["path"] or b"%00" in scope["query_string"] else 0


async def _body(scope: Scope, receive: Receive) -> bytes | int:
    """The whole body, or the status for one that is too large or breaks off."""
    most = LARGEST_TOLD if _TOLD in scope["path"] else LARGEST_BODY
    declared = Headers(scope=scope).get("content-length", "0")
    if not _LENGTH.fullmatch(declared) or int(declared) > most:
        return 413
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            # Half a form would be another wish than the whole.
            return 400
        body.extend(message.get("body", b""))
        if len(body) > most:
            return 413
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
