"""The look at picked posts just before an issue goes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from digest.feeds.recheck import recheck_posts
from digest.feeds.refresh import refresh_feeds
from digest.model import PostView
from digest.store.posts import load_posts

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


@pytest.fixture
def blog(new_blog):
    return new_blog(count=34)


@pytest.fixture
def views(store, fetcher, make_config, blog):
    """Posts 1, 20 and 34, as an issue would show them."""
    refresh_feeds(store, make_config(blog=blog.url), fetcher, NOW)
    with store.read() as c:
        posts = load_posts(c)
    names = [name for name in PostView.__slots__ if name != "post_id"]
    return [
        PostView(post_id=post.id, **{name: getattr(post, name) for name in names})
        for post in (posts[0], posts[19], posts[33])
    ]


@pytest.fixture
def check(fetcher, make_config, blog):
    def check(views, **feeds):
        return recheck_posts(fetcher, make_config(**(feeds or {"blog": blog.url})), views)

    return check


def verdicts(checks):
    return [found.verdict for found in checks]


def test_nothing_has_changed(check, views):
    found = check(views)
    assert verdicts(found) == ["same"] * 3
    assert [one.post_id for one in found] == [view.post_id for view in views]


@pytest.mark.parametrize("status", [404, 410])
def test_a_withdrawn_post_is_gone(check, views, blog, status):
    blog.web.put("/post-20/", status=status)
    del blog.items[19]
    found = check(views)
    assert verdicts(found) == ["same", "gone", "same"]
    assert "Post number 20" in found[1].message
    assert str(status) in found[1].message


def test_an_edited_post_shows_what_changed(check, views, blog):
    blog.items[19].title = "A better title"
    blog.items[19].author = "Bob"
    blog.items[33].html = '<p>Other words.</p><img src="/x.png" alt="A dog">'
    found = check(views)
    assert verdicts(found) == ["same", "changed", "changed"]
    assert [(c.field, c.before, c.after) for c in found[1].changes] == [
        ("title", "Post number 20", "A better title"),
        ("author", "Ann Author", "Bob"),
    ]
    assert "title: “Post number 20” is now “A better title”" in found[1].message
    assert {c.field for c in found[2].changes} == {"excerpt", "image", "image description"}


def test_what_is_not_shown_does_not_stop_an_issue(check, views, blog):
    blog.items[19].categories = ("Other",)
    blog.items[19].html = f"{views[1].excerpt}<h2>More</h2>"
    assert verdicts(check(views)) == ["same"] * 3


def test_a_moved_date_and_url_are_changes(check, views, blog):
    blog.items[19].date = "Sat, 21 Nov 2026 10:00:00 +0000"
    blog.items[19].link = f"{blog.web.url}/moved/"
    found = check(views)[1]
    assert {c.field for c in found.changes} == {"url", "published"}


def test_no_longer_in_the_feed_but_still_there(check, views, blog):
    del blog.items[19]
    found = check(views)
    assert verdicts(found) == ["same"] * 3
    assert "not found in its feed" in found[1].message


def test_a_page_that_fails_is_a_warning(check, views, blog):
    blog.web.put("/post-20/", status=500)
    found = check(views)
    assert verdicts(found) == ["same", "unreachable", "same"]
    assert "500" in found[1].message


def test_a_feed_that_fails_is_a_warning(check, views, blog):
    blog.failing = {1}
    found = check(views)
    assert verdicts(found) == ["unreachable"] * 3
    assert "could not be compared: feed blog answered 500" in found[0].message


def test_a_silent_host_is_asked_once(check, views, blog):
    dead = [replace(view, url=f"http://127.0.0.1:1/{view.post_id}") for view in views]
    assert set(verdicts(check(dead))) <= {"unreachable", "changed"}
    assert verdicts(check(dead, blog="http://127.0.0.1:1/feed")) == ["unreachable"] * 3


def test_only_the_hosts_of_private_feeds_may_be_private(check, views, blog):
    found = check(views, blog={"url": blog.url, "allow_private": False})
    assert verdicts(found) == ["unreachable"] * 3
    assert "private" in found[0].message


def test_a_post_that_one_feed_shortens_is_as_it_was(check, views, blog, new_blog):
    other = new_blog("/short/")
    other.items = [replace(item, html="<p>Only a summary.</p>") for item in blog.items]
    assert verdicts(check(views, short=other.url, blog=blog.url)) == ["same"] * 3


def test_it_reads_anew_and_no_further_than_it_must(check, views, blog):
    blog.web.asked.clear()
    check(views[2:])
    assert blog.web.asked == ["/post-34/", "/feed/"]
    assert "if-none-match" not in blog.web.headers[-1]


def test_nothing_to_check(check, blog):
    assert check([]) == ()
    assert blog.web.asked == []


def test_a_post_without_a_date_has_not_changed(check, views, blog):
    blog.items[19].date = "soon"
    moved = replace(views[1], published=NOW - timedelta(days=1))
    assert verdicts(check([moved])) == ["same"]
