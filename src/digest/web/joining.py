"""Readers' pages: what there is to read, and signing up for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.web.routing import Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web


def front(web: Web, _request: Request) -> Response:
    """What this place is."""
    return web.page("front.html", newsletters=web.current().config.newsletters)


PAGES: tuple[Page, ...] = (Page("/", "what there is to read", look=front),)
