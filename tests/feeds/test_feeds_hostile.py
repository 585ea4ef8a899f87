"""One feed that holds everything that ever went wrong, and servers that mean harm."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from time import monotonic

import pytest

from digest.feeds.refresh import refresh_feeds
from digest.model import Image
from digest.store.posts import find_post, load_posts

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
ALT = "ไทย \U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


@pytest.fixture
def hostile(web, make_rss, make_item):
    """The feed's URL. Entries 1 to 11 can be saved, the others cannot."""
    items = [
        make_item(1, title="<script>alert(1)</script> <b>", html="<p>One.</p><script>x</script>"),
        make_item(2, title="</mj-text></mj-column>", html="<p>Two.</p></mj-text><mj-raw>x"),
        make_item(3, title="{{ 7*7 }} {% raw %}", html="<p>{{ 7*7 }} ${7*7} #{7*7}</p>"),
        make_item(
            4, title="Con\x00trol\x1b[31m \x85 \ufdd0", html="<p>a\x00b\x07c &#x1b;d\x7f</p>"
        ),
        make_item(5, html="<div>" * 9000 + "<p>Five.</p>" + "</div>" * 9000),
        make_item(6, html="<p><a href='javascript:alert(1)'>Six</a><a href=' data:x'>.</a></p>"),
        make_item(7, date="Sat, 32 Nov 2026 10:00:00 +0000", html="<p>Seven.</p>"),
        make_item(8, author="a." * 32_000, html="<p>Eight.</p>"),
        make_item(9, html=f'<p>Nine.</p><img src="/9.png" alt="{ALT}">'),
        make_item(10, html="".join(f"<b id={n}><p>x" for n in range(20_000)) + "Ten."),
        make_item(11, title="t" * 100_000, html="[caption]<p>Eleven.</p>[/caption]"),
        make_item(12, link="javascript:alert(1)", guid="no-url-12"),
        make_item(13, link="https://reader.invalid/unsubscribe", guid="mark-13"),
        make_item(14, html="word " * 300_000),
    ]
    broken = (
        "<item><guid>broken-15</guid><title>&lol9;</title><description><br></description></item>"
    )
    bomb = "".join(f"<!ENTITY lol{n} '{f'&lol{n - 1};' * 10}'>" for n in range(1, 10))
    body = make_rss(*(item.xml(web.url) for item in items), broken)
    body = body.replace("<rss", f"<!DOCTYPE rss [<!ENTITY lol0 'lol'>{bomb}]><rss", 1)
    return web.put("/feed/", body)


@pytest.fixture
def store(any_store):
    return any_store


@pytest.fixture
def refresh(store, fetcher, make_config):
    return lambda **feeds: refresh_feeds(store, make_config(**feeds), fetcher, NOW).feeds


def test_what_can_be_saved_is_and_the_rest_is_told(hostile, web, store, refresh):
    began = monotonic()
    (report,) = refresh(hostile={"url": hostile, "paging": "none"})
    assert monotonic() - began < 10
    assert (report.status, report.new, report.error) == ("new", 11, None)
    told = {problem.split(": ")[0]: problem for problem in report.problems}
    assert set(told) == {
        "the feed declares entities of its own; they were left out",
        f"{web.url}/?p=7",
        f"{web.url}/?p=8",
        f"{web.url}/?p=14",
        "no-url-12",
        "mark-13",
        "broken-15",
    }
    with store.read() as c:
        posts = {post.guid.rpartition("=")[2]: post for post in load_posts(c)}
    assert set(posts) == {str(number) for number in range(1, 12)}
    written = "".join(post.html for post in posts.values()).lower()
    for harm in ("<script", "javascript:", "mj-text", "mj-raw", "data:", ".invalid", "<svg"):
        assert harm not in written
    assert posts["1"].title == "<script>alert(1)</script> <b>"
    assert posts["3"].title == "{{ 7*7 }} {% raw %}"
    assert posts["4"].title == "Control[31m …"
    assert posts["4"].text == "abc d"
    assert posts["5"].text == "Five."
    assert posts["7"].published == NOW
    assert posts["8"].author == ""
    assert posts["9"].image == Image(f"{web.url}/9.png", ALT)
    assert posts["10"].text.endswith("Ten.")
    assert posts["11"].text == "Eleven."
    assert len(posts["11"].title) <= 300
    assert posts["11"].title.endswith("…")


def test_it_is_unchanged_when_read_again(hostile, refresh):
    feed = {"url": hostile, "paging": "none"}
    refresh(hostile=feed)
    (report,) = refresh(hostile=feed)
    assert (report.status, report.new, report.changed) == ("unchanged", 0, 0)


def test_servers_that_mean_harm_stop_no_other_feed(web, new_blog, refresh, make_reply):
    web.replies["/drip"] = make_reply(raw=b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000, drip=0.01)
    bomb = gzip.compress(b"\0" * 50_000_000)
    feeds = {
        "bomb": web.put("/bomb", bomb, Content_Encoding="gzip"),
        "big": web.put("/big", b"<rss>" + b" " * 40_000_000),
        "html": web.put("/html", "<html>Please log in</html>"),
        "inside": web.put("/inside", status=302, Location="http://169.254.169.254/latest/"),
        "around": web.put("/around", status=301, Location="/around?again"),
        "drip": {"url": f"{web.url}/drip", "timeout_seconds": 1},
        "good": new_blog("/good/", 3).url,
    }
    began = monotonic()
    reports = refresh(**feeds)
    assert monotonic() - began < 10
    *failed, good = reports
    assert [feed.status for feed in failed] == ["failed"] * 6
    assert all(feed.error for feed in failed)
    assert (good.status, good.new) == ("new", 3)


def test_a_guid_is_found_however_long(web, store, refresh, make_rss, make_item):
    long = [make_item(n, guid="g" * 60_000 + str(n)) for n in (1, 2)]
    url = web.put("/feed/", make_rss(*(item.xml(web.url) for item in long)))
    for expected in (2, 0):
        (report,) = refresh(feed=url)
        assert (report.new, report.changed) == (expected, 0)
    with store.read() as c:
        assert find_post(c, f"{web.url}/post-1/") != find_post(c, f"{web.url}/post-2/")
