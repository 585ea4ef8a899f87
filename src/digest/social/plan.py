"""Planning threads: posts that arrived become pending publications with slots, each once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from digest.errors import UsageError
from digest.picks.series import parts_of
from digest.social.choose import Asked, Shelf, candidates, choose
from digest.social.networks import NETWORKS
from digest.social.preview import refresh_preview
from digest.social.slots import Span, slots_for, zone_of
from digest.social.thread import Thread, Unthreadable, make_thread
from digest.social.wording import fill
from digest.store.memberships import ensure_memberships, load_memberships
from digest.store.posts import load_posts
from digest.store.social import (
    PlannedSnippet,
    add_thread,
    channel_since,
    load_threads,
    open_channel,
    planned_posts,
    taken_slots,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.config import Config
    from digest.social.choose import Chosen
    from digest.store.engine import Store
    from digest.store.social import ThreadRow

#: How far before its first plan a channel's posts begin where config does not say.
LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Planned:
    """A candidate of one channel: in, with its snippets and their slots (UTC), or out; and why."""

    channel: str
    post_id: int
    title: str
    reason: str
    #: "series:ipc", "theme:funding"; empty where it is of none that the channel takes.
    scope: str
    is_in: bool = False
    snippets: tuple[PlannedSnippet, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Every candidate of every channel, in the order of the slots given."""

    planned: tuple[Planned, ...]
    dry_run: bool

    @property
    def threads(self) -> tuple[Planned, ...]:
        """What is in."""
        return tuple(one for one in self.planned if one.is_in)

    def lines(self) -> list[str]:
        """The report in words, one line for each candidate."""
        return [
            f"{one.channel}: {one.title}: {'in' if one.is_in else 'out'}, {one.reason}"
            for one in self.planned
        ]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A candidate with the thread made of it, before it has slots."""

    chosen: Chosen
    thread: Thread | Unthreadable | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one planning is about."""

    config: Config
    templates: Path
    now: datetime
    shelf: Shelf
    asked: Asked
    dry_run: bool


def plan_threads(
    store: Store,
    config: Config,
    templates: Path,
    now: datetime,
    *,
    channel: str | None = None,
    series: str | None = None,
    post: int | None = None,
    dry_run: bool = False,
) -> PlanReport:
    """Plan a thread for each post that arrived and has none, on every channel or the one named.

    `series` (a slug) or `post` (an id) names the posts instead, archive included.
    However many plans run at once, a post has one thread on a channel. `dry_run` writes
    nothing. `templates` is the folder that holds `social/`. UsageError for a channel, series
    or post that does not exist, ConfigError for a template at fault.
    """
    for what, slug, declared in (
        ("channel", channel, config.channels),
        ("series", series, config.series),
    ):
        if slug is not None and slug not in declared:
            raise UsageError(f"no {what} {slug!r} in config")
    if not dry_run:
        with store.write() as c:
            ensure_memberships(c, config)
    with store.read() as c:
        shelf = _read_shelf(c, config, now)
    if post is not None and post not in shelf.posts:
        raise UsageError(f"no post {post}: `digest posts` lists them")
    plan = _Plan(config, templates, now, shelf, Asked(series, post), dry_run)
    slugs = [channel] if channel else list(config.channels)
    return PlanReport(tuple(one for slug in slugs for one in _plan(store, slug, plan)), dry_run)


def plan(
    app: App,
    *,
    channel: str | None = None,
    series: str | None = None,
    post: int | None = None,
    dry_run: bool = False,
) -> PlanReport:
    """Plan threads for a home folder, and bring the local page up to date; see `plan_threads`."""
    asked: dict[str, Any] = {"channel": channel, "series": series, "post": post}
    report = plan_threads(
        app.store, app.config, app.templates, app.clock(), **asked, dry_run=dry_run
    )
    if not dry_run:
        refresh_preview(app)
    return report


