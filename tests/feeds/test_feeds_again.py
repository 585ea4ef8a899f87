"""Another try reads only the feeds that failed for a reason that may pass."""

from __future__ import annotations

from digest.feeds.refresh import refresh_failed, refresh_feeds


def test_only_what_failed_for_a_passing_reason_is_read_again(
    *, web, store, fetcher, make_config, new_blog, now
):
    good = new_blog(count=2)
    urls = {
        "busy": web.put("/busy", "", 502),
        "throttled": web.put("/throttled", "", 429),
        "missing": web.put("/missing", "", 404),
    }
    config = make_config(good=good.url, **urls)
    first = refresh_feeds(store, config, fetcher, now)
    assert [feed.slug for feed in first.passing] == ["busy"]
    assert [feed.slug for feed in first.failed] == ["busy", "throttled", "missing"]
    web.asked.clear()
    again = refresh_failed(store, config, fetcher, now, first)
    assert web.asked == ["/busy"]
    assert [feed.slug for feed in again.feeds] == ["good", *urls]
    assert again.feeds[0] == first.feeds[0]
    new_blog("/busy", count=3)
    done = refresh_failed(store, config, fetcher, now, again)
    assert done.passing == ()
    # The third post; the other two are known from the feed that answered.
    assert (done.feeds[1].status, done.feeds[1].new) == ("new", 1)
