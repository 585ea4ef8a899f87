"""The sample blog's web pages: one for each post, and a home page that lists them all."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby

from digest.sample.archive import SamplePost, path_of, published_at, visible
from digest.sample.bodies import BLOG_NAME, page_body, words
from digest.sample.feed import TAGLINE

SUMMARY_LENGTH = 155  # about what a search result shows

_SHELL = """<!DOCTYPE html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{head}
<link rel="alternate" type="application/rss+xml" title="{blog}" href="{base}/feed/">
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header class="site"><a href="{base}/">{blog}</a><p>{tagline}</p></header>
<main>
{main}
</main>
<footer class="foot">{blog} is an invented blog, made to be read by machines and people alike.
<a href="{base}/feed/">RSS feed</a></footer>
</body>
</html>
"""


def post_page(
    post: SamplePost,
    *,
    posts: Iterable[SamplePost],
    anchor: datetime,
    now: datetime,
    base_url: str,
) -> bytes:
    """The page of one post as it reads at `now`; `posts` gives its neighbours in time."""
    live = visible(posts, anchor, now)
    here = next((p for p in live if p.id == post.id), None)
    if here is None:
        raise ValueError(f"post {post.id} is not published at {now.isoformat()}")
    link = base_url + path_of(here, anchor)
    main = _article(here, anchor, base_url, link) + _neighbours(here, live, anchor, base_url)
    title = f"{escape(here.title)} \u2013 {BLOG_NAME}"
    return _page(title, _post_head(here, anchor, base_url, link), main, base_url)


def home_page(
    posts: Iterable[SamplePost], *, anchor: datetime, now: datetime, base_url: str
) -> bytes:
    """The newest post with its picture, then every post by month."""
    live = visible(posts, anchor, now)
    head = _meta("description", TAGLINE) + _property("og:title", BLOG_NAME)
    head += _property("og:type", "website") + _property("og:url", f"{base_url}/")
    main = "".join(_lead(post, anchor, base_url) for post in live[:1])
    return _page(BLOG_NAME, head, main + _months(live, anchor, base_url), base_url)


def missing_page(status: int, sentence: str, base_url: str) -> bytes:
    """A short page for an address that has nothing to show."""
    main = f'<h1>{escape(sentence)}</h1><p><a href="{base_url}/">All posts</a></p>'
    return _page(f"{status} \u2013 {BLOG_NAME}", "", main, base_url)


def summary(post: SamplePost) -> str:
    """The first words, whole, in about the length of a search result."""
    text = " ".join(words(post))
    if len(text) <= SUMMARY_LENGTH:
        return text
    return text[:SUMMARY_LENGTH].rsplit(" ", 1)[0].rstrip(",.;:\u2013") + "\u2026"


@cache
def _style() -> str:
    return (files("digest.sample") / "style.css").read_text(encoding="utf-8")


def _page(title: str, head: str, main: str, base_url: str) -> bytes:
    parts = {"title": title, "head": head, "main": main, "base": base_url, "style": _style()}
    return _SHELL.format(blog=BLOG_NAME, tagline=TAGLINE, **parts).encode()


def _post_head(post: SamplePost, anchor: datetime, base_url: str, link: str) -> str:
    head = [
        _meta("description", summary(post)),
        f'<link rel="canonical" href="{escape(link)}">',
        _property("og:type", "article"),
        _property("og:title", post.title),
        _property("og:description", summary(post)),
        _property("og:url", link),
        _property("article:published_time", published_at(post, anchor).isoformat()),
    ]
    if post.image:
        head += [
            _property("og:image", image_url(post.image, base_url)),
            _property("og:image:alt", post.image_alt),
        ]
    return "\n".join(head)


def image_url(name: str, base_url: str) -> str:
    """Where the blog serves one of its pictures."""
    return f"{base_url}/wp-content/uploads/{name}"


def _article(post: SamplePost, anchor: datetime, base_url: str, link: str) -> str:
    body = page_body(post, base_url, link)
    picture = "" if post.image is None or post.image in body else _picture(post, base_url)
    tags = "".join(f"<li>{escape(category)}</li>" for category in post.categories)
    return (
        f"<article><h1>{escape(post.title)}</h1>"
        f'<p class="meta">{escape(post.author)}, {_day(post, anchor)}</p>\n'
        f'{picture}{body}\n<ul class="tags">{tags}</ul></article>\n'
    )


def _picture(post: SamplePost, base_url: str) -> str:
    assert post.image is not None
    source, alt = image_url(post.image, base_url), escape(post.image_alt)
    return f'<img src="{source}" alt="{alt}" width="1200" height="630">\n'


def _neighbours(
    post: SamplePost, live: Sequence[SamplePost], anchor: datetime, base_url: str
) -> str:
    at = live.index(post)
    older = "".join(_link(p, anchor, base_url, "prev", "\u2190 ") for p in live[at + 1 : at + 2])
    newer = "".join(_link(p, anchor, base_url, "next", "") for p in live[max(at - 1, 0) : at])
    return f'<nav aria-label="Posts before and after">{older}{newer}</nav>'


def _link(post: SamplePost, anchor: datetime, base_url: str, rel: str, before: str) -> str:
    after = " \u2192" if rel == "next" else ""
    href = base_url + path_of(post, anchor)
    return f'<a rel="{rel}" href="{href}">{before}{escape(post.title)}{after}</a>'


def _lead(post: SamplePost, anchor: datetime, base_url: str) -> str:
    picture = _picture(post, base_url) if post.image else ""
    return (
        f'<a class="lead" href="{base_url}{path_of(post, anchor)}">{picture}'
        f"<div><h2>{escape(post.title)}</h2><p>{escape(summary(post))}</p>"
        f"{_day(post, anchor)}</div></a>\n"
    )


def _months(live: Sequence[SamplePost], anchor: datetime, base_url: str) -> str:
    out = []
    for month, group in groupby(live, key=lambda p: f"{published_at(p, anchor):%B %Y}"):
        rows = "".join(_row(post, anchor, base_url) for post in group)
        out.append(f'<h2>{month}</h2><ul class="list">{rows}</ul>\n')
    return "".join(out)


def _row(post: SamplePost, anchor: datetime, base_url: str) -> str:
    link = f'<a href="{base_url}{path_of(post, anchor)}">{escape(post.title)}</a>'
    return f"<li>{link} {_day(post, anchor)}</li>"


def _day(post: SamplePost, anchor: datetime) -> str:
    moment = published_at(post, anchor)
    return f'<time datetime="{moment.isoformat()}">{moment.day} {moment:%B %Y}</time>'


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">\n'


def _property(name: str, content: str) -> str:
    return f'<meta property="{name}" content="{escape(content)}">\n'
