"""Themes: topics found by weighted terms in title, tags and text.

A term counts most as a tag, much in the title, and in the text with diminishing returns
and less in a long post than in a short one (the saturation and length rule of BM25,
https://nlp.stanford.edu/IR-book/html/htmledition/okapi-bm25-a-non-binary-model-1.html),
so that a long post which mentions a term once is not about it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.picks.match import match
from digest.picks.terms import term_finder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from digest.config import Theme
    from digest.model import Post
    from digest.picks.terms import Reading

#: How much a term counts by where it stands; in the text, up to SATURATION + 1 times.
TITLE, TAG, SATURATION = 3.0, 4.0, 3.0
#: Words of a post of usual length, and how much length matters (0 not at all, 1 fully).
USUAL_WORDS, LENGTH_MATTERS = 300, 0.75
#: A shorter text counts as this long: a note is not the more about a term for being short.
FEWEST_WORDS = 120
#: How many findings a reason names.
NAMED = 4


@dataclass(frozen=True, slots=True)
class _Finding:
    """Something that speaks for a theme: points, and the words for it."""

    theme: str
    points: float
    words: str


def theme_finder(themes: Mapping[str, Theme]) -> Callable[[Post], dict[str, str]]:
    """Make themes ready for many posts; the answer gives a post's themes and the reasons.

    Themes come by slug, in the order of `themes`. A reason reads
    "about funding: tag “Funding”, “cuts” in the title, “budget” ×4".
    """  # noqa: RUF002  a multiplication sign is meant
    read = term_finder(themes)

    def find(post: Post) -> dict[str, str]:
        findings = sorted(_findings(post, read), key=lambda f: (-f.points, f.words))
        return {
            slug: _reason(theme, [f.words for f in findings if f.theme == slug])
            for slug, theme in themes.items()
            if sum(f.points for f in findings if f.theme == slug) >= theme.threshold
            and not match(post, theme.exclude)
        }

    return find


def _findings(post: Post, read: Callable[[str], Reading]) -> Iterator[_Finding]:
    for category in post.categories:
        # Two terms of a theme in one tag say no more than one.
        best = {t.theme: t for t, _ in sorted(read(category).found, key=lambda f: f[0].weight)}
        for term in best.values():
            yield _Finding(term.theme, term.weight * TAG, f"tag “{category}”")
    for term, form in dict(read(post.title).found).items():
        yield _Finding(term.theme, term.weight * TITLE, f"“{form}” in the title")
    yield from _in_text(read(post.text))


def _in_text(reading: Reading) -> Iterator[_Finding]:
    """A term's points, shared out among the forms it has in the text."""
    times = Counter(term for term, _ in reading.found)
    for (term, form), count in Counter(reading.found).items():
        points = term.weight * _counts_for(times[term], reading.words)
        repeated = f" \N{MULTIPLICATION SIGN}{count}" if count > 1 else ""
        yield _Finding(term.theme, points * count / times[term], f"“{form}”{repeated}")


def _counts_for(times: int, words: int) -> float:
    length = max(words, FEWEST_WORDS) / USUAL_WORDS
    damped = SATURATION * (1 - LENGTH_MATTERS + LENGTH_MATTERS * length)
    return times * (SATURATION + 1) / (times + damped)


def _reason(theme: Theme, findings: Iterable[str]) -> str:
    named = list(dict.fromkeys(findings))
    more = ", …" if len(named) > NAMED else ""
    return f"about {_in_a_sentence(theme.title)}: {', '.join(named[:NAMED])}{more}"


def _in_a_sentence(title: str) -> str:
    """ "Funding" as "funding", but "NHS" as it is."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]
