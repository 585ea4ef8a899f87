"""The archive's lists and feeds: the issues that went out, for anyone to find."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from digest import links
from digest.picks.series import number_parts
from digest.store import published
from digest.store.posts import load_posts
from digest.web import crawlers, issues, reading
from digest.web.atom import Entry, Feed, atom
from digest.web.places import known, open_page, place_asked, public_places
from digest.web.routing import NUMBER, Page

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection
    from starlette.requests import Request

    from digest.store.published import PublishedIssue
    from digest.web.pages import Web
    from digest.web.places import Place

_PAGE = re.compile(r"[1-9][0-9]{0,5}")
_ON_A_PAGE = 50
_IN_A_FEED = 20
_LATEST = 3


def archives(web: Web, request: Request) -> Response:
    """Every newsletter whose archive is public, each with its newest issues."""
    app = web.current()
    places = public_places(app)
    with app.store.read() as c:
        latest = [(place, _listed(c, web, place, most=_LATEST)) for place in places]
    canonical = links.archives_url(app.config.site.links_url)
    page = web.page("archives.html", latest=latest, canonical=canonical)
    return open_page(request, page, is_public=bool(places))


def archive(web: Web, request: Request) -> Response:
    """The issues of a newsletter, or those about one series or theme: newest first, by year."""
    place, number = place_asked(web, request), _page_number(request)
    with place.app.store.read() as c:
        skip = (number - 1) * _ON_A_PAGE
        lines = _listed(c, web, place, most=_ON_A_PAGE + 1, skip=skip)
        parts = _parts(c, web, place) if number == 1 else []
        carried = published.scopes(c, place.slug) if number == 1 else set()
    if not lines and number > 1:
        raise HTTPException(404)
    page = web.page(
        "archive.html",
        place=place,
        years=reading.by_year(lines[:_ON_A_PAGE]),
        parts=parts,
        others=[
            (heading, _scope_links(web, place, carried, kind))
            for heading, kind in (("Series", "series"), ("Themes", "theme"))
        ],
        number=number,
        newer=_page_url(place.url(web.prefix), number - 1),
        older=_page_url(place.url(web.prefix), number + 1) if len(lines) > _ON_A_PAGE else "",
        canonical=_page_url(place.url(place.app.config.site.links_url), number),
    )
    return open_page(request, page, is_public=place.is_public)


def feed(web: Web, request: Request) -> Response:
    """The newest issues as an Atom feed."""
    place = place_asked(web, request)
    site = place.app.config.site
    with place.app.store.read() as c:
        found = published.newest_whole(c, place.slug, str(place.scope), most=_IN_A_FEED)
    made = Feed(
        url=place.feed_url(site.links_url),
        page_url=place.url(site.links_url),
        title=_feed_title(place),
        subtitle=place.description,
        author=place.newsletter.from_name,
        language=site.language,
        entries=[_entry(web, place, issue) for issue in found],
    )
    response = Response(atom(made), media_type="application/atom+xml")
    modified = made.updated if found else None
    return open_page(request, response, is_public=place.is_public, modified=modified)


def _listed(
    c: Connection, web: Web, place: Place, *, most: int, skip: int = 0
) -> list[reading.Listed]:
    found = published.lines(c, place.slug, str(place.scope), most=most, skip=skip)
    return [reading.listed(place.app.config, web.prefix, line) for line in found]


def _parts(c: Connection, web: Web, place: Place) -> list[reading.ShownPart]:
    """The parts of the series in reading order; none where it is about a theme or everything."""
    app, scope = place.app, place.scope
    if scope.kind != "series":
        return []
    posts = load_posts(c, ids=published.members(c, str(scope)), as_of=app.clock())
    by_id = {post.id: post for post in posts}
    ids = number_parts(posts, app.config.series[scope.slug].order)
    brought = published.first_appearances(c, place.slug, ids)
    return reading.parts_shown(app.config, web.prefix, [by_id[each] for each in ids], brought)


def _scope_links(
    web: Web, place: Place, carried: Collection[str], kind: str
) -> list[tuple[str, str]]:
    """Titles and addresses of the series or themes that there is something of."""
    if not place.scope.is_all:
        return []
    return [
        (declared.title, links.archive_url(web.prefix, place.slug, f"{kind}:{slug}"))
        for slug, declared in known(place.app, kind).items()
        if f"{kind}:{slug}" in carried
    ]


def _feed_title(place: Place) -> str:
    title = place.newsletter.title
    return title if place.scope.is_all else f"{place.title} in {title}"


def _entry(web: Web, place: Place, issue: PublishedIssue) -> Entry:
    config, line, content = place.app.config, issue.line, reading.content_of(issue)
    html = web.templates.get_template("feed.html").render(posts=reading.posts_of(content))
    return Entry(
        # RFC 4151: under the list's own name, which outlives any address of ours.
        id=f"tag:{place.newsletter.list_id},{line.at:%Y-%m-%d}:issue-{line.id}",
        title=line.subject,
        url=reading.listed(config, config.site.links_url, line).url,
        at=line.at,
        summary=reading.titles(content),
        html=html,
    )


def _page_url(url: str, number: int) -> str:
    """One page of a list; empty where the number is none."""
    if number < 1:
        return ""
    return url if number == 1 else f"{url}?page={number}"


def _page_number(request: Request) -> int:
    asked = request.query_params.getlist("page") or ["1"]
    if len(asked) != 1 or not _PAGE.fullmatch(asked[0]):
        raise HTTPException(404)
    return int(asked[0])


_NUMBERED = {"page": NUMBER}
PAGES: tuple[Page, ...] = (
    *issues.PAGES,
    Page("/archive", "the newsletters whose archive is public", look=archives),
    # Before the addresses of series and themes, which would take it for one.
    Page("/archive/{newsletter}/feed.atom", "the newest issues as a feed", look=feed),
    Page("/archive/{newsletter}", "a newsletter's issues", look=archive, query=_NUMBERED),
    Page("/archive/{newsletter}/{scope}", "those of a series", look=archive, query=_NUMBERED),
    Page("/archive/{newsletter}/{scope}/feed.atom", "those of a series as a feed", look=feed),
    *crawlers.PAGES,
)
