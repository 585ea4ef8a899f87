"""Bringing an old post back in a plan: the first whose turn it is and that has words to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.social.choose import Chosen, Had
from digest.social.drafting import draft
from digest.social.evergreen import NotNow, bring_back, is_on_day
from digest.social.placing import place
from digest.social.slots import slots_for, zone_of
from digest.store.social import last_brought, news_on, planned_posts

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from digest.social.choose import Shelf
    from digest.social.drafting import Planning
    from digest.social.placing import Ground
    from digest.social.planned import Planned

#: So long ago something new may have gone out on the day of a slot, wherever the clocks are.
_A_DAY = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Turn:
    """What rotation came to: the candidates it looked at, and why it is silent, if it is."""

    planned: tuple[Planned, ...] = ()
    silent: str = ""


def rotate(c: Connection, slug: str, plan: Planning, ground: Ground) -> Turn:
    """Bring one old post back, in the next free slot of the channel.

    A post of which nothing can be said that was not said before gives its turn to the next.
    """
    shelf = plan.shelf
    looked_at: list[Planned] = []
    while True:
        chosen = _next(c, slug, replace(plan, shelf=shelf), ground)
        if isinstance(chosen, NotNow):
            return Turn(tuple(looked_at), _silence(len(looked_at), chosen.reason))
        made = draft(chosen, slug, plan)
        made = replace(made, planned=replace(made.planned, evergreen=True))
        placed = place(c, made, plan, ground)
        looked_at.append(placed)
        if placed.is_in:
            return Turn(tuple(looked_at))
        shelf = _without(shelf, placed.post_id)


def _next(c: Connection, slug: str, plan: Planning, ground: Ground) -> Chosen | NotNow:
    channel = plan.channel(slug)
    zone = zone_of(channel, plan.maker.config)
    slot = slots_for(1, channel.slots, zone, plan.now, ground.taken)[0]
    moments = [*news_on(c, slug, plan.now - _A_DAY), *ground.new]
    # What a dry run only thinks of counts too.
    done = {one.post_id: Had(plan.now, waiting=True) for one in ground.placed}
    brought = bring_back(
        slug,
        channel,
        plan.shelf,
        done | planned_posts(c, slug),
        today_news=is_on_day(moments, slot, zone),
        last_brought=last_brought(c, slug),
        now=slot,
        zone=zone,
    )
    if isinstance(brought, NotNow):
        return brought
    return Chosen(brought.post, brought.subject, brought.reason, "snippet", brought.repeat)


def _silence(passed: int, reason: str) -> str:
    if not passed:
        return reason
    posts = "1 post whose turn it was has" if passed == 1 else f"{passed} posts have"
    return f"{posts} nothing new to say; of the others, {reason}"


def _without(shelf: Shelf, post_id: int) -> Shelf:
    parts = {other: found for other, found in shelf.parts.items() if other != post_id}
    return replace(shelf, parts=parts)
