"""Readings of feeds: nothing twice, nothing lost, and every reading says how it knows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from digest.errors import UsageError
from digest.feeds.fetch import Fetcher
from digest.feeds.refresh import refresh_feeds
from digest.store.posts import find_post, load_posts, mark_gone
from digest.store.tables import feeds, post_changes, posts

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=7)


@pytest.fixture
def blog(new_blog):
    return new_blog(count=34)


@pytest.fixture
def read(store, fetcher, make_config, blog):
    """Read the feeds, by default the one blog; returns the first report."""

    def read(now=NOW, config=None, **kwargs):
        report = refresh_feeds(store, config or make_config(blog=blog.url), fetcher, now, **kwargs)
        assert json.dumps(asdict(report))
        return report.feeds[0]

    return read


def count(store):
    with store.read() as c:
        return c.scalar(select(func.count()).select_from(posts))


def row(store, slug="blog"):
    with store.read() as c:
        return c.execute(select(feeds).where(feeds.c.slug == slug)).one()


def every_post(store):
    with store.read() as c:
        return load_posts(c)


def test_the_first_reading_goes_back_to_the_end_and_is_archive(read, store):
    report = read()
    assert (report.status, report.new, report.changed, report.error) == ("new", 34, 0, None)
    assert report.proof == "first reading: read to the end, 34 posts"
    assert report.problems == ()
    found = every_post(store)
    assert len(found) == 34
    assert all(post.arrived == post.published for post in found)


def test_a_second_reading_is_unchanged_by_304(read, blog):
    read()
    blog.web.asked.clear()
    report = read(LATER)
    assert (report.status, report.new, report.changed) == ("unchanged", 0, 0)
    assert report.proof == "no gap: the feed is as it was, read whole on 2026-11-22"
    assert blog.web.asked == ["/feed/"]


def test_a_second_reading_is_unchanged_by_content(read, blog):
    blog.validators = False
    read()
    report = read(LATER)
    assert (report.status, report.new, report.changed) == ("unchanged", 0, 0)
    assert report.proof == "no gap: reached a post known since 2026-11-22"


@pytest.mark.parametrize("later", [NOW, LATER], ids=["same moment", "a week later"])
def test_a_busy_week_loses_nothing(read, blog, store, later):
    read()
    blog.publish(25)
    report = read(later)
    assert (report.status, report.new) == ("new", 25)
    assert report.proof == "no gap: reached a post known since 2026-11-22"
    assert count(store) == 59
    assert {post.arrived for post in every_post(store)[-25:]} == {later}


@pytest.mark.parametrize("later", [NOW, LATER], ids=["same moment", "a week later"])
def test_a_reading_that_breaks_off_is_made_good_by_the_next(read, blog, store, later):
    read()
    blog.publish(25)
    blog.failing = {2}
    report = read(later)
    assert (report.status, report.new) == ("failed", 10)
    assert "page 2 answered 500" in report.error
    assert "possible gap" in report.proof
    assert row(store).etag is None
    again = read(later)
    assert (again.status, again.new) == ("failed", 0)
    blog.failing = set()
    final = read(later + timedelta(hours=1))
    assert (final.status, final.new) == ("new", 15)
    assert final.proof.startswith("no gap: ")
    assert count(store) == 59
    assert read(later + timedelta(hours=2)).status == "unchanged"


def test_a_first_reading_that_breaks_off_is_archive_when_made_good(read, blog, store):
    blog.failing = {3}
    assert (read().status, count(store)) == ("failed", 20)
    blog.failing = set()
    report = read(LATER)
    assert (report.new, report.proof) == (14, "first reading: read to the end, 34 posts")
    assert all(post.arrived == post.published for post in every_post(store))


def test_a_crash_between_two_pages_loses_nothing(read, blog, store, fetcher, monkeypatch):
    read()
    blog.publish(25)
    fetch = fetcher.fetch

    class Killed(BaseException):
        pass

    def dies_on_page_2(url, **kwargs):
        if "paged=2" in url:
            raise Killed
        return fetch(url, **kwargs)

    monkeypatch.setattr(fetcher, "fetch", dies_on_page_2)
    with pytest.raises(Killed):
        read(LATER)
    monkeypatch.undo()
    assert count(store) == 44
    assert read(LATER + timedelta(hours=1)).new == 15
    assert count(store) == 59


def test_a_page_that_breaks_off_is_no_end(read, blog, store):
    read()
    blog.publish(3)
    whole = blog._reply
    blog.web.replies["/feed/"] = lambda target: _halved(whole(target))
    report = read(LATER)
    assert report.status == "failed"
    assert "breaks off" in report.error
    assert len(report.problems) == 1
    blog.web.replies["/feed/"] = whole
    assert read(LATER).status == "new"
    assert count(store) == 37


def _halved(reply):
    text = reply.body.decode()
    reply.body = text[: text.index("</item>") + 300].encode()
    reply.headers.pop("ETag", None)
    return reply


def test_a_server_that_repeats_its_last_page_for_ever(read, blog):
    blog.repeats_last = True
    report = read()
    assert report.proof == "first reading: read to the end, 34 posts"
    assert len(blog.web.asked) == 5


def test_a_server_that_does_not_page_is_told(read, blog, store):
    blog.per_page = 10
    blog.web.replies["/feed/"] = lambda _target, real=blog._reply: real("/feed/")
    report = read()
    assert "older ones cannot be read" in report.proof
    assert len(blog.web.asked) == 2
    blog.publish(2)
    assert read(LATER).proof.startswith("no gap")
    blog.publish(12)
    assert read(LATER).proof.startswith("possible gap: no known post among 10")


def test_the_limit_of_pages_is_told(read, blog, make_config):
    config = make_config(blog={"url": blog.url, "max_pages": 2})
    report = read(config=config)
    assert report.proof == (
        "first reading: 20 posts; reading stopped at page 2 (max_pages), so older ones cannot be read"
    )
    blog.publish(30)
    assert read(LATER, config).proof.startswith("possible gap: no known post among 20")


def test_a_feed_without_pages_is_asked_once(read, blog, make_config):
    report = read(config=make_config(blog={"url": blog.url, "paging": "none"}))
    assert (report.new, blog.web.asked) == (10, ["/feed/"])


def test_a_new_post_between_two_pages_is_no_trouble(read, blog, store):
    read()
    blog.publish(15)
    whole = blog._reply

    def publishes_meanwhile(target):
        if "paged=2" in target and len(blog.items) == 49:
            blog.publish(1)
        return whole(target)

    blog.web.replies["/feed/"] = publishes_meanwhile
    report = read(LATER)
    assert (report.new, report.problems) == (15, ())
    blog.web.replies["/feed/"] = whole
    assert read(LATER).new == 1
    assert count(store) == 50


def test_an_edit_updates_the_post_and_is_recorded(read, blog, store):
    read()
    blog.items[-1].title = "A better title"
    report = read(LATER)
    assert (report.status, report.new, report.changed) == ("new", 0, 1)
    with store.read() as c:
        change = c.execute(select(post_changes)).one()
        post = find_post(c, f"{blog.web.url}/?p=34")
    assert post is not None
    assert (post.title, post.arrived) == ("A better title", post.published)
    assert change.fields == {"title": {"before": "Post number 34", "after": "A better title"}}
    assert change.at == LATER
    assert read(LATER).status == "unchanged"


def test_missing_from_the_feed_is_not_deleted(read, blog, store):
    read()
    del blog.items[-1]
    assert read(LATER).status == "unchanged"
    assert count(store) == 34


def test_a_post_found_gone_is_back_once_its_feed_edits_it(any_store, fetcher, make_config, blog):
    config = make_config(blog=blog.url)
    refresh_feeds(any_store, config, fetcher, NOW)
    before = every_post(any_store)
    shown, edited, deep = before[33], before[32], before[3]
    blog.items[32].title = blog.items[3].title = "A better title"
    with any_store.write() as c:
        mark_gone(c, [shown.id, edited.id, deep.id], NOW)
    assert refresh_feeds(any_store, config, fetcher, LATER).feeds[0].changed == 1
    after = {post.id: post for post in every_post(any_store)}
    assert after[edited.id].gone_at is None
    assert after[shown.id].gone_at == after[deep.id].gone_at == NOW


def test_a_post_that_is_gone_stays_so_while_its_feed_goes_on_showing_it(read, blog, store):
    blog.validators = False
    read()
    post = every_post(store)[-1]
    with store.write() as c:
        mark_gone(c, [post.id], NOW)
    for hour in range(1, 4):
        assert read(NOW + timedelta(hours=hour)).status == "unchanged"
        assert every_post(store)[-1].gone_at == NOW


def test_another_feeds_shorter_version_is_no_edit(read, blog, new_blog, make_config, store):
    read()
    post = every_post(store)[-1]
    with store.write() as c:
        mark_gone(c, [post.id], NOW)
    short = new_blog("/short/")
    short.items = [replace(item, html="<p>Only a summary.</p>") for item in blog.items]
    both = make_config(blog=blog.url, short=short.url)
    read(LATER, both)
    assert every_post(store)[-1].gone_at == NOW


def test_a_changed_url_is_the_same_post(read, blog, store):
    read()
    blog.items[-1].link = f"{blog.web.url}/another-name/"
    assert read(LATER).changed == 1
    with store.read() as c:
        old, new = (find_post(c, f"{blog.web.url}/{p}/") for p in ("post-34", "another-name"))
    assert old is not None
    assert old == new
    assert count(store) == 34


def test_one_post_through_two_feeds_is_one_post(read, blog, new_blog, make_config, store):
    other = new_blog("/category/notes/feed/")
    other.items = [item for item in blog.items if item.number % 2]
    config = make_config(blog=blog.url, notes=other.url)
    read(config=config)
    assert count(store) == 34
    for item in other.items:
        item.html = "<p>Only a summary.</p>"
    other.items = [type(item)(**vars(item)) for item in other.items]
    for item in blog.items:
        item.html = ""
    with store.read() as c:
        before = load_posts(c)
    for _ in range(2):
        read(LATER, config)
    with store.read() as c:
        assert load_posts(c) == before
        assert c.execute(select(post_changes)).all() == []
    blog.publish(1)
    other.items.append(blog.items[-1])
    assert [feed.new for feed in _all(store, config, read, LATER)] == [1, 0]


def _all(store, config, read, now):
    """The report of each feed, through the fixture's own fetcher."""
    return [read(now, config, only=slug) for slug in config.feeds]


