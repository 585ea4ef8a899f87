"""Whether a post fits a declared matcher, and the true reason in an editor's words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from digest.picks.fold import fold, plain, url_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from digest.config import Matcher
    from digest.model import Post


@dataclass(frozen=True, slots=True)
class _Rules:
    """A matcher made ready; each mapping leads from the comparable form to the declared one."""

    urls: frozenset[str]
    categories: frozenset[str]
    titles: tuple[re.Pattern[str], ...]
    hashtags: Mapping[str, str]
    any_hashtag: re.Pattern[str] | None
    phrases: Mapping[str, str]
    any_phrase: re.Pattern[str] | None


def match(post: Post, matcher: Matcher) -> str | None:
    """Why the post fits, by the most deliberate rule first; None where it does not fit."""
    rules = _compile(matcher)
    return (
        _by_url(post, rules)
        or _by_category(post, rules)
        or _by_title(post, rules)
        or _by_hashtag(post, rules)
        or _by_phrase(post, rules)
    )


def _by_url(post: Post, rules: _Rules) -> str | None:
    named = rules.urls and not rules.urls.isdisjoint((url_key(post.url), url_key(post.guid)))
    return "named by its URL" if named else None


def _by_category(post: Post, rules: _Rules) -> str | None:
    for category in post.categories:
        if rules.categories and _category_key(category) in rules.categories:
            return f"category “{plain(category)}”"
    return None


def _by_title(post: Post, rules: _Rules) -> str | None:
    for pattern in rules.titles:
        # As written and as typed: a declared ' may stand for a curly quote, or be one.
        if found := pattern.search(post.title) or pattern.search(plain(post.title)):
            return f"title matches “{found[0] or pattern.pattern}”"
    return None


def _by_hashtag(post: Post, rules: _Rules) -> str | None:
    if rules.any_hashtag is None:
        return None
    for text, where in ((post.title, "title"), (post.text, "text")):
        if found := rules.any_hashtag.search(fold(text)):
            return f"hashtag #{rules.hashtags[found[1]]} in the {where}"
    return None


def _by_phrase(post: Post, rules: _Rules) -> str | None:
    found = rules.any_phrase and rules.any_phrase.search(fold(post.text))
    return f"text says “{rules.phrases[found[1]]}”" if found else None


@lru_cache(maxsize=256)
def _compile(matcher: Matcher) -> _Rules:
    hashtags = {fold(tag): tag for tag in matcher.hashtags}
    phrases = {fold(phrase): phrase for phrase in matcher.phrases}
    return _Rules(
        urls=frozenset(map(url_key, matcher.urls)),
        categories=frozenset(map(_category_key, matcher.categories)),
        titles=tuple(re.compile(pattern, re.IGNORECASE) for pattern in matcher.titles),
        hashtags=hashtags,
        # A whole tag: not the fragment of an address, nor the beginning of a longer tag.
        any_hashtag=_any_of(hashtags, r"(?<![\w&#/])#({})(?!\w)"),
        phrases=phrases,
        any_phrase=_any_of(phrases, r"(?<!\w)({})(?!\w)"),
    )


def _any_of(texts: Iterable[str], around: str) -> re.Pattern[str] | None:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(around.format("|".join(map(re.escape, longest_first)))) if texts else None


def _category_key(category: str) -> str:
    return fold(category).removeprefix("#")
