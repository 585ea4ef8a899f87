"""Which entry is which post."""

from __future__ import annotations

import pytest

from digest.feeds.identity import Identified, Key, canonical_url, identify, identity_keys

POST = "https://blog.example/post/"


@pytest.mark.parametrize(
    "url",
    [
        "https://BLOG.example:443/post/",
        "https://blog.example/post/#comments",
        "https://blog.example/post/?utm_source=rss&utm_medium=rss",
        "https://blog.example/post/?fbclid=abc",
        "https://blog.example/./post/",
        "https://blog.example/%70ost/",
    ],
)
def test_urls_of_one_post_are_one(url):
    assert canonical_url(url) == POST


def test_urls_of_two_posts_are_two():
    assert canonical_url("https://blog.example/?p=1") != canonical_url("https://blog.example/?p=2")
    assert canonical_url("https://blog.example/?p=1&utm_id=2") == "https://blog.example/?p=1"
    assert canonical_url("not a url") == "not a url"


def test_a_blog_that_moves_to_https_changes_no_post():
    old = identity_keys("a", "http://blog.example/?p=1", "http://blog.example/post/")
    new = identity_keys("a", "https://blog.example/?p=1", "https://blog.example/post/")
    assert old == new


@pytest.mark.parametrize("guid", [POST, "tag:blog.example,2026:1", "urn:uuid:1-2-3"])
def test_global_guids_are_one_in_all_feeds(guid):
    assert identity_keys("a", guid, POST) == identity_keys("b", guid, POST)


def test_other_guids_are_the_feeds_own():
    (first, *_), (second, *_) = identity_keys("a", "17", POST), identity_keys("b", "17", POST)
    assert first != second
    assert first.kind == "guid"


def test_without_guid_or_url():
    assert [key.kind for key in identity_keys("a", "", POST)] == ["url"]
    assert [key.kind for key in identity_keys("a", "17", "")] == ["guid"]
    assert identity_keys("a", " ", "javascript:x") == ()


def test_keys_fit_an_index():
    for key in identity_keys("a", "é" * 5000, POST + "x" * 1900):
        assert len(key.value.encode()) <= 1000


def test_the_guid_wins_and_the_conflict_is_told():
    guid, url = Key("guid", "g"), Key("url", "u")
    assert identify((guid, url), {}) == Identified(None)
    assert identify((guid, url), {url: 2}) == Identified(2)
    assert identify((guid, url), {guid: 1, url: 1}) == Identified(1)
    assert identify((guid, url), {guid: 1, url: 2}) == Identified(1, conflict_id=2)