def test_two_guids_on_one_url_are_one_post_and_told(read, new_blog, make_item, make_config, store):
    twins = new_blog("/twins/")
    twins.items = [make_item(1), make_item(2, link=f"{twins.web.url}/post-1/")]
    report = read(config=make_config(twins=twins.url))
    assert (report.new, count(store)) == (1, 1)
    assert report.problems == (
        f"{twins.web.url}/?p=1: is the same post as '{twins.web.url}/?p=2', which came first",
    )
    assert read(LATER, make_config(twins=twins.url)).status == "unchanged"


def test_the_guid_wins_where_the_url_belongs_to_another(
    read, new_blog, make_item, make_config, store
):
    odd = new_blog("/odd/")
    odd.items = [make_item(1), make_item(2)]
    config = make_config(odd=odd.url)
    read(config=config)
    odd.items[1].link = f"{odd.web.url}/post-1/"
    report = read(LATER, config)
    assert report.changed == 1
    assert "its URL belongs to 'Post number 1'" in report.problems[0]
    assert {post.title for post in every_post(store)} == {"Post number 1", "Post number 2"}
    with store.read() as c:
        kept = find_post(c, f"{odd.web.url}/?p=1")
        assert kept is not None
        assert kept.title == "Post number 1"


def test_a_post_from_the_future_arrives_when_it_is_published(read, blog, make_item, store):
    read()
    blog.items.append(make_item(99, date="Wed, 02 Dec 2026 08:00:00 +0000"))
    read(LATER)
    with store.read() as c:
        assert len(load_posts(c, as_of=LATER)) == 34
        assert len(load_posts(c, as_of=datetime(2026, 12, 2, 8, tzinfo=UTC))) == 35


