"""The links of a mail that carry its subscription's token, for ever good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.links import PREVIEW_TOKEN, TEST_TOKEN
from digest.readers.tokens import read_token

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.web.pages import Web

_SAMPLES = {
    PREVIEW_TOKEN: "This link stands in a preview",
    TEST_TOKEN: "This link stands in a test copy",
}


def sample_page(web: Web, request: Request, leads_to: str) -> Response | None:
    """What is said where the link is a sample, which means nobody; None where it is not."""
    heading = _SAMPLES.get(request.path_params["token"])
    if heading is None:
        return None
    said = f"In a reader's own mail it leads to {leads_to}. Nothing was changed."
    return web.message(heading, said)


def subscription_of(app: App, request: Request) -> int:
    """The subscription that the link means. Raises where it is not one that we made."""
    number = read_token(app.secret, "unsubscribe", request.path_params["token"])
    if number is None:
        raise unknown_link()
    return number


def unknown_link() -> HTTPException:
    """No such page, whatever is wrong with the link."""
    said = "This is no link of ours, or a part of it is missing. Try it from the mail again."
    return HTTPException(404, said)
