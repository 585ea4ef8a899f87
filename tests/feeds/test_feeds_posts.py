"""The store's side of posts: finding and loading them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from digest.config import Series
from digest.feeds.identity import Key, identity_keys
from digest.model import CleanPost, Image
from digest.picks.series import parts_of
from digest.store.memberships import ensure_memberships, load_memberships
from digest.store.posts import (
    add_identities,
    content_hash,
    find_identities,
    find_post,
    insert_post,
    load_posts,
    mark_gone,
    mark_shown,
    post_by_id,
)

START = datetime(2020, 1, 1, tzinfo=UTC)


def clean_post(number):
    return CleanPost(
        guid=f"https://blog.example/?p={number}",
        url=f"https://blog.example/{number}/",
        title=f"Post {number}",
        author="Ann",
        published=START + timedelta(hours=number),
        categories=("Notes", "Café"),
        html="<p>x</p>",
        text="x",
        excerpt="x",
        image=Image("https://blog.example/x.png", "A dog", 600, 400) if number % 2 else None,
        reading_minutes=1,
    )


@pytest.fixture
def store(any_store):
    return any_store


@pytest.fixture
def add(store):
    def add(*numbers):
        with store.write() as c:
            for number in numbers:
                post = clean_post(number)
                seen = {"first_seen": START, "arrived": post.published}
                post_id = insert_post(c, post, feed="blog", **seen)
                keys = identity_keys("blog", post.guid, post.url)
                add_identities(c, [(key, post_id) for key in keys])

    return add


def test_a_post_comes_back_as_it_was_stored(add, store):
    add(1, 2)
    with store.read() as c:
        first, second = load_posts(c)
        assert post_by_id(c, first.id) == first
        assert post_by_id(c, 99) is None
    before = clean_post(1)
    assert all(getattr(first, name) == getattr(before, name) for name in CleanPost.__slots__)
    assert second.image is None


def test_posts_are_found_by_any_form_of_url_and_by_guid(add, store):
    add(1, 2)
    with store.read() as c:
        for name in (
            "https://blog.example/?p=2",
            "https://blog.example/2/",
            "http://BLOG.example/2/?utm_source=x#y",
        ):
            found = find_post(c, name)
            assert found is not None
            assert found.title == "Post 2"
        assert find_post(c, "https://blog.example/3/") is None
        assert find_post(c, "") is None


def test_posts_are_loaded_by_ids_and_as_of_a_moment(add, store):
    add(3, 1, 2)
    with store.read() as c:
        every = load_posts(c)
        assert [post.title for post in every] == ["Post 1", "Post 2", "Post 3"]
        assert load_posts(c, ids=[every[2].id, every[0].id, 99]) == [every[0], every[2]]
        assert load_posts(c, ids=[]) == []
        assert load_posts(c, as_of=every[1].arrived) == every[:2]
        assert load_posts(c, ids=[every[2].id], as_of=every[1].arrived) == []


def test_an_identity_stays_with_its_first_post(add, store):
    add(1, 2)
    key = Key("url", "https://blog.example/1/")
    with store.write() as c:
        before = find_identities(c, [key])
        add_identities(c, [(key, before[key] + 1)])
        assert find_identities(c, [key, Key("guid", "nobody")]) == before


def test_the_hash_sees_what_a_reader_sees():
    post = clean_post(1)
    assert content_hash(post) == content_hash(clean_post(1))
    assert content_hash(post) != content_hash(clean_post(2))


def test_many_posts_load_at_once(add, store):
    add(*range(1000))
    began = monotonic()
    with store.read() as c:
        posts = load_posts(c)
        assert load_posts(c, ids=[post.id for post in posts]) == posts
        keys = [key for post in posts for key in identity_keys("blog", post.guid, post.url)]
        assert len(find_identities(c, keys)) == 2_000
    assert monotonic() - began < 2


def test_a_post_found_gone_is_so_until_a_later_reading_shows_it(add, store):
    add(1, 2, 3)
    day = [START + timedelta(days=n) for n in range(4)]
    with store.read() as c:
        one, two, three = load_posts(c)
    assert one.gone_at is None
    with store.write() as c:
        mark_gone(c, [one.id, two.id, 99], day[1])
        mark_gone(c, [two.id, three.id], day[2])
        mark_gone(c, [], day[2])
        mark_shown(c, [one.id, three.id], day[1])
    with store.read() as c:
        assert load_posts(c) == [one, replace(two, gone_at=day[1]), replace(three, gone_at=day[2])]
        assert post_by_id(c, two.id) == replace(two, gone_at=day[1])
    with store.write() as c:
        mark_shown(c, [two.id, three.id], day[3])
    with store.read() as c:
        assert load_posts(c) == [one, two, three]


def test_a_post_that_is_gone_stays_a_part_of_its_series(add, store, make_config):
    add(1, 2, 3)
    rule = {"title": "Notes", "hashtag": "notes", "match": {"categories": ["Notes"]}}
    config = make_config().model_copy(update={"series": {"notes": Series.model_validate(rule)}})

    def parts():
        with store.write() as c:
            ensure_memberships(c, config)
            return parts_of(load_posts(c), load_memberships(c, config), config)

    before = parts()
    with store.write() as c:
        mark_gone(c, list(before), START)
    assert parts() == before
    assert [[part.part for part in of_post] for of_post in before.values()] == [[1], [2], [3]]


def test_many_posts_are_gone_and_back_at_once(add, store):
    add(*range(1000))
    with store.write() as c:
        posts = [post.id for post in load_posts(c)]
        mark_gone(c, posts, START)
        assert {post.gone_at for post in load_posts(c)} == {START}
        mark_shown(c, posts, START)
        assert {post.gone_at for post in load_posts(c)} == {None}
