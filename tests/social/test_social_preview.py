"""The preview page: what would go out, as it would look, and nothing that a feed could slip in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from digest.config import Config
from digest.errors import ConfigError
from digest.model import Limits
from digest.social.checking import template_problems
from digest.social.preview import OVER_SHOWN, page, specimen, write_preview

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
    whole = specimen("mine")
    bare = {"state": "pending", "card": None, "tags": (), "note": None, "url": None, "reason": None}
    row = replace(whole.publications[0], **(bare | fields))
    thread = replace(whole, publications=(row, replace(row, position=2, image_url=None)))
    nothing = {"held_at": None, "undo_at": None, "differs": None, "after_id": None}
    return replace(thread, form="thread", **nothing)


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


def test_the_limit_is_that_of_the_account():
    limits = Limits(1000, 23, 1, ())
    config = a_config(mine="mastodon")
    tree = LexborHTMLParser(page([a_thread(measured=500)], config, TEMPLATES, {"mine": limits}))
    assert one(tree, ".count").text().strip() == "500 of 1000 characters"
    assert one(tree, ".bar i").attributes["style"] == "width:50%"


def test_a_link_card_is_shown_as_its_network_makes_it():
    card = {"url": "https://c.org/a", "title": "On <b>", "description": "Two.", "image_url": None}
    tree = seen(a_thread(card=card, image_url=None))
    shown = one(tree, "a.card")
    assert shown.attributes["href"] == "https://c.org/a"
    assert shown.text().split() == ["On", "<b>", "Two.", "c.org"]
    assert tree.css("img") == []
    pictured = seen(a_thread(card={**card, "image_url": "https://c.org/i.png"}, image_url=None))
    assert one(pictured, ".card img").attributes["alt"] == ""


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x"])
def test_a_card_leads_to_the_web_or_nowhere(url):
    card = {"url": url, "title": "T", "description": "", "image_url": url}
    tree = seen(a_thread(card=card, url=url, image_url=None))
    assert one(tree, "a.card").attributes["href"] in {"", None}
    assert tree.css("img") == []


def test_unseen_hashtags_and_what_it_goes_without_are_said():
    tree = seen(a_thread(tags=("IPC", "Funding"), note="goes without its picture: 404"))
    assert [p.text() for p in tree.css(".along")][:2] == [
        "Hashtags that go along unseen: #IPC #Funding",
        "Goes without its picture: 404",
    ]


def test_a_standing_thread_says_what_it_goes_on_from_and_leads_there():
    before = a_thread()
    after = replace(a_thread(), thread_id=2, form="standing", after_id=1)
    tree = seen(before, after)
    about = one(tree, "#of-2 .why")
    assert about.text().startswith("planned thread 2: part of a standing thread, goes on from")
    assert one(about, "a").attributes["href"] == "#of-1"
    assert tree.css_first("#of-1") is not None


def test_what_it_costs_is_said_where_it_costs():
    told = one(seen(a_thread()), "article").text()
    assert "About $0.405: 2 posts with a link at $0.200, 1 alt text at $0.005" in told
    free = a_config(mine="mastodon")
    assert "$" not in one(seen(a_thread(), config=free), "article").text()


def test_what_an_editor_must_know_stands_out(now):
    thread = replace(
        a_thread(), held_at=now, held_why="its post was edited", differs="snippet 1 is not there"
    )
    assert [mark.text() for mark in seen(thread).css(".mark")] == [
        "Held: its post was edited; digest social release 1",
        "Not as it should be: snippet 1 is not there",
    ]


def test_what_is_out_leads_to_its_network_and_what_was_taken_down_does_not(now):
    out = {"state": "submitted", "url": "https://n.example/@a/1"}
    tree = seen(a_thread(**out))
    assert one(tree, "li .state a").attributes["href"] == "https://n.example/@a/1"
    gone = seen(a_thread(**out, deleted_at=now))
    assert one(gone, "li.gone .state").text() == "taken down"
    assert gone.css("li .state a") == []


def test_what_is_published_for_real_is_not_said_to_be_shown_here_alone():
    assert "shown on this page alone" in one(seen(), ".channels .about").text()
    x = dict.fromkeys(("consumer_key", "consumer_secret", "access_token"), "k")
    real = a_config(mine="x").model_dump() | {
        "channels": {
            "mine": {"network": "x", "kind": "account", "x": {**x, "access_token_secret": "k"}}
        }
    }
    told = one(seen(config=Config.model_validate(real)), ".channels .about").text()
    assert "published for real" in told


def test_threads_long_over_are_counted():
    done = [replace(a_thread(state="cancelled"), thread_id=n) for n in range(1, OVER_SHOWN + 4)]
    tree = seen(*done)
    assert len(tree.css("article")) == OVER_SHOWN
    assert "3 of them are long over and not shown" in one(tree, "#mine").text()
    assert f"{OVER_SHOWN + 3} threads" in one(tree, "#mine").text()


def test_how_far_it_is_and_what_went_wrong_stand_at_its_head():
    thread = a_thread()
    first, second = thread.publications
    refused = replace(second, state="refused", reason="too long")
    mixed = replace(thread, publications=(replace(first, state="submitted"), refused))
    tree = seen(mixed)
    assert one(tree, ".state").text() == "1 of 2 out"
    assert one(tree, ".mark").text() == "Snippet 2 refused: too long"


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
