"""Which hashtags a thread bears, how they are written, and where they stand: decisions only.

A tag is written without its # until it stands in a text. The strictest of the three networks
rules what a tag may be, so that one that is good is good everywhere.

X: twitter-text's validHashtag. Mastodon: app/models/tag.rb. Bluesky: app.bsky.richtext.facet#tag.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from digest.social.graphemes import graphemes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Of one tag, on Bluesky, the strictest.
MOST_GRAPHEMES, MOST_BYTES = 64, 640

#: What WordPress puts a post in that was put in nothing.
_SAYS_NOTHING = frozenset(["uncategorized", "uncategorised"])
#: Letters, marks, digits; "Nd" alone of the numbers, for X takes no other.
_KINDS_OF_CHARACTERS = frozenset(["L", "M", "Nd"])
#: U+FE0F and its like make pictures of letters.
_SELECTORS = re.compile("[\ufe00-\ufe0f\u200c\u200d\u20e3]")

#: A tag in text must be parted from what stands before, or Bluesky makes none of it, and may be
#: followed by marks that no network takes for a part of it.
_BEFORE = r"(?<!\S)"
_AFTER = "(?=[.,;:!?\u2026)\\]\u201d]*(?:\\s|$))"
_PARTED = r"[ \u00a0-]?"
#: As long as this a word in capitals is rather an abbreviation: "IT" is not "it".
_ABBREVIATION = 5


@dataclass(frozen=True, slots=True)
class TagPlan:
    """What a channel declares of hashtags, and those of a post's other series and themes."""

    most: int = 3
    on: Literal["root", "every"] = "root"
    in_text: bool = True
    categories: bool = False
    block: tuple[str, ...] = ()
    spelling: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a thread: `shown` in order, the campaign's first; those over the cap; notes."""

    campaign: str | None
    shown: tuple[str, ...]
    over: tuple[str, ...]
    notes: tuple[str, ...] = ()


def choose_tags(campaign: str, categories: Sequence[str], plan: TagPlan) -> Tags:
    """The tags of a thread: the campaign's, those of other series and themes, the categories'."""
    blocked = {_folded(tag) for tag in plan.block}
    found: dict[str, str] = {}
    notes: list[str] = []
    declared = [(word, word) for word in (campaign, *plan.others)]
    made = [(word, camel_case(word)) for word in categories] if plan.categories else []
    for word, as_it_is in declared + made:
        tag = spelled(as_it_is, plan.spelling)
        why_not = "it is on the block list" if _folded(tag) in blocked else fault(tag)
        if why_not:
            notes.append(f"no hashtag of {word!r}: {why_not}")
        else:
            found.setdefault(_folded(tag), tag)
    tags = list(found.values())
    own = found.get(_folded(spelled(campaign, plan.spelling)))
    return Tags(own, tuple(tags[: plan.most]), tuple(tags[plan.most :]), tuple(notes))


def spelled(tag: str, spelling: Iterable[str]) -> str:
    """A tag as `spelling` has it, else as it is."""
    return next((one for one in spelling if _folded(one) == _folded(tag)), tag)


def camel_case(word: str) -> str:
    """The tag of a category such as "mental health": its capitals tell a screen reader the words.

    What cannot be of a tag stays in it, for `fault` to say.
    """
    plain = unicodedata.normalize("NFC", re.sub("['\u2019]", "", word).strip().lstrip("#\uff03"))
    words = re.sub(r"\s&\s", " and ", plain).replace("-", " ").split()
    return "".join(word[0].upper() + word[1:] for word in words)


def fault(tag: str) -> str:
    """Why some network would make no tag, or another one, of this; empty where all take it."""
    if _folded(tag) in _SAYS_NOTHING:
        return "it says nothing"
    if not any(unicodedata.category(char)[0] == "L" for char in tag):
        return "a hashtag needs a letter"
    if unicodedata.category(tag[0])[0] == "M":
        return "it begins with a mark that belongs to a letter"
    odd = next((char for char in tag if not _is_of_tags(char)), None)
    if odd is not None:
        return f"{odd!r} ends a hashtag"
    if len(graphemes(tag)) > MOST_GRAPHEMES or len(tag.encode()) > MOST_BYTES:
        return f"over {MOST_GRAPHEMES} characters"
    return ""


def into_text(text: str, tag: str) -> str | None:
    """The text with the first mention of a tag's words made the tag; None where there is none."""
    changed, count = _mention(tag).subn(f"#{tag}", text, count=1)
    return changed if count else None


def respelled(text: str, tags: Iterable[str]) -> str:
    """The text with its hashtags written as these are, where they differ in case alone."""
    known = {_folded(tag): tag for tag in tags}
    return re.sub(
        r"(?<!\S)#(\w+)", lambda found: f"#{known.get(_folded(found[1]), found[1])}", text
    )


def tags_in(text: str) -> list[str]:
    """The tags in a text that every network makes of it, without the #."""
    return [found[1] for found in _standing().finditer(text) if not fault(found[1])]


@cache
def _mention(tag: str) -> re.Pattern[str]:
    words = _words_of(tag)
    if len(words) == 1 and tag.isupper() and len(tag) < _ABBREVIATION:
        return re.compile(f"{_BEFORE}#?{re.escape(tag)}{_AFTER}")
    forms = {re.escape(tag), _PARTED.join(map(re.escape, words))}
    return re.compile(f"{_BEFORE}#?(?:{'|'.join(sorted(forms))}){_AFTER}", re.IGNORECASE)


@cache
def _standing() -> re.Pattern[str]:
    import regex  # type: ignore[import-untyped]  # it ships no types

    found: re.Pattern[str] = regex.compile(rf"{_BEFORE}#([\p{{L}}\p{{M}}\p{{Nd}}_]+){_AFTER}")
    return found


def _words_of(tag: str) -> list[str]:
    """The words of a tag in CamelCase; "NHSFunding" is of two."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\WA-Z\d_]+|[A-Z]+|\d+", tag)
    # Marks are of no class here: in scripts that write vowels so, a tag is one word.
    return words if "".join(words) == tag else [tag]


def _is_of_tags(char: str) -> bool:
    if char == "_":
        return True
    kind = unicodedata.category(char)
    return bool({kind, kind[0]} & _KINDS_OF_CHARACTERS) and not _SELECTORS.match(char)


def _folded(tag: str) -> str:
    return tag.casefold()
