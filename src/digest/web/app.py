"""The application: which address leads to which page."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from digest.links import path_prefix
from digest.web import editors, readers
from digest.web.following import following
from digest.web.pages import load_pages
from digest.web.shield import shielded

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from digest.bootstrap import App
    from digest.web.pages import Web

    Handler: TypeAlias = Callable[[Web, Request], Response]

#: By this a supervisor knows that it is us who answers at a port.
MARK = ("X-Digest", "web")

_ERRORS = {
    404: (
        "There is no such page",
        "The address may be incomplete: a link from a mail is best opened from the mail itself.",
    ),
    405: ("That cannot be done here", "The page is here, but it only lets itself be looked at."),
    413: ("That is too much", "More was sent than any page here takes. Nothing was changed."),
    500: ("Something went wrong here", "It was logged. Please try again in a while."),
}


def make_app(app: App) -> Starlette:
    """The pages of an open app. Raises ConfigError where `templates/web/` is at fault.

    They answer below the path of `site.links_url` and without it, so that a proxy may pass it on
    or not.
    """
    # Made at the first call: pages that verify links must not be the first to need it.
    _ = app.secret
    prefix = path_prefix(app.config.site.links_url)
    web = load_pages(following(app), prefix)
    routes = [_route(web, *declared) for declared in _ROUTES]
    shield = Middleware(
        shielded,
        patterns={route.endpoint: route.path for route in routes},
        error_page=partial(_error_page, web),
    )
    made = Starlette(
        routes=[*([Mount(prefix, routes=routes)] if prefix else []), *routes],
        middleware=[shield],
        exception_handlers={HTTPException: partial(_on_error, web)},
    )
    # A one-click POST must not be answered by a redirect (RFC 8058, section 3.2).
    made.router.redirect_slashes = False
    return made


def _health(web: Web, _request: Request) -> Response:
    with web.current().store.read() as c:
        c.execute(select(1))
    return PlainTextResponse("ok\n", headers=dict([MARK]))


def _style(web: Web, _request: Request) -> Response:
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(web.style, media_type="text/css", headers=headers)


def _no_icon(_web: Web, _request: Request) -> Response:
    """Browsers ask for one with every page; there is none."""
    return Response(status_code=204, headers={"Cache-Control": "public, max-age=86400"})


_LOOKING = ("GET",)
_DOING = ("GET", "POST")
_ROUTES: tuple[tuple[str, Handler, tuple[str, ...]], ...] = (
    ("/", readers.front, _LOOKING),
    ("/health", _health, _LOOKING),
    ("/style.css", _style, _LOOKING),
    ("/favicon.ico", _no_icon, _LOOKING),
    ("/leave", readers.leave_by_hand, _LOOKING),
    ("/u/{token}", readers.leave, _DOING),
    ("/c/{token}", readers.confirmation, _DOING),
    ("/issues/{newsletter}/{scope}/{period}", readers.issue, _LOOKING),
    ("/preview/{token}", editors.preview_page, _LOOKING),
    ("/preview/{token}/mail", editors.preview_mail, _LOOKING),
    ("/preview/{token}/text", editors.preview_text, _LOOKING),
    ("/look", editors.look_page, _LOOKING),
    ("/look/mail", editors.look_mail, _LOOKING),
    ("/look/text", editors.look_text, _LOOKING),
)


def _route(web: Web, pattern: str, handler: Handler, methods: tuple[str, ...]) -> Route:
    return Route(pattern, partial(handler, web), methods=list(methods))


def _on_error(web: Web, _request: Request, error: Any) -> Response:
    said = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    response = _error_page(web, error.status_code, said)
    response.headers.update(error.headers or {})
    return response


def _error_page(web: Web, status: int, said: str = "") -> Response:
    heading, usual = _ERRORS.get(status, _ERRORS[500])
    return web.message(heading, said or usual, status=status)
