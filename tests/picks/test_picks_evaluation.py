"""How good the default series and themes are, on posts labelled by reading them."""

from __future__ import annotations

import html
import os
import re
import tomllib
from calendar import timegm
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from digest.config import Series, Theme
from digest.model import Post
from digest.picks.classify import classify
from digest.picks.series import parts_of
from digest.sample.archive import load_posts, path_of, published_at
from digest.sample.bodies import words

ROOT = Path(__file__).parents[2]
ANCHOR = datetime(2026, 11, 22, 18, tzinfo=UTC)
FLOOR = 0.8

#: What the posts of the sample blog are about, by an editor's reading; the rest: no theme.
ABOUT = {
    1184: "integration",
    1191: "co-production",
    1203: "personalisation",
    1217: "workforce",
    1240: "integration personalisation",
    1252: "funding",
    1275: "integration",
    1289: "mental-health",
    1301: "politics",
    1326: "integration",
    1338: "personalisation",
    1349: "mental-health",
    1374: "commissioning",
    1388: "personalisation",
    1400: "co-production workforce",
    1412: "funding commissioning",
    1425: "co-production",
    1437: "funding",
    1449: "personalisation",
    1460: "personalisation",
    1474: "mental-health",
    1486: "mental-health",
    1497: "politics",
    1509: "commissioning",
    1520: "workforce",
    1534: "integration",
    1556: "funding",
    1563: "co-production",
    1570: "workforce",
    1578: "personalisation",
    1287: "mental-health funding",
}
WITHOUT_SERIES_TAG = {1338: "ipc", 1349: "pbr", 1486: "pbr", 1261: "socialcarefuture"}

REAL_FEED = os.environ.get("DIGEST_REAL_FEED")
THEME_OF_TAG = {
    "Integration": "integration",
    "Funding": "funding",
    "Personalisation": "personalisation",
    "Politics": "politics",
    "Mental health": "mental-health",
}


def the_config():
    declared = tomllib.loads((ROOT / "config/series.toml").read_text(encoding="utf-8"))
    return SimpleNamespace(
        series={slug: Series(**table) for slug, table in declared["series"].items()},
        themes={slug: Theme(**table) for slug, table in declared["themes"].items()},
    )


CONFIG = the_config()


def a_post(number, url, when, **fields) -> Post:
    return Post(
        number, url, url, author="", published=when, arrived=when, html="", excerpt="", image=None,
        reading_minutes=1, **fields,
    )  # fmt: skip


def sample_post(post) -> Post:
    url, when = f"http://blog.example{path_of(post, ANCHOR)}", published_at(post, ANCHOR)
    text = " ".join(words(post))
    return a_post(post.id, url, when, title=post.title, categories=post.categories, text=text)


@pytest.fixture(scope="module")
def sample():
    posts = [sample_post(post) for post in load_posts()]
    return posts, classify(posts, CONFIG)


def found(memberships, post_id, kind) -> set[str]:
    return {m.slug for m in memberships[post_id] if m.kind == kind}


def test_every_label_is_of_a_post_of_the_sample(sample):
    posts, _ = sample
    assert set(ABOUT) <= {post.id for post in posts}
    assert {slug for about in ABOUT.values() for slug in about.split()} == set(CONFIG.themes)


@pytest.mark.parametrize("theme", CONFIG.themes)
def test_a_theme_finds_its_posts_and_few_others(sample, theme):
    posts, memberships = sample
    hits = {post.id for post in posts if theme in found(memberships, post.id, "theme")}
    truth = {post_id for post_id, about in ABOUT.items() if theme in about.split()}
    assert len(hits & truth) / len(hits) >= FLOOR, f"precision: {sorted(hits - truth)}"
    assert len(hits & truth) / len(truth) >= FLOOR, f"recall: {sorted(truth - hits)}"


def test_themes_of_untagged_posts_are_found(sample):
    posts, memberships = sample
    tags = {theme.title.casefold() for theme in CONFIG.themes.values()}
    untagged = [
        post.id
        for post in posts
        if post.id in ABOUT and not tags & {c.casefold() for c in post.categories}
    ]
    right = [i for i in untagged if found(memberships, i, "theme") & set(ABOUT[i].split())]
    assert len(untagged) >= 6
    assert len(right) / len(untagged) >= FLOOR


def test_posts_about_none_of_the_themes_are_left_alone(sample):
    posts, memberships = sample
    off = [post.id for post in posts if post.id not in ABOUT]
    assert len(off) >= 5
    assert [i for i in off if found(memberships, i, "theme")] == []


def test_an_introduction_published_last_is_part_one(sample):
    posts, memberships = sample
    parts = parts_of(posts, memberships, CONFIG)
    (pbr,) = parts[1287]
    assert (pbr.slug, pbr.part, pbr.previous) == ("pbr", 1, None)
    assert pbr.of == max(p.part for of_post in parts.values() for p in of_post if p.slug == "pbr")
    members = [post for post in posts if "pbr" in found(memberships, post.id, "series")]
    assert max(members, key=lambda post: post.published).id == 1287


def test_members_without_the_tag_of_their_series_are_found_by_what_they_say(sample):
    _, memberships = sample
    for post_id, series in WITHOUT_SERIES_TAG.items():
        (membership,) = (m for m in memberships[post_id] if m.slug == series)
        assert membership.why.startswith(("text says “one in a series on ", "hashtag #"))


if REAL_FEED:

    def real_post(number, entry) -> Post:
        when = datetime.fromtimestamp(timegm(entry.published_parsed), UTC)
        tags = tuple(tag.term for tag in entry.get("tags", []))
        text = html.unescape(re.sub(r"<[^>]+>", " ", entry.content[0].value))
        return a_post(number, entry.link, when, title=entry.title, categories=tags, text=text)

    @pytest.fixture(scope="module")
    def real():
        import feedparser

        entries = feedparser.parse(REAL_FEED).entries
        posts = [real_post(number, entry) for number, entry in enumerate(entries)]
        return posts, classify(posts, CONFIG)

    def test_real_feed_series(real):
        posts, memberships = real
        parts = parts_of(posts, memberships, CONFIG)
        assert len(posts) == 20
        slugs = [part.slug for of_post in parts.values() for part in of_post]
        assert sorted(slugs) == ["pbr"] * 3 + ["socialcarefuture"]
        pbr = {p.part: post for post in posts for p in parts.get(post.id, ()) if p.slug == "pbr"}
        assert pbr[1].url.endswith("/pbr-introduction/")
        assert pbr[1].published > max(pbr[2].published, pbr[3].published)

    def test_real_feed_tagged_posts_are_on_their_theme(real):
        posts, memberships = real
        for post in posts:
            tagged = {THEME_OF_TAG[c] for c in post.categories if c in THEME_OF_TAG}
            assert tagged <= found(memberships, post.id, "theme"), post.url

    @pytest.mark.parametrize(
        "slug",
        ["waste-land-01", "peoplepoweredhealth-one-minute", "institutionalisation-social-movements",
         "wicked-issues", "all-too-human"],
    )  # fmt: skip
    def test_real_feed_off_theme_posts_are_on_none(real, slug):
        posts, memberships = real
        (post,) = (post for post in posts if post.url.endswith(f"/{slug}/"))
        assert found(memberships, post.id, "theme") == set()
