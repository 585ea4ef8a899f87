"""The frame around every page of the desk: who is signed in, where one is, what was just done."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from digest.web import guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web

_COOKIE = "digest-told"
_SECONDS = 60
#: Far less than a cookie may hold.
_LONGEST = 1500
#: No page has a higher number.
_DIGITS = 9


def desk_page(
    web: Web, request: Request, name: str, here: str, status: int = 200, **values: object
) -> Response:
    """A page of the desk out of `templates/web/`, such as "desk/front.html".

    `here` is the part of the desk it belongs to: "issues", "series", "calendar", "threads",
    "figures", or "" for the front. What the last form did is said once, on the next page.
    """
    said = _told(request)
    response = web.page(
        name,
        status,
        editor=request.state.editor,
        csrf=request.state.csrf,
        here=here,
        said=said,
        zone=web.current().config.site.zone,
        **values,
    )
    if said:
        response.delete_cookie(_COOKIE, path=web.prefix or "/")
    return response


def done(web: Web, request: Request, path: str, said: str) -> Response:
    """To the page at `path`, which says what was done; loading it again repeats nothing."""
    response = RedirectResponse(f"{web.prefix}{path}", 303)
    text = said.encode()[:_LONGEST]
    response.set_cookie(
        _COOKIE,
        f"{urlsafe_b64encode(text).decode()}.{_signed(request, text)}",
        max_age=_SECONDS,
        path=web.prefix or "/",
        secure=guard.by_tls(web),
        httponly=True,
        samesite="lax",
    )
    return response


def number_of(request: Request, name: str) -> int:
    """A number of the query from 1, which it is where it is missing. Else there is no such page."""
    text = request.query_params.get(name, "1")
    plain = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    if not plain or int(text) < 1:
        raise HTTPException(404)
    return int(text)


def _told(request: Request) -> str:
    encoded, _, signed = request.cookies.get(_COOKIE, "").partition(".")
    try:
        text = urlsafe_b64decode(encoded)
    except (NotBase64, ValueError):
        return ""
    genuine = hmac.compare_digest(signed.encode(errors="replace"), _signed(request, text).encode())
    return text.decode(errors="ignore") if genuine else ""


def _signed(request: Request, text: bytes) -> str:
    """By what only this session's pages know: nobody else puts words on a page of the desk."""
    return hmac.digest(request.state.csrf.encode(), b"told:" + text, "sha256").hex()
