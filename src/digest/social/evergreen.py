"""Which old post a channel brings back, and which time it is, or why none: decisions only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.social.choose import why_gone
from digest.social.thread import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime
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
    evergreen, today = channel.evergreen, _day(now, zone)
    if evergreen is None:
        return NotNow(f"{slug} brings nothing back: it has no evergreen in config")
    if reason := _why_not_today(evergreen, today, last_brought, zone, today_news=today_news):
        return NotNow(reason)
    turns = tuple(_turns(evergreen, shelf, done))
    bars = {turn.post.id: _bar(turn, evergreen, today, zone) for turn in turns}
    ready = [turn for turn in turns if bars[turn.post.id] is None]
    if not ready:
        return NotNow(_none_ready(evergreen, [bar for bar in bars.values() if bar]))
    # Equals keep the order of config and then of reading.
    return _brought(min(ready, key=lambda turn: (turn.repeats, turn.last)), evergreen, slug)


def why_not(
    post: Post,
    evergreen: Evergreen,
    shelf: Shelf,
    done: Mapping[int, Had],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> str | None:
    """Why this post cannot be brought back at `now`, even if its turn came; None where it can."""
    turn = next((t for t in _turns(evergreen, shelf, done) if t.post.id == post.id), None)
    if turn is None:
        return f"in no series that is brought back: {', '.join(evergreen.series)}"
    bar = _bar(turn, evergreen, _day(now, zone), zone)
    return bar.words if bar else None


def is_on_day(moments: Iterable[datetime], now: datetime, zone: ZoneInfo) -> bool:
    """Whether any of the moments is on the day of `now`, by the wall clock of the zone."""
    return any(_day(moment, zone) == _day(now, zone) for moment in moments)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A post in the rotation."""

    post: Post
    part: Part
    had: Had | None

    @property
    def repeats(self) -> int:
        return self.had.repeats if self.had else 0

    @property
    def last(self) -> datetime:
        """When it was last on the channel, or arrived."""
        return max(self.post.arrived, self.had.last) if self.had else self.post.arrived


@dataclass(frozen=True, slots=True)
class _Bar:
    """What stands against a post, in words of its own and in those it shares with others."""

    words: str
    shared: str
    #: From when it stands no more, where time alone cures it.
    until: date | None = None


def _why_not_today(
    evergreen: Evergreen,
    today: date,
    last_brought: datetime | None,
    zone: ZoneInfo,
    *,
    today_news: bool,
) -> str | None:
    """What stands against bringing anything back."""
    season, days = evergreen.season, evergreen.every_days
    if season and not _in_season(season, today):
        return f"out of season, which is from {season.first} to {season.last}"
    if today_news:
        return f"silent on {today}: something new goes out that day"
    # Days, not hours: a day on which the clocks change has more or fewer than 24.
    if last_brought and (today - _day(last_brought, zone)).days < days:
        return f"brought one back on {_day(last_brought, zone)}, and does so once in {days} days"
    return None


def _in_season(season: Season, day: date) -> bool:
    today = f"{day:%m-%d}"
    if season.first <= season.last:
        return season.first <= today <= season.last
    return today >= season.first or today <= season.last


def _turns(evergreen: Evergreen, shelf: Shelf, done: Mapping[int, Had]) -> Iterator[_Turn]:
    """Every post of the series, each once, in the order of config and then of reading."""
    parts: dict[int, Part] = {}
    for slug in evergreen.series:
        found = ((p, post_id) for post_id, ps in shelf.parts.items() for p in ps if p.slug == slug)
        for part, post_id in sorted(found, key=lambda pair: pair[0].part):
            parts.setdefault(post_id, part)
    for post_id, part in parts.items():
        yield _Turn(shelf.posts[post_id], part, done.get(post_id))


def _bar(turn: _Turn, evergreen: Evergreen, today: date, zone: ZoneInfo) -> _Bar | None:
    """The first thing that stands against a post, those that never pass before the others."""
    years, most = evergreen.oldest_years, evergreen.most_repeats
    published = _day(turn.post.published, zone)
    if gone := why_gone(turn.post):
        return _Bar(gone, "withdrawn")
    if years is not None and _older(published, years, today):
        age = f"published more than {_plural(years, 'year')} ago"
        return _Bar(f"{age}, on {published}", age)
    if turn.repeats >= most:
        often = f"brought back {_plural(turn.repeats, 'time')}"
        return _Bar(f"{often}, and {most} is the most", f"brought back {most} times or more")
    if turn.had and turn.had.waiting:
        return _Bar("still to go out", "still to go out")
    return _cooling(turn, evergreen.cool_down_days, today, zone)


def _cooling(turn: _Turn, days: int, today: date, zone: ZoneInfo) -> _Bar | None:
    last = _day(turn.last, zone)
    ready = last + timedelta(days=days)
    if ready <= today:
        return None
    words = f"{_was(turn)} {last}, and cools down for {_plural(days, 'day')}, until {ready}"
    return _Bar(words, f"here, or arrived, less than {_plural(days, 'day')} ago", ready)


def _older(published: date, years: int, today: date) -> bool:
    """More than so many years; one published on a 29 February grows older on a 1 March."""
    anniversary = (published.year + years, published.month, published.day)
    return anniversary < (today.year, today.month, today.day)


def _none_ready(evergreen: Evergreen, bars: list[_Bar]) -> str:
    series = ", ".join(evergreen.series)
    if not bars:
        return f"there is no post in {series}"
    if len(bars) == 1:
        return f"the one post in {series} is not ready: {bars[0].words}"
    counted = Counter(bar.shared for bar in bars).most_common()
    shared = ", ".join(f"{number} {words}" for words, number in counted)
    soonest = min((bar.until for bar in bars if bar.until), default=None)
    soon = f"; the next is ready on {soonest}" if soonest else ""
    return f"none of {len(bars)} posts in {series} is ready: {shared}{soon}"


def _brought(turn: _Turn, evergreen: Evergreen, slug: str) -> Brought:
    part, repeat = turn.part, turn.repeats + 1
    subject = Subject(f"series:{part.slug}", part.title, part.hashtag, part)
    last = f"{_was(turn)} {turn.last:%Y-%m-%d}"
    return Brought(
        turn.post,
        subject,
        repeat,
        f"part {part.part} of {part.of} of {part.title}: brought back to {slug},"
        f" {repeat} of {_plural(evergreen.most_repeats, 'time')}; it {last}",
    )


def _was(turn: _Turn) -> str:
    if turn.had is None or turn.had.last < turn.post.arrived:
        return "arrived on"
    return "was last here on" if turn.had.last == turn.had.last_out else "was last planned on"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()
