"""Series: members, order, numbers and neighbours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from digest.config import Matcher, Order, Series, Theme
from digest.model import Post, PostLink
from digest.picks.classify import classify, rules_hash
from digest.picks.series import number_parts, parts_of, series_members

DAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def a_post(number, *, title="", categories=(), day=0, text="") -> Post:
    when = DAY + timedelta(days=day)
    return Post(
        number, f"https://blog.example/?p={number}", f"https://blog.example/{number}/", title or f"Post {number}",
        "A. Writer", when, when, tuple(categories), "", text, "", None, 1,
    )  # fmt: skip


def a_series(category, **more) -> Series:
    return Series(
        title=f"On {category}", hashtag=category, match=Matcher(categories=(category,)), **more
    )


def a_config(themes=None, **series):
    return SimpleNamespace(series=series, themes=themes or {})


def test_excludes_win():
    series = a_series("PbR", exclude=Matcher(titles=("news",)))
    posts = [a_post(1, categories=["PbR"]), a_post(2, title="PbR news", categories=["PbR"])]
    assert list(series_members(posts, series)) == [1]


def test_parts_are_numbered_as_published_and_ties_by_id():
    posts = [a_post(3, day=1), a_post(9, day=0), a_post(2, day=1)]
    assert number_parts(posts, Order()) == (9, 2, 3)


def test_an_introduction_published_last_can_be_part_one():
    posts = [a_post(1, day=1), a_post(2, day=2), a_post(3, title="An introduction", day=9)]
    assert number_parts(posts, Order(first=("introduction",))) == (3, 1, 2)


def test_first_listed_rest_last():
    posts = [a_post(n, day=n) for n in range(1, 7)]
    order = Order(
        first=("post 5$",),
        listed=("https://blog.example/4", "https://blog.example/?p=2"),
        last=("post [15]$",),
    )
    assert number_parts(posts, order) == (5, 4, 2, 3, 6, 1)


def test_each_part_knows_its_neighbours_and_part_one():
    posts = [a_post(n, categories=["PbR"], day=n) for n in (1, 2, 3)]
    config = a_config(pbr=a_series("PbR"))
    (second,) = parts_of(posts, classify(posts, config), config)[2]
    assert (second.part, second.of, second.slug, second.title) == (2, 3, "pbr", "On PbR")
    assert second.why == "category “PbR”"
    assert second.first == second.previous == PostLink("Post 1", "https://blog.example/1/")
    assert second.next == PostLink("Post 3", "https://blog.example/3/")


def test_a_post_of_two_series_has_two_parts_in_the_order_of_config():
    posts = [a_post(1, categories=["A"]), a_post(2, categories=["B", "A"], day=1)]
    config = a_config(b=a_series("B"), a=a_series("A"))
    parts = parts_of(posts, classify(posts, config), config)
    assert [(p.slug, p.part, p.of) for p in parts[2]] == [("b", 1, 1), ("a", 2, 2)]


def test_numbers_are_those_of_the_posts_given():
    posts = [a_post(n, categories=["A"], day=n) for n in (1, 2, 3)]
    config = a_config(a=a_series("A"))
    memberships = classify(posts, config)
    (then,) = parts_of(posts[:2], memberships, config)[2]
    assert (then.part, then.of, then.next) == (2, 2, None)


def test_a_membership_of_a_series_no_longer_declared_is_no_part():
    posts = [a_post(1, categories=["A"])]
    before = classify(posts, a_config(a=a_series("A")))
    assert parts_of(posts, before, a_config(b=a_series("B"))) == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=12))
def test_every_member_has_one_number_and_the_chain_is_whole(days_and_titles):
    posts = [
        a_post(n, title=t, categories=["A"], day=d) for n, (d, t) in enumerate(days_and_titles, 1)
    ]
    config = a_config(a=a_series("A", order=Order(first=("b",), last=("c",))))
    found = parts_of(posts, classify(posts, config), config).values()
    parts = sorted((of_post[0] for of_post in found), key=lambda part: part.part)
    assert [part.part for part in parts] == list(range(1, len(posts) + 1))
    assert all(a.next and b.previous for a, b in pairwise(parts))


def test_a_change_of_rules_is_noticed_and_a_change_of_order_is_none():
    theme = Theme(title="Bread", hashtag="Bread", terms={"bread": 3})
    config = a_config({"bread": theme}, a=a_series("A"))
    same = a_config({"bread": theme}, a=a_series("A", order=Order(first=("x",))))
    other = a_config({"bread": theme}, a=a_series("A", exclude=Matcher(categories=("x",))))
    heavier = a_config({"bread": theme.model_copy(update={"threshold": 7.0})}, a=a_series("A"))
    assert rules_hash(config) == rules_hash(same)
    assert len({rules_hash(c) for c in (config, other, heavier)}) == 3
