"""The sample feed: well-formed, in WordPress's form, newest first, paged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

import pytest

from digest.sample.blog import feed_page, load_posts, path_of, published_at

ANCHOR = datetime(2026, 11, 22, 18, 0, 30, 123456, tzinfo=UTC)
BASE = "http://127.0.0.1:8765"
POSTS = load_posts()
NS = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "atom": "http://www.w3.org/2005/Atom",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "wfw": "http://wellformedweb.org/CommentAPI/",
    "wp": "com-wordpress:feed-additions:1",
}


def page(number=1, *, posts=POSTS, now=ANCHOR):
    return feed_page(posts, anchor=ANCHOR, now=now, base_url=BASE, page=number)


def items(number=1, **options):
    return ET.fromstring(page(number, **options)).findall("channel/item")


def text(item, path):
    return item.findtext(path, namespaces=NS)


def test_all_posts_stand_on_four_pages_once_newest_first():
    every = [item for number in (1, 2, 3, 4) for item in items(number)]
    dates = [parsedate_to_datetime(text(item, "pubDate")) for item in every]
    assert len({text(item, "guid") for item in every}) == len(every) == len(POSTS)
    assert dates == sorted(dates, reverse=True)


def test_past_the_end_there_is_no_page():
    assert page(5) is None


def test_before_the_first_post_the_feed_is_empty_and_not_missing():
    assert items(now=ANCHOR - timedelta(days=600)) == []


def test_a_page_below_one_is_a_callers_mistake():
    with pytest.raises(ValueError, match="from 1"):
        page(0)


def test_the_channel_says_what_wordpress_says():
    channel = ET.fromstring(page()).find("channel")
    assert text(channel, "title") == "Common Threads"
    assert text(channel, "description") == "Notes on social care, one thread at a time"
    assert text(channel, "language") == "en-GB"
    assert text(channel, "generator").startswith("https://wordpress.org/?v=")
    assert text(channel, "sy:updatePeriod").strip() == "hourly"
    assert channel.find("atom:link", NS).attrib == {
        "href": f"{BASE}/feed/",
        "rel": "self",
        "type": "application/rss+xml",
    }


def test_an_item_says_what_wordpress_says():
    post = min(POSTS, key=lambda p: p.days_before)
    item = items()[0]
    assert text(item, "title") == post.title
    assert text(item, "link") == BASE + path_of(post, ANCHOR)
    assert text(item, "dc:creator") == post.author
    assert parsedate_to_datetime(text(item, "pubDate")) == published_at(post, ANCHOR)
    assert [c.text for c in item.findall("category")] == list(post.categories)
    assert text(item, "guid") == f"https://commonthreads.example/?p={post.id}"
    assert item.find("guid").get("isPermaLink") == "false"
    assert text(item, "slash:comments") == str(post.comments)
    assert text(item, "wfw:commentRss").endswith("/feed/")
    assert text(item, "wp:post-id") == str(post.id)


def test_excerpts_are_cut_at_fifty_five_words_and_hold_no_markup():
    for item in items():
        cut = text(item, "description")
        assert cut.endswith(" [&#8230;]")
        assert len(cut.split()) == 56
        assert "<" not in cut
        assert "Advertisements" not in cut


def test_bodies_keep_the_furniture_and_lose_the_placeholders():
    bodies = [text(i, "content:encoded") for n in (1, 2, 3, 4) for i in items(n)]
    assert not any("{{" in body for body in bodies)
    assert sum("appeared first on" in body for body in bodies) >= 5
    assert sum('<div class="sharedaddy' in body for body in bodies) >= 4
    assert any("[caption " in body for body in bodies)
    assert any("&#8217;" in body for body in bodies)
    assert any(f'src="{BASE}/wp-content/uploads/' in body for body in bodies)


def test_markup_like_text_survives_the_feed():
    odd = replace(POSTS[-1], title="A < B & C ]]> D", body="<p>x ]]> y &amp; z</p>")
    item = items(posts=[odd])[0]
    assert text(item, "title") == "A < B & C ]]> D"
    assert text(item, "content:encoded") == "<p>x ]]&gt; y &amp; z</p>"


def test_cdata_is_written_as_such():
    assert b"<dc:creator><![CDATA[Tom Hargreave]]></dc:creator>" in page()


def test_a_correction_shows_in_the_feed_and_in_its_build_date():
    before, after = (page(2, now=ANCHOR + timedelta(days=d)) for d in (0, 2))
    assert b"with a correction" not in before
    assert b"with a correction" in after
    assert b"<lastBuildDate>Mon, 23 Nov 2026 18:00:30 +0000</lastBuildDate>" in after


def test_the_same_moment_gives_the_same_bytes():
    assert page(3) == page(3)
