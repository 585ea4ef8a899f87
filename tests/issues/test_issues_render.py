"""What a subscriber gets to see of an issue, whatever its posts say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from digest.issues.content import IssueContent, from_json, to_json
from digest.issues.render import render, subject_for, subjects
from digest.issues.specimen import specimens
from digest.issues.words import line
from digest.model import UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Image

TEMPLATES = Path(__file__).parents[2] / "templates"
WEEKLY = specimens("weekly")[0]
SERIES = specimens("series")[1].variant(0b0111)
NAMES = ("weekly", "series")


def with_post(content: IssueContent, **changes: object) -> IssueContent:
    first, *others = content.items
    return replace(content, items=(replace(first, post=replace(first.post, **changes)), *others))


def tree(content: IssueContent) -> LexborHTMLParser:
    return LexborHTMLParser(render(content, TEMPLATES).html)


# --- weekly and series -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_templates_have_nothing_amiss(name: str) -> None:
    content = specimens(name)[1].variant(0b1101)
    assert render(content, TEMPLATES).preflight == ()


def test_a_weekly_digest_says_what_when_and_by_whom() -> None:
    for seen in (line(tree(WEEKLY).body.text(separator=" ")), line(render(WEEKLY, TEMPLATES).text)):
        for said in (
            "Specimen blog",
            "Specimen newsletter",
            "16–22 November 2026",
            "A first paragraph.",
            "Part 2 of 4 · #Specimen",
            "Also in #Other, part 2 of 4",
            "New here? Start at part 1: Specimen post 1",
            "Before this: part 2: Specimen post 2",
            "Next: part 4: Specimen post 4",
            "Funding · Workforce",
            "An Author · 19 November 2026 · 4 min read",
            "You get this mail because you asked for Specimen newsletter from Specimen blog.",
            "1 Example Street, Exampletown",
        ):
            assert said in seen


def test_a_series_digest_gives_its_parts_in_order_and_what_follows() -> None:
    for seen in (line(tree(SERIES).body.text(separator=" ")), line(render(SERIES, TEMPLATES).text)):
        assert "A specimen series" in seen
        assert "#Specimen" in seen
        assert "What the series is about." in seen
        numbers = [seen.index(f"Part {n} of 4 · #Specimen") for n in (1, 2, 3)]
        assert numbers == sorted(numbers)
        assert "The series goes on with part 4: Specimen post 4" in seen
        assert "New here?" not in seen


def test_a_series_digest_that_begins_later_shows_the_way_to_part_one() -> None:
    later = SERIES.variant(0b0110)
    for seen in (line(tree(later).body.text(separator=" ")), line(render(later, TEMPLATES).text)):
        assert "This mail begins with part 2." in seen
        assert "New here? Start at part 1: Specimen post 1" in seen


@pytest.mark.parametrize("name", NAMES)
def test_the_html_can_be_read_by_machine(name: str) -> None:
    found = tree(specimens(name)[1])
    html = found.css_first("html")
    assert (html.attributes["lang"], html.attributes["dir"]) == ("en-GB", "ltr")
    assert len(found.css("h1")) == 1
    assert len(found.css("h2")) == 4
    assert all(image.attributes["alt"] for image in found.css("img"))
    assert all(image.attributes["width"] for image in found.css("img"))
    assert {table.attributes.get("role") for table in found.css("table")} == {"presentation"}
    assert found.css_first('meta[name="color-scheme"]').attributes["content"] == "light dark"


def test_a_language_written_leftward_is_laid_out_leftward() -> None:
    html = tree(replace(WEEKLY, language="ar")).css_first("html")
    assert (html.attributes["lang"], html.attributes["dir"]) == ("ar", "rtl")


@pytest.mark.parametrize("name", NAMES)
def test_equal_link_texts_lead_to_equal_places(name: str) -> None:
    places: dict[str, set[str]] = {}
    for link in tree(specimens(name)[1]).css("a"):
        image = link.css_first("img")
        seen = line(link.text()) or image.attributes["alt"]
        words = link.attributes.get("aria-label", seen)
        assert seen in words  # what is seen can be said to a program that listens
        places.setdefault(words, set()).add(link.attributes["href"])
    assert {words: urls for words, urls in places.items() if len(urls) > 1} == {}
    assert {"", "read more", "here"}.isdisjoint(words.lower() for words in places)


@pytest.mark.parametrize("name", NAMES)
def test_both_parts_can_be_left_by_link_and_by_mail(name: str) -> None:
    rendered = render(specimens(name)[0], TEMPLATES)
    for mark in (UNSUBSCRIBE_MARK, UNSUBSCRIBE_MAILTO_MARK):
        assert f'href="{mark}"' in rendered.html
        assert mark in rendered.text.splitlines()


def test_only_the_blog_is_asked_for_anything() -> None:
    found = tree(WEEKLY)
    sources = {node.attributes["src"] for node in found.css("[src]")}
    assert sources == {"https://blog.example/1.png", "https://blog.example/2.png"}
    assert found.css("link") == []
    assert "url(" not in found.html
    assert "@import" not in found.html


def test_own_links_carry_utm_and_links_in_the_text_are_plain() -> None:
    rendered = render(replace(WEEKLY, utm=(("utm_source", "a"), ("utm_medium", "b"))), TEMPLATES)
    assert "https://blog.example/1/?utm_source=a&utm_medium=b\n" in rendered.text
    assert 'href="https://blog.example/1/?utm_source=a&amp;utm_medium=b"' in rendered.html


def test_twelve_posts_stay_far_below_the_size_that_is_cut_off() -> None:
    item = replace(
        WEEKLY.items[1], post=replace(WEEKLY.items[1].post, excerpt="Twelve words. " * 20)
    )
    full = replace(WEEKLY, items=tuple(replace(item, position=n) for n in range(1, 13)))
    html = render(full, TEMPLATES).html
    assert len(html.encode()) < 60_000


def test_an_image_keeps_its_shape_and_an_unknown_size_is_not_invented() -> None:
    lead, second = (img.attributes for img in tree(WEEKLY).css("img"))
    assert (lead["width"], lead["height"]) == ("600", "300")
    assert (second["width"], second.get("height")) == ("120", None)


# --- subjects ----------------------------------------------------------------------------------


def test_the_subject_names_the_first_post_and_the_fallback_none() -> None:
    subject, fallback = subjects(WEEKLY, TEMPLATES)
    assert subject == "Specimen post 1 · 16–22 November 2026"
    assert fallback == "Specimen blog, Specimen newsletter: 16–22 November 2026"


def test_a_long_title_leaves_room_for_the_dates() -> None:
    subject, _ = subjects(with_post(WEEKLY, title="Commissioning " * 9), TEMPLATES)
    assert subject.endswith("… · 16–22 November 2026")
    assert len(subject) <= 60


def test_a_variant_without_the_post_that_the_subject_names_takes_the_fallback() -> None:
    both = subjects(WEEKLY, TEMPLATES)
    assert subject_for(WEEKLY.variant(0b0011), WEEKLY, both) == both[0]
    assert subject_for(WEEKLY.variant(0b1110), WEEKLY, both) == both[1]


def test_a_typed_subject_stays_unless_it_quotes_a_post_that_is_not_there() -> None:
    typed = replace(WEEKLY, typed_subject="  A quiet\nweek ")
    both = subjects(typed, TEMPLATES)
    assert both[0] == "A quiet week"
    assert subject_for(typed.variant(0b1110), typed, both) == "A quiet week"
    quoting = replace(WEEKLY, typed_subject="Specimen post 3, and more")
    both = subjects(quoting, TEMPLATES)
    assert subject_for(quoting.variant(0b1110), quoting, both) == both[0]
    assert subject_for(quoting.variant(0b1011), quoting, both) == both[1]


def test_a_given_subject_is_the_one_that_goes_out() -> None:
    rendered = render(WEEKLY, TEMPLATES, subject="As approved")
    assert rendered.subject == "As approved"
    assert "<title>As approved</title>" in rendered.html


# --- untrusted text ----------------------------------------------------------------------------

HOSTILE = (
    "<script>alert(1)</script> </mj-text> {{ 7*7 }} \"'&amp; ]]> --> \\ ไทยที่ 👨‍👩‍👧 日本 > 東京"
)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_words_are_shown_as_words(name: str) -> None:
    content = with_post(
        specimens(name)[1],
        title=f"T {HOSTILE}",
        author=f"A {HOSTILE}",
        excerpt=f"E {HOSTILE}",
        image=Image('https://blog.example/"><script>.png', f"I {HOSTILE}", 10, 10),
    )
    content = replace(content, introduction=f"N {HOSTILE}", scope_title=f"S {HOSTILE}")
    rendered = render(content, TEMPLATES)
    found = LexborHTMLParser(rendered.html)
    seen = found.body.text()
    assert found.css("script") == []
    assert all(f"{mark} {HOSTILE}" in seen for mark in "TAEN")
    assert found.css_first("img").attributes["alt"] == f"I {HOSTILE}"
    assert found.css_first("img").attributes["src"] == 'https://blog.example/"><script>.png'
    assert f"T {HOSTILE}" in rendered.text
    assert "49" not in seen


def test_a_title_forges_neither_header_nor_paragraph_nor_mark() -> None:
    forged = "Title\r\nBcc: everyone@example.org\n\nUnsubscribe:\u2028here\x85now\x0b\x00"
    rendered = render(with_post(WEEKLY, title=forged), TEMPLATES)
    one_line = "Title Bcc: everyone@example.org Unsubscribe: here now"
    assert "\n" not in rendered.subject
    assert one_line in rendered.text.splitlines()
    assert rendered.text.count("\nUnsubscribe:\n") == 1


class Words(HTMLParser):
    """The words of an HTML document, and its attributes, as a reader's program decodes them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(NAMES),
    st.text(max_size=60),
    st.text(max_size=300),
    st.text(max_size=60),
    st.text(max_size=60),
)
def test_any_text_in_any_slot_comes_out_as_the_same_text(
    name: str, title: str, excerpt: str, author: str, alt: str
) -> None:
    picture = Image("https://blog.example/a.png", f"alt {alt}", 600, 300)
    content = with_post(
        specimens(name)[1],
        title=f"title {title}",
        excerpt=f"excerpt {excerpt}",
        author=f"author {author}",
        image=picture,
    )
    rendered = render(content, TEMPLATES)
    words = [line(text) for text in Words(rendered.html).texts]
    for value in (f"title {title}", f"excerpt {excerpt}", f"alt {alt}"):
        assert line(value) in words
    assert any(text.startswith(line(f"author {author}")) for text in words)
    assert line(f"title {title}") in rendered.text.split("\n")
    assert line(f"excerpt {excerpt}") in " ".join(rendered.text.split())


