"""Whether the templates of threads and of their page can be filled in at all."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from digest.errors import ConfigError, Problem
from digest.model import Part, PostLink
from digest.social.preview import page, specimen
from digest.social.wording import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from digest.config import Config
    from digest.config_social import Channel

_LINK = PostLink("Title", "https://example.org/")
#: What a template is given, with all there can be in it, and with as little as there can be.
_FULL: dict[str, object] = {
    "title": "Title",
    "text": "Text.",
    "topic": "Topic",
    "part": Part("s", "Topic", "Tag", 1, 2, "why", _LINK, None, _LINK),
    "published": datetime(2026, 1, 5, 9, tzinfo=UTC),
    "link": _LINK.url,
    "counter": "1/2",
    "more": True,
    "tags": "#Tag",
}
_BARE = _FULL | {"part": None, "link": "", "counter": "", "more": False, "tags": "", "text": ""}


def template_problems(templates: Path, config: Config) -> list[Problem]:
    """Every fault of the channels' templates and the preview page, found by filling them in."""
    missing = list(dict.fromkeys(_missing(templates, config)))
    absent = {problem.file.removeprefix("templates/social/") for problem in missing}
    wanted = {n for channel in config.channels.values() for n in _names(channel)}
    names = sorted(n for n in wanted if n not in absent and n.split("/")[0] not in absent)
    attempts: list[Callable[[], str]] = [
        partial(fill, templates, name, **words) for name in names for words in (_FULL, _BARE)
    ]
    attempts.append(partial(page, [specimen(slug) for slug in config.channels], config, templates))
    found = [problem for attempt in attempts for problem in _problems_of(attempt)]
    found = [*missing, *dict.fromkeys(found)]
    return found or list(_same_again(templates, names))


def _missing(templates: Path, config: Config) -> Iterator[Problem]:
    """Whole folders, and words for repeats, that channels ask for and nobody has written."""
    folder = templates / "social"
    for slug, channel in config.channels.items():
        threaded = any(name.startswith(f"{channel.template}/root") for name in _names(channel))
        if threaded and not (folder / channel.template).is_dir():
            there = ", ".join(sorted(path.parent.name for path in folder.glob("*/root.txt")))
            yield Problem(
                f"templates/social/{channel.template}",
                "",
                f"missing; channels.{slug}.template names it: make it with root.txt, item.txt"
                f" and last.txt, or name one of: {there or 'none is there'}",
            )
        most = channel.evergreen.most_repeats if channel.evergreen else 0
        for number in range(1, most + 1):
            if not (folder / "again" / f"{number}.txt").is_file():
                yield Problem(
                    f"templates/social/again/{number}.txt",
                    "",
                    f"missing; channels.{slug}.evergreen.most_repeats is {most}: write it,"
                    f" or repeat {number - 1} times at most",
                )


def _names(channel: Channel) -> Iterator[str]:
    forms = {channel.form, *channel.forms.values()}
    if forms != {"snippet"}:
        yield from (f"{channel.template}/{name}.txt" for name in ("root", "item", "last"))
    if "snippet" in forms:
        yield "snippet/only.txt"
    if channel.evergreen:
        yield from (f"again/{n}.txt" for n in range(1, channel.evergreen.most_repeats + 1))


def _same_again(templates: Path, names: list[str]) -> Iterator[Problem]:
    """X refuses a text that it has had: each repeat needs words of its own."""
    seen: dict[str, str] = {}
    for name in (name for name in names if name.startswith("again/")):
        other = seen.setdefault(fill(templates, name, **_FULL), name)
        if other != name:
            message = f"says the same as templates/social/{other}: X refuses a text twice"
            yield Problem(f"templates/social/{name}", "", message)


def _problems_of(attempt: Callable[[], str]) -> tuple[Problem, ...]:
    try:
        attempt()
    except ConfigError as error:
        return error.problems
    return ()
