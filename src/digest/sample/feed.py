"""The sample blog's RSS 2.0 feed, in the form in which WordPress writes it.

Built with minidom, which owns the escaping and, unlike ElementTree, knows CDATA sections.
"""

from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from xml.dom.minidom import Document, Element

from digest.sample.archive import SamplePost, modified_at, path_of, published_at, visible
from digest.sample.bodies import BLOG_NAME, excerpt, feed_body

TAGLINE = "Notes on social care, one thread at a time"
GUID_BASE = "https://commonthreads.example"
PER_PAGE = 10

_NAMESPACES = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "wfw": "http://wellformedweb.org/CommentAPI/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "atom": "http://www.w3.org/2005/Atom",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
}


def feed_page(
    posts: Iterable[SamplePost],
    *,
    anchor: datetime,
    now: datetime,
    base_url: str,
    page: int,
    per_page: int = PER_PAGE,
) -> bytes | None:
    """One page of the feed, newest first, or None past the end (where WordPress answers 404)."""
    if page < 1 or per_page < 1:
        raise ValueError("pages are counted from 1 and hold at least one post")
    live = visible(posts, anchor, now)
    shown = live[(page - 1) * per_page : page * per_page]
    if not shown and page > 1:
        return None
    document = Document()
    channel = _channel(document, base_url, _built(live, anchor, now))
    for post in shown:
        _item(channel, post, anchor, base_url)
    return document.toprettyxml(indent="\t", newl="\n", encoding="UTF-8")


def feed_modified(posts: Iterable[SamplePost], anchor: datetime, now: datetime) -> datetime:
    """When the newest change that the feed shows was made."""
    return _built(visible(posts, anchor, now), anchor, now)


def _built(live: tuple[SamplePost, ...], anchor: datetime, now: datetime) -> datetime:
    return max((modified_at(p, anchor, now) for p in live), default=anchor)


def _channel(document: Document, base_url: str, built: datetime) -> Element:
    rss = document.createElement("rss")
    document.appendChild(rss)
    rss.setAttribute("version", "2.0")
    for prefix, uri in _NAMESPACES.items():
        rss.setAttribute(f"xmlns:{prefix}", uri)
    channel = _element(rss, "channel")
    _text(channel, "title", BLOG_NAME)
    _self_link(channel, base_url)
    _text(channel, "link", base_url)
    _text(channel, "description", TAGLINE)
    _text(channel, "lastBuildDate", format_datetime(built))
    _text(channel, "language", "en-GB")
    _text(channel, "sy:updatePeriod", "\n\thourly\t")
    _text(channel, "sy:updateFrequency", "\n\t1\t")
    _text(channel, "generator", "https://wordpress.org/?v=6.8.3")
    return channel


def _self_link(channel: Element, base_url: str) -> None:
    link = _element(channel, "atom:link")
    link.setAttribute("href", f"{base_url}/feed/")
    link.setAttribute("rel", "self")
    link.setAttribute("type", "application/rss+xml")


def _item(channel: Element, post: SamplePost, anchor: datetime, base_url: str) -> None:
    item = _element(channel, "item")
    link = base_url + path_of(post, anchor)
    _text(item, "title", post.title)
    _text(item, "link", link)
    _text(item, "comments", f"{link}#{'comments' if post.comments else 'respond'}")
    _cdata(item, "dc:creator", post.author)
    _text(item, "pubDate", format_datetime(published_at(post, anchor)))
    for category in post.categories:
        _cdata(item, "category", category)
    _text(item, "guid", f"{GUID_BASE}/?p={post.id}").setAttribute("isPermaLink", "false")
    _cdata(item, "description", excerpt(post))
    _cdata(item, "content:encoded", feed_body(post, base_url, link))
    _text(item, "wfw:commentRss", f"{link}feed/")
    _text(item, "slash:comments", str(post.comments))
    _text(item, "post-id", str(post.id)).setAttribute("xmlns", "com-wordpress:feed-additions:1")


def _element(parent: Element, tag: str) -> Element:
    document = parent.ownerDocument
    assert document is not None  # every element here was made by a document
    child = document.createElement(tag)
    parent.appendChild(child)
    return child


def _text(parent: Element, tag: str, text: str) -> Element:
    child = _element(parent, tag)
    assert child.ownerDocument is not None
    child.appendChild(child.ownerDocument.createTextNode(text))
    return child


def _cdata(parent: Element, tag: str, html: str) -> None:
    child = _element(parent, tag)
    assert child.ownerDocument is not None
    # The one text that would end the section early; WordPress writes it so, too.
    child.appendChild(child.ownerDocument.createCDATASection(html.replace("]]>", "]]&gt;")))
