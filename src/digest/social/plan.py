"""Planning threads: posts that arrived become pending publications with slots, each once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from digest.errors import UsageError
from digest.social.choose import Asked, Chosen, candidates, choose
from digest.social.drafting import Planning, draft
from digest.social.making import Maker, shelf_of
from digest.social.placing import ground_of, place
from digest.social.planned import PlanReport
from digest.social.preview import refresh_preview
from digest.social.rotation import rotate
from digest.store.memberships import ensure_memberships, load_memberships
from digest.store.posts import load_posts, load_stored
from digest.store.social import channel_since, load_threads, open_channel, planned_posts

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.config import Config
    from digest.social.planned import Planned
    from digest.store.engine import Store
    from digest.store.social import ThreadRow

#: How far before its first plan a channel's posts begin where config does not say.
LOOK_BACK = timedelta(days=7)


def plan_threads(
    store: Store,
    maker: Maker,
    now: datetime,
    *,
    channel: str | None = None,
    series: str | None = None,
    post: int | None = None,
    repeat: bool = False,
    dry_run: bool = False,
) -> PlanReport:
    """Plan a thread for each post that arrived and has none, on every channel or the one named.

    `series` (a slug) or `post` (an id) names the posts instead, archive included; with
    `repeat` they go out again. Where nothing is named, rotation may bring an old post back.
    However many plans run at once, a post has one thread on a channel. `dry_run` writes
    nothing. UsageError for a channel, series or post that does not exist, ConfigError for a
    template at fault.
    """
    _check(maker.config, channel, series)
    if repeat and series is None and post is None:
        raise UsageError("say which post or series is to be repeated")
    asked = Asked(series, post, repeat)
    plan = _planning(store, maker, now, asked, dry_run=dry_run)
    if post is not None and post not in plan.shelf.posts:
        raise UsageError(f"no post {post}: `digest posts` lists them")
    planned: list[Planned] = []
    silent: dict[str, str] = {}
    for slug in [channel] if channel else maker.config.channels:
        of_channel, why_silent = _plan(store, slug, plan)
        planned += of_channel
        if why_silent:
            silent[slug] = why_silent
    return PlanReport(tuple(planned), dry_run, silent)


def plan(
    app: App,
    *,
    channel: str | None = None,
    series: str | None = None,
    post: int | None = None,
    repeat: bool = False,
    dry_run: bool = False,
) -> PlanReport:
    """Plan threads for a home folder, and bring the local page up to date; see `plan_threads`."""
    _check(app.config, channel, series)
    asked: dict[str, Any] = {"channel": channel, "series": series, "post": post, "repeat": repeat}
    report = plan_threads(app.store, maker_of(app), app.clock(), **asked, dry_run=dry_run)
    if not dry_run:
        refresh_preview(app)
    return report


def maker_of(app: App) -> Maker:
    """What the home folder makes threads with; asks instances for their limits once a day."""
    known = {slug: app.limits(slug) for slug in app.config.channels}
    limits = {slug: one for slug, one in known.items() if one is not None}
    return Maker(app.config, app.templates, limits)


def thread_status(store: Store, *, channel: str | None = None) -> list[ThreadRow]:
    """Every thread with its publications, their states and slots, in the order of first slots."""
    with store.read() as c:
        return load_threads(c, channel)


def _check(config: Config, channel: str | None, series: str | None) -> None:
    for what, slug, declared in (
        ("channel", channel, config.channels),
        ("series", series, config.series),
    ):
        if slug is not None and slug not in declared:
            allowed = ", ".join(declared) or "none is configured"
            raise UsageError(f"no {what} {slug!r}; there are: {allowed}")


def _planning(
    store: Store, maker: Maker, now: datetime, asked: Asked, *, dry_run: bool
) -> Planning:
    if not dry_run:
        with store.write() as c:
            ensure_memberships(c, maker.config)
    with store.read() as c:
        posts = load_posts(c, as_of=now)
        shelf = shelf_of(posts, load_memberships(c, maker.config), maker.config)
        hashes = {p: one.content_hash for p, one in load_stored(c, list(shelf.posts)).items()}
    return Planning(maker, now, shelf, hashes, asked, dry_run)


def _plan(store: Store, slug: str, plan: Planning) -> tuple[list[Planned], str]:
    """Plan one channel; what became of each candidate, and why rotation is silent.

    Threads are made before the channel is locked: measuring for X is slow.
    """
    with store.read() as c:
        chosen = _choose(c, slug, plan)
    drafts = [draft(one, slug, plan) for one in chosen]
    with store.read() if plan.dry_run else store.write() as c:
        if not plan.dry_run:
            open_channel(c, slug, plan.channel(slug).since or plan.now - LOOK_BACK)
        ground = ground_of(c, slug, plan.now)
        planned = [place(c, one, plan, ground) for one in drafts]
        if plan.asked != Asked() or plan.channel(slug).evergreen is None:
            return planned, ""
        turn = rotate(c, slug, plan, ground)
        return [*planned, *turn.planned], turn.silent


def _choose(c: Connection, slug: str, plan: Planning) -> list[Chosen]:
    channel = plan.channel(slug)
    since = channel.since or channel_since(c, slug) or plan.now - LOOK_BACK
    done = planned_posts(c, slug)
    config = plan.maker.config
    return [
        choose(post, slug, config, plan.shelf, asked=plan.asked, done=done)
        for post in candidates(plan.shelf, plan.asked, since, channel)
    ]