def test_a_post_without_a_date_keeps_the_day_it_was_seen(read, blog, make_item, store):
    read()
    blog.items.append(make_item(99, date="Sat, 32 Nov 2026 08:00:00 +0000"))
    report = read(LATER)
    assert len(report.problems) == 1
    blog.validators = False
    assert read(LATER + timedelta(days=1)).changed == 0
    with store.read() as c:
        post = find_post(c, f"{blog.web.url}/?p=99")
    assert post is not None
    assert (post.published, post.arrived) == (LATER, LATER)


def test_410_pauses_the_feed_until_asked_or_moved(read, blog, store, make_config):
    read()
    blog.web.put("/feed/", status=410)
    assert "the feed is paused" in read().error
    blog.web.asked.clear()
    report = read(LATER)
    assert report.status == "failed"
    assert report.error.startswith("paused: answered 410 Gone on 2026-11-22")
    assert "change its URL" in report.error
    assert "`digest ingest --feed blog`" in report.error
    assert blog.web.asked == []
    assert "410" in read(LATER, only="blog").error
    assert blog.web.asked == ["/feed/"]
    blog.web.put("/feed/", status=500)
    read(LATER, only="blog")
    assert read(LATER).error.startswith("paused")
    blog.web.replies["/moved/"] = blog._reply
    blog.path = "/moved/"
    assert read(LATER, make_config(blog=blog.url)).error is None
    assert count(store) == 34


