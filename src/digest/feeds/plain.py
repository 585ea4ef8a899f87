"""Plain text from what feeds say: no markup, no control characters, nothing of our marks."""

from __future__ import annotations

import html
import re
import unicodedata

import nh3

from digest.feeds.tame import tame
from digest.feeds.urls import MARK_HOST

#: C0 but tab and line ends, DEL and C1, surrogates, and Unicode's non-characters; and what
#: turns the direction of all that follows, beyond the text itself (UAX 9, 2.1 to 2.5).
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef"
    + "".join(
        f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17)
    )
    + "]"
)
_MARK = re.compile(re.escape(MARK_HOST), re.IGNORECASE)
_SPACE = re.compile(r"\s+")
#: The end of a sentence, but not of "Dr." or "e.g."; what follows begins a new one.
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b(?:Mr|Ms|Dr|St|Rd|No|vs|cf))(?<!\b(?:Mrs|e\.g|i\.e|etc))(?<!\b(?:Prof))"
    r"[.!?\u2026][\"'\u201d\u2019)\]]*(?=\s+[\"'\u201c\u2018(\[]?[^\sa-z])"
)
_TAIL = " ,;:-(\u2013\u2014"
_JOINER = "\u200d"


def strip_controls(text: str) -> str:
    """Without characters that say nothing and break mail, XML or terminals."""
    return _CONTROLS.sub("", text)


def unmarked(text: str) -> str:
    """With another dot in our marks' host, so that no text of a feed is taken for a mark."""
    return _MARK.sub(lambda found: found[0].replace(".", "\u2024"), text)


def one_line(text: str, limit: int) -> str:
    """White space folded, and cut with "…" where longer than `limit` characters."""
    return cut(_SPACE.sub(" ", text).strip(), limit)


def clean_line(text: str, limit: int) -> str:
    """A line fit to be shown: `one_line` without controls and marks."""
    return one_line(unmarked(strip_controls(text)), limit)


def text_of_html(markup: str) -> str:
    """The words of a piece of HTML, its entities resolved once."""
    words = nh3.clean(tame(markup), tags=set())
    return html.unescape(words)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters: whole, or cut at a word, or within one, and then with "…"."""
    if len(text) <= limit:
        return text
    room = text[:limit]
    space = room.rfind(" ")
    if space > limit // 2:
        return room[:space].rstrip(_TAIL) + "…"
    return _whole_clusters(text, limit - 1) + "…"


def cut_at_sentence(text: str, limit: int) -> str:
    """Like `cut`, but at the end of a sentence where one lies in the second half.

    Not within somebody's words: a quotation that was opened is closed first.
    """
    if len(text) <= limit:
        return text
    ends = [found.end() for found in _SENTENCE_END.finditer(text, 0, limit + 2)]
    whole = [end for end in ends if end <= limit and not _speaks(text[:end])]
    best = max(whole, default=0)
    return text[:best] if best > limit // 2 else cut(text, limit)


def _speaks(text: str) -> bool:
    return text.count("“") > text.count("”")


def _whole_clusters(text: str, limit: int) -> str:
    """The start of a text without white space, no accent or emoji torn apart."""
    end = limit
    while end > limit // 2 and (_joins(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end]


def _joins(character: str) -> bool:
    """Whether it belongs to the character before it: accents, joiners, skin tones."""
    return character == _JOINER or unicodedata.category(character) in {"Mn", "Mc", "Me", "Sk"}
