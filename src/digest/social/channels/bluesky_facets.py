"""What in a text is a link or a hashtag: Bluesky makes only those of it that a post names.

https://docs.bsky.app/docs/advanced-guides/post-richtext: positions are in bytes of UTF-8. No
mention is ever made: that would need to ask whose a name is, and ring at somebody's door.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from digest.social.graphemes import graphemes
from digest.social.networks import without_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of one tag: app.bsky.richtext.facet#tag.
TAG_GRAPHEMES, TAG_BYTES = 64, 640

_FACET = "app.bsky.richtext.facet"
_LINK = re.compile(r"(?<!\w)https?://[^\s/<>\"“”«»][^\s<>\"“”«»]*", re.IGNORECASE)


def facets_of(text: str) -> list[dict[str, Any]]:
    """The facets of a text, in order; none lies within another."""
    links = list(_links(text))
    facets = [_facet(text, span, {"$type": f"{_FACET}#link", "uri": uri}) for span, uri in links]
    for span, tag in _tags(text):
        if not any(start < span[1] and span[0] < end for (start, end), _ in links):
            facets.append(_facet(text, span, {"$type": f"{_FACET}#tag", "tag": tag}))
    return sorted(facets, key=lambda facet: int(facet["index"]["byteStart"]))


def is_tag(tag: str) -> bool:
    """Whether Bluesky takes a hashtag of this length."""
    return len(graphemes(tag)) <= TAG_GRAPHEMES and len(tag.encode()) <= TAG_BYTES


def _facet(text: str, span: tuple[int, int], feature: dict[str, str]) -> dict[str, Any]:
    start, end = (len(text[:place].encode()) for place in span)
    return {"index": {"byteStart": start, "byteEnd": end}, "features": [feature]}


def _links(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    for found in _LINK.finditer(text):
        link = without_tail(found[0])
        yield (found.start(), found.start() + len(link)), link


def _tags(text: str) -> Iterator[tuple[tuple[int, int], str]]:
    for found in _tag_pattern().finditer(text):
        if is_tag(found[1]):
            yield found.span(), found[1]


@cache
def _tag_pattern() -> re.Pattern[str]:
    """A tag begins a word, is of letters, their marks, digits and _, and not without a letter."""
    import regex  # type: ignore[import-untyped]  # it ships no types

    before, first, rest = (
        r"(?<![^\s(\[\"'\u201c\u2018\xab])",
        r"[\p{L}\p{Nd}_]",
        r"[\p{L}\p{M}\p{Nd}_]*",
    )
    pattern: re.Pattern[str] = regex.compile(rf"{before}#((?=[\p{{Nd}}_]*\p{{L}}){first}{rest})")
    return pattern
