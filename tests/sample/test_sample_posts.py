"""What the sample blog's posts promise to whoever reads them: how many, by whom, on what, when."""

import csv
import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise

import pytest

from digest.sample.blog import (
    SamplePost,
    as_of,
    load_posts,
    modified_at,
    parse_post,
    published_at,
    visible,
    words,
)

ANCHOR = datetime(2026, 11, 22, 18, 0, 30, 123456, tzinfo=UTC)
WEEK = 6.5
SENTENCE = "This post is one in a series on "
IPC = "Integrated Personal Commissioning"
PBR = "Payment by Results in mental health"
THEMES = {
    "Integration",
    "Personalisation",
    "Funding",
    "Politics",
    "Commissioning",
    "Mental health",
    "Co-production",
    "Workforce",
}
OFF_THEME = {1226, 1362, 1541}  # the sea wall, the maps, the bread
UNTAGGED_THEME = {1191, 1326, 1497, 1509, 1520, 1563}
POSTS = load_posts()


def series_of(post: SamplePost) -> set[str]:
    found = {"socialcarefuture", "IPC", "PbR"} & set(post.categories)
    if "#socialcarefuture" in post.body:
        found.add("socialcarefuture")
    first = " ".join(words(post)[:30])
    found |= {"IPC"} if SENTENCE + IPC in first else set()
    return found | ({"PbR"} if SENTENCE + PBR in first else set())


def in_series(name: str) -> list[SamplePost]:
    return [post for post in POSTS if name in series_of(post)]


def by_id(number: int) -> SamplePost:
    return next(post for post in POSTS if post.id == number)


def test_there_are_enough_posts_for_four_feed_pages():
    assert 32 <= len(POSTS) <= 40


def test_ids_and_slugs_are_unique():
    assert len({post.id for post in POSTS}) == len(POSTS)
    assert len({post.slug for post in POSTS}) == len(POSTS)


@pytest.mark.parametrize("post", POSTS, ids=lambda post: str(post.id))
def test_each_post_is_a_real_read(post):
    assert 150 <= len(words(post)) <= 400
    assert post.author in {"Maya Okafor", "Tom Hargreave"}
    assert post.categories
    assert not re.search(r"\w'|'\w", " ".join(words(post))), "quotes are typographic"


def test_openings_differ():
    assert len({" ".join(words(post)[:2]) for post in POSTS} - {"This post"}) >= len(POSTS) - 3


def test_both_authors_write_their_share():
    mine = sum(post.author == "Maya Okafor" for post in POSTS)
    assert len(POSTS) * 0.4 <= mine <= len(POSTS) * 0.6


def test_posts_span_eighteen_months_without_a_gap():
    days = sorted(post.days_before for post in POSTS)
    assert 0.5 <= days[0] <= WEEK
    assert 540 <= days[-1] <= 550
    assert max(b - a for a, b in pairwise(days)) < 22


def test_files_are_numbered_in_reading_order():
    days = [post.days_before for post in POSTS]
    assert days == sorted(days, reverse=True)


def test_the_last_week_is_full():
    week = [post for post in POSTS if post.days_before <= WEEK]
    assert len(week) >= 7
    assert {post.author for post in week} == {"Maya Okafor", "Tom Hargreave"}
    assert set.union(*map(series_of, week)) == {"socialcarefuture", "IPC", "PbR"}
    assert sum(not series_of(post) for post in week) >= 2


@pytest.mark.parametrize(("name", "least"), [("socialcarefuture", 6), ("IPC", 6), ("PbR", 5)])
def test_series_have_their_instalments(name, least):
    assert least <= len(in_series(name)) <= least + 2


def test_two_posts_stand_in_two_series():
    assert sum(len(series_of(post)) == 2 for post in POSTS) >= 2


def test_some_instalments_carry_no_series_category():
    bare = [post for post in POSTS if series_of(post) - set(post.categories)]
    assert sum("socialcarefuture" in series_of(p) for p in bare) >= 1
    assert sum("IPC" in series_of(p) and "IPC" not in p.categories for p in bare) >= 1
    assert len([p for p in bare if "PbR" not in series_of(p)]) >= 2


def test_two_pbr_posts_are_known_by_a_sentence_alone():
    bare = [post for post in in_series("PbR") if "PbR" not in post.categories]
    assert len(bare) >= 2
    for post in bare:
        assert post.categories[0] == "Mental health"
        assert post.body.removeprefix("<p>").startswith(SENTENCE + PBR)


def test_the_pbr_introduction_came_last():
    newest = min(in_series("PbR"), key=lambda post: post.days_before)
    assert "introduction" in newest.title
    assert newest.days_before <= WEEK


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_every_theme_is_tagged_somewhere(theme):
    assert any(theme in post.categories for post in POSTS)


@pytest.mark.parametrize("number", sorted(OFF_THEME | UNTAGGED_THEME))
def test_some_posts_have_neither_theme_nor_series_for_a_category(number):
    post = by_id(number)
    assert not THEMES & set(post.categories)
    assert not series_of(post)


