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

#: The code of a pick that an editor took out of a draft.
DROPPED = "dropped"

#: The code of a pick that is there for readers alone whose weekly cap had kept the post back,
#: or that waits for them on. It says nothing about what the issue's other readers get.
OVERFLOW = "overflow"
#: ... and of one that waits no more: for too long, or because an editor dropped it.
GIVEN_UP = "given-up"

#: A variant's set of picks is one 64-bit mask.
MOST_PICKS = 60


@dataclass(frozen=True, slots=True)
class History:
    """What earlier issues of the same newsletter, scope and rhythm did."""

    #: Post id -> period of the issue that took it.
    taken: Mapping[int, str] = field(default_factory=dict)
    #: Post id -> period of the issue that left it out for one of `CARRYING`.
    waiting: Mapping[int, str] = field(default_factory=dict)
    #: Post id -> period of the issue that an editor dropped it from.
    dropped: Mapping[int, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A post that weekly caps kept back: for how many readers, when first and when last."""

    candidate: Candidate
    readers: int
    first: datetime
    last: datetime

    @property
    def post_id(self) -> int:
        return self.candidate.post.id

    @property
    def reason(self) -> str:
        who = "1 reader" if self.readers == 1 else f"{self.readers} readers"
        return f"waits for {who} who had reached their weekly cap"


def pick_news(
    candidates: Sequence[Candidate],
    newsletter: Newsletter,
    history: History,
    *,
    began: datetime,
    oldest: datetime,
    waiting: Sequence[Waiting] = (),
) -> tuple[Pick, ...]:
    """The picks of a regular issue: what is new, within cap and window, then what waited.

    What arrived before `began` is archive, before `oldest` outside the window.
    """
    verdicts = {c.post.id: _verdict(c, newsletter, history, began, oldest) for c in candidates}
    eligible = [c for c in candidates if verdicts[c.post.id][0] == "in"]
    outs = {
        post_id: _out(post_id, code, reason)
        for post_id, (code, reason) in verdicts.items()
        if code != "in"
    }
    seated, cut = _seat(eligible, newsletter, history)
    # A post that its ordinary readers still wait for reaches the others together with them.
    others = [w for w in waiting if w.post_id not in {c.post.id for c in eligible}]
    room = MOST_PICKS - len(seated)
    overflow = pick_waiting(
        others, newsletter, history, oldest=oldest, after=len(seated), room=room
    )
    found = len(seated) + sum(pick.is_in for pick in overflow)
    if 0 < found < newsletter.minimum:
        thin = f"thin week: {found} of at least {newsletter.minimum} posts; waits"
        cut |= {c.post.id: _out(c.post.id, "thin", thin) for c in seated}
        overflow = [
            _out(p.post_id, p.code, f"{p.reason}; {thin}") if p.is_in else p for p in overflow
        ]
        seated = []
    ordered = reading_order(seated, newsletter)
    ins = [
        Pick(c.post.id, is_in=True, position=n, reason=verdicts[c.post.id][1], code="in")
        for n, c in enumerate(ordered, 1)
    ]
    rest = outs | cut | {pick.post_id: pick for pick in overflow}
    order = dict.fromkeys([*(c.post.id for c in candidates), *rest])
    joined = [pick for pick in overflow if pick.is_in]
    return (*ins, *joined, *(rest[n] for n in order if n in rest and not rest[n].is_in))


def pick_waiting(
    waiting: Iterable[Waiting],
    newsletter: Newsletter,
    history: History,
    *,
    oldest: datetime,
    after: int,
    room: int,
) -> list[Pick]:
    """What joins an issue after its `after` ordinary picks, and what does not: with the reason.

    Whoever waits longest comes first, and what was kept back before `oldest` is given up.
    """
    picks: list[Pick] = []
    taken = 0
    for post in sorted(waiting, key=lambda w: (w.first, w.candidate.post.arrived, w.post_id)):
        candidate, reason = post.candidate, post.reason
        if post.last < oldest:
            picks.append(_out(post.post_id, GIVEN_UP, f"{reason}, before {oldest:%Y-%m-%d}"))
        elif post.post_id in history.dropped:
            dropped = f"dropped from issue {history.dropped[post.post_id]} by an editor"
            picks.append(_out(post.post_id, GIVEN_UP, dropped))
        elif candidate.named_in(newsletter.excluded):
            picks.append(_out(post.post_id, "excluded", "excluded in the newsletter's config"))
        elif candidate.post.gone_at:
            picks.append(_out(post.post_id, "gone", _gone(candidate)))
        elif taken == room:
            full = f"{reason}; more than {MOST_PICKS} posts in one issue"
            picks.append(_out(post.post_id, OVERFLOW, full))
        else:
            taken += 1
            place = after + taken
            picks.append(
                Pick(post.post_id, is_in=True, position=place, reason=reason, code=OVERFLOW)
            )
    return picks


def window_start(newsletter: Newsletter, now: datetime, one_period_ago: datetime) -> datetime:
    """Since when posts are candidates: the window, and never less than one period."""
    return min(now - timedelta(days=newsletter.window_days), one_period_ago)


def pick_whole(
    ordered: Sequence[Candidate], newsletter: Newsletter, group: str, taken: Mapping[int, str]
) -> tuple[Pick, ...]:
    """The picks of an editor's digest of one series or theme: all of it, in the order given.

    `taken` are posts of earlier editions of the same period, by the edition's name.
    """
    picks: list[Pick] = []
    for candidate in ordered:
        post_id, position = candidate.post.id, sum(pick.is_in for pick in picks) + 1
        if candidate.named_in(newsletter.excluded):
            picks.append(_out(post_id, "excluded", "excluded in the newsletter's config"))
        elif candidate.post.gone_at:
            picks.append(_out(post_id, "gone", _gone(candidate)))
        elif post_id in taken:
            picks.append(_out(post_id, "taken", f"already in issue {taken[post_id]}"))
        elif position > MOST_PICKS:
            reason = f"more than {MOST_PICKS} posts in one issue; --edition 2 takes the rest"
            picks.append(_out(post_id, "cap", reason))
        else:
            reason = f"in {group}: {candidate.groups[group]}"
            picks.append(Pick(post_id, is_in=True, position=position, reason=reason, code="in"))
    return tuple(picks)


def _out(post_id: int, code: str, reason: str) -> Pick:
    return Pick(post_id, is_in=False, position=None, reason=reason, code=code)


def _gone(candidate: Candidate) -> str:
    return f"withdrawn: its page was gone on {candidate.post.gone_at:%Y-%m-%d}"


def _verdict(  # noqa: PLR0911  one return per reason is the clearest table there is
    candidate: Candidate,
    newsletter: Newsletter,
    history: History,
    began: datetime,
    oldest: datetime,
) -> tuple[str, str]:
    """("in", why) or (code, why not), before any cap."""
    post = candidate.post
    wanted = newsletter.picks_from.groups
    if candidate.named_in(newsletter.excluded):
        return "excluded", "excluded in the newsletter's config"
    if post.gone_at:
        return "gone", _gone(candidate)
    if post.id in history.taken:
        return "taken", f"already in issue {history.taken[post.id]}"
    if post.id in history.dropped:
        return DROPPED, f"dropped from issue {history.dropped[post.id]} by an editor"
    if wanted and not wanted & candidate.groups.keys():
        return "unwanted", "not in a series or theme that the newsletter picks from"
    if candidate.named_in(newsletter.pinned):
        return "in", "pinned in the newsletter's config"
    if post.id in history.waiting:
        return "in", f"carried over from {history.waiting[post.id]}"
    if post.arrived < began:
        return "archive", f"arrived before the newsletter began on {began:%Y-%m-%d}"
    if post.arrived < oldest:
        return "window", f"arrived before the window began on {oldest:%Y-%m-%d}"
    return "in", _why_new(candidate)


def is_wanted(candidate: Candidate, newsletter: Newsletter) -> bool:
    """Whether the newsletter would pick the post, whatever its issues did."""
    groups = newsletter.picks_from.groups
    return (
        not candidate.named_in(newsletter.excluded)
        and candidate.post.gone_at is None
        and (not groups or bool(groups & candidate.groups.keys()))
    )


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