def test_asking_by_name_ends_a_pause_that_is_over(read, blog):
    read()
    blog.web.put("/feed/", status=410)
    read()
    blog.web.replies["/feed/"] = blog._reply
    assert read(LATER).status == "failed"
    assert read(LATER, only="blog").error is None
    assert read(LATER).error is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttling_server_is_left_alone(read, blog, store, status):
    read()
    real = blog._reply
    blog.web.put("/feed/", status=status, Retry_After="86400")
    report = read()
    assert report.status == "failed"
    assert (
        "asks to wait until 2026-11-23 18:00 UTC; the first `digest ingest` after" in report.error
    )
    blog.web.asked.clear()
    assert "asked to wait until" in read(NOW + timedelta(hours=23), only="blog").error
    assert blog.web.asked == []
    blog.web.replies["/feed/"] = real
    assert read(NOW + timedelta(hours=24)).status == "unchanged"


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "the feed is empty"), (b"<!doctype html><html>Log in", "the feed is an HTML page")],
)
def test_what_is_no_feed_fails_in_words_and_is_read_again(read, blog, store, body, words):
    read()
    real = blog._reply
    blog.web.put("/feed/", body)
    report = read(LATER)
    assert (report.status, report.error is not None and words in report.error) == ("failed", True)
    assert row(store).last_error == report.error
    blog.web.replies["/feed/"] = real
    blog.publish(1)
    assert read(LATER).new == 1
    assert row(store).last_error is None


def test_an_empty_feed_is_not_taken_for_a_whole_reading(read, new_blog, make_config, store):
    young = new_blog("/young/")
    config = make_config(young=young.url)
    assert read(config=config).status == "unchanged"
    assert row(store, "young").read_whole_at is None
    young.publish(2)
    assert read(LATER, config).new == 2


def test_one_bad_feed_stops_no_other(store, fetcher, make_config, blog):
    web = blog.web
    config = make_config(
        gone=web.put("/gone", status=410),
        dead="http://127.0.0.1:1/feed",
        public={"url": blog.url, "allow_private": False},
        html=web.put("/html", "<html>"),
        blog=blog.url,
    )
    report = refresh_feeds(store, config, fetcher, NOW)
    assert [feed.status for feed in report.feeds] == ["failed"] * 4 + ["new"]
    assert all(feed.error for feed in report.feeds[:4])
    assert "private" in (report.feeds[2].error or "")
    assert count(store) == 34


