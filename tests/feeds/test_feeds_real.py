"""The real blog's feed, where DIGEST_REAL_FEED names the file. None of its words stand here."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from digest.feeds.refresh import refresh_feeds
from digest.store.posts import load_posts

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


@pytest.fixture
def config(web, make_config):
    body = Path(os.environ["DIGEST_REAL_FEED"]).read_bytes()
    return make_config(blog=web.put("/feed/", body, ETag='"real"'))


def test_every_post_of_the_real_feed_is_sane(config, store, fetcher):
    (report,) = refresh_feeds(store, config, fetcher, NOW).feeds
    assert (report.status, report.new, report.problems) == ("new", 20, ())
    with store.read() as c:
        posts = load_posts(c)
    assert len({post.guid for post in posts}) == len({post.url for post in posts}) == 20
    for post in posts:
        assert post.title.strip() == post.title != ""
        assert post.author
        assert post.categories
        assert post.arrived == post.published < NOW
        assert len(post.text) > 100
        assert 40 < len(post.excerpt) <= 280
        assert post.excerpt.endswith((".", "?", "!", "…", ".”", "”", ":", "]"))
        assert "[…]" not in post.excerpt
        assert "&#" not in post.title + post.text + post.excerpt + post.author
        assert "<" not in post.excerpt
        assert 1 <= post.reading_minutes <= 15


def test_reading_it_twice_changes_nothing(config, store, fetcher, web):
    refresh_feeds(store, config, fetcher, NOW)
    (report,) = refresh_feeds(store, config, fetcher, NOW).feeds
    assert (report.status, report.new, report.changed) == ("unchanged", 0, 0)
    assert report.proof.startswith("no gap: reached a post known since")
    assert '"real"' in [headers.get("if-none-match") for headers in web.headers]
    web.put("/feed/", status=304)
    (report,) = refresh_feeds(store, config, fetcher, NOW).feeds
    assert report.status == "unchanged"
