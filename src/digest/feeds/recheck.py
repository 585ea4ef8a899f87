"""The step before an issue goes out: is each picked post still there, and as it was?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.feeds.clean import Unsaved, clean_entry
from digest.feeds.fetch import Fetched, FetchStatus
from digest.feeds.identity import Key, identify, identity_keys
from digest.feeds.pages import page_url
from digest.feeds.parse import entry_key, parse_feed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from digest.config import Config, Feed
    from digest.feeds.fetch import Fetcher
    from digest.model import CleanPost, Entry, PostView

#: How far back a feed is read for posts to compare; an old series may stand deep in it.
MAX_PAGES = 30


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that is shown, as approved and as the feed has it now."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Recheck:
    """What became of a post; `verdict` is "same", "changed", "gone" or "unreachable".

    `message` says it in a sentence that names the post.
    """

    post_id: int
    verdict: str
    message: str
    changes: tuple[FieldChange, ...] = ()


@dataclass
class _Feeds:
    """What the feeds say now: the changes of each post found, in each version found."""

    versions: dict[int, list[tuple[FieldChange, ...]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def is_same(self, post: PostView) -> bool:
        return () in self.versions.get(post.post_id, [])


def recheck_posts(
    fetcher: Fetcher, config: Config, posts: Sequence[PostView]
) -> tuple[Recheck, ...]:
    """Fetch each post's page, and read the feeds anew as far back as the posts stand.

    One result for each post, in order. Nothing is stored, and nothing raised for what a
    server does.
    """
    pages = _fetch_pages(fetcher, config, posts)
    there = [post for post in posts if not _is_gone(pages[post.post_id])]
    feeds = _Feeds()
    for slug, feed in config.feeds.items():
        wanted = [post for post in there if not feeds.is_same(post)]
        if wanted:
            _compare_feed(fetcher, slug, feed, wanted, feeds)
    return tuple(_judge(post, pages[post.post_id], feeds) for post in posts)


def _fetch_pages(fetcher: Fetcher, config: Config, posts: Sequence[PostView]) -> dict[int, Fetched]:
    """The head of each post's page; a host that gave no answer is not asked again."""
    private = {_host(feed.url) for feed in config.feeds.values() if feed.allow_private}
    silent: dict[str, Fetched] = {}
    pages = {}
    for post in posts:
        host = _host(post.url)
        fetched = silent.get(host) or fetcher.fetch(
            post.url, allow_private=host in private, with_body=False
        )
        if fetched.silent:
            silent[host] = fetched
        pages[post.post_id] = fetched
    return pages


def _compare_feed(
    fetcher: Fetcher, slug: str, feed: Feed, wanted: list[PostView], feeds: _Feeds
) -> None:
    """Compare the posts that this feed shows, until all were found or it ends."""
    views = {post.post_id: post for post in wanted}
    known = {
        key: post.post_id
        for post in wanted
        for key in reversed(identity_keys(slug, post.guid, post.url))
    }
    missing = set(views)
    for entry in _entries(fetcher, slug, feed, feeds.errors):
        if not missing:
            break
        post_id = _post_of(slug, entry, known)
        if post_id not in missing:
            continue
        missing.discard(post_id)
        view = views[post_id]
        post = clean_entry(entry, now=view.published)
        if not isinstance(post, Unsaved):
            changes = _changes(view, post, dated=entry.published is not None)
            feeds.versions.setdefault(post_id, []).append(changes)


def _post_of(slug: str, entry: Entry, known: dict[Key, int]) -> int:
    found = identify(identity_keys(slug, entry.guid, entry.url), known)
    return found.post_id if found.post_id is not None else -1


def _entries(fetcher: Fetcher, slug: str, feed: Feed, errors: list[str]) -> Iterator[Entry]:
    """The feed's entries, page by page, asked without validators."""
    seen: set[str] = set()
    pages = min(feed.max_pages, MAX_PAGES) if feed.paging == "wordpress" else 1
    for number in range(1, pages + 1):
        fetched = fetcher.fetch(
            page_url(feed.url, number),
            timeout_seconds=feed.timeout_seconds,
            allow_private=feed.allow_private,
        )
        if number > 1 and _is_gone(fetched):
            return
        if fetched.status is not FetchStatus.OK:
            errors.append(f"feed {slug} {fetched.reason}")
            return
        parsed = parse_feed(
            fetched.body, feed=slug, url=fetched.url, content_type=fetched.content_type
        )
        if parsed.fault:
            errors.append(f"feed {slug} {parsed.fault}")
            return
        fresh = [entry for entry in parsed.entries if entry_key(entry) not in seen]
        seen |= {entry_key(entry) for entry in fresh}
        yield from fresh
        if not parsed.whole:
            errors.append(f"feed {slug} breaks off")
        if not fresh or not parsed.whole:
            return


def _changes(view: PostView, post: CleanPost, *, dated: bool) -> tuple[FieldChange, ...]:
    before, after = _shown(view), _shown(post)
    return tuple(
        FieldChange(name, before[name], after[name])
        for name in before
        if before[name] != after[name] and (dated or name != "published")
    )


def _shown(post: PostView | CleanPost) -> dict[str, str]:
    return {
        "title": post.title,
        "url": post.url,
        "author": post.author,
        "excerpt": post.excerpt,
        "image": post.image.url if post.image else "",
        "image description": post.image.alt if post.image else "",
        "published": f"{post.published:%Y-%m-%d %H:%M} UTC",
    }


def _judge(post: PostView, page: Fetched, feeds: _Feeds) -> Recheck:
    name = f"“{post.title}”"
    if _is_gone(page):
        return Recheck(post.post_id, "gone", f"{name} is gone: its page {page.reason}")
    versions = feeds.versions.get(post.post_id, [])
    if versions and not feeds.is_same(post):
        changes = versions[0]
        told = "; ".join(f"{c.field}: “{c.before}” is now “{c.after}”" for c in changes)
        return Recheck(post.post_id, "changed", f"{name} has changed: {told}", changes)
    if page.status is not FetchStatus.OK:
        return Recheck(post.post_id, "unreachable", f"{name}: its page {page.reason}")
    if versions:
        return Recheck(post.post_id, "same", f"{name} is as it was")
    if feeds.errors:
        errors = "; ".join(feeds.errors)
        return Recheck(post.post_id, "unreachable", f"{name} could not be compared: {errors}")
    note = f"{name}: its page answers; it was not found in its feed, to compare it with"
    return Recheck(post.post_id, "same", note)


def _is_gone(page: Fetched) -> bool:
    return page.status in {FetchStatus.GONE, FetchStatus.MISSING}


def _host(url: str) -> str:
    return urlsplit(url).netloc
