"""Which posts an issue takes, and the reason for each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.config import Newsletter
from digest.model import Post
from digest.picks.candidates import Candidate, History, pick_news, pick_whole, window_start

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
BEGAN = NOW - timedelta(days=60)


def newsletter(**declared) -> Newsletter:
    basics = {
        "title": "Weekly",
        "from_name": "Blog",
        "from_address": "a@example.org",
        "bounce_address": "b@example.org",
        "reply_to": "c@example.org",
        "unsubscribe_mailto": "u@example.org",
        "list_id": "weekly.example.org",
        "mailer": "local",
        "window_days": 28,
    }
    return Newsletter.model_validate({**basics, **declared})


def candidate(post_id: int, days_ago: float = 1, *groups: str) -> Candidate:
    at = NOW - timedelta(days=days_ago)
    post = Post(
        id=post_id,
        guid=f"https://blog.example/?p={post_id}",
        url=f"https://blog.example/{post_id}/",
        title=f"Post {post_id}",
        author="Ann",
        published=at,
        arrived=at,
        categories=(),
        html="",
        text="",
        excerpt="",
        image=None,
        reading_minutes=1,
    )
    return Candidate(post, dict.fromkeys(groups, "tagged so"))


def picks(candidates, declared=None, history=None, began=BEGAN):
    declared = declared or newsletter()
    oldest = window_start(declared, NOW, NOW - timedelta(days=7))
    made = pick_news(candidates, declared, history or History(), began=began, oldest=oldest)
    return {pick.post_id: pick for pick in made}


def taken(made) -> list[int]:
    ins = sorted((pick.position, pick.post_id) for pick in made.values() if pick.is_in)
    assert [position for position, _ in ins] == list(range(1, len(ins) + 1))
    return [post_id for _, post_id in ins]


def test_what_is_new_is_in_newest_first_and_says_why():
    made = picks([candidate(1, 5), candidate(2, 1, "series:ipc")])
    assert taken(made) == [2, 1]
    assert made[2].reason == "new: arrived 2026-11-22; in series:ipc: tagged so"


def test_an_archive_is_not_mailed_and_says_so():
    made = picks([candidate(1, 20)], began=NOW - timedelta(days=7))
    assert not made[1].is_in
    assert made[1].reason == "arrived before the newsletter began on 2026-11-16"


def test_what_stood_in_an_earlier_issue_is_out_with_its_name():
    made = picks([candidate(1)], history=History(taken={1: "2026-W46"}))
    assert made[1].reason == "already in issue 2026-W46"


def test_the_cap_gives_seats_first_come_first_served_and_the_rest_carries_over():
    made = picks([candidate(n, days_ago=n) for n in (1, 2, 3, 4)], newsletter(cap=2))
    assert taken(made) == [3, 4]
    assert made[1].code == "cap"
    assert "carried over" in made[1].reason


def test_what_was_carried_over_comes_first_next_time_however_old():
    waiting = History(waiting={9: "2026-W40"})
    made = picks([candidate(9, 45), candidate(1, 3)], newsletter(cap=1), waiting)
    assert taken(made) == [9]
    assert made[9].reason == "carried over from 2026-W40"


def test_outside_the_window_is_out_in_writing():
    made = picks([candidate(1, 40)])
    assert made[1].reason == "arrived before the window began on 2026-10-26"


def test_the_window_is_never_less_than_a_period():
    declared = newsletter(window_days=28)
    month_ago = NOW - timedelta(days=31)
    assert window_start(declared, NOW, month_ago) == month_ago
    assert window_start(declared, NOW, NOW - timedelta(days=7)) == NOW - timedelta(days=28)


def test_what_an_editor_dropped_or_the_blog_withdrew_stays_out_with_the_reason():
    gone = candidate(2)
    gone = replace(gone, post=replace(gone.post, gone_at=NOW))
    made = picks([candidate(1), gone], history=History(dropped={1: "2026-W47"}))
    assert made[1].reason == "dropped from issue 2026-W47 by an editor"
    assert made[2].reason == "withdrawn: its page was gone on 2026-11-23"


def test_a_series_has_a_cap_of_its_own():
    posts = [candidate(n, n, "series:ipc") for n in (1, 2, 3)] + [candidate(4, 4)]
    made = picks(posts, newsletter(cap_per_series=2))
    assert sorted(taken(made)) == [2, 3, 4]
    assert made[1].code == "series-cap"


def test_a_post_in_two_series_counts_in_both():
    posts = [
        candidate(1, 3, "series:ipc", "series:pbr"),
        candidate(2, 2, "series:pbr"),
        candidate(3, 1, "series:ipc"),
    ]
    assert taken(picks(posts, newsletter(cap_per_series=1))) == [1]


def test_parts_of_one_series_stand_in_the_order_they_are_read():
    posts = [
        candidate(1, 4, "series:ipc"),
        candidate(2, 3),
        candidate(3, 2, "series:ipc"),
        candidate(4, 1),
    ]
    assert taken(picks(posts)) == [4, 1, 2, 3]


def test_a_thin_week_takes_nothing_and_keeps_it_for_the_next():
    made = picks([candidate(1)], newsletter(minimum=2))
    assert taken(made) == []
    assert made[1].code == "thin"
    assert made[1].reason == "thin week: 1 of at least 2 posts; waits"


def test_pinned_posts_come_first_even_from_the_archive_but_once():
    declared = newsletter(pinned=["https://blog.example/7/"])
    assert taken(picks([candidate(1), candidate(7, 300)], declared)) == [7, 1]
    again = picks([candidate(1), candidate(7, 300)], declared, History(taken={7: "2026-W46"}))
    assert taken(again) == [1]


@pytest.mark.parametrize("name", ["https://blog.example/?p=1", "https://blog.example/1/"])
def test_excluded_by_guid_or_url(name):
    made = picks([candidate(1)], newsletter(excluded=[name]))
    assert made[1].reason == "excluded in the newsletter's config"


def test_a_newsletter_of_one_series_leaves_the_rest_out():
    declared = newsletter(picks_from={"series": ["ipc"]})
    made = picks([candidate(1), candidate(2, 1, "series:ipc")], declared)
    assert taken(made) == [2]
    assert made[1].code == "unwanted"


def test_an_editors_series_digest_takes_all_of_it_in_the_order_given():
    ordered = [candidate(n, 500 - n, "series:ipc") for n in range(1, 64)]
    declared = newsletter(excluded=["https://blog.example/2/"])
    made = {
        pick.post_id: pick for pick in pick_whole(ordered, declared, "series:ipc", {3: "2026-W48"})
    }
    assert taken(made)[:2] == [1, 4]
    assert len(taken(made)) == 60
    assert made[3].reason == "already in issue 2026-W48"
    assert made[63].reason == "more than 60 posts in one issue; --edition 2 takes the rest"
    assert made[1].reason == "in series:ipc: tagged so"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 80),
            st.sets(st.sampled_from(["series:ipc", "series:pbr", "theme:funding"])),
        ),
        max_size=30,
    ),
    st.integers(1, 8),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_every_candidate_gets_one_pick_with_a_reason_and_no_cap_is_broken(
    posts, cap, per_series, minimum
):
    candidates = [candidate(n, ago, *groups) for n, (ago, groups) in enumerate(posts, 1)]
    declared = newsletter(cap=cap, cap_per_series=per_series, minimum=minimum)
    made = pick_news(candidates, declared, History(), began=BEGAN, oldest=BEGAN)
    assert sorted(pick.post_id for pick in made) == [c.post.id for c in candidates]
    assert all(pick.reason for pick in made)
    ins = taken({pick.post_id: pick for pick in made})
    assert len(ins) == 0 or minimum <= len(ins) <= cap
    for slug in ("series:ipc", "series:pbr"):
        held = [n for n in ins if slug in candidates[n - 1].groups]
        assert len(held) <= per_series
