"""Issues made of the sample blog's posts, its server, and Debian's chromium."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from digest.config import Newsletter, Site
from digest.issues.content import IssueContent, Item, Talk
from digest.issues.render import render, render_opt_in
from digest.issues.words import shorten
from digest.model import Image, Part, PostLink, PostView
from digest.sample.blog import image_url, load_posts, path_of, published_at, words
from digest.sample.server import SampleServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from digest.sample.blog import SamplePost

ROOT = Path(__file__).parents[2]
#: A Sunday evening: the end of the week that the weekly issue is about.
SCHEDULED = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
SERIES = {
    "ipc": ("Integrated Personal Commissioning", "IPC", "IPC"),
    "socialcarefuture": ("#socialcarefuture", "SocialCareFuture", "socialcarefuture"),
    "pbr": ("Payment by Results in mental health", "PaymentByResults", "PbR"),
}

collect_ignore = [] if os.environ.get("DIGEST_REAL_FEED") else ["test_browser_real.py"]

NETWORKS = ("Mastodon", "Bluesky", "X")


@pytest.fixture(scope="session")
def blog() -> Iterator[SampleServer]:
    with SampleServer(anchor=SCHEDULED, now=lambda: SCHEDULED) as server:
        yield server


@pytest.fixture(scope="session")
def mails(blog: SampleServer) -> dict[str, str]:
    """The HTML of each template, by the template's name."""
    contents = {"weekly": weekly(blog.url), "series": series(blog.url)}
    contents["unbreakable"] = unbreakable(weekly(blog.url))
    rendered = {name: render(c, ROOT / "templates").html for name, c in contents.items()}
    return rendered | {"opt-in": opt_in(blog.url)}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get("DIGEST_CHROMIUM", "/usr/bin/chromium")
    assert Path(path).exists(), f"{path} is missing: apt-get install chromium"
    switches = ["--no-sandbox", "--disable-gpu"]
    switches += ["--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=switches)
        yield started
        started.close()


def weekly(base: str, most: int = 12, days: float = 7) -> IssueContent:
    """The posts of the last week, newest of a series first and then by date."""
    chosen = [p for p in load_posts() if p.days_before < days]
    chosen.sort(key=lambda p: (not _slugs(p), p.image is None, p.days_before))
    return _issue("weekly", base, chosen[:most], introduction=INTRODUCTION)


def series(base: str, slug: str = "ipc", most: int = 4) -> IssueContent:
    """One series in reading order, but for its last part."""
    title, hashtag, category = SERIES[slug]
    chosen = [p for p in load_posts() if category in p.categories][:most]
    scope = {
        "scope": f"series:{slug}",
        "scope_title": title,
        "scope_hashtag": hashtag,
        "scope_description": "Health and social care money joined up around one person, "
        "and what it takes.",
    }
    return _issue("series", base, chosen, introduction="", **scope)


def opt_in(base: str) -> str:
    """The mail that asks a reader to confirm."""
    site = Site(
        name="Common Threads",
        url=f"{base}/",
        contact="editors@commonthreads.example",
        postal_address="12 Weaver's Row, Anytown AN1 2YZ, United Kingdom",
        links_url=base,
    )
    address = "digest@commonthreads.example"
    newsletter = Newsletter(
        title="The weekly digest",
        from_name="Common Threads",
        from_address=address,
        bounce_address=address,
        reply_to=address,
        unsubscribe_mailto=address,
        list_id="weekly.commonthreads.example",
        mailer="local",
    )
    return render_opt_in(ROOT / "templates", site, newsletter, "t" * 40)[1]


def unbreakable(content: IssueContent) -> IssueContent:
    """The issue with a long word wherever a word may stand."""
    word = "Rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetz" * 3
    items = []
    for item in content.items:
        image = replace(item.post.image, alt=word) if item.post.image else None
        post = replace(item.post, title=word, author=word, excerpt=f"{word} {word}", image=image)
        items.append(replace(item, post=post, themes=(word,)))
    changed = {"introduction": word, "newsletter_title": word, "site_name": word}
    return replace(content, items=tuple(items), postal_address=word, **changed)


INTRODUCTION = (
    "Three of this week's posts belong to series that some of you have followed for a year, and "
    "one is about bread.\n\nIf you are new here, each series has a way in: look for the link to "
    "its first part."
)


def _issue(
    template: str, base: str, posts: list[SamplePost], introduction: str, **scope: str
) -> IssueContent:
    words_of_scope = {"scope": "all", "scope_title": "", "scope_hashtag": ""}
    return IssueContent(
        newsletter="weekly",
        newsletter_title="The weekly digest",
        site_name="Common Threads",
        site_url=f"{base}/",
        language="en-GB",
        time_zone="Europe/London",
        postal_address="12 Weaver's Row, Anytown AN1 2YZ, United Kingdom",
        template=template,
        period="2026-W47",
        scheduled_at=SCHEDULED,
        introduction=introduction,
        typed_subject=None,
        items=tuple(_item(n, post, base) for n, post in enumerate(posts, 1)),
        utm=(("utm_source", "digest"), ("utm_medium", "email")),
        own_hosts=(),
        **({"scope_description": ""} | words_of_scope | scope),
    )


def _item(position: int, post: SamplePost, base: str) -> Item:
    picture = Image(image_url(post.image, base), post.image_alt, 1200, 630) if post.image else None
    view = PostView(
        post_id=post.id,
        guid=f"{base}/?p={post.id}",
        url=_url(post, base),
        title=post.title,
        author=post.author,
        published=published_at(post, SCHEDULED),
        excerpt=shorten(" ".join(words(post)), 260),
        image=picture,
        reading_minutes=max(1, round(len(words(post)) / 200)),
    )
    themes = tuple(c for c in post.categories if c in {"Funding", "Workforce", "Personalisation"})
    parts = tuple(_part(slug, post, base) for slug in _slugs(post))
    # On every network, on all but one, on one, on none.
    talks = tuple(
        Talk(name, f"https://{name.lower()}.example/") for name in NETWORKS[: -position % 4]
    )
    return Item(position, view, parts, themes, (), "new", talks)


def _slugs(post: SamplePost) -> list[str]:
    return [slug for slug, (*_, category) in SERIES.items() if category in post.categories]


def _part(slug: str, post: SamplePost, base: str) -> Part:
    title, hashtag, category = SERIES[slug]
    run = [p for p in load_posts() if category in p.categories]
    run.sort(key=lambda p: "introduction" not in p.title)
    links = [PostLink(p.title, _url(p, base)) for p in run]
    at = run.index(post)
    return Part(
        slug=slug,
        title=title,
        hashtag=hashtag,
        part=at + 1,
        of=len(run),
        why=f"category {category}",
        first=links[0],
        previous=links[at - 1] if at else None,
        next=links[at + 1] if at + 1 < len(run) else None,
    )


def _url(post: SamplePost, base: str) -> str:
    return base + path_of(post, SCHEDULED)
