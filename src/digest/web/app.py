"""The application: which address leads to which page."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from digest.links import path_prefix
from digest.web import (
    archive,
    charts,
    desk,
    doors,
    editors,
    hooks,
    joining,
    leaving,
    managing,
    own,
    plans,
)
from digest.web.following import following
from digest.web.pages import load_pages
from digest.web.routing import Page, route
from digest.web.shield import shielded

if TYPE_CHECKING:
    from starlette.requests import Request

    from digest.bootstrap import App
    from digest.web.pages import Web

#: By this a supervisor knows that it is us who answers at a port.
MARK = ("X-Digest", "web")

_ERRORS = {
    400: ("That cannot be read", "What was sent is damaged. Nothing was changed."),
    403: ("That is not for you to do", "Nothing was changed."),
    404: (
        "There is no such page",
        "The address may be incomplete: a link from a mail is best opened from the mail itself.",
    ),
    405: ("That cannot be done here", "The page is here, but it only lets itself be looked at."),
    413: ("That is too much", "More was sent than any page here takes. Nothing was changed."),
    429: ("That was too often", "Nothing was changed. Please try again in a while."),
    500: ("Something went wrong here", "It was logged. Please try again in a while."),
}


def make_app(app: App) -> Starlette:
    """The pages of an open app. Raises ConfigError where `templates/web/` is at fault.

    They answer below the path of `site.links_url` and without it, so that a proxy may pass it on
    or not.
    """
    # Made at the first call: pages that verify links must not be the first to need it.
    _ = app.secret
    links_url = app.config.site.links_url
    prefix = path_prefix(links_url)
    web = load_pages(following(app), prefix)
    declared = [*PAGES, *(_asset(name) for name in web.assets)]
    routes = [route(web, page) for page in declared]
    shield = Middleware(
        shielded,
        patterns={made.endpoint: made.path for made in routes},
        error_page=partial(_error_page, web),
        tls=links_url.startswith("https:"),
    )
    made = Starlette(
        routes=[*([Mount(prefix, routes=routes)] if prefix else []), *routes],
        middleware=[shield],
        exception_handlers={HTTPException: partial(_on_error, web)},
    )
    # A one-click POST must not be answered by a redirect (RFC 8058, section 3.2).
    made.router.redirect_slashes = False
    # For what works beside the pages: `digest.web.outbox`.
    made.state.web = web
    return made


def _health(web: Web, _request: Request) -> Response:
    with web.current().store.read() as c:
        c.execute(select(1))
    return PlainTextResponse("ok\n", headers=dict([MARK]))


def _asset(name: str) -> Page:
    def look(web: Web, _request: Request) -> Response:
        asset = web.assets[name]
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    return Page(f"/{name}", "a file that pages are made with", look=look)


def _no_icon(_web: Web, _request: Request) -> Response:
    """Browsers ask for one with every page; there is none."""
    return Response(status_code=204, headers={"Cache-Control": "public, max-age=86400"})


#: Every page there is.
PAGES: tuple[Page, ...] = (
    Page("/health", "whether the pages and their store answer", look=_health),
    Page("/favicon.ico", "none", look=_no_icon),
    *joining.PAGES,
    *leaving.PAGES,
    *managing.PAGES,
    *own.PAGES,
    *archive.PAGES,
    *editors.PAGES,
    *doors.PAGES,
    *desk.PAGES,
    *plans.PAGES,
    *charts.PAGES,
    *hooks.PAGES,
)


def _on_error(web: Web, _request: Request, error: Any) -> Response:
    said = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    response = _error_page(web, error.status_code, said)
    response.headers.update(error.headers or {})
    return response


def _error_page(web: Web, status: int, said: str = "") -> Response:
    heading, usual = _ERRORS.get(status, _ERRORS[500])
    return web.message(heading, said or usual, status=status)
