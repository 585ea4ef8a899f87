"""An issue that went out, as it went out, without anybody's own links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from digest import links
from digest.issues.scope import parse_scope
from digest.mail.letters import issue_letter
from digest.mail.message import ReaderLinks, with_links
from digest.store import accounts, published
from digest.store.accounts import StoredVariant
from digest.web import reading
from digest.web.caching import shared
from digest.web.framed import framed
from digest.web.places import known, open_page, place_of
from digest.web.routing import Page
from digest.web.shield import MAIL_POLICY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.issues.content import IssueContent
    from digest.store.published import PublishedIssue, PublishedLine
    from digest.web.pages import Web
    from digest.web.places import Place

_SCOPE = re.compile(r"all|(series|theme)-[a-z0-9-]{1,40}")
_PERIOD = re.compile(r"[A-Za-z0-9.:-]{1,40}")


@dataclass(frozen=True, slots=True)
class _Found:
    """An issue that is out, what it brought, and its parts without anybody's own links."""

    place: Place
    issue: PublishedIssue
    content: IssueContent
    html: str
    text: str


def issue_page(web: Web, request: Request) -> Response:
    """The mail in a frame, and below it what it brings, for those who cannot see into a frame."""
    found = _find(web, request)
    place, line, config = found.place, found.issue.line, found.place.app.config
    with place.app.store.read() as c:
        near = published.neighbours(c, line)
    page = web.page(
        "issue.html",
        place=place,
        issue=reading.listed(config, web.prefix, line),
        previous=_listed(web, place, near.previous),
        following=_listed(web, place, near.following),
        scope_url=_scope_url(place, web.prefix, line.scope),
        posts=reading.posts_of(found.content),
        text=found.text,
        language=found.content.language,
        description=reading.description(found.content, place.newsletter),
        picture=reading.picture(found.content),
        canonical=reading.listed(config, config.site.links_url, line).url,
    )
    return open_page(request, page, is_public=place.is_public)


def issue_mail(web: Web, request: Request) -> Response:
    """The mail by itself."""
    return _mail(request, _find(web, request).html)


def issue_frame(web: Web, request: Request) -> Response:
    """The mail for the frame of its page."""
    return _mail(request, framed(_find(web, request).html))


def _mail(request: Request, html: str) -> Response:
    headers = {"Content-Security-Policy": MAIL_POLICY}
    return shared(request, HTMLResponse(html, headers=headers))


def _find(web: Web, request: Request) -> _Found:
    slug, scope, period = (request.path_params[name] for name in ("newsletter", "scope", "period"))
    place = place_of(web, slug)
    if not (_SCOPE.fullmatch(scope) and _PERIOD.fullmatch(period)):
        raise HTTPException(404)
    with place.app.store.read() as c:
        issue = published.find(c, slug, links.scope_from_path(scope), period)
        if issue is None:
            raise HTTPException(404)
        content = reading.content_of(issue)
        whole = StoredVariant(0, issue.line.subject, issue.html, issue.text)
        variant = accounts.variant_with(c, issue.line.id, content.mask) or whole
    site = place.app.config.site
    letter = issue_letter(site, place.newsletter, variant, issue.line)
    leaving = links.leave_url(site.links_url)
    own = ReaderLinks(leaving, leaving, links.manage_url(site.links_url))
    return _Found(place, issue, content, *with_links(letter, own))


def _listed(web: Web, place: Place, line: PublishedLine | None) -> reading.Listed | None:
    return reading.listed(place.app.config, web.prefix, line) if line else None


def _scope_url(place: Place, base: str, scope: str) -> str:
    """The archive of the issue's own series or theme; empty where there is no such page."""
    wanted = parse_scope(scope)
    has_place = wanted.slug in known(place.app, wanted.kind)
    return links.archive_url(base, place.slug, scope) if has_place else ""


PAGES: tuple[Page, ...] = (
    Page("/issues/{newsletter}/{scope}/{period}", "an issue that went out", look=issue_page),
    Page("/issues/{newsletter}/{scope}/{period}/mail", "its mail", look=issue_mail),
    Page(
        "/issues/{newsletter}/{scope}/{period}/frame",
        "its mail for the frame of its page",
        look=issue_frame,
    ),
)
