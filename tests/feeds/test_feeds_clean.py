"""Entries made fit to be shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import pytest

from digest.feeds.clean import EXCERPT_LENGTH, Unsaved, clean_entry
from digest.feeds.tame import tame
from digest.model import UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Entry, Image

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
ENTRY = Entry(
    feed="blog",
    guid="https://blog.example/?p=1",
    url="https://blog.example/2026/post/",
    title="A title",
    author="Ann Author",
    published=datetime(2026, 11, 1, 9, 0, tzinfo=UTC),
    updated=None,
    summary_html="",
    content_html="",
)


def clean(content="", **fields):
    post = clean_entry(replace(ENTRY, content_html=content, **fields), now=NOW)
    assert not isinstance(post, Unsaved), post
    return post


@pytest.mark.parametrize(
    ("content", "html"),
    [
        ("<p>a</p><script>alert(1)</script>", "<p>a</p>"),
        ('<a href="javascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="jAvA\tscript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="data:text/html,x">x</a>', "<a>x</a>"),
        ('<img src="x.png" onerror="alert(1)">', '<img src="https://blog.example/2026/post/x.png">'),
        ('<a href="/about?a=1&amp;b=2">x</a>', '<a href="https://blog.example/about?a=1&amp;b=2">x</a>'),
        ('<a href="#note-1">1</a>', '<a href="https://blog.example/2026/post/#note-1">1</a>'),
        ('<a href="//other.example/x">x</a>', '<a href="https://other.example/x">x</a>'),
        ('<a href="mailto:ann@blog.example">x</a>', '<a href="mailto:ann@blog.example">x</a>'),
        ('<p style="x" class="y" id="z">a</p>', "<p>a</p>"),
        ("<!-- wp:paragraph --><p>a</p><!-- /wp:paragraph --><!--more-->", "<p>a</p>"),
        ("<iframe src='https://v.example/'>x</iframe><p>a</p>", "<p>a</p>"),
        ("<form><input><button>Go</button></form>a", "a"),
        ("<svg><script>x</script></svg>a", "a"),
        ("<video src=x>no</video><section><p>a</p></section>", "<p>a</p>"),
        ("a < b, and <3", "a &lt; b, and &lt;3"),
        ("</mj-text></mj-column>{{ 7*7 }}", "{{ 7*7 }}"),
    ],
)  # fmt: skip
def test_html_is_sanitised_and_links_are_absolute(content, html):
    assert clean(content).html == html


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('[caption id="a" width="3"]<img src="/x.png"> Words[/caption]', "Words"),
        ("see [1] and [sic] and [emphasis mine]", "see [1] and [sic] and [emphasis mine]"),
        ('<p>a</p>[gallery ids="1,2"]<p>b</p>', "a\n\nb"),
        ("a [embed]https://v.example/1[/embed] b", "a b"),
        ("[vc_row][vc_column]the words[/vc_column][/vc_row]", "the words"),
        ("[my_box color=&#8221;red&#8221;]inner[/my_box]", "inner"),
        ("write [[gallery]] for it", "write [gallery] for it"),
        ("[contact-form-7 id='1']a", "a"),
    ],
)
def test_shortcodes_vanish_and_brackets_stay(content, text):
    assert clean(content).text == text


def test_a_caption_keeps_its_picture():
    post = clean('[caption width="600"]<img src="/x.png" alt="A dog" width="600"> A dog[/caption]')
    assert post.image == Image("https://blog.example/x.png", "A dog", 600, 0)


@pytest.mark.parametrize(
    "boilerplate",
    [
        '<div class="sharedaddy sd-sharing-enabled"><h3>Share this:</h3><ul><li>X</li></ul></div>',
        '<div id="jp-relatedposts" class="jp-relatedposts"><h3>Related</h3></div>',
        '<div class="wpcnt"><div class="wpa"><span class="wpa-about">Advertisements</span></div></div>',
        '<p>The post <a href="https://blog.example/">A title</a> appeared first on <a href="/">A blog</a>.</p>',
        '<img alt="" src="https://pixel.wp.com/b.gif?host=x" width="1" height="1">',
    ],
)
def test_boilerplate_goes(boilerplate):
    post = clean(f"<p>The words.</p>{boilerplate}")
    assert (post.text, post.excerpt, post.image) == ("The words.", "The words.", None)
    assert post.html == "<p>The words.</p>"


def test_a_sentence_about_posts_that_appeared_first_stays():
    assert "appeared first" in clean("<p>It appeared first on paper.</p>").text


@pytest.mark.parametrize(
    "link",
    [
        UNSUBSCRIBE_MARK,
        UNSUBSCRIBE_MAILTO_MARK,
        "https://READER.INVALID/unsubscribe",
        "https://reader.invalid./unsubscribe",
        "https://reader\u3002invalid/unsubscribe",
        "https://reader&#46;invalid/unsubscribe",
        "mailto:unsubscribe%40reader%2Einvalid",
        "https://other.example/?next=https://reader.invalid/unsubscribe",
        "https://ann@reader.invalid/unsubscribe",
    ],
)
def test_no_feed_can_write_a_mark(link):
    post = clean(
        f'<p><a href="{link}">words</a> {link} {UNSUBSCRIBE_MARK}</p><img src="{link}" alt="{link}">',
        title=f"Click {UNSUBSCRIBE_MARK}",
        author=UNSUBSCRIBE_MAILTO_MARK,
        categories=(UNSUBSCRIBE_MARK,),
        guid=UNSUBSCRIBE_MARK,
        url="https://blog.example/reader.invalid/?u=https://reader.invalid/unsubscribe",
    )
    assert "reader.invalid" not in repr(post).lower()
    assert "words" in post.html


def test_a_post_on_a_mark_is_not_saved():
    for url in (
        UNSUBSCRIBE_MARK,
        "",
        "javascript:x",
        "data:x",
        "/relative",
        "http://[::1",
        "nonsense",
    ):
        found = clean_entry(replace(ENTRY, url=url, guid="17"), now=NOW)
        assert isinstance(found, Unsaved)
        assert "URL" in found.reason


def test_control_characters_go_and_letters_of_all_scripts_stay():
    text = "ไทย \U0001f469\u200d\U0001f469\u200d\U0001f467 العربية"
    post = clean(
        f'<p>a\x00b\x1b\x85c\ufdd0\U0001ffff {text}&#1;&#x7f;</p><img src="/x.png" alt="{text}">',
        title=f"t\x00\x9b\ud800 {text}",
        author="A\x07nn\u2028Author",
    )
    assert post.text == f"abc {text}"
    assert post.title == f"t {text}"
    assert post.author == "Ann Author"
    assert post.image is not None
    assert post.image.alt == text
    assert post.html.encode()


@pytest.mark.parametrize("number", [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
def test_nothing_turns_the_direction_of_what_follows(number):
    said = f"a{chr(number)}b&#{number};c"
    post = clean(f"<p>{said}</p>", title=f"a{chr(number)}bc", author=f"a{chr(number)}bc")
    assert (post.title, post.author) == ("abc", "abc")
    assert (post.excerpt, post.text, post.html) == ("abc", "abc", "<p>abc</p>")


def test_text_is_readable():
    post = clean(
        "<h2>Heading</h2><p>One<br>two\n three <b>bold</b>.</p>loose words<blockquote><p>Quoted</p></blockquote>"
        "<ul><li>a<ul><li>b</li></ul></li><li><p>c</p></li></ul><ol><li>x</li><li>y</li></ol>"
        "<table><tr><th>H</th><th>I</th></tr><tr><td>1</td><td><p>2</p></td></tr></table>"
        "<pre>keep\n  this</pre><p></p><hr>"
    )
    assert post.text == (
        "Heading\n\nOne\ntwo three bold.\n\nloose words\n\nQuoted\n\n- a\n  - b\n- c\n\n1. x\n2. y\n\n"
        "H | I\n1 | 2\n\nkeep\n  this"
    )


def test_a_table_for_looks_is_no_table():
    post = clean("<table><tr><td><p>One.</p><p>Two.</p></td></tr><tr><td>Three.</td></tr></table>")
    assert post.text == "One.\n\nTwo.\n\nThree."
    assert post.excerpt == "One. Two. Three."


def test_the_excerpt_is_the_first_paragraphs_cut_at_a_sentence():
    post = clean(
        "<h2>Heading</h2><figure><img src='/x.png'><figcaption>A caption</figcaption></figure>"
        "<p>Dr. Smith came first, e.g. early.</p><p>"
        + "The second sentence is here. " * 20
        + "</p>"
    )
    assert post.excerpt.startswith("Dr. Smith came first, e.g. early. The second")
    assert post.excerpt.endswith("is here.")
    assert EXCERPT_LENGTH // 2 < len(post.excerpt) <= EXCERPT_LENGTH


def test_an_excerpt_does_not_stop_within_somebodys_words():
    told = "It was a long morning for everyone in the room. " * 4
    post = clean(f"<p>{told}He wiped his hands and said, “Right. {'Let us begin. ' * 20}”</p>")
    assert post.excerpt == told.strip()


@pytest.mark.parametrize(
    ("content", "end"),
    [
        ("<p>" + "word and " * 100 + "</p>", ("word…", "and…")),
        ("<p>" + "ไทย" * 200 + "</p>", ("…",)),
        ("<p>" + "\U0001f469\u200d\U0001f467" * 200 + "</p>", ("\U0001f467…",)),
        ("<p>Short. [&#8230;]</p>", ("Short.…",)),
        ("<p>A start that [...]</p>", ("that…",)),
        ("<p>Words here &hellip; Continue reading &rarr;</p>", ("here…",)),
    ],
)
def test_excerpts_are_cut_visibly(content, end):
    excerpt = clean(content).excerpt
    assert excerpt.endswith(end)
    assert len(excerpt) <= EXCERPT_LENGTH
    assert "[" not in excerpt


def test_a_feed_of_summaries_has_its_summary():
    post = clean("", summary_html="<p>The summary goes on [&#8230;]</p>")
    assert post.excerpt == "The summary goes on…"
    assert post.html


@pytest.mark.parametrize(
    ("picture", "image"),
    [
        ('<img src="a.png" alt=" A  dog " width="600px" height="50%">',
         Image("https://blog.example/2026/post/a.png", "A dog", 600, 0)),
        ('<img src="https://s.w.org/images/core/emoji/1f600.png" class="wp-smiley">', None),
        ('<img src="/p.gif" width="1" height="1">', None),
        ('<img src="/icon.png" width="24" height="24">', None),
        ('<img src="data:image/png;base64,AAAA">', None),
        ('<img src="">', None),
        ('<img src="/a b.png?x=<y>">', Image("https://blog.example/a%20b.png?x=%3Cy%3E", "")),
    ],
)  # fmt: skip
def test_the_first_picture_worth_showing(picture, image):
    assert clean(f"{picture}<p>x</p>").image == image
    later = clean(f'{picture}<img src="/later.png">').image
    assert later == (image or Image("https://blog.example/later.png", ""))


def test_tracking_parameters_go_and_wordpress_numbers_stay():
    assert (
        clean(url="https://blog.example/?p=9&utm_source=rss&fbclid=1#x").url
        == "https://blog.example/?p=9"
    )


def test_a_title_is_bounded_where_one_sees_it():
    title = clean(title="word " * 200).title
    assert len(title) <= 300
    assert title.endswith("word…")
    assert clean(title="a\n  b\t&lt;c&gt;").title == "a b &lt;c&gt;"


def test_a_post_without_title_is_called_by_its_words():
    assert clean("<p>First words of it.</p>", title=" ").title == "First words of it."
    assert clean("", title="").title == ENTRY.url


def test_a_date_is_found_where_there_is_one():
    updated = datetime(2026, 10, 1, tzinfo=UTC)
    assert clean(published=None, updated=updated).published == updated
    assert clean(published=None).published == NOW


def test_reading_time_in_minutes():
    assert clean("<p>word</p>").reading_minutes == 1
    assert clean("<p>" + "word " * 1100 + "</p>").reading_minutes == 5


def test_nine_thousand_nested_divs_are_flattened():
    began = monotonic()
    post = clean("<div>" * 9000 + "<p>saved</p>" + "</div>" * 9000)
    assert monotonic() - began < 1
    assert post.text == "saved"
    assert post.html.count("<div>") < 100


def test_more_than_a_megabyte_of_text_is_refused_but_not_for_its_pictures():
    picture = f'<img src="data:image/png;base64,{"A" * 3_000_000}">'
    assert clean(f"<p>saved</p>{picture}").text == "saved"
    found = clean_entry(replace(ENTRY, content_html="word " * 300_000), now=NOW)
    assert found == Unsaved("its text is larger than 1 MB")


@pytest.mark.parametrize(
    "markup",
    [
        "".join(f"<b id={n}><p>x" for n in range(12_000)),
        "".join(f"<a href={n}>" for n in range(5_000)) + "<p>x" * 12_000,
        "<div>" * 37_000,
        "<table><tr><td>" * 15_000,
        "<ul><li>" * 25_000,
        "<" * 125_000,
        "<a b='\"" * 25_000,
        "<!--" * 50_000,
        "<script>" * 25_000,
        "<svg><style>" * 20_000,
        "[a " * 75_000,
        '[x a="' * 37_000,
        "&lt" * 75_000,
        "<p>" * 75_000,
        "<pre>\n" * 37_000,
        "reader.invalid" * 17_000,
        "A. " * 75_000,
        " " * 1_000_000,
    ],
    ids=range(18),
)
def test_hostile_markup_costs_bounded_time_and_space(markup):
    began = monotonic()
    post = clean(markup, title=markup[:4000])
    assert monotonic() - began < 5
    assert len(post.html) < 30_000_000


def test_taming_keeps_the_words():
    assert tame("<P Class=x>it's <b id=1>b</b> <a title=it's href=x>l</a></p>").startswith(
        '<p class="x">it\'s <b>b</b>'
    )
