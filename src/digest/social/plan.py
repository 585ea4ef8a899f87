"""Planning threads: posts that arrived become pending publications with slots, each once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from digest.errors import UsageError
from digest.social.choose import Asked, Chosen, candidates, choose
from digest.social.evergreen import NotNow, bring_back, is_on_day
from digest.social.making import Maker, shelf_of
from digest.social.money import Cost, cost_of, in_words, link_hint
from digest.social.preview import refresh_preview
from digest.social.slots import Span, pause_note, slots_for, zone_of
from digest.social.thread import Thread, Unthreadable
from digest.store.memberships import ensure_memberships, load_memberships
from digest.store.posts import load_posts, load_stored
from digest.store.social import (
    NewThread,
    PlannedSnippet,
    add_thread,
    channel_since,
    last_brought,
    last_standing,
    load_threads,
    news_on,
    open_channel,
    planned_posts,
    taken_slots,
    was_said,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.config_social import Channel
    from digest.social.choose import Shelf
    from digest.store.engine import Store
    from digest.store.social import ThreadRow

#: How far before its first plan a channel's posts begin where config does not say.
LOOK_BACK = timedelta(days=7)
#: So long ago something new may have gone out on the day of a slot, wherever the clocks are.
_A_DAY = timedelta(days=2)


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
    form: str = "thread"
    #: 0, or which time it is brought back.
    repeat: int = 0
    evergreen: bool = False
    #: What a snippet may measure, and in what.
    limit: int = 0
    unit: str = ""
    #: In words; empty where the channel costs nothing.
    cost: str = ""
    #: The links that the network sees: the position of the snippet, and the link.
    links: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Every candidate of every channel, in the order of the slots given."""

    planned: tuple[Planned, ...]
    dry_run: bool
    #: By channel, why rotation brings no old post back.
    silent: Mapping[str, str]

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
class _Ground:
    """What stands on a channel already; grows with each thread that is given its slots."""

    taken: list[Span]
    #: By scope, the newest thread of each standing one (None in a dry run) and its last slot.
    ends: dict[str, tuple[int | None, datetime]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one planning is about."""

    maker: Maker
    now: datetime
    shelf: Shelf
    hashes: Mapping[int, str]
    asked: Asked
    dry_run: bool

    def channel(self, slug: str) -> Channel:
        return self.maker.config.channels[slug]


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
    config = maker.config
    for what, slug, declared in (
        ("channel", channel, config.channels),
        ("series", series, config.series),
    ):
        if slug is not None and slug not in declared:
            raise UsageError(f"no {what} {slug!r} in config")
    if repeat and series is None and post is None:
        raise UsageError("say which post or series is to be repeated")
    if not dry_run:
        with store.write() as c:
            ensure_memberships(c, config)
    with store.read() as c:
        posts = load_posts(c, as_of=now)
        shelf = shelf_of(posts, load_memberships(c, config), config)
        hashes = {p: one.content_hash for p, one in load_stored(c, list(shelf.posts)).items()}
    if post is not None and post not in shelf.posts:
        raise UsageError(f"no post {post}: `digest posts` lists them")
    plan = _Plan(maker, now, shelf, hashes, Asked(series, post, repeat), dry_run)
    silent: dict[str, str] = {}
    slugs = [channel] if channel else list(config.channels)
    planned = tuple(one for slug in slugs for one in _plan(store, slug, plan, silent))
    return PlanReport(planned, dry_run, silent)


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


def slotted(maker: Maker, thread: Thread, slots: Iterable[datetime]) -> tuple[PlannedSnippet, ...]:
    """The snippets of a thread with their slots."""
    language = maker.config.site.language
    return tuple(
        PlannedSnippet(
            snippet.text,
            snippet.measured,
            snippet.image,
            slot,
            snippet.card,
            snippet.tags,
            language,
        )
        for snippet, slot in zip(thread.snippets, slots, strict=True)
    )


def _plan(store: Store, slug: str, plan: _Plan, silent: dict[str, str]) -> list[Planned]:
    """Plan one channel. Threads are made before it is locked: measuring for X is slow."""
    with store.read() as c:
        chosen = _choose(c, slug, plan)
    drafts = [_Draft(one, _thread(one, slug, plan)) for one in chosen]
    with store.read() if plan.dry_run else store.write() as c:
        if not plan.dry_run:
            open_channel(c, slug, plan.channel(slug).since or plan.now - LOOK_BACK)
        planned = list(_settle(c, slug, drafts, plan))
        if plan.asked == Asked() and plan.channel(slug).evergreen:
            planned += _bring_back(c, slug, plan, planned, silent)
        return planned


def _choose(c: Connection, slug: str, plan: _Plan) -> list[Chosen]:
    channel = plan.channel(slug)
    since = channel.since or channel_since(c, slug) or plan.now - LOOK_BACK
    done = planned_posts(c, slug)
    config = plan.maker.config
    return [
        choose(post, slug, config, plan.shelf, asked=plan.asked, done=done)
        for post in candidates(plan.shelf, plan.asked, since, channel)
    ]


def _thread(chosen: Chosen, slug: str, plan: _Plan) -> Thread | Unthreadable | None:
    if chosen.subject is None:
        return None
    return plan.maker.make(chosen.post, chosen.subject, slug, plan.shelf, repeat=chosen.repeat)


def _settle(c: Connection, slug: str, drafts: Iterable[_Draft], plan: _Plan) -> Iterator[Planned]:
    """Give each thread its slots and write it; what became of each candidate."""
    taken = [Span(first, last) for first, last in taken_slots(c, slug, plan.now)]
    ground = _Ground(taken, {})
    for draft in drafts:
        planned = _planned(slug, draft, plan)
        if planned.is_in:
            yield _placed(c, planned, draft, plan, ground)
        else:
            yield planned


def _planned(slug: str, draft: _Draft, plan: _Plan) -> Planned:
    """What is made of a candidate, without slots yet."""
    chosen, thread = draft.chosen, draft.thread
    scope = chosen.subject.scope if chosen.subject else ""
    out = Planned(slug, chosen.post.id, chosen.post.title, chosen.reason, scope)
    if thread is None:
        return out
    if isinstance(thread, Unthreadable):
        return replace(out, reason=thread.reason)
    network, channel = plan.maker.network(slug), plan.channel(slug)
    texts = [snippet.text for snippet in thread.snippets]
    pictures = sum(snippet.image is not None for snippet in thread.snippets)
    cost = cost_of(texts, pictures, channel.price_list)
    hint = link_hint(len(texts), pictures, channel.price_list) if channel.link == "every" else None
    return replace(
        out,
        is_in=True,
        reason="; ".join((chosen.reason, *thread.notes, *([hint] if hint else []))),
        form=chosen.form or "thread",
        repeat=chosen.repeat,
        limit=network.limit,
        unit=network.unit,
        **_money(cost),
    )


def _money(cost: Cost) -> dict[str, Any]:
    return {"cost": in_words(cost) if cost.total else "", "links": cost.links}


def _placed(
    c: Connection,
    planned: Planned,
    draft: _Draft,
    plan: _Plan,
    ground: _Ground,
) -> Planned:
    """Give a thread its slots, behind the one it goes on from, and write it."""
    slug, scope = planned.channel, planned.scope
    stands = planned.form == "standing" and not planned.repeat
    tail = (ground.ends.get(scope) or last_standing(c, slug, scope)) if stands else None
    # Its place is behind what it goes on from.
    begin = max(plan.now, tail[1]) if tail else plan.now
    placed = _slotted(planned, draft, plan, begin, ground.taken)
    thread_id = None
    if not plan.dry_run:
        thread_id = add_thread(c, _new(placed, tail[0] if tail else None, plan), plan.now)
        if thread_id is None:
            late = f"has a thread on {slug} since a moment ago"
            return replace(planned, is_in=False, reason=late)
    ground.taken.append(Span(placed.snippets[0].slot, placed.snippets[-1].slot))
    if stands:
        ground.ends[scope] = (thread_id, placed.snippets[-1].slot)
    return placed


def _slotted(
    planned: Planned, draft: _Draft, plan: _Plan, begin: datetime, taken: Iterable[Span]
) -> Planned:
    assert isinstance(draft.thread, Thread)
    channel = plan.channel(planned.channel)
    zone = zone_of(channel, plan.maker.config)
    at_once = channel.goes_at_once
    count = len(draft.thread.snippets)
    slots = slots_for(count, channel.slots, zone, begin, taken, at_once=at_once)
    note = pause_note(slots, channel.slots, at_once=at_once)
    snippets = slotted(plan.maker, draft.thread, slots)
    reason = f"{planned.reason}; {note}" if note else planned.reason
    return replace(planned, reason=reason, snippets=snippets)


def _new(planned: Planned, after_id: int | None, plan: _Plan) -> NewThread:
    return NewThread(
        channel=planned.channel,
        post_id=planned.post_id,
        scope=planned.scope,
        reason=planned.reason,
        snippets=planned.snippets,
        form="snippet" if planned.repeat else planned.form,
        repeat=planned.repeat,
        evergreen=planned.evergreen,
        after_id=after_id,
        post_hash=plan.hashes.get(planned.post_id),
    )


def _bring_back(
    c: Connection, slug: str, plan: _Plan, planned: list[Planned], silent: dict[str, str]
) -> list[Planned]:
    """An old post whose turn it is in rotation; why none, in `silent`."""
    channel = plan.channel(slug)
    zone = zone_of(channel, plan.maker.config)
    taken = [Span(first, last) for first, last in taken_slots(c, slug, plan.now)]
    new = [one.snippets for one in planned if one.is_in]
    taken += [Span(snippets[0].slot, snippets[-1].slot) for snippets in new]
    slot = slots_for(1, channel.slots, zone, plan.now, taken)[0]
    moments = news_on(c, slug, plan.now - _A_DAY)
    moments += [snippet.slot for snippets in new for snippet in snippets]
    brought = bring_back(
        slug,
        channel,
        plan.shelf,
        planned_posts(c, slug),
        today_news=is_on_day(moments, slot, zone),
        last_brought=last_brought(c, slug),
        now=slot,
        zone=zone,
    )
    if isinstance(brought, NotNow):
        silent[slug] = brought.reason
        return []
    chosen = Chosen(brought.post, brought.subject, brought.reason, "snippet", brought.repeat)
    draft = _Draft(chosen, _thread(chosen, slug, plan))
    one = _planned(slug, draft, plan)
    if one.is_in and isinstance(draft.thread, Thread):
        texts = [snippet.text for snippet in draft.thread.snippets]
        if was_said(c, slug, texts):
            silent[slug] = f"{chosen.post.title}: {slug} had this very text already"
            return []
        return [_placed(c, replace(one, evergreen=True), draft, plan, _Ground(taken, {}))]
    return [one]
