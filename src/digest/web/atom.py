"""An archive as an Atom feed (RFC 4287), and the map of pages for search engines.

Every text is put in by the XML library, so that none of it can become markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from digest.issues.words import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ATOM = "http://www.w3.org/2005/Atom"
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
#: What one map may hold: https://www.sitemaps.org/protocol.html
MOST_IN_A_MAP = 50_000
#: A feed must say when it changed, also one that has nothing yet.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One issue in a feed; `html` is markup that is safe, everything else plain text."""

    #: Its own for ever, wherever the pages move.
    id: str
    title: str
    url: str
    at: datetime
    summary: str
    html: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed and where it stands: its own address, and that of the page it is about."""

    url: str
    page_url: str
    title: str
    subtitle: str
    author: str
    #: RFC 5646: "en-GB"
    language: str
    entries: Sequence[Entry]

    @property
    def updated(self) -> datetime:
        return max((entry.at for entry in self.entries), default=_NEVER)


def atom(feed: Feed) -> bytes:
    """The feed as it is served."""
    root = Element("feed", {"xmlns": _ATOM, "xml:lang": feed.language})
    _text(root, "id", feed.url)
    _text(root, "title", feed.title)
    if feed.subtitle:
        _text(root, "subtitle", feed.subtitle)
    _text(root, "updated", _moment(feed.updated))
    _text(SubElement(root, "author"), "name", feed.author)
    _link(root, "self", feed.url, "application/atom+xml")
    _link(root, "alternate", feed.page_url, "text/html")
    for entry in feed.entries:
        _entry(SubElement(root, "entry"), entry)
    return _document(root)


def sitemap(pages: Iterable[tuple[str, datetime | None]]) -> bytes:
    """Addresses, each with when it last changed where that is known; at most MOST_IN_A_MAP."""
    root = Element("urlset", {"xmlns": _SITEMAP})
    for url, at in pages:
        page = SubElement(root, "url")
        _text(page, "loc", url)
        if at is not None:
            _text(page, "lastmod", _moment(at))
    return _document(root)


def _entry(element: Element, entry: Entry) -> None:
    _text(element, "id", entry.id)
    _text(element, "title", entry.title)
    _text(element, "published", _moment(entry.at))
    _text(element, "updated", _moment(entry.at))
    _link(element, "alternate", entry.url, "text/html")
    _text(element, "summary", entry.summary)
    content = SubElement(element, "content", {"type": "html"})
    content.text = entry.html


def _text(parent: Element, name: str, text: str) -> None:
    """A plain text; XML has no place for control characters, not even escaped."""
    SubElement(parent, name).text = line(text)


def _link(parent: Element, rel: str, url: str, media_type: str) -> None:
    SubElement(parent, "link", {"rel": rel, "type": media_type, "href": url})


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _document(root: Element) -> bytes:
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document