# --- the same bytes ----------------------------------------------------------------------------


def test_equal_content_gives_equal_bytes_in_another_process() -> None:
    program = (
        "import sys, hashlib; from pathlib import Path\n"
        "from digest.issues.render import render; from digest.issues.specimen import specimens\n"
        "r = render(specimens('weekly')[0], Path(sys.argv[1]))\n"
        "print(hashlib.sha256(repr(r).encode()).hexdigest())"
    )
    run = [sys.executable, "-c", program, str(TEMPLATES)]
    seeds = ({"PYTHONHASHSEED": "1", "LC_ALL": "C"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"})
    hashes = {
        subprocess.run(run, env=e | {"PYTHONUTF8": "1"}, capture_output=True, check=True).stdout
        for e in seeds
    }
    assert len(hashes) == 1


def test_content_from_the_store_renders_to_the_same_bytes() -> None:
    assert render(from_json(to_json(WEEKLY)), TEMPLATES) == render(WEEKLY, TEMPLATES)


def test_a_day_is_the_newsletters_own() -> None:
    late = with_post(WEEKLY, published=datetime(2026, 6, 30, 23, 30, tzinfo=UTC))
    assert "1 July 2026" in render(late, TEMPLATES).text
    assert "30 June 2026" in render(replace(late, time_zone="UTC"), TEMPLATES).text
