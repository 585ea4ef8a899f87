"""Splitting text so that each piece fits: at sentences, else clauses, else words.

Never inside a link, a tag or what a reader sees as one character. What fits is asked of the
caller, who knows what stands around a piece (counter, hashtags, link): so there is always
room for it, and no piece is returned that was not proved to fit.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.social.graphemes import graphemes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Stands where a sentence goes on in the next piece. X counts it as two.
ELLIPSIS = "…"

CLOSING = "\"'\u201d\u2019\u00bb)]"
OPENING = "\"'\u201c\u2018\u00ab(["
_DASHES = frozenset("-\u2013\u2014")
#: Announces what an ellipsis then does not bring.
_BEFORE_MORE = " ,;:-\u2013\u2014"
#: After these a full stop ends no sentence ...
_ABBREVIATIONS = frozenset(
    ["mr", "mrs", "ms", "dr", "prof", "st", "rev", "vs", "cf", "eg", "e.g", "ie", "i.e", "al"]
)
#: ... nor after these before a number.
_BEFORE_NUMBERS = frozenset(["no", "nos", "p", "pp", "fig", "vol"])
#: The number of a list's item, at the head of its line.
NUMBER = r"\d{1,3}\."
#: A link, hashtag or mention: never cut.
_WHOLE = re.compile(r"://|[#@]\w|\w\.\w")


@dataclass(frozen=True, slots=True)
class Split:
    """Pieces in order, and the words left out because no piece could hold them."""

    pieces: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def sentences(text: str) -> list[str]:
    """The sentences of a text, white space folded. A line break ends one, "Dr." does not."""
    return [sentence for line in text.splitlines() for sentence in _sentences_of(line.split())]


def split(text: str, fits: Callable[[str], bool]) -> Split:
    """The text in as few pieces as fit; a sentence that goes on in the next has an ellipsis."""
    return split_over(text, lambda _: fits, paragraphs=" ")


def split_over(
    text: str, room: Callable[[int], Callable[[str], bool]], *, paragraphs: str = "\n\n"
) -> Split:
    """As `split`, where pieces have different room: `room(n)` tells what fits the n-th, from 0.

    `paragraphs` stands between two paragraphs within a piece.
    """
    pieces: list[str] = []
    left_out: list[str] = []
    for glue, sentence in _glued(text, paragraphs):
        if pieces and room(len(pieces) - 1)(longer := f"{pieces[-1]}{glue}{sentence}"):
            pieces[-1] = longer
        else:
            found = _split_sentence(sentence.split(), room, len(pieces))
            pieces += found.pieces
            left_out += found.left_out
    return Split(tuple(pieces), tuple(left_out))


def beginning(text: str, fits: Callable[[str], bool], *, paragraphs: str = "\n\n") -> str:
    """As many whole sentences from the beginning as fit; else as many words; "" for none.

    `paragraphs` stands between two paragraphs.
    """
    found = ""
    for glue, sentence in _glued(text, paragraphs):
        if not fits(longer := f"{found}{glue if found else ''}{sentence}"):
            return found or shorten(sentence, fits)
        found = longer
    return found


def shorten(text: str, fits: Callable[[str], bool]) -> str:
    """The text if it fits, else as many words as do, and an ellipsis; "" where nothing fits."""
    words = text.split()
    if fits(" ".join(words)):
        return " ".join(words)
    most = _most(words, fits)
    if most:
        cut = " ".join(words[:most])
        smooth = cut.rstrip(_BEFORE_MORE) + ELLIPSIS
        return smooth if smooth != ELLIPSIS and fits(smooth) else cut + ELLIPSIS
    head, _ = _cut(words[0], fits) if words else ("", "")
    return head


def _split_sentence(
    words: list[str], room: Callable[[int], Callable[[str], bool]], number: int
) -> Split:
    """A sentence in pieces, the first of which is the piece of this number."""
    pieces: list[str] = []
    left_out: list[str] = []
    while words and not (fits := room(number + len(pieces)))(" ".join(words)):
        if most := _most(words, fits):
            end = _clause_end(words, most)
            pieces.append(" ".join(words[:end]) + ELLIPSIS)
            words = words[end:]
            continue
        head, rest = _cut(words[0], fits)
        (pieces if head else left_out).append(head or words[0])
        words = ([rest] if rest else []) + words[1:]
    return Split((*pieces, " ".join(words)) if words else tuple(pieces), tuple(left_out))


def _most(words: Sequence[str], fits: Callable[[str], bool]) -> int:
    """How many words fit before an ellipsis."""
    return _largest(len(words), lambda count: fits(" ".join(words[:count]) + ELLIPSIS))


def _clause_end(words: Sequence[str], most: int) -> int:
    """The last end of a clause in the second half of what fits; else all that fits."""
    ends = (i + 1 for i in range(most - 1, most // 2 - 1, -1) if _ends_clause(words, i))
    return next(ends, most)


def _ends_clause(words: Sequence[str], index: int) -> bool:
    following = words[index + 1] if index + 1 < len(words) else ""
    return words[index].rstrip(CLOSING).endswith((",", ";", ":")) or following in _DASHES


def _cut(word: str, fits: Callable[[str], bool]) -> tuple[str, str]:
    """A word too long for a piece in two, between graphemes; ("", "") where it must stay whole."""
    if _WHOLE.search(word):
        return "", ""
    parts = graphemes(word)
    most = _largest(len(parts), lambda count: fits("".join(parts[:count]) + ELLIPSIS))
    return ("".join(parts[:most]) + ELLIPSIS, "".join(parts[most:])) if most else ("", "")


def _largest(top: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `top` for which `holds`, by doubling and halving; 0 for none.

    What is probed never grows to twice what fits: measuring is slow.
    """
    bound = 1
    while bound < top and holds(bound):
        bound *= 2
    bound = min(bound, top)
    low = bisect_left(range(1, bound + 1), True, key=lambda count: not holds(count))
    # Counting is not quite monotonic (a link may be cheaper than its beginning): prove it.
    return next((count for count in range(low, 0, -1) if holds(count)), 0)


def _glued(text: str, paragraphs: str) -> Iterator[tuple[str, str]]:
    """Each sentence with what stands between it and the one before it in the same piece."""
    for line in text.splitlines():
        for position, sentence in enumerate(_sentences_of(line.split())):
            yield " " if position else paragraphs, sentence


def _sentences_of(words: Sequence[str]) -> Iterator[str]:
    start = 0
    for end, word in enumerate(words, 1):
        is_number = end == 1 and re.fullmatch(NUMBER, word)
        if end == len(words) or (_ends_sentence(word, words[end]) and not is_number):
            yield " ".join(words[start:end])
            start = end


def _ends_sentence(word: str, following: str) -> bool:
    bare = word.rstrip(CLOSING)
    if not bare.endswith((".", "!", "?", ELLIPSIS)):
        return False
    stem = bare.rstrip(".").lstrip(OPENING)
    initial = len(stem) == 1 and stem.isupper() and stem != "I"
    numbered = stem.lower() in _BEFORE_NUMBERS and following[:1].isdigit()
    if bare.endswith(".") and (initial or numbered or stem.lower() in _ABBREVIATIONS):
        return False
    return not following.lstrip(OPENING)[:1].islower()