@pytest.fixture
def report_of(read, web, make_rss, make_config):
    """What reading a feed of this one item comes to."""

    def report_of(item):
        url = web.put("/odd/", make_rss(item))
        return read(config=make_config(odd={"url": url, "paging": "none"}))

    return report_of


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,hi", ""])
def test_a_guid_in_the_place_of_a_link_is_told(report_of, link):
    guid = "https://blog.example/?p=7"
    item = f"<title>t</title><guid isPermaLink='false'>{guid}</guid><link>{link}</link>"
    date = "<pubDate>Sat, 21 Nov 2026 10:00:00 +0000</pubDate>"
    report = report_of(f"<item>{item}{date}</item>")
    assert report.new == 1
    assert report.problems == (f"{guid}: its link is no web address; its guid is used instead",)


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("<pubDate>soon</pubDate>", "'soon' is no date that exists; taken as first seen"),
        ("", "has no date; taken as first seen"),
    ],
)
def test_a_date_that_is_missing_is_told_once(report_of, date, told):
    item = f"<item><title>t</title><guid>https://blog.example/a</guid>{date}</item>"
    assert report_of(item).problems == (f"https://blog.example/a: {told}",)


def test_a_bad_entry_stops_not_its_feed(read, new_blog, make_item, make_config, store):
    odd = new_blog("/odd/")
    odd.items = [make_item(1), make_item(2, link="javascript:alert(1)", guid="two"), make_item(3)]
    report = read(config=make_config(odd=odd.url))
    assert report.new == 2
    assert report.problems == ("two: left out, it has no usable URL ('javascript:alert(1)')",)


def test_only_one_feed(store, fetcher, make_config, blog):
    config = make_config(dead="http://127.0.0.1:1/feed", blog=blog.url)
    report = refresh_feeds(store, config, fetcher, NOW, only="blog")
    assert [feed.slug for feed in report.feeds] == ["blog"]
    with pytest.raises(UsageError, match="no feed 'nonsense' in config; there are: dead, blog"):
        refresh_feeds(store, config, fetcher, NOW, only="nonsense")


def test_another_url_under_the_same_name_is_another_archive(
    read, blog, new_blog, make_config, store
):
    read()
    other = new_blog("/other/")
    other.publish(3)
    for item in other.items:
        item.guid, item.link = f"urn:other:{item.number}", f"{other.web.url}/other-{item.number}/"
    report = read(LATER, make_config(blog=other.url))
    assert report.proof.startswith("first reading")
    assert all(post.arrived == post.published for post in every_post(store))
    assert count(store) == 37


def test_pages_are_told_as_they_are_read(read):
    pages = []
    read(progress=lambda: pages.append(1))
    assert len(pages) == 5


def test_two_readings_at_once_store_each_post_once(any_store, make_config, blog):
    store = any_store
    config = make_config(blog=blog.url)

    def run(_):
        with closing(Fetcher(config.site, lambda: NOW)) as fetcher:
            return refresh_feeds(store, config, fetcher, NOW).feeds[0]

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(run, range(3)))
    assert [report.error for report in reports] == [None] * 3
    assert sum(report.new for report in reports) == 34
    assert count(store) == 34


def test_a_week_on_either_database(any_store, fetcher, make_config, blog):
    config = make_config(blog=blog.url)
    (first,) = refresh_feeds(any_store, config, fetcher, NOW).feeds
    blog.publish(25)
    blog.items[40].title = "A better title"
    blog.failing = {2}
    (broken,) = refresh_feeds(any_store, config, fetcher, LATER).feeds
    blog.failing = set()
    blog.items[58].title = "A better title"
    (whole,) = refresh_feeds(any_store, config, fetcher, LATER).feeds
    (again,) = refresh_feeds(any_store, config, fetcher, LATER).feeds
    counts = [(feed.status, feed.new, feed.changed) for feed in (first, broken, whole, again)]
    assert counts == [("new", 34, 0), ("failed", 10, 0), ("new", 15, 1), ("unchanged", 0, 0)]
    assert count(any_store) == 59
