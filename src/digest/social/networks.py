"""How much each network takes in one snippet, and how it counts.

X: https://docs.x.com/fundamentals/counting-characters
Mastodon: https://docs.joinmastodon.org/user/posting/
Bluesky: https://docs.bsky.app/docs/advanced-guides/posts (maxGraphemes and maxLength)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from digest.social.graphemes import graphemes
from digest.social.weighing import LINK_WEIGHT, weight, x_links

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.model import Limits

#: Nobody reads a snippet this long, and reading it closely would only cost time: counted as if
#: each character were a link, it is over every limit.
_FAR_TOO_LONG = 10_000

_LINK = re.compile(r"\bhttps?://[^\s<>\"“”«»]+", re.IGNORECASE)
_ENDS_SENTENCES = ".,;:!?'\u2019\u2026*_~"
_REMOTE_MENTION = re.compile(r"(?<![\w/@])@(\w[\w.-]*)@[\w.-]*\w")
#: Letters that newer versions of Unicode take together, and older servers do not.
_CONJUNCT = re.compile(
    "[\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d\u1039\u17d2\u1a60\u1b44\u1bab\ua9c0\uaaf6"
    "\U00010a3f\U00011133\U000113d0\U00011a47\U00011a99\U00011f42]"
)


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
    #: Whether a link becomes a card only if we make it one.
    takes_cards: bool = False
    #: Of a picture's alt text.
    alt_characters: int = 1000
    #: How many hashtags a snippet may bear that stand in no text.
    hidden_tags: int = 0

    def fits(self, text: str) -> bool:
        """Whether the network takes this text in one snippet."""
        in_bytes = self.bytes_limit is None or len(text.encode()) <= self.bytes_limit
        return in_bytes and self.measure(text) <= self.limit


def links_in(text: str) -> list[str]:
    """Everything that some network would make a link of, "care.social" included."""
    full = [without_tail(found[0]) for found in _LINK.finditer(text)]
    return full + [link for link in x_links(text) if not link.lower().startswith("http")]


def without_tail(link: str) -> str:
    """A link without the marks that end the sentence or the parenthesis it stands in."""
    unopened = link.count(")") - link.count("(")
    while True:
        shorter = link.rstrip(_ENDS_SENTENCES)
        if unopened > 0 and shorter.endswith(")"):
            shorter, unopened = shorter[:-1], unopened - 1
        if shorter == link:
            return link
        link = shorter


def network_of(slug: str, limits: Limits | None = None) -> Network:
    """A network by its slug, with what an account of it takes put in where that is known."""
    network = NETWORKS[slug]
    if limits is None:
        return network
    known = replace(
        network,
        limit=limits.characters,
        link_weight=limits.link_weight,
        alt_characters=limits.alt_characters,
    )
    if slug != MASTODON.slug:
        return known
    link_weight = limits.link_weight or LINK_WEIGHT
    return replace(known, measure=partial(_measure_mastodon, link_weight=link_weight))


def _measure_x(text: str) -> int:
    return weight(text) if len(text) <= _FAR_TOO_LONG else len(text) * LINK_WEIGHT


def _measure_mastodon(text: str, link_weight: int = LINK_WEIGHT) -> int:
    if len(text) > _FAR_TOO_LONG:
        return len(text) * link_weight
    weighed = _LINK.sub(lambda link: _weighed(link[0], link_weight), text)
    return _clusters(_REMOTE_MENTION.sub(r"@\1", weighed))


@lru_cache(maxsize=1 << 10)
def _weighed(link: str, link_weight: int) -> str:
    """As many characters as a link costs: whole where Mastodon may see none, as on localhost."""
    whole = without_tail(link)
    seen = next((found for found in x_links(whole) if whole.startswith(found)), "")
    cost = link_weight + len(whole) - len(seen) if seen else max(len(whole), link_weight)
    return "x" * cost + link[len(whole) :]


def _measure_bluesky(text: str) -> int:
    return _clusters(text)


def _clusters(text: str) -> int:
    """Graphemes, as a server counts them whose Unicode may be older than ours."""
    found = graphemes(text)
    if not _CONJUNCT.search(text):
        return len(found)
    return len(found) + sum(len(_CONJUNCT.findall(one[:-1])) for one in found)


X = Network("x", "X", 280, "weighted characters", _measure_x, LINK_WEIGHT, None)
MASTODON = Network(
    "mastodon",
    "Mastodon",
    500,
    "characters",
    _measure_mastodon,
    LINK_WEIGHT,
    None,
    alt_characters=1500,
)
BLUESKY = Network(
    "bluesky",
    "Bluesky",
    300,
    "characters",
    _measure_bluesky,
    None,
    3000,
    takes_cards=True,
    alt_characters=2000,
    hidden_tags=8,
)

NETWORKS = {network.slug: network for network in (X, MASTODON, BLUESKY)}
