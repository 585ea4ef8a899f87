"""What a reader may choose, checked against what is declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from digest.config import Config
    from digest.model import Interests


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field of what was asked for, and how to cure it."""

    field: str
    message: str
    cure: str


def choice_faults(config: Config, newsletter: str, interests: Interests) -> list[Fault]:
    """Every name that is not declared; the field is "newsletters", "series" or "themes"."""
    pairs = [group.partition(":")[::2] for group in interests.chosen]
    return [
        *_unknown("newsletters", "newsletter", [newsletter], config.newsletters),
        *_unknown("series", "kind of interest", (kind for kind, _ in pairs), ("series", "theme")),
        *_unknown("series", "series", _of("series", pairs), config.series),
        *_unknown("themes", "theme", _of("theme", pairs), config.themes),
    ]


def _of(kind: str, pairs: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (slug for found, slug in pairs if found == kind)


def _unknown(
    field: str, word: str, slugs: Iterable[str], declared: Collection[str]
) -> Iterator[Fault]:
    allowed = ", ".join(sorted(declared)) or "none is declared"
    for slug in slugs:
        if slug not in declared:
            yield Fault(field, f'there is no {word} "{slug}"', f"allowed: {allowed}")
