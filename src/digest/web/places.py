"""The places of the archive: a newsletter's, or the part that is about one series or theme.

A newsletter's archive is public (search engines and link previews welcome), unlisted (both kept
out, and no list names it), or off (no pages at all).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest import links
from digest.issues.scope import ALL, Scope
from digest.web.caching import shared
from digest.web.reading import scope_title

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.config import Newsletter, Series, Theme
    from digest.web.pages import Web

_SCOPE = re.compile(r"(series|theme)-[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Place:
    """A newsletter's archive, or the part of it that is about one series or theme."""

    app: App
    slug: str
    newsletter: Newsletter
    scope: Scope = ALL

    @property
    def is_public(self) -> bool:
        return self.newsletter.archive == "public"

    @property
    def title(self) -> str:
        return scope_title(self.app.config, str(self.scope)) or self.newsletter.title

    @property
    def description(self) -> str:
        """What config says of it; themes have no words of their own."""
        declared = self.scope.declared(self.app.config)
        return getattr(declared, "description", "") if declared else self.newsletter.description

    def url(self, base: str) -> str:
        return links.archive_url(base, self.slug, str(self.scope))

    def feed_url(self, base: str) -> str:
        return links.archive_feed_url(base, self.slug, str(self.scope))


def place_of(web: Web, slug: str) -> Place:
    """The archive of a newsletter. Raises HTTPException where there is none."""
    app = web.current()
    newsletter = app.config.newsletters.get(slug)
    if newsletter is None or newsletter.archive == "off":
        raise HTTPException(404)
    return Place(app, slug, newsletter)


def place_asked(web: Web, request: Request) -> Place:
    """What the address names: `newsletter`, and `scope` where it has one."""
    whole = place_of(web, request.path_params["newsletter"])
    asked = request.path_params.get("scope")
    if asked is None:
        return whole
    kind, _, slug = asked.partition("-")
    if not _SCOPE.fullmatch(asked) or slug not in known(whole.app, kind):
        raise HTTPException(404)
    return replace(whole, scope=Scope(kind, slug))


def public_places(app: App) -> list[Place]:
    """The newsletters that anybody may find, in the order of config."""
    found = (Place(app, slug, newsletter) for slug, newsletter in app.config.newsletters.items())
    return [place for place in found if place.is_public]


def known(app: App, kind: str) -> Mapping[str, Series | Theme]:
    """The series or themes that config declares: those that have a place of their own."""
    kinds: dict[str, Mapping[str, Series | Theme]]
    kinds = {"series": app.config.series, "theme": app.config.themes}
    return kinds.get(kind, {})


def open_page(
    request: Request, response: Response, *, is_public: bool, modified: datetime | None = None
) -> Response:
    """A page that is the same for everybody; a public one is for search engines, too."""
    if is_public:
        response.headers["X-Robots-Tag"] = "all"
    return shared(request, response, modified)
