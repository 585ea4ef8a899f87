"""Editors' pages: an issue exactly as it goes out, and what would be composed for a request.

What is shown is a mail that readers get: of an issue's variants the one that most get, or the
one asked for. The bytes are those of `digest preview`: both are made by `digest.previews` (rule 8).
Whoever has the address may look, so it is signed; no page shows a reader's address.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse

from digest.errors import UsageError
from digest.issues.compose import Request as Wanted
from digest.issues.preview import preview
from digest.issues.scope import parse_scope
from digest.links import fields_of_look
from digest.model import Rhythm
from digest.readers.tokens import read_token
from digest.web import variants
from digest.web.framed import framed
from digest.web.routing import NUMBER, TEXT, Page
from digest.web.shield import MAIL_POLICY
from digest.web.shown import file_of, shown_issue, shown_variant, values_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web
    from digest.web.shown import Shown


def preview_page(web: Web, request: Request) -> Response:
    found = _of_token(web, request)
    return _page(web, found, f"{web.prefix}/preview/{request.path_params['token']}", "")


def preview_mail(web: Web, request: Request) -> Response:
    return _mail(_of_token(web, request))


def preview_frame(web: Web, request: Request) -> Response:
    return _frame(_of_token(web, request))


def preview_text(web: Web, request: Request) -> Response:
    return _text(_of_token(web, request))


def look_page(web: Web, request: Request) -> Response:
    found = _of_query(web, request)
    return _page(web, found, f"{web.prefix}/look", variants.without_mask(request))


def look_mail(web: Web, request: Request) -> Response:
    return _mail(_of_query(web, request))


def look_frame(web: Web, request: Request) -> Response:
    return _frame(_of_query(web, request))


def look_text(web: Web, request: Request) -> Response:
    return _text(_of_query(web, request))


# --- what is asked for -------------------------------------------------------------------------


def _of_token(web: Web, request: Request) -> Shown:
    app = web.current()
    issue_id = read_token(app.secret, "preview", request.path_params["token"])
    if issue_id is None:
        raise HTTPException(404)
    try:
        return shown_issue(web, request, app, issue_id)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


def _of_query(web: Web, request: Request) -> Shown:
    app = web.current()
    fields = fields_of_look(app.secret, variants.without_mask(request))
    if fields is None:
        raise HTTPException(404)
    wanted = Wanted(
        newsletter=fields["newsletter"],
        scope=parse_scope(fields["scope"]),
        rhythm=Rhythm(fields["rhythm"]),
        scheduled_at=datetime.fromisoformat(fields["as_of"]),
        repeat=fields["repeat"] == "1",
        edition=int(fields["edition"]),
        post_id=int(fields["post"]) if "post" in fields else None,
    )
    try:
        with app.store.read() as c:
            shown = preview(c, app.config, app.templates, wanted)
        if shown.issue_id is not None:
            return shown_issue(web, request, app, shown.issue_id)
        return shown_variant(web, request, app, shown, wanted=wanted)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


# --- what is shown -----------------------------------------------------------------------------


def _mail(found: Shown) -> Response:
    """The mail's HTML, byte for byte."""
    return _html(file_of(found, "issue.html"))


def _frame(found: Shown) -> Response:
    """The mail for the frames of its page."""
    return _html(framed(file_of(found, "issue.html").decode()))


def _html(content: bytes | str) -> Response:
    return HTMLResponse(content, headers={"Content-Security-Policy": MAIL_POLICY})


def _text(found: Shown) -> Response:
    return PlainTextResponse(file_of(found, "issue.txt"))


def _page(web: Web, found: Shown, path: str, query: str) -> Response:
    """The page; `path` and `query` are its address without the variant."""
    return web.page("preview.html", **values_of(found, path, query))


_MASK = {"mask": NUMBER}
_LOOK = {
    **_MASK,
    **dict.fromkeys(("newsletter", "scope", "rhythm", "as_of", "repeat", "edition", "sig"), TEXT),
}
PAGES: tuple[Page, ...] = (
    Page("/preview/{token}", "an issue as it goes out", look=preview_page, query=_MASK),
    Page("/preview/{token}/mail", "its HTML", look=preview_mail, query=_MASK),
    Page("/preview/{token}/frame", "it, for a frame", look=preview_frame, query=_MASK),
    Page("/preview/{token}/text", "its text", look=preview_text, query=_MASK),
    Page("/look", "what would be composed", look=look_page, query=_LOOK),
    Page("/look/mail", "its HTML", look=look_mail, query=_LOOK),
    Page("/look/frame", "it, for a frame", look=look_frame, query=_LOOK),
    Page("/look/text", "its text", look=look_text, query=_LOOK),
)
