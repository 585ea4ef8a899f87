"""What is odd about a series as it stands: numbers that are missing, parts that came out of turn.

Titles are read as people write them: "Part 2", "part two", "Episode II", "(3/5)", "3 of 5",
"#3". Only where several titles bear a number is a missing one worth a word.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from digest.model import Post

_NAMES = (
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_WORDS = {name: number for number, name in enumerate(_NAMES, 1)}
_ROMAN = {"I": 1, "V": 5, "X": 10}
_PART = r"(?:part|pt\.?|chapter|episode|ep\.?|instal?lment|lesson|number|no\.)"
#: The first that fits counts; a number of four digits is a year, or money.
_PATTERNS = (
    re.compile(rf"(?i)\b{_PART}\s*#?(\d{{1,3}})(?![\d.,]*\d)"),
    re.compile(rf"(?i)\b{_PART}\s+({'|'.join(_NAMES)})\b"),
    # "In part I agree" bears none.
    re.compile(rf"(?i:\b{_PART})\s+([IVX]{{1,5}})(?=\s*(?:$|[:.,;)\u2013\u2014-]))"),
    re.compile(r"\((\d{1,3})\s*(?:/|of)\s*\d{1,3}\)"),
    re.compile(r"(?i)\b(\d{1,3})\s+of\s+\d{1,3}$"),
    re.compile(r"(?<!\w)#(\d{1,3})\b"),
)
#: A run that begins later than this was under way before the blog's feed began.
_LATEST_FIRST = 3
#: Fewer numbered titles are no run.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbers that titles of a series bear."""

    missing: tuple[int, ...]
    doubled: tuple[int, ...]


def number_in(title: str) -> int | None:
    """Which part a title says it is; None where it says none."""
    for pattern in _PATTERNS:
        if found := pattern.search(title):
            return _value(found[1]) or None
    return None


def numbering(titles: Iterable[str]) -> Numbering:
    """Which numbers are missing up to the highest, and which stand twice."""
    found = Counter(number for title in titles if (number := number_in(title)))
    if sum(found.values()) < _FEWEST:
        return Numbering((), ())
    first = 1 if min(found) <= _LATEST_FIRST else min(found)
    missing = (number for number in range(first, max(found)) if number not in found)
    return Numbering(tuple(missing), tuple(sorted(n for n, times in found.items() if times > 1)))


def out_of_turn(parts: Sequence[Post]) -> Iterator[int]:
    """The places, from 1, of parts that came out after the part that follows them."""
    for place, (before, after) in enumerate(pairwise(parts), 1):
        if before.published > after.published:
            yield place


def backwards(parts: Sequence[Post]) -> Iterator[tuple[int, int]]:
    """Two neighbours among the numbered titles of which the first bears the higher number."""
    numbers = [number for part in parts if (number := number_in(part.title))]
    for before, after in pairwise(numbers):
        if before > after:
            yield before, after


def spans(numbers: Iterable[int]) -> str:
    """Numbers in words: "3", "1 to 4", "1 to 4, 7 and 9"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = [word for run in runs for word in _run(run)]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _run(run: Sequence[int]) -> list[str]:
    pair = 2
    return [str(n) for n in run] if len(run) <= pair else [f"{run[0]} to {run[-1]}"]


def _value(text: str) -> int:
    if text.isdecimal():
        return int(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    digits = [_ROMAN[sign] for sign in text]
    return sum(
        -one if one < after else one for one, after in zip(digits, [*digits[1:], 0], strict=True)
    )
