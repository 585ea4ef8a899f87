"""How much each network takes in one snippet, and how it counts.

X: https://docs.x.com/fundamentals/counting-characters
Mastodon: https://docs.joinmastodon.org/user/posting/
Bluesky: https://docs.bsky.app/docs/advanced-guides/posts (maxGraphemes and maxLength)
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: What a link weighs on X and Mastodon, however long it is.
LINK_WEIGHT = 23

#: X's own parser takes quadratic time over chains of dotted labels, and no real address is one.
_DOTS_OF_AN_ADDRESS = 16
#: A text this long is far over every limit; reading it closely would only cost time.
_FAR_TOO_LONG = 10_000

_LINK = re.compile(r"\bhttps?://[^\s<>\"“”«»]+", re.IGNORECASE)
_ENDS_SENTENCES = ".,;:!?'\u2019\u2026*_~"
_REMOTE_MENTION = re.compile(r"(?<![\w/@])@(\w[\w.-]*)@[\w.-]*\w")


@dataclass(frozen=True, slots=True)
class Network:
    """What a network takes. `measure` counts a text in the network's own units (`unit`)."""

    slug: str
    name: str
    limit: int
    unit: str
    measure: Callable[[str], int]
    #: What a link weighs; None where it counts like any other text.
    link_weight: int | None
    #: A second limit, on the UTF-8 form; None where there is none.
    bytes_limit: int | None

    def fits(self, text: str) -> bool:
        """Whether the network takes this text in one snippet."""
        in_bytes = self.bytes_limit is None or len(text.encode()) <= self.bytes_limit
        return in_bytes and self.measure(text) <= self.limit


def graphemes(text: str) -> list[str]:
    """What a reader sees as characters: Unicode's extended grapheme clusters."""
    import regex  # type: ignore[import-untyped]  # it ships no types

    found: list[str] = regex.findall(r"\X", text)
    return found


def links_in(text: str) -> list[str]:
    """Everything that some network would make a link of, "care.social" included."""
    bare: list[str] = _twitter_text().extract_urls(_without_dot_chains(text))
    full = [_without_tail(found[0]) for found in _LINK.finditer(text)]
    return full + [link for link in bare if not link.lower().startswith("http")]


def _measure_x(text: str) -> int:
    if len(text) > _FAR_TOO_LONG:
        return len(text)
    composed = unicodedata.normalize("NFC", text)
    return int(_twitter_text().parse_tweet(_without_dot_chains(composed)).weightedLength)


@cache
def _twitter_text() -> ModuleType:
    """The parser; late, because its import takes a quarter of a second."""
    with warnings.catch_warnings():
        # It still reads its data by pkg_resources, which says at each import that it is old.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        return import_module("twitter_text")


def _without_dot_chains(text: str) -> str:
    return re.sub(r"\S+", lambda chunk: _without_dots(chunk[0]), text)


def _without_dots(chunk: str) -> str:
    return chunk.replace(".", ",") if chunk.count(".") > _DOTS_OF_AN_ADDRESS else chunk


def _measure_mastodon(text: str) -> int:
    if len(text) > _FAR_TOO_LONG:
        return len(text)
    return len(graphemes(_REMOTE_MENTION.sub(r"@\1", _LINK.sub(_weighed, text))))


def _weighed(link: re.Match[str]) -> str:
    return "x" * LINK_WEIGHT + link[0][len(_without_tail(link[0])) :]


def _measure_bluesky(text: str) -> int:
    return len(graphemes(text))


def _without_tail(link: str) -> str:
    """A link without the marks that end the sentence or the parenthesis it stands in."""
    unopened = link.count(")") - link.count("(")
    while True:
        shorter = link.rstrip(_ENDS_SENTENCES)
        if unopened > 0 and shorter.endswith(")"):
            shorter, unopened = shorter[:-1], unopened - 1
        if shorter == link:
            return link
        link = shorter


X = Network("x", "X", 280, "weighted characters", _measure_x, LINK_WEIGHT, None)
MASTODON = Network("mastodon", "Mastodon", 500, "characters", _measure_mastodon, LINK_WEIGHT, None)
BLUESKY = Network("bluesky", "Bluesky", 300, "characters", _measure_bluesky, None, 3000)

NETWORKS = {network.slug: network for network in (X, MASTODON, BLUESKY)}
