"""Which posts an issue takes: a pure decision, with a reason for every candidate.

Seats are given first come, first served, so that what the cap cuts off is at the
head of the queue next time; the order on the page is another matter, decided
after the seats.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.model import Pick

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from digest.config import Newsletter
    from digest.model import Post

#: Picks that were out for these reasons wait for the next issue, however old they get.
CARRYING = ("cap", "series-cap", "thin")

#: A variant's set of picks is one 64-bit mask.
MOST_PICKS = 60


@dataclass(frozen=True, slots=True)
class History:
    """What earlier issues of the same newsletter, scope and rhythm did."""

    #: Post id -> period of the issue that took it.
    taken: Mapping[int, str] = field(default_factory=dict)
    #: Post id -> period of the issue that left it out for one of `CARRYING`.
    waiting: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post with its groups ("series:ipc") and, for each, the reason it is in."""

    post: Post
    groups: Mapping[str, str]

    @property
    def series(self) -> tuple[str, ...]:
        return tuple(group for group in self.groups if group.startswith("series:"))

    def named_in(self, names: Iterable[str]) -> bool:
        return any(name in {self.post.url, self.post.guid} for name in names)


def pick_news(
    candidates: Sequence[Candidate],
    newsletter: Newsletter,
    history: History,
    *,
    began: datetime,
    now: datetime,
) -> tuple[Pick, ...]:
    """The picks of a regular issue: what is new, within cap and window."""
    verdicts = {c.post.id: _verdict(c, newsletter, history, began, now) for c in candidates}
    eligible = [c for c in candidates if verdicts[c.post.id][0] == "in"]
    outs = {
        post_id: _out(post_id, code, reason)
        for post_id, (code, reason) in verdicts.items()
        if code != "in"
    }
    seated, cut = _seat(eligible, newsletter, history)
    if 0 < len(seated) < newsletter.minimum:
        reason = f"thin week: {len(seated)} of at least {newsletter.minimum} posts; waits"
        cut |= {c.post.id: _out(c.post.id, "thin", reason) for c in seated}
        seated = []
    ordered = reading_order(seated, newsletter)
    ins = [
        Pick(c.post.id, is_in=True, position=n, reason=verdicts[c.post.id][1], code="in")
        for n, c in enumerate(ordered, 1)
    ]
    rest = outs | cut
    return (*ins, *(rest[c.post.id] for c in candidates if c.post.id in rest))


def pick_whole(
    ordered: Sequence[Candidate], newsletter: Newsletter, group: str
) -> tuple[Pick, ...]:
    """The picks of an editor's digest of one series or theme: all of it, in the order given."""
    picks: list[Pick] = []
    for candidate in ordered:
        post_id, position = candidate.post.id, sum(pick.is_in for pick in picks) + 1
        if candidate.named_in(newsletter.excluded):
            picks.append(_out(post_id, "excluded", "excluded in the newsletter's config"))
        elif position > MOST_PICKS:
            picks.append(_out(post_id, "cap", f"more than {MOST_PICKS} posts in one issue"))
        else:
            reason = f"in {group}: {candidate.groups[group]}"
            picks.append(Pick(post_id, is_in=True, position=position, reason=reason, code="in"))
    return tuple(picks)


def _out(post_id: int, code: str, reason: str) -> Pick:
    return Pick(post_id, is_in=False, position=None, reason=reason, code=code)


def _verdict(
    candidate: Candidate, newsletter: Newsletter, history: History, began: datetime, now: datetime
) -> tuple[str, str]:
    """("in", why) or (code, why not), before any cap."""
    post = candidate.post
    wanted = newsletter.picks_from.groups
    oldest = now - timedelta(days=newsletter.window_days)
    if candidate.named_in(newsletter.excluded):
        return "excluded", "excluded in the newsletter's config"
    if post.id in history.taken:
        return "taken", f"already in issue {history.taken[post.id]}"
    if wanted and not wanted & candidate.groups.keys():
        return "unwanted", "not in a series or theme that the newsletter picks from"
    if candidate.named_in(newsletter.pinned):
        return "in", "pinned in the newsletter's config"
    if post.id in history.waiting:
        return "in", f"carried over from {history.waiting[post.id]}"
    if post.arrived < began:
        return "archive", f"arrived before the newsletter began on {began:%Y-%m-%d}"
    if post.arrived < oldest:
        return "window", f"arrived before the window of {newsletter.window_days} days"
    return "in", _why_new(candidate)


def _why_new(candidate: Candidate) -> str:
    news = f"new: arrived {candidate.post.arrived:%Y-%m-%d}"
    return "; ".join([news, *(f"in {group}: {why}" for group, why in candidate.groups.items())])


def _seat(
    eligible: list[Candidate], newsletter: Newsletter, history: History
) -> tuple[list[Candidate], dict[int, Pick]]:
    """Give out the seats: pinned, then carried over, then by arrival."""
    queue = sorted(
        eligible,
        key=lambda c: (
            not c.named_in(newsletter.pinned),
            c.post.id not in history.waiting,
            c.post.arrived,
            c.post.id,
        ),
    )
    seated: list[Candidate] = []
    cut: dict[int, Pick] = {}
    per_series: Counter[str] = Counter()
    for candidate in queue:
        full = next((s for s in candidate.series if per_series[s] >= newsletter.cap_per_series), "")
        if len(seated) >= newsletter.cap:
            reason = f"over the cap of {newsletter.cap} posts; carried over"
            cut[candidate.post.id] = _out(candidate.post.id, "cap", reason)
        elif full and not candidate.named_in(newsletter.pinned):
            reason = f"over the cap of {newsletter.cap_per_series} posts of {full}; carried over"
            cut[candidate.post.id] = _out(candidate.post.id, "series-cap", reason)
        else:
            seated.append(candidate)
            per_series.update(candidate.series)
    return seated, cut


def reading_order(seated: Iterable[Candidate], newsletter: Newsletter) -> list[Candidate]:
    """Pinned first, then newest first; but parts of one series stand in the order they are read."""
    ordered = sorted(
        seated,
        key=lambda c: (
            not c.named_in(newsletter.pinned),
            -c.post.published.timestamp(),
            -c.post.id,
        ),
    )
    pinned = sum(c.named_in(newsletter.pinned) for c in ordered)
    return ordered[:pinned] + _parts_in_order(ordered[pinned:])


def _parts_in_order(ordered: list[Candidate]) -> list[Candidate]:
    places: dict[str, list[int]] = {}
    for place, candidate in enumerate(ordered):
        if candidate.series:
            places.setdefault(candidate.series[0], []).append(place)
    result = list(ordered)
    for taken in places.values():
        parts = sorted((ordered[n] for n in taken), key=lambda c: (c.post.published, c.post.id))
        for place, candidate in zip(taken, parts, strict=True):
            result[place] = candidate
    return result
