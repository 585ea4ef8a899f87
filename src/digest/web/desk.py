"""The front of the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.web.frame import desk_page
from digest.web.routing import Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web


def front(web: Web, request: Request) -> Response:
    """What wants a decision now."""
    return desk_page(web, request, "desk/front.html", "")


PAGES: tuple[Page, ...] = (Page("/desk", "the front of the desk", look=front, looks="viewer"),)
