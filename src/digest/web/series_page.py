"""The desk's pages of series: their parts in order, where each went, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.issues.shelf import read_shelf
from digest.picks.gaps import backwards, numbering, out_of_turn, spans
from digest.picks.match import match
from digest.store import series_view as store
from digest.web.frame import desk_page
from digest.web.routing import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.config import Config, Series
    from digest.issues.shelf import Shelf
    from digest.model import Post
    from digest.store.series_view import Followers, InIssue, InThread
    from digest.web.pages import Web

_WEEKS_FROM, _MONTHS_FROM, _YEARS_FROM = 14, 70, 730


@dataclass(frozen=True, slots=True)
class PartLine:
    """A part of a series, and where it went."""

    part: int
    post: Post
    why: str
    issues: Sequence[InIssue]
    threads: Sequence[InThread]


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A series as it stands."""

    slug: str
    series: Series
    lines: Sequence[PartLine]
    #: A sentence each.
    gaps: Sequence[str]
    followers: int
    latest: Post | None


@dataclass(frozen=True, slots=True)
class ThemeView:
    """A theme as it stands."""

    slug: str
    title: str
    hashtag: str
    posts: int
    followers: int
    latest: Post | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the store knows of the posts in question."""

    shelf: Shelf
    issues: Mapping[int, Sequence[InIssue]]
    threads: Mapping[int, Sequence[InThread]]
    followers: Followers


def list_page(web: Web, request: Request) -> Response:
    """Every series and theme."""
    app = web.current()
    found = _read(web)
    return desk_page(
        web,
        request,
        "desk/series.html",
        "series",
        series=[view_of(app.config, slug, found) for slug in app.config.series],
        themes=[_theme(app.config, slug, found) for slug in app.config.themes],
        everything=found.followers.everything,
        ago=lambda at: ago(app.clock(), at),
    )


def one_page(web: Web, request: Request) -> Response:
    """One series with all of its parts."""
    app, slug = web.current(), request.path_params["slug"]
    series = app.config.series.get(slug)
    if series is None:
        raise HTTPException(404, "No series of that name stands in config.")
    found = _read(web, slug)
    return desk_page(
        web,
        request,
        "desk/series_one.html",
        "series",
        view=view_of(app.config, slug, found),
        excluded=_excluded(series, found.shelf.posts.values()),
        everything=found.followers.everything,
        ago=lambda at: ago(app.clock(), at),
    )


def _read(web: Web, slug: str | None = None) -> _Found:
    app = web.current()
    with app.store.read() as c:
        shelf = read_shelf(c, app.config)
        wanted = [
            post_id
            for post_id, parts in shelf.parts.items()
            if slug is None or any(part.slug == slug for part in parts)
        ]
        issues, threads = store.issues_of(c, wanted), store.threads_of(c, wanted)
        return _Found(shelf, issues, threads, store.followers(c))


# --- what there is to say ----------------------------------------------------------------------


def view_of(config: Config, slug: str, found: _Found) -> SeriesView:
    """A series with its parts in reading order."""
    in_order = sorted(
        (part.part, post_id, part.why)
        for post_id, parts in found.shelf.parts.items()
        for part in parts
        if part.slug == slug
    )
    lines = [
        PartLine(
            part,
            found.shelf.posts[post_id],
            why,
            found.issues.get(post_id, ()),
            found.threads.get(post_id, ()),
        )
        for part, post_id, why in in_order
    ]
    return SeriesView(
        slug=slug,
        series=config.series[slug],
        lines=lines,
        gaps=[*_in_the_run(lines), *_on_the_way(config, slug, lines)],
        followers=found.followers.chosen.get(f"series:{slug}", 0),
        latest=_latest(line.post for line in lines),
    )


def _in_the_run(lines: Sequence[PartLine]) -> Iterable[str]:
    """What is odd about the run of parts itself."""
    parts = [line.post for line in lines]
    numbers = numbering(part.title for part in parts)
    if numbers.missing:
        yield f"By their titles there is no part {spans(numbers.missing)}."
    if numbers.doubled:
        yield f"More than one title says that it is part {spans(numbers.doubled)}."
    for before, after in backwards(parts):
        yield f"The title that says {before} stands before the one that says {after}."
    for place in out_of_turn(parts):
        yield f"Part {place} was published after part {place + 1}: config orders them so."
    if gone := [line.part for line in lines if line.post.gone_at]:
        yield f"{_parts(gone)} gone from the blog."


def _on_the_way(config: Config, slug: str, lines: Sequence[PartLine]) -> Iterable[str]:
    """What never reached anybody."""
    unmailed = [line.part for line in lines if not any(one.mailed for one in line.issues)]
    if unmailed:
        yield f"Never mailed in any issue: {_of(unmailed, lines)}."
    for channel, declared in config.channels.items():
        takes = declared.series == "all" or slug in declared.series
        unposted = [
            line.part
            for line in lines
            if not any(one.channel == channel and one.alive for one in line.threads)
        ]
        if takes and unposted:
            yield f"Neither out nor planned on {channel}: {_of(unposted, lines)}."


def _of(parts: Sequence[int], lines: Sequence[PartLine]) -> str:
    if len(parts) == len(lines):
        return "none of it yet"
    return f"{'part' if len(parts) == 1 else 'parts'} {spans(parts)}"


def _parts(parts: Sequence[int]) -> str:
    return f"Part {spans(parts)} is" if len(parts) == 1 else f"Parts {spans(parts)} are"


def _excluded(series: Series, posts: Iterable[Post]) -> list[tuple[Post, str, str]]:
    """Posts that fit the series and are kept out by its config, newest first, with both reasons."""
    # The rules that keep out are few, and most often none: they are asked first.
    kept_out = ((post, match(post, series.exclude)) for post in posts)
    found = [
        (post, why, out) for post, out in kept_out if out and (why := match(post, series.match))
    ]
    return sorted(found, key=lambda each: each[0].published, reverse=True)


def _theme(config: Config, slug: str, found: _Found) -> ThemeView:
    theme = config.themes[slug]
    posts = [
        found.shelf.posts[post_id]
        for post_id, memberships in found.shelf.memberships.items()
        if post_id in found.shelf.posts
        and any((one.kind, one.slug) == ("theme", slug) for one in memberships)
    ]
    chosen = found.followers.chosen.get(f"theme:{slug}", 0)
    return ThemeView(slug, theme.title, theme.hashtag, len(posts), chosen, _latest(posts))


def _latest(posts: Iterable[Post]) -> Post | None:
    return max(posts, key=lambda post: post.published, default=None)


def ago(now: datetime, moment: datetime) -> str:
    """How long ago, for people: "today", "9 days ago", "3 months ago"."""
    days = (now - moment).days
    if days < 1:
        return "today" if days == 0 else "in the future"
    for least, length, word in (
        (_YEARS_FROM, 365, "year"),
        (_MONTHS_FROM, 30, "month"),
        (_WEEKS_FROM, 7, "week"),
        (1, 1, "day"),
    ):
        if days >= least:
            count = days // length
            return f"{count} {word}{'s' * (count > 1)} ago"
    raise AssertionError(days)


PAGES: tuple[Page, ...] = (
    Page("/desk/series", "series and themes", list_page, looks="viewer"),
    Page("/desk/series/{slug}", "one series", one_page, looks="viewer"),
)
