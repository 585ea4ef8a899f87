"""Which old post a channel brings back, for the how manieth time, or why none: decisions only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from digest.social.choose import why_gone
from digest.social.thread import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from digest.config_social import Channel, Evergreen, Season
    from digest.model import Part, Post
    from digest.social.choose import Had, Shelf


@dataclass(frozen=True, slots=True)
class Brought:
    """A post to bring back as a single snippet, and why this one."""

    post: Post
    subject: Subject
    #: Which time it is brought back, from 1: which text it goes out with.
    repeat: int
    reason: str


@dataclass(frozen=True, slots=True)
class NotNow:
    """Nothing is brought back, and why."""

    reason: str


def bring_back(
    slug: str,
    channel: Channel,
    shelf: Shelf,
    done: Mapping[int, Had],
    *,
    today_news: bool,
    last_brought: datetime | None,
    now: datetime,
    zone: ZoneInfo,
) -> Brought | NotNow:
    """The post of the channel's evergreen series whose turn it is: least repeated, longest ago.

    `now` is when it would go out: its slot. `done` are the posts that the channel had something
    of; `today_news`, that something new went out or is planned for that day (`is_on_day`);
    `last_brought` is the latest slot of what was brought back on this channel.
    """
    raise NotImplementedError


def why_not(  # noqa: D103
    post: Post,
    evergreen: Evergreen,
    shelf: Shelf,
    had: Had | None,
    *,
    now: datetime,
    zone: ZoneInfo,
) -> str | None:
    raise NotImplementedError


def is_on_day(moments: Iterable[datetime], now: datetime, zone: ZoneInfo) -> bool:
    """Whether any of the moments is on the day of `now`, by the wall clock of the zone."""
    day = now.astimezone(zone).date()
    return any(moment.astimezone(zone).date() == day for moment in moments)
