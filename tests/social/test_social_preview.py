"""The preview page: what would go out, as it would look, and nothing that a feed could slip in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from digest.config import Config
from digest.errors import ConfigError
from digest.social.checking import template_problems
from digest.social.preview import page, specimen, write_preview

TEMPLATES = Path(__file__).parents[2] / "templates"


def a_config(**networks) -> Config:
    site = {"name": "Common Threads", "url": "https://c.org/", "contact": "c@c.org",
            "postal_address": "1 Road", "links_url": "https://c.org/"}  # fmt: skip
    channels = {slug: {"network": network} for slug, network in networks.items()}
    return Config.model_validate(
        {"site": site, "mailers": {}, "feeds": {}, "newsletters": {}, "channels": channels}
    )


ONE = a_config(mine="x")


def a_thread(**fields):
    thread = specimen("mine")
    row = replace(thread.publications[0], **fields)
    return replace(thread, publications=(row, replace(row, position=2, image_url=None)))


def seen(*threads, config=ONE) -> LexborHTMLParser:
    return LexborHTMLParser(page(threads, config, TEMPLATES))


def one(tree, selector):
    found = tree.css_first(selector)
    assert found is not None, selector
    return found


def test_each_snippet_shows_text_count_and_slot_in_the_channels_zone():
    tree = seen(a_thread(measured=41, slot=datetime(2026, 7, 6, 8, 30, tzinfo=UTC)))
    assert len(tree.css("article ol > li")) == 2
    assert one(tree, ".text").text() == "Text with a #Tag and example.org/"
    assert one(tree, ".count").text().strip() == "41 of 280 weighted characters"
    assert one(tree, "time").text() == "Mon 6 Jul 2026, 09:30 BST"


def test_links_and_hashtags_are_coloured():
    tree = seen(
        a_thread(text="#One, care.social (https://example.org/a/very/long/path/indeed).\n#Two")
    )
    assert [tag.text() for tag in tree.css(".tag")][:2] == ["#One", "#Two"]
    links = [(a.attributes["href"], a.text()) for a in tree.css(".text a")][:2]
    assert links == [
        ("https://care.social", "care.social"),
        ("https://example.org/a/very/long/path/indeed", "example.org/a/very/long/path/i…"),
    ]


def test_the_image_and_its_alt_text_are_shown_on_the_root_alone():
    tree = seen(a_thread(image_alt="A loom"))
    (image,) = tree.css("img")
    assert image.attributes["alt"] == "A loom"
    assert "A loom" in one(tree, "figcaption").text()


def test_an_image_without_alt_text_is_said_to_have_none():
    assert "no alt text" in one(seen(a_thread(image_alt="")), "figcaption").text()


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "http://[", "//x"]
)
def test_an_image_that_is_not_on_the_web_is_not_shown(url):
    assert seen(a_thread(image_url=url)).css("img") == []


def test_nothing_in_a_post_becomes_markup():
    evil = '<script>alert(1)</script> "><img src=x onerror=alert(1)> {{ 7*7 }} javascript:alert(1)'
    thread = replace(a_thread(text=evil, image_alt=evil), title=evil, reason=evil)
    tree = seen(thread)
    assert tree.css("script") == []
    assert len(tree.css("img")) == 1
    assert one(tree, "h3").text() == evil
    assert one(tree, ".text").text() == evil
    assert not any((a.attributes["href"] or "").startswith("javascript") for a in tree.css("a"))


def test_the_page_runs_no_script_and_loads_nothing_but_images():
    policy = one(seen(), 'meta[http-equiv="Content-Security-Policy"]').attributes["content"]
    assert policy == "default-src 'none'; img-src http: https:; style-src 'unsafe-inline'"


def test_the_page_has_a_language_one_heading_and_landmarks():
    tree = seen(a_thread())
    assert one(tree, "html").attributes["lang"] == "en-GB"
    assert len(tree.css("h1")) == 1
    assert len(tree.css("main")) == 1
    names = [section.attributes["aria-labelledby"] for section in tree.css("section, article")]
    assert all(tree.css_first(f"#{name}") for name in names)


def test_each_channel_has_its_place_and_an_empty_one_says_so():
    config = a_config(mine="x", other="mastodon")
    tree = seen(a_thread(), config=config)
    assert [h2.text() for h2 in tree.css("h2")] == ["X", "Mastodon"]
    assert "No thread is planned here" in one(tree, "#other").text()
    assert len(tree.css("#mine article")) == 1


def test_states_are_counted_where_they_differ():
    thread = a_thread()
    first, second = thread.publications
    mixed = replace(thread, publications=(replace(first, state="submitted"), second))
    assert one(seen(mixed), ".state").text() == "1 submitted, 1 pending"


def test_the_page_is_written_whole_or_not_at_all(store, tmp_path):
    path = tmp_path / "social/index.html"
    write_preview(store, ONE, TEMPLATES, path)
    before = path.read_text(encoding="utf-8")
    (tmp_path / "broken/social").mkdir(parents=True)
    (tmp_path / "broken/social/preview.html").write_text("{{ nothing }}", encoding="utf-8")
    with pytest.raises(ConfigError):
        write_preview(store, ONE, tmp_path / "broken", path)
    assert path.read_text(encoding="utf-8") == before
    assert list(path.parent.iterdir()) == [path]


def test_the_templates_are_in_order():
    assert template_problems(TEMPLATES, ONE) == []


def test_every_fault_of_the_templates_is_told_at_once(tmp_path):
    (tmp_path / "social/thread").mkdir(parents=True)
    (tmp_path / "social/thread/root.txt").write_text("{% if %}", encoding="utf-8")
    (tmp_path / "social/thread/last.txt").write_text("Read:\n{{ lnk }}", encoding="utf-8")
    (tmp_path / "social/preview.html").write_text(
        "{{ channels[0].threads[0].nope }}", encoding="utf-8"
    )
    faults = {p.file.rsplit("/", 1)[1]: p for p in template_problems(tmp_path, ONE)}
    assert set(faults) == {"root.txt", "item.txt", "last.txt", "preview.html"}
    assert "lnk" in faults["last.txt"].message
    assert (faults["root.txt"].key, faults["last.txt"].key) == ("line 1", "line 2")
