"""Feeds as they are, and as they should not be."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic

import pytest

from digest.feeds.parse import parse_feed

URL = "https://blog.example/feed/"


def parse(body, content_type="application/rss+xml; charset=UTF-8", url=URL):
    data = body.encode() if isinstance(body, str) else body
    return parse_feed(data, feed="blog", url=url, content_type=content_type)


@pytest.fixture
def one(make_rss):
    """The one entry of a feed whose item holds this."""

    def one(inner):
        parsed = parse(make_rss(f"<item>{inner}</item>"))
        assert parsed.fault == ""
        return parsed.entries[0]

    return one


def test_wordpress_says_everything(make_rss, make_item):
    item = make_item(
        7, title="A title", html="<p>Words</p>", categories=("Health &amp; Care", "IPC", "IPC")
    )
    parsed = parse(make_rss(item.xml("https://blog.example")))
    (entry,) = parsed.entries
    assert (parsed.problems, parsed.whole) == ((), True)
    assert entry.guid == "https://blog.example/?p=7"
    assert entry.url == "https://blog.example/post-7/"
    assert (entry.title, entry.author) == ("A title", "Ann Author")
    assert entry.categories == ("Health & Care", "IPC")
    assert entry.content_html == "<p>Words</p>"
    assert "[&#8230;]" in entry.summary_html
    assert entry.published == datetime(2025, 10, 25, 18, 0, tzinfo=UTC)
    assert entry.updated is None


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("AT&amp;T", "AT&T"),
        ("AT&amp;amp;T", "AT&T"),
        ("<![CDATA[Tom &#038; Jerry]]>", "Tom & Jerry"),
        ("<![CDATA[a < b & c]]>", "a < b & c"),
        ("&lt;b&gt;Hi&lt;/b&gt; there", "Hi there"),
        ("&lt;vector&gt; explained", "<vector> explained"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("&lt;img src=x onerror=alert(1)&gt;", "<img src=x onerror=alert(1)>"),
        ("&lt;/mj-text&gt; {{ 7*7 }}", "</mj-text> {{ 7*7 }}"),
        ("Caf&amp;eacute; &amp;#8217;s", "Café ’s"),
        ("5 &lt; 6", "5 < 6"),
    ],
)
def test_titles_are_text_with_entities_resolved_once(one, stated, shown):
    assert one(f"<title>{stated}</title>").title == shown


@pytest.mark.parametrize(
    ("kind", "stated", "shown"),
    [
        ("text", "a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("html", "a &lt;b&gt;b&lt;/b&gt; &amp;amp; c", "a b & c"),
        ("xhtml", "<div xmlns='http://www.w3.org/1999/xhtml'>a <b>b</b> &amp; c</div>", "a b & c"),
    ],
)
def test_atom_titles_say_their_type(kind, stated, shown):
    parsed = parse(
        "<feed xmlns='http://www.w3.org/2005/Atom' xml:base='https://blog.example/deep/'>"
        "<author><name>The Blog</name></author>"
        f"<entry><id>tag:blog.example,2026:1</id><title type='{kind}'>{stated}</title>"
        "<link href='post'/><updated>2026-11-01T10:00:00+02:00</updated>"
        "<content type='text'>1 &lt; 2</content></entry></feed>"
    )
    (entry,) = parsed.entries
    assert entry.title == shown
    assert entry.url == "https://blog.example/deep/post"
    assert entry.author == "The Blog"
    assert entry.published is None
    assert entry.updated == datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
    assert entry.content_html == "1 &lt; 2"


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("<dc:creator><![CDATA[Ann &amp; Bob]]></dc:creator>", "Ann & Bob"),
        ("<author>ann@blog.example (Ann Author)</author>", "Ann Author"),
        ("<author>ann@blog.example</author>", "ann@blog.example"),
        ("<author>Ann Author &lt;ann@blog.example&gt;</author>", "Ann Author"),
        ("", ""),
    ],
)
def test_authors(one, stated, name):
    assert one(f"<title>t</title>{stated}").author == name


def test_relative_links_start_at_the_final_url(make_rss):
    parsed = parse(
        make_rss("<item><title>t</title><link>/2026/post/</link></item>"),
        url="https://moved.example/feed/",
    )
    assert parsed.entries[0].url == "https://moved.example/2026/post/"


def test_a_guid_is_not_made_absolute(make_rss):
    """Or a feed that moves, or is paged, would bring every post anew."""
    body = make_rss("<item><guid>17</guid><title>t</title></item>")
    for url in (URL, "https://moved.example/feed/?paged=2"):
        (entry,) = parse(body, url=url).entries
        assert (entry.guid, entry.url) == ("17", "")


def test_a_guid_that_is_a_permalink_is_a_link(one):
    assert one("<guid>https://blog.example/a</guid>").url == "https://blog.example/a"
    assert one("<guid isPermaLink='false'>https://blog.example/?p=1</guid>").url == ""


@pytest.mark.parametrize(
    "date",
    [
        "Sat, 32 Nov 2026 10:00:00 +0000",
        "Sam, 21 nov",
        "-0001-11-30T00:00:00+00:00",
        "0000-00-00",
        "Mon, 30 Nov -0001 00:00:00 +0000",
        "Fri, 31 Dec 9999 23:59:59 +0000",
        "Sun, 01 Jan 0001 00:00:00 +0000",
        "soon",
        "99999999999999999999",
    ],
)
def test_dates_that_do_not_exist_are_told(make_rss, date):
    item = f"<item><title>t</title><guid>g-1</guid><pubDate>{date}</pubDate></item>"
    parsed = parse(make_rss(item))
    assert parsed.entries[0].published is None
    assert parsed.problems == (f"g-1: {date!r} is no date that exists; taken as first seen",)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Sat, 21 Nov 2026 10:00:00 +0100", datetime(2026, 11, 21, 9, tzinfo=UTC)),
        ("Sat, 21 Nov 2026 10:00:00 EST", datetime(2026, 11, 21, 15, tzinfo=UTC)),
        ("2026-11-21T10:00:00Z", datetime(2026, 11, 21, 10, tzinfo=UTC)),
    ],
)
def test_dates_are_utc(one, date, expected):
    assert one(f"<pubDate>{date}</pubDate>").published == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "an HTML page"),
        (b"<html><head><title>x</title></head></html>", "an HTML page"),
        (b"<p>hello</p>", "neither RSS nor Atom"),
        (b"just words", "no XML"),
        (b'{"version": "https://jsonfeed.org/version/1"}', "no XML"),
        (b"<?xml version='1.0'?><sitemap/>", "neither RSS nor Atom"),
        (b"/etc/passwd", "no XML"),
        (b"http://127.0.0.1:1/feed", "no XML"),
        (b"<rss><channel></rss>", "not well-formed"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "no XML"),
        (b"<!DOCTYPE rss [", "no XML"),
    ],
)
def test_what_is_no_feed_is_said_in_words(body, words):
    parsed = parse(body, content_type="text/html")
    assert words in parsed.fault
    assert parsed.entries == ()


def test_harmless_faults_are_repaired(make_rss):
    item = (
        "<item><title>Salt & pepper&nbsp;&copy; &unknown; &#8217; &#0;&#x1;</title>"
        "<guid>g-1</guid><description>a\x0bb\x01c</description></item>"
    )
    body = "\n <br />\n<b>Warning</b>: mysql_connect() in <b>/x.php</b>\n" + make_rss(item)
    parsed = parse(body)
    assert (parsed.problems, parsed.whole, parsed.fault) == ((), True, "")
    assert parsed.entries[0].title == "Salt & pepper\xa0© &unknown; ’"
    assert parsed.entries[0].summary_html == "abc"


def test_the_media_type_is_not_believed(make_rss):
    for kind in ("text/html", "text/plain", "application/octet-stream", "", ";;;=", "text/xml"):
        parsed = parse(make_rss("<item><title>Café</title></item>"), content_type=kind)
        assert parsed.entries[0].title == "Café"


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("iso-8859-1", "application/rss+xml"),
        ("windows-1252", "application/rss+xml; charset=windows-1252"),
        ("utf-16", "application/rss+xml"),
        ("utf-16-le", "application/rss+xml"),
        ("utf-8-sig", "application/rss+xml"),
    ],
)
def test_other_encodings(make_rss, encoding, content_type):
    text = make_rss("<item><title>Café</title></item>")
    body = text.replace("encoding='UTF-8'", f"encoding='{encoding}'").encode(encoding)
    assert parse(body, content_type).entries[0].title == "Café"


@pytest.mark.parametrize("codec", ["punycode", "rot13", "idna", "unicode_escape", "nonsense"])
def test_a_codec_is_not_run_because_a_feed_names_it(make_rss, codec):
    text = make_rss("<item><title>Café</title></item>" + " " * 300_000)
    body = text.replace("encoding='UTF-8'", f"encoding='{codec}'").encode()
    began = monotonic()
    assert parse(body, f"text/xml; charset={codec}").entries[0].title == "Café"
    assert monotonic() - began < 2


def test_a_truncated_feed_loses_its_half_entry_and_says_so(make_rss, make_item):
    body = make_rss(*(make_item(n).xml("https://blog.example") for n in (3, 2, 1)))
    cut = body[: body.rindex("They go on")]
    parsed = parse(cut)
    assert [entry.guid[-1] for entry in parsed.entries] == ["3", "2"]
    assert not parsed.whole
    assert parsed.problems == (
        "https://blog.example/?p=1: left out, the feed breaks off in the middle of it",
    )


def test_a_feed_cut_between_entries_is_not_whole(make_rss, make_item):
    body = make_rss(*(make_item(n).xml("https://blog.example") for n in (2, 1)))
    parsed = parse(body[: body.rindex("<item>")])
    assert len(parsed.entries) == 1
    assert not parsed.whole


def test_a_broken_entry_is_named_and_the_others_are_saved(make_rss, make_item):
    good = [make_item(n).xml("https://blog.example") for n in (1, 3)]
    broken = "<item><title>Broken</title><guid>g-2</guid><description><br></description></item>"
    parsed = parse(make_rss(good[0], broken, good[1]))
    assert [entry.guid[-1] for entry in parsed.entries] == ["1", "3"]
    assert parsed.whole
    assert len(parsed.problems) == 1
    assert parsed.problems[0].startswith("g-2: left out, its markup is not well-formed")


def test_an_entity_bomb_does_not_go_off(make_item):
    bomb = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12))
    item = make_item(1, title="Kept").xml("https://blog.example")
    body = (
        f"<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY l0 'lol'>{bomb}"
        "<!ENTITY file SYSTEM 'file:///etc/passwd'>]>"
        "<rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'"
        " xmlns:content='http://purl.org/rss/1.0/modules/content/'><channel>"
        f"{item}<item><title>x &l11; &file;</title><guid>g-2</guid></item></channel></rss>"
    )
    began = monotonic()
    parsed = parse(body)
    assert monotonic() - began < 1
    assert [entry.title for entry in parsed.entries] == ["Kept", "x &l11; &file;"]
    assert "root:" not in str(parsed)
    assert parsed.problems == ("the feed declares entities of its own; they were left out",)


@pytest.mark.parametrize(
    "author",
    [
        "<dc:creator>{}</dc:creator>",
        "<dc:creator><![CDATA[{}]]></dc:creator>",
        "<author>{}</author>",
        "<author a='>'><x/>{}</author>",
        "<x:creator xmlns:x='http://purl.org/dc/elements/1.1/'>{}</x:creator>",
        "<dc:publisher>{}</dc:publisher>",
        "<author>b<author>c</author>{}</author>",
    ],
)
def test_an_author_of_64_kb_costs_no_time_and_is_told(make_rss, author):
    item = f"<item><title>Kept</title><guid>g-1</guid>{author.format('a.' * 32_000)}</item>"
    began = monotonic()
    parsed = parse(make_rss("<item><guid>g-0</guid></item>", item))
    assert monotonic() - began < 1
    assert parsed.entries[1].title == "Kept"
    assert len(parsed.entries[1].author) <= 1024
    assert parsed.problems == ("g-1: its author is longer than 1 KB and was left out",)


def test_an_entity_cannot_smuggle_a_long_author(make_rss):
    body = make_rss("<item><guid>g-1</guid><dc:creator>&a;&a;</dc:creator></item>").replace(
        "<rss", f'<!DOCTYPE rss [<!ENTITY a "{"a." * 30_000}">]><rss', 1
    )
    began = monotonic()
    assert parse(body).entries[0].author == "&a;&a;"
    assert monotonic() - began < 1


@pytest.mark.parametrize(
    "head",
    [
        "<?xml " + 'encoding="" ' * 20_000,
        "<?x " + 'encoding="" ' * 20_000 + "?>",
        "\n" * 2_000_000 + "<!ENTITY",
        "<!DOCTYPE x [" + "\n<!ENTITY" * 200_000 + "]>",
        "<!--" * 300_000,
        "<![CDATA[" * 300_000,
        "<rss><channel>" + "<item>" * 150_000,
        "<rss version='2.0'><channel>" + "<item/>" * 250_000 + "</channel></rss>",
        "<rss version='2.0'><channel><item>" + "<a>" * 150_000 + "</a>" * 150_000,
        "<rss version='2.0'><channel><item><author>" + "<item><author>" * 100_000,
        "<rss version='2.0'><channel>" + "&nbsp;" * 300_000 + "</channel></rss>",
        "<rss version='2.0'><channel><item " + "a='" * 200_000,
        "<rss version='2.0'><channel>" + "<item><title>&</title><guid>" * 50_000,
    ],
    ids=range(13),
)
def test_hostile_text_costs_bounded_time(head):
    began = monotonic()
    parse(head)
    parse(head + "<rss version='2.0'><channel><item><title>t</title></item></channel></rss>")
    assert monotonic() - began < 8


def test_ten_thousand_entries_are_not_all_read(make_rss):
    parsed = parse(make_rss("<item><title>t</title></item>" * 6_000))
    assert len(parsed.entries) == 5_000
    assert not parsed.whole
    assert parsed.problems == ("only the first 5000 of 6000 entries were read",)


def test_of_an_export_only_published_posts_are_read(make_rss, make_item):
    kinds = [
        ("publish", "post"),
        ("draft", "post"),
        ("<![CDATA[private]]>", "<![CDATA[post]]>"),
        ("inherit", "attachment"),
        ("inherit", "post"),
        ("publish", "page"),
        ("", "post"),
        ("<![CDATA[publish]]>", "<![CDATA[post]]>"),
    ]
    items = [
        make_item(number, date="-0001-11-30" if status == "draft" else "")
        .xml("https://blog.example")
        .replace(
            "</item>",
            f"<wp:status>{status}</wp:status><wp:post_type>{kind}</wp:post_type></item>",
        )
        for number, (status, kind) in enumerate(kinds, 1)
    ]
    space = "<rss xmlns:wp='http://wordpress.org/export/1.2/'"
    parsed = parse(make_rss(*items).replace("<rss", space, 1))
    assert [entry.guid[-1] for entry in parsed.entries] == ["1", "8"]
    assert parsed.whole
    assert parsed.problems == tuple(
        f"https://blog.example/?p={number}: is {what} in the export, left out"
        for number, what in [
            (2, "a draft"),
            (3, "a post of status 'private'"),
            (4, "an attachment"),
            (5, "a post of status 'inherit'"),
            (6, "a page"),
            (7, "a post of status 'unknown'"),
        ]
    )


def test_a_post_protected_by_a_password_is_left_out_of_an_export(make_rss, make_item):
    item = make_item(1).xml("https://blog.example")
    secret = "<wp:status>publish</wp:status><wp:post_password>hush</wp:post_password></item>"
    space = "<rss xmlns:wp='http://wordpress.org/export/1.2/'"
    parsed = parse(make_rss(item.replace("</item>", secret)).replace("<rss", space, 1))
    assert parsed.entries == ()
    assert "protected by a password" in parsed.problems[0]
