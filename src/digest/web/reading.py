"""What the archive says of an issue: decided from what was frozen, and from config.

Texts are one line each; a link is one of the web or none at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from digest.issues import words
from digest.issues.content import from_json
from digest.issues.links import is_web
from digest.issues.scope import parse_scope
from digest.links import issue_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from digest.config import Config, Newsletter
    from digest.issues.content import IssueContent, Item
    from digest.model import Image, Post
    from digest.store.published import PublishedIssue, PublishedLine

#: What search engines and link previews show of a description.
_DESCRIPTION_MOST = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """An issue in a list."""

    url: str
    subject: str
    #: The period in words: "16 to 22 November 2026".
    covers: str
    #: The title of the series or theme it is about; empty where it is about everything.
    about: str
    at: datetime
    #: The day it went out, in words.
    day: str
    year: int
    posts: int


@dataclass(frozen=True, slots=True)
class ShownPost:
    """A post of an issue; `url` is empty where it is no link."""

    title: str
    url: str
    excerpt: str
    #: "Part 3 of 7 of Payment by Results", one for each series it stands in.
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A part of a series, and the issue that brought it first.

    A post that was withdrawn since keeps its number, and nothing else is said of it.
    """

    number: int
    title: str
    url: str
    is_withdrawn: bool
    issue: Listed | None


def listed(config: Config, base: str, line: PublishedLine) -> Listed:
    """The issue as lists show it; `base` is what our addresses begin with."""
    newsletter = config.newsletters[line.newsletter]
    zone = config.zone_of(newsletter)
    return Listed(
        url=issue_url(base, line.newsletter, line.scope, line.period),
        subject=words.line(line.subject),
        covers=words.period_label(line.period, line.scheduled_at, str(zone)),
        about=scope_title(config, line.scope),
        at=line.at,
        day=words.day(line.at, str(zone)),
        year=line.at.astimezone(zone).year,
        posts=line.posts,
    )


def by_year(lines: Iterable[Listed]) -> list[tuple[int, list[Listed]]]:
    """Runs of one year; `lines` come newest first."""
    return [(year, list(run)) for year, run in groupby(lines, key=lambda line: line.year)]


def scope_title(config: Config, scope: str) -> str:
    """What readers know a series or theme by; its slug where config does not know it any more."""
    wanted = parse_scope(scope)
    if wanted.is_all:
        return ""
    known = config.series if wanted.kind == "series" else config.themes
    declared = known.get(wanted.slug)
    return declared.title if declared else wanted.slug


def content_of(issue: PublishedIssue) -> IssueContent:
    """What the issue brought to everybody.

    What comes late, to readers whose weekly cap had kept it back, was in an earlier issue.
    """
    content = words.in_lines(from_json(dict(issue.content)))
    news = tuple(item for item in content.items if not item.overflow)
    return replace(content, items=news or content.items)


def posts_of(content: IssueContent) -> list[ShownPost]:
    return [_shown(item) for item in content.items]


def _shown(item: Item) -> ShownPost:
    parts = tuple(f"Part {part.part} of {part.of} of {part.title}" for part in item.parts)
    return ShownPost(item.post.title, _link(item.post.url), item.post.excerpt, parts)


def parts_shown(
    config: Config, base: str, ordered: Sequence[Post], brought: Mapping[int, PublishedLine]
) -> list[ShownPart]:
    """The parts of a series in reading order."""
    return [
        ShownPart(
            number=number,
            title=words.line(post.title),
            url=_link(post.url),
            is_withdrawn=post.gone_at is not None,
            issue=listed(config, base, brought[post.id]) if post.id in brought else None,
        )
        for number, post in enumerate(ordered, 1)
    ]


def description(content: IssueContent, newsletter: Newsletter) -> str:
    """What the issue is about in a sentence: its own introduction, or else its titles.

    The introduction that config gives to every issue says nothing about this one.
    """
    introduction = content.introduction
    if words.line(introduction) in {"", words.line(newsletter.introduction)}:
        introduction = titles(content)
    return words.shorten(introduction, _DESCRIPTION_MOST)


def titles(content: IssueContent) -> str:
    return " · ".join(item.post.title for item in content.items)


def picture(content: IssueContent) -> Image | None:
    """The first picture that others can fetch."""
    pictures = (item.post.image for item in content.items)
    return next((image for image in pictures if image and is_web(image.url)), None)


def _link(url: str) -> str:
    return url if is_web(url) else ""
