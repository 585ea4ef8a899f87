"""Giving a drafted thread its slots, behind the one it goes on from, and writing it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from digest.social.slots import Span, pause_note, slots_for, zone_of
from digest.store.social import (
    NewThread,
    PlannedSnippet,
    add_thread,
    last_standing,
    taken_slots,
    was_said,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.social.drafting import Draft, Planning
    from digest.social.making import Maker
    from digest.social.planned import Planned
    from digest.social.thread import Thread


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest thread of a standing one: its number (None in a dry run), its last slot."""

    thread_id: int | None
    ends: datetime


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands on a channel already; grows with each thread that is given its slots."""

    taken: list[Span]
    #: By scope.
    tails: dict[str, Tail] = field(default_factory=dict)
    #: What this plan gave slots to.
    placed: list[Planned] = field(default_factory=list)

    @property
    def new(self) -> Iterator[datetime]:
        """When this plan lets something new go out."""
        return (s.slot for one in self.placed if not one.repeat for s in one.snippets)


def ground_of(c: Connection, slug: str, now: datetime) -> Ground:
    """The channel as it stands."""
    return Ground([Span(first, last) for first, last in taken_slots(c, slug, now)])


def place(c: Connection, draft: Draft, plan: Planning, ground: Ground) -> Planned:
    """Give a thread its slots and write it; out where its words or its post were there before."""
    planned, thread = draft.planned, draft.thread
    if thread is None:
        return planned
    if planned.repeat and _was_said(c, draft, ground):
        return draft.out(f"{planned.channel} had these very words already")
    tail = _tail(c, planned, ground)
    # Its place is behind what it goes on from.
    begin = max(plan.now, tail.ends) if tail else plan.now
    placed = _slotted(planned, thread, plan, begin, ground.taken)
    if tail:
        placed = replace(placed, goes_on=True, after_id=tail.thread_id)
    if not plan.dry_run:
        thread_id = add_thread(c, _new(placed, plan), plan.now)
        if thread_id is None:
            return draft.out(f"has a thread on {planned.channel} since a moment ago")
        placed = replace(placed, thread_id=thread_id)
    _remember(placed, ground)
    return placed


def _was_said(c: Connection, draft: Draft, ground: Ground) -> bool:
    """X refuses a text that it has had, and nobody wants to read one twice."""
    texts = draft.texts
    now_said = any(s.text in texts for one in ground.placed for s in one.snippets)
    return now_said or was_said(c, draft.planned.channel, texts)


def _stands(planned: Planned) -> bool:
    return planned.form == "standing"


def _tail(c: Connection, planned: Planned, ground: Ground) -> Tail | None:
    if not _stands(planned):
        return None
    if planned.scope in ground.tails:
        return ground.tails[planned.scope]
    last = last_standing(c, planned.channel, planned.scope)
    return Tail(*last) if last else None


def _remember(placed: Planned, ground: Ground) -> None:
    first, last = placed.snippets[0].slot, placed.snippets[-1].slot
    ground.taken.append(Span(first, last))
    ground.placed.append(placed)
    if _stands(placed):
        ground.tails[placed.scope] = Tail(placed.thread_id, last)


def _slotted(
    planned: Planned, thread: Thread, plan: Planning, begin: datetime, taken: Iterable[Span]
) -> Planned:
    channel = plan.channel(planned.channel)
    zone = zone_of(channel, plan.maker.config)
    at_once = channel.goes_at_once
    slots = slots_for(len(thread.snippets), channel.slots, zone, begin, taken, at_once=at_once)
    note = pause_note(slots, channel.slots, at_once=at_once)
    snippets = _snippets(plan.maker, thread, slots)
    return replace(planned, notes=(*planned.notes, *([note] if note else [])), snippets=snippets)


def _snippets(
    maker: Maker, thread: Thread, slots: Iterable[datetime]
) -> tuple[PlannedSnippet, ...]:
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


def _new(planned: Planned, plan: Planning) -> NewThread:
    return NewThread(
        channel=planned.channel,
        post_id=planned.post_id,
        scope=planned.scope,
        reason="; ".join((planned.reason, *planned.notes)),
        snippets=planned.snippets,
        form=planned.form,
        repeat=planned.repeat,
        evergreen=planned.evergreen,
        after_id=planned.after_id,
        post_hash=plan.hashes.get(planned.post_id),
    )
