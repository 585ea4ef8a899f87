"""The bundled sample blog, read as a first run reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from digest.feeds.refresh import refresh_feeds
from digest.sample.server import SampleServer
from digest.store.posts import load_posts

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def test_the_sample_blog_is_read_whole_and_then_unchanged(store, fetcher, make_config):
    with SampleServer(anchor=NOW, now=lambda: NOW) as server:
        config = make_config(sample=f"{server.url}/feed/")
        (report,) = refresh_feeds(store, config, fetcher, NOW).feeds
        assert report.problems == ()
        assert report.proof.startswith("first reading: read to the end")
        (again,) = refresh_feeds(store, config, fetcher, NOW + timedelta(hours=1)).feeds
        assert (again.status, again.new, again.changed) == ("unchanged", 0, 0)
    with store.read() as c:
        posts = load_posts(c)
    assert len(posts) == report.new >= 30
    assert any(post.image for post in posts)
    assert all(post.excerpt and post.author and post.text for post in posts)