@pytest.mark.parametrize("number", sorted(OFF_THEME))
def test_off_theme_posts_use_no_theme_word(number):
    stems = r"(?i)\b(?:integrat|personal(?:is|i)|fund|budget|politic|minister|commission|mental"
    stems += r"|co-produc|workforce|staff|council|care\b|carer|support)"
    assert not re.search(stems, " ".join(words(by_id(number))))


@pytest.mark.parametrize(
    ("mark", "least"),
    [
        ("<!-- wp:paragraph -->", 4),
        ('[caption id="attachment_', 3),
        ('<div class="sharedaddy', 4),
        ('<div class="wpcnt"><div class="wpa">Advertisements</div></div>', 4),
        ("{{appeared}}", 5),
        ("<table>", 2),
        ("<blockquote>", 3),
        ("<ul>", 3),
        ("\u2019", 10),
        ("\u2013", 5),
        ("£", 5),
    ],
)
def test_wordpress_furniture_is_there_to_be_cleaned(mark, least):
    assert sum(mark in post.body for post in POSTS) >= least


def test_a_title_holds_an_accent_and_a_body_an_emoji():
    assert any("ë" in post.title for post in POSTS)
    assert any(re.search("[\U0001f300-\U0001faff]", post.body) for post in POSTS)


def test_pictures_exist_are_small_and_all_are_used():
    folder = files("digest.sample") / "images"
    found = {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith(".png")}
    used = {post.image for post in POSTS if post.image}
    named = {n for p in POSTS for n in re.findall(r"/wp-content/uploads/([^\"]+)", p.body)}
    assert set(found) == used == used | named
    assert 10 <= len(found) <= 12
    for data in found.values():
        assert len(data) < 40_000
        assert data[16:24] == (1200).to_bytes(4, "big") + (630).to_bytes(4, "big")


def test_pictures_are_described_and_some_posts_have_none():
    assert all(bool(post.image) == bool(post.image_alt) for post in POSTS)
    assert any(post.image is None for post in POSTS)
    assert all("alt=" in image for p in POSTS for image in re.findall("<img[^>]*>", p.body))


def test_links_between_posts_lead_somewhere():
    linked = {int(n) for p in POSTS for n in re.findall(r"\{\{base\}\}/\?p=(\d+)", p.body)}
    assert linked <= {post.id for post in POSTS}
    assert linked


def test_an_old_post_and_one_on_the_first_page_are_corrected_a_day_after_the_anchor():
    old, recent = [post for post in POSTS if post.edit]
    first_page = visible(POSTS, ANCHOR, ANCHOR)[:10]
    assert recent.id in {post.id for post in first_page}
    assert old.id not in {post.id for post in first_page}
    assert min(old.days_before, recent.days_before) > 7
    assert old.edit.title is not None


@pytest.mark.parametrize("post", [post for post in POSTS if post.edit], ids=lambda post: post.slug)
def test_a_correction_comes_a_day_after_the_anchor(post):
    before = as_of(post, ANCHOR, ANCHOR + timedelta(hours=23))
    after = as_of(post, ANCHOR, ANCHOR + timedelta(hours=24))
    assert before == post
    assert after.body != post.body
    assert modified_at(post, ANCHOR, ANCHOR) == published_at(post, ANCHOR)
    assert modified_at(
        post, ANCHOR, ANCHOR + timedelta(days=2)
    ).date() == ANCHOR.date() + timedelta(1)


def test_dates_are_whole_seconds_in_utc():
    moment = published_at(POSTS[-1], ANCHOR)
    assert moment.tzinfo is UTC
    assert moment.microsecond == 0
    assert timedelta(days=0.5) < ANCHOR - moment < timedelta(days=WEEK)


def test_a_naive_anchor_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        published_at(POSTS[0], ANCHOR.replace(tzinfo=None))


def test_what_is_not_out_yet_is_not_visible():
    seen = visible(POSTS, ANCHOR, ANCHOR - timedelta(days=100))
    assert 0 < len(seen) < len(POSTS)
    assert all(post.days_before >= 100 for post in seen)


def test_an_edit_that_finds_nothing_to_replace_is_an_error():
    text = '+++\nid = 1\ntitle = "T"\nauthor = "A"\ndays_before = 9\ncategories = ["C"]\n'
    text += '[edited]\nafter_days = 1\nreplace = [{old = "x", new = "y"}]\n+++\n<p>Body</p>'
    with pytest.raises(ValueError, match="post 1"):
        as_of(parse_post("001-t.html", text), ANCHOR, ANCHOR + timedelta(days=2))


def test_readers_want_different_things():
    text = (files("digest.sample") / "subscribers.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    wants = [(row["series"], row["themes"]) for row in rows]
    slugs = {theme.lower().replace(" ", "-") for theme in THEMES}
    assert len(rows) == len({row["email"] for row in rows}) == 12
    assert sum(row["rhythm"] == "monthly" for row in rows) == 1
    assert wants.count(("", "")) == 6
    assert len(set(wants)) == 7
    assert any(series and not themes for series, themes in wants)
    for row in rows:
        assert row["email"].split("@")[1] in {"example.org", "example.net", "example.com"}
        assert set(filter(None, row["series"].split(";"))) <= {"socialcarefuture", "ipc", "pbr"}
        assert set(filter(None, row["themes"].split(";"))) <= slugs
        assert datetime.fromisoformat(row["consent_at"]).tzinfo is not None
