"""The body of a post: what other software put into it goes, what is left is safe to show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nh3
from selectolax.lexbor import LexborHTMLParser

from digest.feeds.plain import clean_line, strip_controls, unmarked
from digest.feeds.shortcodes import drop_shortcodes
from digest.feeds.tame import TAGS, tame
from digest.feeds.urls import absolute, link_target
from digest.feeds.words import Block, blocks_of
from digest.model import Image

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "img": {"alt", "height", "src", "title", "width"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
#: Boxes that Jetpack, share-button plug-ins and advertising put into a feed's content.
_BOILERPLATE = (
    ".sharedaddy, .sd-sharing, .sd-like, .jp-relatedposts, .jetpack-likes-widget-wrapper, .wpcnt,"
    ".wpa, .wordads-tag, .addtoany_share_save_container, .addtoany_content, .a2a_kit, .feedflare,"
    ".essb_links, .ssba, .ssbp-wrap, .heateor_sss_sharing_container, .simplesocialbuttons,"
    ".social-warfare, .swp_social_panel, .shareaholic-canvas, .yarpp, .yarpp-related,"
    ".crp_related, .rp4wp-related-posts, .mc4wp-form, .wp-block-jetpack-subscriptions,"
    ".wp-block-post-comments, .adsbygoogle, .google-auto-placed, .code-block-ads,"
    ".screen-reader-text"
)
#: "The post X appeared first on Y.", which WordPress's SEO plug-ins add.
_FOOTER = re.compile(
    r"(The post .{1,400}?|This (post|article|entry) .{0,400}?)"
    r"\b(appeared first on|first appeared on|was originally published on)\b.{1,200}",
    re.IGNORECASE | re.DOTALL,
)
_NO_PICTURE_CLASS = re.compile(
    r"\b(wp-smiley|emoji|share|sharing|tracking|avatar)\b", re.IGNORECASE
)
_NO_PICTURE_URL = re.compile(
    r"//(s\.w\.org/|pixel\.wp\.com/|stats\.wordpress\.com/|feeds\.wordpress\.com/"
    r"|feeds\.feedburner\.com/|[^/]*\bdoubleclick\.net/|www\.facebook\.com/tr)"
    r"|/(smilies|emoji|twemoji)/",
    re.IGNORECASE,
)
_PIXEL = 2
_ICON = 32
_MAX_ALT = 1000


@dataclass(frozen=True, slots=True)
class Body:
    """`html` is nh3's output; `image` the first picture worth showing."""

    html: str
    blocks: tuple[Block, ...]
    image: Image | None


def clean_body(markup: str, url: str) -> Body:
    """The content of the post at `url`, fit to be shown anywhere."""
    known = tame(drop_shortcodes(strip_controls(markup)))
    body = LexborHTMLParser(known).body
    if body is None:
        return Body("", (), None)
    _drop_boilerplate(body)
    image = _pictures(body, url)
    blocks = tuple(
        Block(block.kind, unmarked(strip_controls(block.text))) for block in blocks_of(body)
    )
    return Body(_sanitised(body.inner_html or "", url), blocks, image)


def _drop_boilerplate(body: LexborNode) -> None:
    for box in body.css(_BOILERPLATE):
        box.decompose()
    for paragraph in body.css("p, div")[-3:]:
        if _FOOTER.fullmatch((paragraph.text() or "").strip()):
            paragraph.decompose()


def _pictures(body: LexborNode, url: str) -> Image | None:
    """Drop what is no picture, and return the first that is."""
    first = None
    for node in body.css("img"):
        image = _image(node, url)
        if image is None or _is_pixel(image):
            node.decompose()
        elif first is None and _worth_showing(node, image):
            first = image
    return first


def _image(node: LexborNode, base: str) -> Image | None:
    at = node.attributes
    src = absolute(at.get("src") or "", base) if (at.get("src") or "").strip() else None
    if src is None:
        return None
    alt = clean_line(at.get("alt") or "", _MAX_ALT)
    return Image(src, alt, _pixels(at.get("width")), _pixels(at.get("height")))


def _pixels(value: str | None) -> int:
    """A length in CSS pixels; 0 for none, for per cent and for nonsense."""
    found = re.fullmatch(r"\s*([0-9]{1,5})(\.[0-9]+)?(px)?\s*", value or "")
    return int(found[1]) if found else 0


def _is_pixel(image: Image) -> bool:
    return any(0 < side <= _PIXEL for side in (image.width, image.height))


def _worth_showing(node: LexborNode, image: Image) -> bool:
    if _NO_PICTURE_CLASS.search(node.attributes.get("class") or ""):
        return False
    if _NO_PICTURE_URL.search(image.url):
        return False
    return not (0 < image.width <= _ICON and 0 < image.height <= _ICON)


def _sanitised(markup: str, url: str) -> str:
    def address(_tag: str, attribute: str, value: str) -> str | None:
        if attribute == "href":
            return link_target(value, url)
        return absolute(value, url) if attribute == "src" else value

    cleaned = nh3.clean(
        markup,
        tags=set(TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=address,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
        clean_content_tags={"script", "style", "iframe", "svg", "object", "form"},
        # Asked about relative links alone; the filter above sees the absolute ones.
        url_relative=lambda relative: absolute(relative, url),
    )
    return unmarked(strip_controls(cleaned)).strip()
