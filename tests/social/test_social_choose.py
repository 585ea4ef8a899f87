"""Choosing: each post once on a channel, under what comes first, with the reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from digest.config import Matcher, Series, Theme
from digest.config_social import Channel
from digest.model import Membership, Part, Post, PostLink
from digest.social.choose import Asked, Had, Shelf, candidates, choose

DAY = datetime(2026, 11, 2, 9, tzinfo=UTC)
LONG_AGO = DAY - timedelta(days=900)


def a_post(number, day=None, *, gone_at=None):
    when = DAY + timedelta(days=number if day is None else day)
    return Post(
        number, f"g{number}", f"https://blog.example/{number}/", f"Post {number}", "A. Writer",
        when, when, (), "", "", "", None, 1, gone_at,
    )  # fmt: skip


def a_shelf(posts, /, themes=(), **series):
    """`series`: the ids of each in reading order; `themes`: pairs of slug and id."""
    memberships = {post.id: [] for post in posts}
    parts = {post.id: [] for post in posts}
    link = PostLink("", "")
    for slug, ids in series.items():
        for number, post_id in enumerate(ids, 1):
            memberships[post_id].append(Membership("series", slug, f"category {slug}"))
            part = Part(slug, f"On {slug}", slug, number, len(ids), "", link, None, None)
            parts[post_id].append(part)
    for slug, post_id in themes:
        memberships[post_id].append(Membership("theme", slug, f"says {slug}"))
    return Shelf({post.id: post for post in posts}, memberships, parts)


def a_config(**channel):
    declared = {
        slug: Series(title=f"On {slug}", hashtag=slug, match=Matcher(categories=(slug,)))
        for slug in ("ipc", "pbr")
    }
    bread = Theme(title="Bread", hashtag="Bread", terms={"bread": 9})
    channels = {"x": Channel(network="x", **channel)}
    return SimpleNamespace(series=declared, themes={"bread": bread}, channels=channels)


def ids(shelf, config, *, asked=None, since=LONG_AGO):
    found = candidates(shelf, asked or Asked(), since, config.channels["x"])
    return [post.id for post in found]


def decide(post_id, shelf, config=None, /, *, done=None, **asked):
    return choose(
        shelf.posts[post_id],
        "x",
        config or a_config(),
        shelf,
        asked=Asked(**asked),
        done=done or {},
    )


def test_what_arrived_comes_as_it_was_published():
    shelf = a_shelf([a_post(1, 5), a_post(2, 3), a_post(3, 4)], ipc=[1, 2, 3])
    assert ids(shelf, a_config()) == [2, 3, 1]
    assert ids(shelf, a_config(), since=DAY + timedelta(days=4)) == [3, 1]


def test_a_standing_series_comes_in_reading_order_and_others_keep_their_places():
    # Part 1 of ipc was published last.
    shelf = a_shelf([a_post(n) for n in range(1, 7)], ipc=[5, 1, 3], pbr=[6, 2, 4])
    assert ids(shelf, a_config(forms={"ipc": "standing"})) == [5, 2, 1, 4, 3, 6]
    assert ids(shelf, a_config(form="standing")) == [5, 6, 1, 2, 3, 4]


def test_what_goes_out_under_another_series_is_left_out_of_that_order():
    shelf = a_shelf([a_post(n) for n in range(1, 4)], ipc=[3], pbr=[3, 2, 1])
    assert ids(shelf, a_config(forms={"pbr": "standing"})) == [2, 1, 3]
    assert ids(shelf, a_config(forms={"pbr": "standing"}, series=("pbr",))) == [3, 2, 1]


def test_a_named_series_comes_in_reading_order_with_its_archive():
    shelf = a_shelf([a_post(n) for n in range(1, 4)], ipc=[3, 1])
    later = DAY + timedelta(days=99)
    assert ids(shelf, a_config(), asked=Asked(series="ipc"), since=later) == [3, 1]


def test_a_named_post_comes_alone():
    assert ids(a_shelf([a_post(1), a_post(2)]), a_config(), asked=Asked(post_id=2)) == [2]


@pytest.mark.parametrize("form", ["thread", "standing", "snippet"])
def test_the_form_is_that_of_its_series(form):
    shelf = a_shelf([a_post(1)], ipc=[1])
    chosen = decide(1, shelf, a_config(forms={"ipc": form}))
    assert (chosen.form, chosen.repeat, chosen.subject.scope) == (form, 0, "series:ipc")


def test_a_theme_never_stands():
    shelf = a_shelf([a_post(1)], themes=[("bread", 1)])
    assert decide(1, shelf, a_config(themes=("bread",), form="standing")).form == "thread"


def test_it_goes_out_once_under_what_comes_first():
    shelf = a_shelf([a_post(1), a_post(2)], themes=[("bread", 1)], ipc=[1], pbr=[2, 1])
    chosen = decide(1, shelf, a_config(themes=("bread",)))
    assert (
        chosen.reason
        == "part 1 of 1 of On ipc: category ipc; also in On pbr, Bread, but goes out once"
    )
    assert decide(1, shelf, series="pbr").subject.scope == "series:pbr"


def test_what_the_channel_does_not_take_stays_out():
    shelf = a_shelf([a_post(1), a_post(2)], themes=[("bread", 2)], ipc=[1])
    assert decide(2, shelf).reason == "in no series or theme that x takes"
    assert decide(1, shelf, series="pbr").reason == "in no series pbr that x takes"
    assert decide(1, shelf, a_config(series=("pbr",))).subject is None


def test_a_post_has_one_thread():
    shelf = a_shelf([a_post(1)], ipc=[1])
    chosen = decide(1, shelf, done={1: Had(DAY)}, series="ipc")
    assert chosen.subject is None
    assert chosen.reason == "has a thread on x already, planned 2026-11-02"


def test_an_editor_lets_it_out_again():
    shelf = a_shelf([a_post(1)], ipc=[1])
    had = Had(DAY, repeats=2, last_out=DAY + timedelta(days=1))
    chosen = decide(1, shelf, done={1: had}, post_id=1, repeat=True)
    assert chosen.repeat == 3
    assert chosen.reason.endswith("; once more on purpose: it was out on 2026-11-03")
    never = decide(1, shelf, done={1: Had(DAY)}, series="ipc", repeat=True)
    assert never.reason.endswith("it never went out")


def test_what_never_had_a_thread_is_no_repeat():
    chosen = decide(1, a_shelf([a_post(1)], ipc=[1]), series="ipc", repeat=True)
    assert (chosen.repeat, "purpose" in chosen.reason) == (0, False)


def test_what_is_still_to_go_out_is_not_let_out_twice():
    shelf = a_shelf([a_post(1)], ipc=[1])
    chosen = decide(1, shelf, done={1: Had(DAY, waiting=True)}, post_id=1, repeat=True)
    assert chosen.reason == "has a thread on x that is still to go out, planned 2026-11-02"


def test_a_repeat_of_nothing_named_repeats_nothing():
    chosen = decide(1, a_shelf([a_post(1)], ipc=[1]), done={1: Had(DAY)}, repeat=True)
    assert chosen.subject is None


def test_what_is_gone_from_the_blog_stays_out():
    shelf = a_shelf([a_post(1, gone_at=DAY)], ipc=[1])
    assert decide(1, shelf).reason == "withdrawn: its page was gone on 2026-11-02"
    back = replace(shelf.posts[1], gone_at=None)
    assert decide(1, replace(shelf, posts={1: back})).subject is not None
