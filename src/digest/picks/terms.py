"""Finding declared terms among the words of a text, for all themes in one reading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.picks.fold import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from digest.config import Theme

#: A word without its possessive, or a mark that parts sentences and clauses. Hyphens and
#: white space are neither, so that a term of several words matches across them.
_TOKEN = re.compile(r"(?:https?://\S+)|(\w+)(?:'s\b)?|[^\w\s'-]")


@dataclass(frozen=True, slots=True)
class Term:
    """A declared term; `words` are its words, each with whether any ending fits."""

    theme: str
    text: str
    weight: float
    words: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text holds: how many words, and each term found with the form it has there."""

    words: int
    found: tuple[tuple[Term, str], ...]


def term_finder(themes: Mapping[str, Theme]) -> Callable[[str], Reading]:
    """Make the terms of all themes ready for many texts: it learns which words begin one."""
    terms = sorted(_terms(themes), key=lambda term: (-len(term.words), -len(term.text), term.text))
    beginning: dict[str, tuple[Term, ...]] = {}

    def read(text: str) -> Reading:
        folded = fold(text)
        tokens = list(_TOKEN.finditer(folded))
        words = [token[1] or "" for token in tokens]
        for word in set(words).difference(beginning):
            beginning[word] = tuple(term for term in terms if _fits(term.words[0], word))
        found = (
            (term, folded[tokens[first].start() : tokens[last].end(1)])
            for term, first, last in _found(words, beginning)
        )
        return Reading(len(words) - words.count(""), tuple(found))

    return read


def _found(
    words: Sequence[str], beginning: Mapping[str, Sequence[Term]]
) -> Iterator[tuple[Term, int, int]]:
    """Each term, with its first and last word; one theme's terms share none, the longest wins."""
    taken: dict[str, int] = {}
    for index, word in enumerate(words):
        for term in beginning[word]:
            end = index + len(term.words)
            if taken.get(term.theme, 0) <= index and _stands(term, words[index:end]):
                taken[term.theme] = end
                yield term, index, end - 1


def _stands(term: Term, words: Sequence[str]) -> bool:
    return len(words) == len(term.words) and all(map(_fits, term.words, words))


def _fits(word: tuple[str, bool], text: str) -> bool:
    stem, any_ending = word
    return text.startswith(stem) if any_ending else text == stem


def _terms(themes: Mapping[str, Theme]) -> Iterator[Term]:
    for slug, theme in themes.items():
        for text, weight in theme.terms.items():
            words = fold(text).replace("-", " ").split()
            yield Term(slug, text, weight, tuple((w.rstrip("*"), w.endswith("*")) for w in words))
