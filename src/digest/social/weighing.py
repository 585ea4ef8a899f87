"""X's weights: never less than X counts, most often exactly as much.

https://docs.x.com/fundamentals/counting-characters. Links and emoji are found by the data of
twitter-text-parser, which is of 2023 and unmaintained; what changed since, or may change, is
weighed at its dearest:
- An emoji put together from several code points counts as one only where twitter-text's own
  last release knows it (the parser knows more); of any other each part counts.
- A host by itself ("care.social") costs what a link costs, or its own length if that is more;
  so does one whose ending is unknown today ("care.newtld").
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a link weighs on X, however long it is.
LINK_WEIGHT = 23

#: Code points that weigh 1; all others 2.
_LIGHT = ((0, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
_EMOJI_WEIGHT = 2
#: Put together with these, an emoji is of Emoji 12 or was never known to twitter-text as one.
_PARTED_IN_EMOJI_11 = re.compile(
    "[\U0001f90d-\U0001f90f\U0001f971\U0001f97b\U0001f9a3-\U0001f9af\U0001f9ba-\U0001f9bf"
    "\U0001f9c3-\U0001f9cf\U0001f46b-\U0001f46d\U0001f91d\u267e]|\u200d\U0001f5e8"
)

#: X's own parser takes quadratic time over chains of dotted labels, and no real address is one.
_DOTS_OF_AN_ADDRESS = 16
#: What separates words ends links and emoji, so that each chunk can be weighed, and remembered.
_CHUNK = re.compile(r"[^ \n]+")
#: After a word joiner (U+2060) no dot is of a host.
_HOST = re.compile(r"([a-z0-9_-]*)(?<!\u2060)\.([a-z]{2,})(?![a-z])", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile("https?://", re.IGNORECASE)
#: Two letters are of a country, and new countries are rare.
_COUNTRY = 2
#: Letters that Python takes for their ASCII likenesses, and X does not.
_DOUBTFUL = re.compile("[\u0130\u0131\u017f\u212a]")


@lru_cache(maxsize=1 << 10)
def weight(text: str) -> int:
    """How much of X's limit a text takes."""
    composed = unicodedata.normalize("NFC", text)
    chunks = _CHUNK.findall(composed)
    return len(composed) - sum(map(len, chunks)) + sum(map(_weight_of_chunk, chunks))


def x_links(text: str) -> list[str]:
    """What X would make links of, "care.social" included."""
    return [text[start:end] for start, end, _ in _links_of_text(text)]


def _links_of_text(text: str) -> Iterator[tuple[int, int, bool]]:
    for chunk in _CHUNK.finditer(text):
        for start, end, full in _links(chunk[0]):
            yield chunk.start() + start, chunk.start() + end, full


@lru_cache(maxsize=1 << 15)
def _weight_of_chunk(chunk: str) -> int:
    if chunk.isascii() and "." not in chunk:
        return len(chunk)
    total, here = 0, 0
    for start, end, full in _links(chunk):
        total += _without_links(chunk[here:start]) + _link_weight(chunk[start:end], full=full)
        here = end
    return total + _without_links(chunk[here:])


def _link_weight(link: str, *, full: bool) -> int:
    if full:
        return LINK_WEIGHT + _plain_weight("".join(_DOUBTFUL.findall(link)))
    # Amid other scripts no two parsers agree on where a host begins and ends.
    return (
        max(LINK_WEIGHT, _plain_weight(link))
        if link.isascii()
        else LINK_WEIGHT + _plain_weight(link)
    )


def _without_links(text: str) -> int:
    """The weight of a text without links, with what hosts would cost on top if they are links."""
    return _plain_weight(text) + sum(map(_dearer, _HOST.finditer(text)))


def _dearer(host: re.Match[str]) -> int:
    """Of an unknown ending, or amid other scripts, where our parser gives up and X does not."""
    known = bool(_links(f"a.{host[2]}"))
    if not known and len(host[2]) == _COUNTRY:
        return 0
    if host.string.isascii():
        return 0 if known else max(0, LINK_WEIGHT - len(host[0]))
    return max(0, LINK_WEIGHT - len(host[2]) - 1)


def _plain_weight(text: str) -> int:
    total, here = 0, 0
    for found in _emoji().finditer(text):
        total += sum(map(_weight_of_char, text[here : found.start()])) + _EMOJI_WEIGHT
        here = found.end()
    return total + sum(map(_weight_of_char, text[here:]))


def _weight_of_char(char: str) -> int:
    return 1 if any(first <= ord(char) <= last for first, last in _LIGHT) else 2


@lru_cache(maxsize=1 << 12)
def _links(chunk: str) -> tuple[tuple[int, int, bool], ...]:
    """Beginning and end of each link in a chunk, and whether it has its scheme."""
    if "." not in chunk or chunk.count(".") > _DOTS_OF_AN_ADDRESS:
        return ()
    found: list[dict[str, Any]] = _parser("").extract_urls_with_indices(chunk)
    spans = ((link["url"], *link["indices"]) for link in found)
    return tuple((start, end, bool(_SCHEME.match(url))) for url, start, end in spans)


@cache
def _emoji() -> re.Pattern[str]:
    """Emoji that twitter-text 3.1.0 knows as one, the longest first."""
    found = {one.emoji for one in _parser(".regexp.emoji").emoji_list if _is_known(one)}
    return re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True))))


def _is_known(emoji: Any) -> bool:
    if len(emoji.emoji) == 1:
        return True
    return emoji.status == "fully-qualified" and not _PARTED_IN_EMOJI_11.search(emoji.emoji)


@cache
def _parser(module: str) -> Any:
    """The parser; late, because its import takes a quarter of a second."""
    with warnings.catch_warnings():
        # It still reads its data by pkg_resources, which says at each import that it is old.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        return import_module(f"twitter_text{module}")