def thread_status(store: Store, *, channel: str | None = None) -> list[ThreadRow]:
    """Every thread with its publications, their states and slots, in the order of first slots."""
    with store.read() as c:
        return load_threads(c, channel)


def _plan(store: Store, slug: str, plan: _Plan) -> list[Planned]:
    """Plan one channel. Threads are made before it is locked: measuring for X is slow."""
    with store.read() as c:
        chosen = _choose(c, slug, plan)
    drafts = [_Draft(one, _thread(one, slug, plan)) for one in chosen]
    with store.read() if plan.dry_run else store.write() as c:
        if not plan.dry_run:
            open_channel(c, slug, plan.config.channels[slug].since or plan.now - LOOK_BACK)
        return list(_settle(c, slug, drafts, plan))


def _choose(c: Connection, slug: str, plan: _Plan) -> list[Chosen]:
    declared = plan.config.channels[slug].since
    since = declared or channel_since(c, slug) or plan.now - LOOK_BACK
    done = planned_posts(c, slug)
    return [
        choose(post, slug, plan.config, plan.shelf, asked=plan.asked, done=done)
        for post in candidates(plan.shelf, plan.asked, since)
    ]


def _thread(chosen: Chosen, slug: str, plan: _Plan) -> Thread | Unthreadable | None:
    channel = plan.config.channels[slug]

    def say(name: str, **values: object) -> str:
        return fill(plan.templates, f"{channel.template}/{name}.txt", **values)

    if chosen.subject is None:
        return None
    network = NETWORKS[channel.network]
    return make_thread(chosen.post, chosen.subject, network, most=channel.max_items, say=say)


def _settle(c: Connection, slug: str, drafts: Iterable[_Draft], plan: _Plan) -> Iterator[Planned]:
    """Give each thread its slots and write it; what became of each candidate."""
    taken = [Span(first, last) for first, last in taken_slots(c, slug, plan.now)]
    for draft in drafts:
        planned = _planned(slug, draft, plan, taken)
        if planned.is_in and not plan.dry_run and not _write(c, planned, plan.now):
            late = f"has a thread on {slug} since a moment ago"
            planned = replace(planned, is_in=False, reason=late, snippets=())
        if planned.is_in:
            taken.append(Span(planned.snippets[0].slot, planned.snippets[-1].slot))
        yield planned


def _planned(slug: str, draft: _Draft, plan: _Plan, taken: Iterable[Span]) -> Planned:
    chosen, thread = draft.chosen, draft.thread
    scope = chosen.subject.scope if chosen.subject else ""
    out = Planned(slug, chosen.post.id, chosen.post.title, chosen.reason, scope)
    if thread is None:
        return out
    if isinstance(thread, Unthreadable):
        return replace(out, reason=thread.reason)
    reason = "; ".join((chosen.reason, *thread.notes))
    return replace(out, is_in=True, reason=reason, snippets=_slotted(slug, thread, plan, taken))


def _slotted(
    slug: str, thread: Thread, plan: _Plan, taken: Iterable[Span]
) -> tuple[PlannedSnippet, ...]:
    channel = plan.config.channels[slug]
    zone = zone_of(channel, plan.config)
    slots = slots_for(len(thread.snippets), channel.slots, zone, plan.now, taken)
    return tuple(
        PlannedSnippet(snippet.text, snippet.measured, snippet.image, slot)
        for snippet, slot in zip(thread.snippets, slots, strict=True)
    )


def _write(c: Connection, planned: Planned, now: datetime) -> bool:
    return add_thread(
        c,
        channel=planned.channel,
        post_id=planned.post_id,
        scope=planned.scope,
        reason=planned.reason,
        snippets=planned.snippets,
        now=now,
    )


def _read_shelf(c: Connection, config: Config, now: datetime) -> Shelf:
    posts = {post.id: post for post in load_posts(c, as_of=now)}
    memberships = load_memberships(c, config)
    return Shelf(posts, memberships, parts_of(posts.values(), memberships, config))
