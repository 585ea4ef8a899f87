"""`digest ingest` and `digest posts`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import (
    PARTIAL,
    By,
    Home,
    Json,
    Series,
    Theme,
    finish,
    opened,
    progress,
    recorded,
    say,
    show,
    table,
    when,
)

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.feeds.refresh import RefreshReport
    from digest.issues.shelf import Shelf


def ingest(
    feed: Annotated[str | None, typer.Option("--feed", help="Only this feed.")] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Read every page again, to find edits deep in the archive."),
    ] = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Refresh the feeds: new and edited posts are stored, and sorted into series and themes.

    Example: digest ingest --feed blog
    """
    from digest.feeds.refresh import refresh_feeds
    from digest.store.memberships import ensure_memberships

    with opened(home) as app, recorded(app, "ingest", by, feed=feed, whole=whole) as run:
        fetcher = app.fetcher()
        try:
            with progress("reading feeds") as step:
                report = refresh_feeds(
                    app.store,
                    app.config,
                    fetcher,
                    app.clock(),
                    only=feed,
                    whole=whole,
                    progress=step,
                )
        finally:
            fetcher.close()
        with app.store.write() as c:
            ensure_memberships(c, app.config)
        failed = [feed for feed in report.feeds if feed.status == "failed"]
        run.counts = {
            "new": sum(feed.new for feed in report.feeds),
            "changed": sum(feed.changed for feed in report.feeds),
            "failed": len(failed),
        }
        if failed or not any(run.counts.values()):
            run.outcome = "partial" if failed else "nothing"
            told = failed or report.feeds
            run.reason = "; ".join(f"{feed.slug}: {feed.error or feed.proof}" for feed in told)
    _tell_ingest(report, as_json=as_json)
    if failed:
        finish(PARTIAL)


def _tell_ingest(report: RefreshReport, *, as_json: bool) -> None:
    if as_json:
        show({"feeds": [asdict(feed) for feed in report.feeds]})
        return
    for feed in report.feeds:
        counts = f"{feed.new} new, {feed.changed} changed"
        say(f"{feed.slug}: {feed.status}, {counts}. {feed.error or feed.proof}")
        for problem in feed.problems:
            say(f"  {problem}")


def posts(
    series: Series = None,
    theme: Theme = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List posts with their series and themes, and why they are in them.

    Example: digest posts --series pbr
    """
    from digest.issues.scope import make_scope
    from digest.issues.shelf import read_shelf
    from digest.store.memberships import ensure_memberships

    with opened(home) as app:
        scope = make_scope(app.config, series, theme)
        with app.store.write() as c:
            ensure_memberships(c, app.config)
        with app.store.read() as c:
            shelf = read_shelf(c, app.config)
        listed = [_line(shelf, post_id) for post_id in _ordered(shelf, scope.kind, scope.slug)]
        if as_json:
            show(listed)
        else:
            _tell_posts(app, listed)


def _ordered(shelf: Shelf, kind: str, slug: str) -> list[int]:
    """Newest first; a series in its reading order."""
    newest = sorted(shelf.posts, key=lambda n: (shelf.posts[n].published, n), reverse=True)
    if kind == "all":
        return newest
    group = f"{kind}:{slug}"
    members = [n for n in newest if group in shelf.candidate(n).groups]
    if kind == "theme":
        return members
    numbers = {n: part.part for n in members for part in shelf.parts[n] if part.slug == slug}
    return sorted(members, key=lambda n: numbers[n])


def _line(shelf: Shelf, post_id: int) -> dict[str, Any]:
    post = shelf.posts[post_id]
    return {
        "id": post.id,
        "guid": post.guid,
        "url": post.url,
        "title": post.title,
        "published": post.published,
        "series": [
            {"slug": part.slug, "part": part.part, "of": part.of, "why": part.why}
            for part in shelf.parts.get(post_id, ())
        ],
        "themes": [
            {"slug": m.slug, "why": m.why}
            for m in shelf.memberships.get(post_id, ())
            if m.kind == "theme"
        ],
    }


def _tell_posts(app: App, listed: list[dict[str, Any]]) -> None:
    rows = []
    for line in listed:
        series = ", ".join(f"{s['slug']} {s['part']}/{s['of']}" for s in line["series"])
        themes = ", ".join(theme["slug"] for theme in line["themes"])
        day = when(line["published"], app.config)[4:15]
        rows.append((str(line["id"]), day, line["title"][:60], series or "-", themes or "-"))
    table(rows, ("id", "published", "title", "series", "themes"))
    say(f"{len(rows)} posts.")


def add_to(app: typer.Typer) -> None:
    app.command()(ingest)
    app.command()(posts)
