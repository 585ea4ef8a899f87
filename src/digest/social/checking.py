"""Whether the templates of threads and of their page can be filled in at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from digest.errors import ConfigError
from digest.model import Part, PostLink
from digest.social.preview import page, specimen
from digest.social.wording import fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digest.config import Config
    from digest.errors import Problem


def template_problems(templates: Path, config: Config) -> list[Problem]:
    """Every fault of the channels' templates and the preview page, found by filling them in."""
    link = PostLink("Title", "https://example.org/")
    part = Part("s", "Topic", "Tag", 1, 2, "why", link, None, link)
    words: dict[str, object] = {"part": part, "topic": "Topic", "hashtag": "#Tag", "title": "Title"}
    words |= {"text": "Text.", "link": link.url, "counter": "1/2"}
    attempts: list[Callable[[], str]] = [
        partial(fill, templates, f"{kind}/{name}.txt", **words)
        for kind in sorted({channel.template for channel in config.channels.values()})
        for name in ("root", "item", "last")
    ]
    attempts.append(partial(page, [specimen(slug) for slug in config.channels], config, templates))
    return [problem for attempt in attempts for problem in _problems_of(attempt)]


def _problems_of(attempt: Callable[[], str]) -> tuple[Problem, ...]:
    try:
        attempt()
    except ConfigError as error:
        return error.problems
    return ()
