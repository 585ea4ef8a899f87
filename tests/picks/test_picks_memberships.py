"""Memberships in the store: found once, found anew when posts or rules change."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, select, update

from digest.config import Matcher, Series, Theme
from digest.model import Membership
from digest.store.memberships import ensure_memberships, load_memberships
from digest.store.tables import memberships, posts

DAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def a_config(category="PbR"):
    series = Series(title="Results", hashtag="PbR", match=Matcher(categories=(category,)))
    bread = Theme(title="Bread", hashtag="Bread", terms={"bread": 9})
    return SimpleNamespace(series={"pbr": series}, themes={"bread": bread})


def add_post(c, number, categories=(), text="Words.") -> None:
    c.execute(
        insert(posts).values(
            id=number, guid=f"g{number}", url=f"https://blog.example/{number}/", title=f"Post {number}", author="A",
            published=DAY, first_seen=DAY, arrived=DAY, categories=list(categories), html="",
            text=text, excerpt="", reading_minutes=1, content_hash=f"{categories}{text}",
        )
    )  # fmt: skip


def change_post(c, number, text) -> None:
    c.execute(update(posts).where(posts.c.id == number).values(text=text, content_hash=text))


@pytest.fixture
def two_posts(store):
    with store.write() as c:
        add_post(c, 1, ["PbR"], "bread")
        add_post(c, 2)
    return store


def test_memberships_are_stored_with_their_reasons(two_posts):
    with two_posts.write() as c:
        assert ensure_memberships(c, a_config()) == 2
    with two_posts.read() as c:
        assert load_memberships(c, a_config()) == {
            1: (
                Membership("series", "pbr", "category “PbR”"),
                Membership("theme", "bread", "about bread: “bread”"),
            )
        }


def test_a_second_time_nothing_is_read_again(two_posts):
    for expected in (2, 0):
        with two_posts.write() as c:
            assert ensure_memberships(c, a_config()) == expected


def test_new_and_changed_posts_alone_are_read(two_posts):
    with two_posts.write() as c:
        ensure_memberships(c, a_config())
        change_post(c, 2, "bread")
        add_post(c, 3, ["PbR"])
        assert ensure_memberships(c, a_config()) == 2
        assert [m.slug for m in load_memberships(c, a_config())[2]] == ["bread"]


def test_a_change_takes_memberships_away_too(two_posts):
    with two_posts.write() as c:
        ensure_memberships(c, a_config())
        change_post(c, 1, "flour")
        ensure_memberships(c, a_config())
        assert [row.slug for row in c.execute(select(memberships))] == ["pbr"]


def test_other_rules_read_every_post_again(two_posts):
    with two_posts.write() as c:
        ensure_memberships(c, a_config())
        assert ensure_memberships(c, a_config("Results")) == 2
        assert [row.slug for row in c.execute(select(memberships))] == ["bread"]


def test_looking_without_storing_tells_the_same_and_leaves_no_trace(two_posts):
    with two_posts.read() as c:
        looked = load_memberships(c, a_config())
    with two_posts.write() as c:
        assert list(c.execute(select(memberships))) == []
        ensure_memberships(c, a_config())
        stored = load_memberships(c, a_config())
    assert {k: v for k, v in looked.items() if v} == stored


def test_an_interrupted_run_leaves_all_as_it_was(two_posts):
    class KilledError(Exception):
        pass

    def killed_in_the_middle():
        with two_posts.write() as c:
            ensure_memberships(c, a_config())
            raise KilledError

    with pytest.raises(KilledError):
        killed_in_the_middle()
    with two_posts.write() as c:
        assert list(c.execute(select(memberships))) == []
        assert ensure_memberships(c, a_config()) == 2
