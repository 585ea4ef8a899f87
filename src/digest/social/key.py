"""The sentences that stand best for a post, in its own words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.social.fit import CLOSING, ELLIPSIS, NUMBER, OPENING, beginning, sentences, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Outside these lengths, in characters, a sentence says too little alone or too much.
SHORTEST, LONGEST = 40, 600

#: An item of a list, with a number as with a dash, leans on what announces it.
_WHOLE_SENTENCE = re.compile(
    rf"(?!{NUMBER}\s)[{re.escape(OPENING)}]?[^\Wa-z_].*[.!?{ELLIPSIS}][{re.escape(CLOSING)}]*"
)
#: Needs the sentence before it.
_LEANS = re.compile(
    r"(it|its|he|his|she|her|they|their|this|that|these|those|but|and|so|or|then|not|both|here"
    r"|there|such|yet|still|too|also|first|second|third|some|one|two)\b",
    re.IGNORECASE,
)
#: Says what the thread's first snippet has said already.
_SERIES_NOTE = re.compile(r"\bin a series\b|\b(this|the|our|my)( \w+)? series\b", re.IGNORECASE)
_WORD = re.compile(r"\w{4,}")


@dataclass(frozen=True, slots=True)
class _Sentence:
    place: int
    text: str
    score: float


def key_pieces(title: str, text: str, fits: Callable[[str], bool], most: int) -> tuple[str, ...]:
    """Up to `most` key sentences that fit, in reading order.

    Only where none fits whole is one split. Where no sentence is fit to stand alone (a list,
    a table) it is one piece, the text's beginning.
    """
    ranked = _ranked(title, text)
    whole: list[_Sentence] = []
    for sentence in ranked:
        if len(whole) < most and fits(sentence.text):
            whole.append(sentence)
    if whole:
        return tuple(s.text for s in sorted(whole, key=lambda s: s.place))
    if ranked:
        return split(ranked[0].text, fits).pieces[:most]
    lines = (s for s in sentences(text[: 4 * LONGEST]) if not _SERIES_NOTE.search(s))
    begun = beginning("\n".join(lines), fits, paragraphs="\n")
    return (begun,) if begun else ()


def best_sentences(title: str, text: str) -> list[str]:
    """The sentences that can stand alone, the best first."""
    return [sentence.text for sentence in _ranked(title, text)]


def _ranked(title: str, text: str) -> list[_Sentence]:
    """Each once: a refrain says nothing new, and X takes no text twice."""
    ranked = sorted(_candidates(title, text), key=lambda s: (-s.score, s.place))
    unique: dict[str, _Sentence] = {}
    for sentence in ranked:
        unique.setdefault(sentence.text, sentence)
    return list(unique.values())


def _candidates(title: str, text: str) -> Iterator[_Sentence]:
    common = Counter(_words(text)) + Counter(_words(title) * 2)
    paragraphs = [sentences(line) for line in text.splitlines()]
    placed = [(s, index == 0) for paragraph in paragraphs for index, s in enumerate(paragraph)]
    for place, (sentence, opens) in enumerate(placed):
        if _stands_alone(sentence):
            ends = place in (0, len(placed) - 1)
            yield _Sentence(place, sentence, _score(sentence, common, opens=opens, ends=ends))


def _score(sentence: str, common: Counter[str], *, opens: bool, ends: bool) -> float:
    """Words that the post keeps coming back to, and the place: openings and endings count."""
    words = set(_words(sentence))
    shared = sum(common[word] - 1 for word in words) / (len(words) + 4)
    return (1 + shared) * (1.3 if opens else 1) * (1.2 if ends else 1) * _leaning(sentence)


def _leaning(sentence: str) -> float:
    return 0.5 if _LEANS.match(sentence.lstrip(OPENING)) else 1


def _stands_alone(sentence: str) -> bool:
    return (
        SHORTEST <= len(sentence) <= LONGEST
        and _WHOLE_SENTENCE.fullmatch(sentence) is not None
        and sentence.count("“") == sentence.count("”")
        and sentence.count('"') % 2 == 0
        and "://" not in sentence
        and not _SERIES_NOTE.search(sentence)
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
