"""The archive: issues as they went out, for anyone to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from digest.issues.content import from_json
from digest.links import leave_url, manage_url, scope_from_path
from digest.mail.letters import issue_letter
from digest.mail.message import ReaderLinks, with_links
from digest.model import IssueState
from digest.store import issues as issue_store
from digest.store.accounts import StoredVariant
from digest.web.routing import Page
from digest.web.shield import MAIL_POLICY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web

#: An issue in one of these has gone out, or is about to as it is.
_SHOWN = (IssueState.FROZEN, IssueState.SENDING, IssueState.PAUSED, IssueState.DONE)
_SCOPE = re.compile(r"all|(series|theme)-[a-z0-9-]{1,40}")
_PERIOD = re.compile(r"[A-Za-z0-9.:-]{1,40}")
_MINUTES_KEPT = 5


def issue(web: Web, request: Request) -> Response:
    """An issue as it went out, without anybody's own links."""
    app = web.current()
    slug, scope, period = (request.path_params[name] for name in ("newsletter", "scope", "period"))
    newsletter = app.config.newsletters.get(slug)
    if newsletter is None or not (_SCOPE.fullmatch(scope) and _PERIOD.fullmatch(period)):
        raise HTTPException(404)
    with app.store.read() as c:
        found = issue_store.find_current(c, slug, scope_from_path(scope), period)
    if found is None or found.state not in _SHOWN:
        raise HTTPException(404)
    variant = StoredVariant(0, found.subject, found.html, found.text)
    letter = issue_letter(app.config.site, newsletter, variant, from_json(found.content))
    leaving = leave_url(app.config.site.links_url)
    html, _ = with_links(
        letter, ReaderLinks(leaving, leaving, manage_url(app.config.site.links_url))
    )
    headers = {
        "Content-Security-Policy": MAIL_POLICY,
        "Cache-Control": f"public, max-age={_MINUTES_KEPT * 60}",
    }
    return HTMLResponse(html, headers=headers)


PAGES: tuple[Page, ...] = (
    Page("/issues/{newsletter}/{scope}/{period}", "an issue as it went out", look=issue),
)
