"""Readings of every page, whatever is known: they find edits that stand deep in the archive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from digest.feeds.fetch import Fetcher
from digest.feeds.refresh import refresh_feeds
from digest.sample.feed import GUID_BASE
from digest.sample.server import SampleServer
from digest.store.posts import find_post, load_posts, mark_gone
from digest.store.tables import feeds, post_changes

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=7)


@pytest.fixture
def blog(new_blog):
    return new_blog(count=34)


@pytest.fixture
def read(any_store, fetcher, make_config, blog):
    """Read the one blog; returns its report."""

    def read(now=LATER, *, whole=True, **feed):
        config = make_config(blog={"url": blog.url} | feed)
        return refresh_feeds(any_store, config, fetcher, now, whole=whole).feeds[0]

    return read


def every_post(store):
    with store.read() as c:
        return load_posts(c)


def titles(store):
    return [post.title for post in every_post(store)]


def row(store):
    with store.read() as c:
        return c.execute(select(feeds)).one()


class Killed(BaseException):
    pass


@pytest.fixture
def dies_on(monkeypatch, fetcher):
    """Let the reading die where it fetches this page; `undo` brings it back to life."""
    fetch = fetcher.fetch

    def dies_on(page):
        def dies(url, **kwargs):
            if f"paged={page}" in url:
                raise Killed
            return fetch(url, **kwargs)

        monkeypatch.setattr(fetcher, "fetch", dies)
        return monkeypatch

    return dies_on


def test_an_edit_deep_in_the_archive_is_found(read, blog, any_store):
    read(NOW, whole=False)
    blog.items[2].title = "A better title"
    assert read(whole=False).status == "unchanged"
    blog.web.asked.clear()
    report = read()
    assert (report.status, report.new, report.changed) == ("new", 0, 1)
    assert report.proof == "no gap: read to the end, 34 posts"
    assert len(blog.web.asked) == 5
    assert "A better title" in titles(any_store)
    with any_store.read() as c:
        change = c.execute(select(post_changes)).one()
    assert (change.at, list(change.fields)) == (LATER, ["title"])


def test_nothing_edited_is_unchanged_and_the_next_reading_is_short(read, blog, any_store):
    read(NOW, whole=False)
    before = every_post(any_store)
    report = read()
    assert (report.status, report.proof) == ("unchanged", "no gap: read to the end, 34 posts")
    assert every_post(any_store) == before
    blog.web.asked.clear()
    assert "the feed is as it was" in read(whole=False).proof
    assert blog.web.asked == ["/feed/"]


def test_as_a_first_reading_it_finds_archive(read, any_store):
    report = read(NOW)
    assert (report.new, report.proof) == (34, "first reading: read to the end, 34 posts")
    assert all(post.arrived == post.published for post in every_post(any_store))


def test_what_is_known_stays_archive_and_what_is_new_is_news(read, blog, any_store):
    read(NOW, whole=False)
    before = {post.id: post.arrived for post in every_post(any_store)}
    blog.items[2].title = "A better title"
    blog.publish(12)
    assert (read().new, len(before)) == (12, 34)
    after = {post.id: post.arrived for post in every_post(any_store)}
    assert {post_id: after[post_id] for post_id in before} == before
    assert {after[post_id] for post_id in after.keys() - before.keys()} == {LATER}


def test_pages_that_a_first_reading_could_not_reach_are_archive(read, dies_on, any_store):
    assert read(NOW, whole=False, max_pages=2).new == 20
    undo = dies_on(4).undo
    with pytest.raises(Killed):
        read()
    undo()
    assert read(LATER, whole=False).new == 0
    assert read(LATER).new == 4
    found = every_post(any_store)
    assert len(found) == 34
    assert all(post.arrived == post.published for post in found)


@pytest.mark.parametrize("later", [NOW, LATER], ids=["same moment", "a week later"])
def test_a_kill_in_the_middle_is_closed_by_a_normal_reading(read, blog, dies_on, any_store, later):
    read(NOW, whole=False)
    blog.publish(5)
    blog.items[2].title = "A better title"
    undo = dies_on(3).undo
    with pytest.raises(Killed):
        read(later)
    undo()
    assert row(any_store).open_since == later
    blog.publish(15)
    report = read(later, whole=False)
    assert (report.error, report.new) == (None, 15)
    assert report.proof.startswith("no gap: ")
    assert row(any_store).open_since is None
    assert read(later, whole=False).status == "unchanged"
    read(later)
    assert "A better title" in titles(any_store)
    assert len(titles(any_store)) == 54
    assert {post.arrived for post in every_post(any_store)[-20:]} == {later}


def test_a_page_that_fails_is_told_and_the_next_reading_closes_it(read, blog, any_store):
    read(NOW, whole=False)
    blog.publish(5)
    blog.failing = {3}
    report = read()
    assert (report.status, report.new) == ("failed", 5)
    assert "page 3 answered 500" in report.error
    blog.failing = set()
    closed = read(whole=False)
    assert (closed.error, closed.new, closed.changed) == (None, 0, 0)
    assert row(any_store).open_since is None


def test_it_ends_where_the_server_repeats_its_last_page_for_ever(read, blog):
    read(NOW, whole=False)
    blog.repeats_last = True
    blog.web.asked.clear()
    assert read().proof == "no gap: read to the end, 34 posts"
    assert len(blog.web.asked) == 5


def test_it_ends_at_the_limit_of_pages_and_says_so(read, blog):
    read(NOW, whole=False)
    blog.web.asked.clear()
    assert read(max_pages=2).proof == (
        "no gap: reached a post known since 2026-11-22,"
        " but older ones cannot be read: reading stopped at page 2 (max_pages)"
    )
    assert len(blog.web.asked) == 2


def test_a_feed_of_one_page_is_read_and_says_so(read, blog):
    read(NOW, whole=False)
    blog.items[-1].title = "A better title"
    report = read(paging="none")
    assert report.changed == 1
    assert report.proof.endswith("older ones cannot be read: the feed is read as one page")


def test_what_was_gone_and_is_in_the_feed_unchanged_is_back(read, any_store):
    read(NOW, whole=False)
    before = every_post(any_store)
    with any_store.write() as c:
        mark_gone(c, [before[0].id, before[-1].id], NOW)
    read(whole=False)
    after = every_post(any_store)
    assert after[0].gone_at == after[-1].gone_at == NOW
    assert read().status == "unchanged"
    assert every_post(any_store) == before


def test_a_whole_and_a_normal_reading_at_once_lose_nothing(any_store, make_config, blog):
    config = make_config(blog=blog.url)

    def run(whole):
        with closing(Fetcher(config.site, lambda: NOW)) as fetcher:
            return refresh_feeds(any_store, config, fetcher, LATER, whole=whole).feeds[0]

    run(False)
    blog.publish(25)
    blog.items[2].title = "A better title"
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(run, [True, False, True]))
    assert [report.error for report in reports] == [None] * 3
    assert (sum(r.new for r in reports), sum(r.changed for r in reports)) == (25, 1)
    assert len(titles(any_store)) == 59
    run(False)
    assert row(any_store).open_since is None


def test_the_sample_blogs_old_correction_is_seen_by_a_whole_reading_alone(
    store, fetcher, make_config
):
    moment = [NOW]
    with SampleServer(anchor=NOW, now=lambda: moment[0]) as server:
        config = make_config(sample=f"{server.url}/feed/")
        refresh_feeds(store, config, fetcher, NOW)
        before = _post_1437(store)
        moment[0] = NOW + timedelta(days=1, hours=1)
        refresh_feeds(store, config, fetcher, moment[0])
        assert _post_1437(store) == before
        (report,) = refresh_feeds(store, config, fetcher, moment[0], whole=True).feeds
        after = _post_1437(store)
    assert (report.new, report.changed) == (0, 1)
    assert report.proof.startswith("no gap: read to the end, ")
    assert (after.title != before.title, after.arrived) == (True, before.arrived)


def _post_1437(store):
    with store.read() as c:
        post = find_post(c, f"{GUID_BASE}/?p=1437")
    assert post is not None
    return post
