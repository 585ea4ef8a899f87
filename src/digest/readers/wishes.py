"""What a sign-up asks for, and what of it can be had today: pure, of wishes and config."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.config import rhythm_of, rhythms_of
from digest.model import Interests, Rhythm
from digest.readers.changes import offered_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from digest.config import Config, Series, Theme


@dataclass(frozen=True, slots=True)
class Wish:
    """One newsletter of a sign-up."""

    newsletter: str
    interests: Interests
    rhythm: Rhythm


@dataclass(frozen=True, slots=True)
class WishInWords:
    """A wish as people read it."""

    newsletter: str
    #: "Funding (#Funding)", each; empty for everything.
    interests: tuple[str, ...]
    rhythm: str


#: As they follow a newsletter's title.
RHYTHM_WORDS = {
    Rhythm.EACH_POST: "each post as it appears",
    Rhythm.WEEKLY: "once a week",
    Rhythm.MONTHLY: "once a month",
}


def as_offered(config: Config, wishes: Iterable[Wish]) -> tuple[tuple[Wish, ...], tuple[str, ...]]:
    """What of the wishes can be had today, and the newsletters that cannot.

    Config may have changed since the form was shown: a series that is gone is left out, and a
    rhythm that a newsletter does not offer becomes its own.
    """
    kept, gone = [], []
    for wish in wishes:
        found = _as_offered(config, wish)
        if found is None:
            gone.append(wish.newsletter)
        else:
            kept.append(found)
    return tuple(kept), tuple(gone)


def _as_offered(config: Config, wish: Wish) -> Wish | None:
    newsletter = config.newsletters.get(wish.newsletter)
    if newsletter is None:
        return None
    offered = offered_groups(config, wish.newsletter)
    chosen = tuple(group for group in wish.interests.chosen if group in offered)
    if wish.interests.chosen and not chosen:
        return None
    known = wish.rhythm in rhythms_of(newsletter)
    rhythm = wish.rhythm if known else rhythm_of(newsletter)
    return Wish(wish.newsletter, Interests(chosen), rhythm)


def groups(config: Config) -> dict[str, str]:
    """Every series and theme, as people read it: "Funding (#Funding)"."""
    series = {f"series:{slug}": _named(one) for slug, one in config.series.items()}
    return series | {f"theme:{slug}": _named(one) for slug, one in config.themes.items()}


def _named(declared: Series | Theme) -> str:
    title, tag = declared.title, declared.hashtag
    return (
        title if title.casefold() in {tag.casefold(), f"#{tag.casefold()}"} else f"{title} (#{tag})"
    )


def in_words(config: Config, wishes: Iterable[Wish]) -> list[WishInWords]:
    """Wishes that can be had, as people read them."""
    names = groups(config)
    return [
        WishInWords(
            config.newsletters[wish.newsletter].title,
            tuple(names[group] for group in wish.interests.chosen),
            RHYTHM_WORDS[wish.rhythm],
        )
        for wish in wishes
    ]


def fingerprint(wishes: Sequence[Wish], text: str) -> str:
    """Equal where the same wishes and the same words were shown."""
    rows = [(wish.newsletter, wish.interests.key, str(wish.rhythm)) for wish in wishes]
    return hashlib.sha256(json.dumps([rows, text]).encode()).hexdigest()[:32]
