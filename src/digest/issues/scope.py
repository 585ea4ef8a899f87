"""What an issue covers: "all", "series:ipc" or "theme:funding"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digest.config import Config, Series, Theme


@dataclass(frozen=True, slots=True)
class Scope:
    """`kind` is "all", "series" or "theme"; `slug` is empty for "all"."""

    kind: str
    slug: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.slug}" if self.slug else self.kind

    @property
    def is_all(self) -> bool:
        return self.kind == "all"

    def declared(self, config: Config) -> Series | Theme | None:
        """The series or theme in scope, or None for "all".

        Raises UsageError where config does not know it any more.
        """
        if self.is_all:
            return None
        known: Mapping[str, Series | Theme]
        known = config.series if self.kind == "series" else config.themes
        if self.slug not in known:
            raise UsageError(f"the {self.kind} {self.slug!r} stands in config no more")
        return known[self.slug]


ALL = Scope("all")


def make_scope(config: Config, series: str | None, theme: str | None) -> Scope:
    """The scope of a command's options. Raises UsageError naming what is allowed."""
    if series and theme:
        raise UsageError("choose a series or a theme, not both")
    for kind, slug, known in (("series", series, config.series), ("theme", theme, config.themes)):
        if slug and slug not in known:
            raise UsageError(f"no {kind} {slug!r}; there are: {', '.join(sorted(known))}")
        if slug:
            return Scope(kind, slug)
    return ALL


def issue_name(newsletter: str, scope: str, period: str) -> str:
    """How people call an issue: "weekly 2026-W47", "weekly series:ipc 2026-W47"."""
    return " ".join((newsletter, *(() if scope == str(ALL) else (scope,)), period))


def parse_scope(text: str) -> Scope:
    """A scope as `str()` wrote it."""
    kind, _, slug = text.partition(":")
    return Scope(kind, slug)
