"""Evergreen: old posts come back in turn, not too often, in season, and give way to news."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.config_social import Channel, Evergreen, Season
from digest.model import Part, Post, PostLink
from digest.social.choose import Had, Shelf
from digest.social.evergreen import Brought, NotNow, bring_back, is_on_day, why_not

LONDON, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def ago(days):
    return NOW - timedelta(days=days)


def a_post(number, *, days=1000, gone_at=None):
    return Post(
        number, f"g{number}", f"https://blog.example/{number}/", f"Post {number}", "A. Writer",
        ago(days), ago(days), (), "", "", "", None, 1, gone_at,
    )  # fmt: skip


def a_shelf(*posts, **series):
    """`series`: the ids of each in reading order; without any, all posts are of ipc."""
    parts = {post.id: [] for post in posts}
    link = PostLink("", "")
    for slug, ids in (series or {"ipc": [post.id for post in posts]}).items():
        for number, post_id in enumerate(ids, 1):
            part = Part(slug, f"On {slug}", slug.upper(), number, len(ids), "", link, None, None)
            parts[post_id].append(part)
    return Shelf({post.id: post for post in posts}, {}, parts)


def turn(shelf, done=None, *, zone=LONDON, now=NOW, news=False, last=None, **evergreen):
    declared = Evergreen(**{"series": ("ipc",), **evergreen})
    return bring_back(
        "x",
        Channel(network="x", evergreen=declared),
        shelf,
        done or {},
        today_news=news,
        last_brought=last,
        now=now,
        zone=zone,
    )


def whose(*args, **more):
    found = turn(*args, **more)
    return found.post.id if isinstance(found, Brought) else found.reason


def test_a_post_comes_back_under_its_series():
    found = turn(a_shelf(a_post(7), a_post(8, days=10)), {7: Had(ago(300), 1, ago(299))})
    assert (found.post.id, found.repeat) == (7, 2)
    assert (found.subject.scope, found.subject.hashtag, found.subject.part.part) == (
        "series:ipc",
        "IPC",
        1,
    )
    assert found.reason == (
        "part 1 of 2 of On ipc: brought back to x, 2 of 3 times; it was last here on 2026-01-28"
    )


def test_one_that_never_was_on_the_channel_comes_back_too():
    found = turn(a_shelf(a_post(1)))
    assert found.repeat == 1
    assert found.reason.endswith("1 of 3 times; it arrived on 2024-02-27")


def test_least_repeated_first_then_longest_ago_then_as_config_and_reading_order_say():
    shelf = a_shelf(*(a_post(n) for n in range(1, 5)), ipc=[2, 1], pbr=[4, 3, 1])
    both = {"series": ("pbr", "ipc")}
    assert whose(shelf, {n: Had(ago(300), 1) for n in (1, 2, 3)}, **both) == 4
    assert whose(shelf, {n: Had(ago(300 + n), 1) for n in (1, 2, 3, 4)}, **both) == 4
    assert whose(shelf, {n: Had(ago(300), 1) for n in (1, 2, 3, 4)}, **both) == 4
    assert whose(shelf, {n: Had(ago(300), 1) for n in (1, 2, 3, 4)}, series=("ipc",)) == 2


def test_a_post_of_two_series_comes_back_under_the_first_that_config_names():
    shelf = a_shelf(a_post(1), ipc=[1], pbr=[1])
    assert turn(shelf, series=("pbr", "ipc")).subject.scope == "series:pbr"


def test_a_post_cools_down_since_it_was_here_or_arrived():
    shelf = a_shelf(a_post(1))
    assert whose(shelf, {1: Had(ago(400), 0, ago(180))}) == 1
    assert whose(shelf, {1: Had(ago(400), 0, ago(179))}) == (
        "the one post in ipc is not ready: was last here on 2026-05-28,"
        " and cools down for 180 days, until 2026-11-24"
    )
    assert whose(a_shelf(a_post(1, days=180))) == 1
    assert "arrived on" in whose(a_shelf(a_post(1, days=179)))


def test_days_are_counted_by_the_calendar_through_both_clock_changes():
    slot = datetime(2026, 3, 24, 9, 30, tzinfo=LONDON)
    week_later = slot + timedelta(days=7)  # an hour less, by the clocks
    shelf = a_shelf(a_post(1), a_post(2))
    assert whose(shelf, last=slot.astimezone(UTC), now=week_later.astimezone(UTC)) in {1, 2}
    late = datetime(2026, 10, 31, 23, 30, tzinfo=NEW_YORK)
    early = datetime(2026, 11, 7, 0, 30, tzinfo=NEW_YORK)
    at = {"last": late.astimezone(UTC), "now": early.astimezone(UTC)}
    assert whose(shelf, zone=NEW_YORK, **at) in {1, 2}
    assert whose(shelf, zone=NEW_YORK, every_days=8, **at) == (
        "brought one back on 2026-10-31, and does so once in 8 days"
    )


def test_one_that_is_brought_back_tomorrow_is_enough():
    assert "brought one back" in whose(
        a_shelf(a_post(1)), last=NOW + timedelta(days=1), every_days=1
    )


def test_it_is_silent_when_there_is_news():
    assert whose(a_shelf(a_post(1)), news=True) == (
        "silent on 2026-11-23: something new goes out that day"
    )


@pytest.mark.parametrize(("zone", "is_today"), [(LONDON, False), (NEW_YORK, True)])
def test_whether_news_is_of_today_is_for_the_wall_clock_to_say(zone, is_today):
    late_in_new_york = datetime(2026, 11, 24, 4, tzinfo=UTC)
    assert is_on_day([ago(9), late_in_new_york], NOW.replace(hour=15), zone) is is_today


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("11-23", "11-23", {"11-23"}),
        ("11-24", "12-31", {"12-31"}),
        ("12-01", "01-31", {"12-31", "01-01"}),
        ("02-29", "11-22", {"03-01"}),
        ("01-01", "12-31", {"11-23", "12-31", "01-01", "03-01"}),
    ],
)
def test_out_of_season_nothing_comes_back(first, last, days):
    for year, day in ((2026, "11-23"), (2026, "12-31"), (2027, "01-01"), (2027, "03-01")):
        now = datetime.fromisoformat(f"{year}-{day}T12:00+00:00")
        found = turn(a_shelf(a_post(1)), now=now, season=Season(first=first, last=last))
        assert isinstance(found, Brought) is (day in days)
        if isinstance(found, NotNow):
            assert found.reason == f"out of season, which is from {first} to {last}"


def test_a_season_begins_and_ends_by_the_wall_clock():
    now = datetime(2026, 12, 1, 3, tzinfo=UTC)  # still November in New York
    november = Season(first="11-01", last="11-30")
    assert whose(a_shelf(a_post(1)), season=november, now=now, zone=NEW_YORK) == 1
    assert "out of season" in whose(a_shelf(a_post(1)), season=november, now=now)


def test_what_was_published_too_long_ago_stays_in_the_archive():
    of_leap_day = replace(a_post(1), published=datetime(2024, 2, 29, 12, tzinfo=UTC))
    shelf = a_shelf(of_leap_day)
    on = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert whose(shelf, now=on, oldest_years=2) == 1
    assert whose(shelf, now=on + timedelta(days=1), oldest_years=2) == (
        "the one post in ipc is not ready: published more than 2 years ago, on 2024-02-29"
    )


def test_one_line_says_what_stands_against_all_of_them():
    posts = [a_post(1, gone_at=ago(1)), a_post(2), a_post(3, days=5), a_post(4, days=9), a_post(5)]
    done = {2: Had(ago(400), 3), 5: Had(ago(400), 1, waiting=True)}
    assert whose(a_shelf(*posts), done) == (
        "none of 5 posts in ipc is ready: 2 here, or arrived, less than 180 days ago, 1 withdrawn,"
        " 1 brought back 3 times or more, 1 still to go out; the next is ready on 2027-05-13"
    )


def test_why_not_this_one():
    posts = [a_post(1, gone_at=ago(1)), a_post(2), a_post(3, days=5), a_post(4), a_post(5)]
    shelf = a_shelf(*posts, a_post(6), ipc=[1, 2, 3, 4, 5])
    done = {2: Had(ago(400), 1), 4: Had(ago(9), 0), 5: Had(ago(1), 0, ago(2))}
    evergreen = Evergreen(series=("ipc",), most_repeats=1)
    whys = [why_not(p, evergreen, shelf, done, now=NOW, zone=LONDON) for p in shelf.posts.values()]
    assert whys == [
        "withdrawn: its page was gone on 2026-11-22",
        "brought back 1 time, and 1 is the most",
        "arrived on 2026-11-18, and cools down for 180 days, until 2027-05-17",
        "was last planned on 2026-11-14, and cools down for 180 days, until 2027-05-13",
        "was last planned on 2026-11-22, and cools down for 180 days, until 2027-05-21",
        "in no series that is brought back: ipc",
    ]
    ready = why_not(a_post(9), evergreen, a_shelf(a_post(9)), {}, now=NOW, zone=LONDON)
    assert ready is None


def test_a_series_without_posts_and_a_channel_without_evergreen_say_so():
    assert whose(a_shelf(), series=("ipc", "pbr")) == "there is no post in ipc, pbr"
    nothing = bring_back(
        *("x", Channel(network="x"), a_shelf(), {}),
        today_news=False,
        last_brought=None,
        now=NOW,
        zone=LONDON,
    )
    assert nothing.reason == "x brings nothing back: it has no evergreen in config"


@settings(max_examples=20)  # each is a year
@given(
    st.integers(1, 8),
    st.tuples(st.integers(1, 14), st.integers(1, 60), st.integers(1, 3)),
    st.sampled_from([LONDON, NEW_YORK]),
)
def test_over_a_year_all_come_back_equally_often_and_never_too_soon(posts, declared, zone):
    every, cool_down, most = declared
    shelf = a_shelf(*(a_post(n) for n in range(1, posts + 1)))
    done: dict[int, Had] = {}
    came: list[tuple[datetime, int]] = []
    for day in range(400):
        now = NOW + timedelta(days=day)
        found = turn(
            shelf, done, now=now, zone=zone, last=came[-1][0] if came else None,
            every_days=every, cool_down_days=cool_down, most_repeats=most,
        )  # fmt: skip
        if isinstance(found, Brought):
            had = done.get(found.post.id)
            assert had is None or now - had.last >= timedelta(days=cool_down)
            assert not came or now - came[-1][0] >= timedelta(days=every)
            done[found.post.id] = Had(now, found.repeat, now)
            came.append((now, found.post.id))
            often = Counter(dict.fromkeys(shelf.posts, 0))
            often.update(post_id for _, post_id in came)
            assert max(often.values()) - min(often.values()) <= 1
            assert found.repeat == often[found.post.id] <= most
