"""Weeks of a newsletter with whatever readers may choose: no post twice, none lost, caps kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.model import IssueState

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Newsroom

    Sent = list[tuple[datetime, dict[str, set[int]]]]

#: A Monday; the first of a month comes in the fourth week, and again in the eighth.
BEGAN = datetime(2026, 11, 9, 8, tzinfo=UTC)
DAYS, LAST_POST = 64, 33
FIRST_DAYS = (22, 53)  # 1 December, 1 January


@dataclass(frozen=True)
class Choice:
    interests: str
    rhythm: str
    cap: int | None
    #: Days since the beginning; equal ones are no pause.
    pause: tuple[int, int]


choices = st.builds(
    Choice,
    st.sampled_from(["everything", "series:ipc", "series:pbr", "series:ipc|series:pbr"]),
    st.sampled_from(["each-post", "weekly", "monthly"]),
    st.sampled_from([None, 1, 1, 2]),
    st.sampled_from([(0, 0), (0, 0), (3, 18), (8, 30)]),
)
posts = st.tuples(
    st.integers(0, LAST_POST), st.lists(st.sampled_from(["ipc", "pbr"]), max_size=2, unique=True)
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    readers=st.lists(choices, min_size=1, max_size=6),
    written=st.lists(posts, max_size=8),
    cancelled=st.sets(st.integers(0, 4), max_size=2),
)
def test_no_post_comes_twice_or_is_lost_and_no_week_has_too_many(
    new_newsroom: Callable[[], Newsroom],
    readers: list[Choice],
    written: list[tuple[int, list[str]]],
    cancelled: set[int],
) -> None:
    newsroom = new_newsroom()
    newsroom.declare(weekly={"cap": 60, "cap_per_series": 60})
    wants: dict[str, set[int]] = {}
    arriving: dict[int, list[int]] = {}
    for day, series in sorted(written):
        post = newsroom.post(BEGAN + timedelta(days=day, hours=-4), *series)
        arriving.setdefault(day, []).append(post)
        groups = {f"series:{slug}" for slug in series}
        for number, choice in enumerate(readers):
            asked = set(choice.interests.split("|"))
            if "everything" in asked or asked & groups:
                wants.setdefault(f"r{number}", set()).add(post)
    for number, choice in enumerate(readers):
        newsroom.reader(f"r{number}", choice.interests, rhythm=choice.rhythm, cap=choice.cap)

    sent = play(newsroom, readers, arriving, cancelled)

    had = Counter((name, post) for _, got in sent for name, ids in got.items() for post in ids)
    assert set(had.values()) <= {1}
    weeks = Counter((name, at.isocalendar()[:2]) for at, got in sent for name in got)
    for number, choice in enumerate(readers):
        name = f"r{number}"
        in_a_week = [count for (who, _), count in weeks.items() if who == name]
        assert max(in_a_week, default=0) <= (choice.cap or DAYS)
        mine = {post for who, post in had if who == name}
        assert mine <= wants.get(name, set())
        if choice.pause[0] == choice.pause[1]:
            assert mine == wants.get(name, set())


def play(
    newsroom: Newsroom,
    readers: list[Choice],
    arriving: dict[int, list[int]],
    cancelled: set[int],
) -> Sent:
    """Every issue of the days, at eight; the weekly ones of some weeks are cancelled."""
    sent: Sent = []
    for day in range(DAYS):
        at = BEGAN + timedelta(days=day)
        for number, choice in enumerate(readers):
            if choice.pause[0] == day != choice.pause[1]:
                newsroom.choose(f"r{number}", paused_until=BEGAN + timedelta(days=choice.pause[1]))
        for n, post in enumerate(arriving.get(day, [])):
            moment = at - timedelta(hours=2) + timedelta(minutes=n)
            sent.append((moment, newsroom.send(moment, rhythm="each-post", post_id=post)))
        if day in FIRST_DAYS:
            sent.append((at, newsroom.send(at, rhythm="monthly")))
        if day % 7 == 0 and day // 7 in cancelled:
            issue = newsroom.draft(at)
            if issue.state is IssueState.DRAFT:
                newsroom.cancel(newsroom.freeze(issue, at), at)
        elif day % 7 == 0:
            sent.append((at, newsroom.send(at)))
    return sent
