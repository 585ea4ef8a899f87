"""What search engines ask for first: where not to go, and the map of what is public.

They ask for `/robots.txt` at a host's root alone: below a path, whoever runs the root has to pass
it on. What is kept out by a header needs no line here; it could not be read behind one.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from digest import links
from digest.store import published
from digest.web import reading
from digest.web.atom import MOST_IN_A_MAP, sitemap
from digest.web.caching import shared
from digest.web.places import known, public_places
from digest.web.routing import Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from starlette.requests import Request

    from digest.bootstrap import App
    from digest.web.pages import Web
    from digest.web.places import Place

#: Links that belong to one person, and the editors' pages.
_PERSONAL = ("/u/", "/c/", "/s/", "/me/", "/join/", "/preview/", "/look", "/desk")


def robots(web: Web, request: Request) -> Response:
    """Everything is closed unless an archive is public; what is personal always is."""
    app = web.current()
    rules = ["User-agent: *"]
    if public_places(app):
        rules += [f"Disallow: {web.prefix}{path}" for path in _PERSONAL]
        rules += ["", f"Sitemap: {links.sitemap_url(app.config.site.links_url)}"]
    else:
        rules += ["Disallow: /"]
    return shared(request, PlainTextResponse("\n".join([*rules, ""])))


def site_map(web: Web, request: Request) -> Response:
    """The public archive: its lists, then its issues, the newest first."""
    app = web.current()
    places = public_places(app)
    if not places:
        raise HTTPException(404)
    with app.store.read() as c:
        body = sitemap(islice(_pages(c, app, places), MOST_IN_A_MAP))
    return shared(request, Response(body, media_type="application/xml"))


def _pages(c: Connection, app: App, places: list[Place]) -> Iterator[tuple[str, datetime | None]]:
    base = app.config.site.links_url
    yield links.archives_url(base), None
    for place in places:
        yield place.url(base), None
        carried = published.scopes(c, place.slug)
        for kind in ("series", "theme"):
            scopes = [f"{kind}:{slug}" for slug in known(app, kind)]
            yield from (
                (links.archive_url(base, place.slug, scope), None)
                for scope in scopes
                if scope in carried
            )
    for place in places:
        for line in published.lines(c, place.slug, "all", most=MOST_IN_A_MAP):
            yield reading.listed(app.config, base, line).url, line.at


PAGES: tuple[Page, ...] = (
    Page("/robots.txt", "where search engines are not to go", look=robots),
    Page("/sitemap.xml", "the map of the public archive", look=site_map),
)
