"""The words of a status, from the HTML that an instance makes of them.

https://docs.joinmastodon.org/spec/activitypub/#sanitization names what may stand in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

_BLOCKS = {"p", "div", "blockquote", "ul", "ol", "pre"}


@dataclass(frozen=True, slots=True)
class Words:
    """A text as it was said: full links, tags as they were written."""

    text: str
    tags: tuple[str, ...]
    #: Something stands in the HTML that may have been said otherwise: a mention.
    doubtful: bool


def words_of(html: str) -> Words:
    """Read the content of a status."""
    page = LexborHTMLParser(html)
    links = page.css("a")
    return Words(
        text="".join(_pieces(page.body)).strip() if page.body else "",
        tags=tuple(link.text().lstrip("#") for link in links if "hashtag" in _classes(link)),
        doubtful=any(_is_mention(link) for link in links),
    )


def _pieces(node: LexborNode) -> Iterator[str]:
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            yield child.text()
        elif child.tag == "br":
            yield "\n"
        elif child.tag == "a":
            yield _link(child)
        else:
            yield from _pieces(child)
            if child.tag in _BLOCKS:
                yield "\n\n"


def _link(link: LexborNode) -> str:
    if "hashtag" in _classes(link) or _is_mention(link):
        return link.text()
    return link.attributes.get("href") or link.text()


def _is_mention(link: LexborNode) -> bool:
    classes = _classes(link)
    return "mention" in classes and "hashtag" not in classes


def _classes(link: LexborNode) -> list[str]:
    return (link.attributes.get("class") or "").split()
