"""The step that reads feeds: fetch a page, store its posts, go back until nothing is missing.

Each page is stored in one transaction together with the word on whether the reading is whole,
so that a crash between two pages loses nothing: the next reading goes back past them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.feeds import proof
from digest.feeds.fetch import Fetched, FetchStatus, Validators
from digest.feeds.ingest import Page, store_page
from digest.feeds.pages import page_url
from digest.feeds.parse import Parsed, entry_key, parse_feed
from digest.feeds.waiting import paused, until, waits
from digest.store import feeds as feed_store
from digest.store.posts import lock_posts, oldest_published

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config import Config, Feed
    from digest.feeds.fetch import Fetcher
    from digest.store.engine import Store
    from digest.store.feeds import FeedState

log = logging.getLogger("digest.feeds")


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What reading one feed came to; `status` is "new", "unchanged" or "failed".

    `proof` says how it is known that no post was missed, or that one may have been.
    """

    slug: str
    status: str
    new: int = 0
    changed: int = 0
    error: str | None = None
    proof: str = ""
    problems: tuple[str, ...] = ()
    #: It failed for a reason that may pass soon: its server did not answer, or was in trouble.
    passing: bool = False


@dataclass(frozen=True, slots=True)
class RefreshReport:
    feeds: tuple[FeedReport, ...]

    @property
    def failed(self) -> tuple[FeedReport, ...]:
        return tuple(feed for feed in self.feeds if feed.status == "failed")

    @property
    def passing(self) -> tuple[FeedReport, ...]:
        """What is worth another try soon."""
        return tuple(feed for feed in self.feeds if feed.passing)


@dataclass
class _Reading:
    """One feed being read: what it is read with, and what was found so far."""

    store: Store
    config: Config
    fetcher: Fetcher
    slug: str
    now: datetime
    progress: Callable[[], None]
    #: As this reading began.
    state: FeedState
    validators: Validators = field(default_factory=Validators)
    #: Read to the end, whatever is known.
    whole: bool = False
    #: What was published before it is archive, though it was never read.
    archive_until: datetime | None = None
    base: str = ""
    seen: set[str] = field(default_factory=set)
    new: int = 0
    changed: int = 0
    touches: datetime | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def feed(self) -> Feed:
        return self.config.feeds[self.slug]

    def fetch(self, number: int) -> Fetched:
        """Page `number`; only the first is asked whether it changed, where that would do."""
        self.progress()
        state, asks = self.state, number == 1 and not self.whole
        known = Validators(state.etag, state.last_modified) if asks else Validators()
        return self.fetcher.fetch(
            page_url(self.base or self.feed.url, number),
            validators=known,
            timeout_seconds=self.feed.timeout_seconds,
            allow_private=self.feed.allow_private,
        )

    def report(
        self, *, error: str | None = None, proof: str = "", passing: bool = False
    ) -> FeedReport:
        status = "failed" if error else "new" if self.new or self.changed else "unchanged"
        problems = tuple(dict.fromkeys(self.problems))
        counts = (self.new, self.changed)
        return FeedReport(self.slug, status, *counts, error, proof, problems, passing)


def refresh_feeds(
    store: Store,
    config: Config,
    fetcher: Fetcher,
    now: datetime,
    *,
    only: str | None = None,
    whole: bool = False,
    progress: Callable[[], None] | None = None,
) -> RefreshReport:
    """Read all feeds, or `only` the one of that slug, and store what is new or edited.

    `now` (UTC) is when posts found were first seen. A reading ends with a post that is known;
    a `whole` one reads every page, and so finds edits deep in the archive too.
    `progress` is called before each page. A feed that fails stands in the report and stops no
    other; UsageError where `only` names no feed.
    """
    if only is not None and only not in config.feeds:
        raise UsageError(f"no feed {only!r} in config; there are: {', '.join(config.feeds)}")
    step = progress or (lambda: None)
    reports = []
    for slug in config.feeds if only is None else [only]:
        state = _begin(store, slug, config.feeds[slug])
        reading = _Reading(store, config, fetcher, slug, now, step, state, whole=whole)
        reports.append(_refresh(reading, named=only is not None))
        _log(reports[-1])
    return RefreshReport(tuple(reports))


def refresh_failed(
    store: Store, config: Config, fetcher: Fetcher, now: datetime, report: RefreshReport
) -> RefreshReport:
    """Read again, of what a reading came to, only the feeds that failed for a passing reason.

    The report is of both readings; a feed that answered is left in peace.
    """
    feeds = []
    for feed in report.feeds:
        if feed.passing:
            again = refresh_feeds(store, config, fetcher, now, only=feed.slug).feeds[0]
            new, changed = feed.new + again.new, feed.changed + again.changed
            feeds.append(replace(again, new=new, changed=changed))
        else:
            feeds.append(feed)
    return RefreshReport(tuple(feeds))


def _begin(store: Store, slug: str, feed: Feed) -> FeedState:
    with store.write() as c:
        feed_store.begin_feed(c, slug, feed.url)
        return feed_store.load_feed(c, slug, feed.url)


def _refresh(reading: _Reading, *, named: bool) -> FeedReport:
    if reason := waits(reading.state, reading.now, named=named):
        return reading.report(error=reason)
    if reading.whole:
        with reading.store.read() as c:
            reading.archive_until = oldest_published(c, reading.slug)
    for number in range(1, _last_page(reading.feed) + 1):
        if report := _read_page(reading, number):
            return report
    return _whole(reading, _proof_without_end(reading, proof.limit(_last_page(reading.feed))))


def _last_page(feed: Feed) -> int:
    return feed.max_pages if feed.paging == "wordpress" else 1


def _read_page(reading: _Reading, number: int) -> FeedReport | None:
    """Fetch and store one page; the report where the reading ends with it."""
    fetched = reading.fetch(number)
    if fetched.status is FetchStatus.NOT_MODIFIED:
        return _unchanged(
            reading, proof.nothing_new(reading.state.read_whole_at, "the feed is as it was")
        )
    if number > 1 and fetched.status in {FetchStatus.MISSING, FetchStatus.GONE}:
        return _whole(reading, proof.end(reading.state.read_whole_at, len(reading.seen)))
    if fetched.status is not FetchStatus.OK:
        return _not_read(reading, number, fetched)
    parsed = parse_feed(
        fetched.body, feed=reading.slug, url=fetched.url, content_type=fetched.content_type
    )
    if number == 1:
        reading.validators, reading.base = fetched.validators, fetched.url
    reading.problems.extend(parsed.problems)
    if parsed.fault:
        return _broken_off(reading, f"{proof.page_name(number)} {parsed.fault}")
    return _take(reading, number, parsed)


def _take(reading: _Reading, number: int, parsed: Parsed) -> FeedReport | None:
    keys = {entry_key(entry) for entry in parsed.entries}
    if parsed.whole and not keys:
        return _empty(reading, number)
    if parsed.whole and keys <= reading.seen:
        return _repeats(reading, number)
    page = _store(reading, parsed)
    reading.seen |= keys
    reading.new, reading.changed = reading.new + page.new, reading.changed + page.changed
    reading.touches = page.touches or reading.touches
    reading.problems.extend(page.problems)
    if not parsed.whole:
        return _broken_off(
            reading, f"{proof.page_name(number)} breaks off, so entries may be missing"
        )
    if page.known_since is None:
        return None
    return reading.report(proof=proof.reached(page.known_since))


def _store(reading: _Reading, parsed: Parsed) -> Page:
    """Store the posts, and in the same transaction whether the reading is whole now."""
    with reading.store.write() as c:
        lock_posts(c)
        page = store_page(
            c,
            parsed,
            reading.state,
            now=reading.now,
            slugs=reading.config.feeds,
            skip=reading.seen,
            archive_until=reading.archive_until,
            whole=reading.whole,
        )
        if reading.whole:
            page = replace(page, known_since=None)
        if parsed.whole and page.known_since is not None:
            _mark_whole(c, reading)
        else:
            feed_store.mark_open(c, reading.slug, reading.now)
    return page


def _mark_whole(c: Connection, reading: _Reading) -> None:
    valid = reading.validators
    feed_store.mark_whole(
        c, reading.slug, reading.now, etag=valid.etag, last_modified=valid.last_modified
    )


def _whole(reading: _Reading, why: str) -> FeedReport:
    with reading.store.write() as c:
        _mark_whole(c, reading)
    return reading.report(proof=why)


def _unchanged(reading: _Reading, why: str) -> FeedReport:
    with reading.store.write() as c:
        feed_store.mark_unchanged(c, reading.slug, reading.now)
    return reading.report(proof=why)


def _empty(reading: _Reading, number: int) -> FeedReport:
    if number > 1:
        return _whole(reading, proof.end(reading.state.read_whole_at, len(reading.seen)))
    # Not taken for a whole reading: a blog's first posts, or its old ones back, are yet to come.
    return _unchanged(
        reading, proof.nothing_new(reading.state.read_whole_at, "the feed holds no entry")
    )


def _repeats(reading: _Reading, number: int) -> FeedReport:
    """A page that was all seen in this very reading: the server has no further ones."""
    if number == 2:  # noqa: PLR2004
        what = "the server gives its first page again as its second"
        return _whole(reading, _proof_without_end(reading, what))
    return _whole(reading, proof.end(reading.state.read_whole_at, len(reading.seen)))


def _not_read(reading: _Reading, number: int, fetched: Fetched) -> FeedReport:
    what = f"{proof.page_name(number)} {fetched.reason}"
    if fetched.status is FetchStatus.GONE:
        reason = f"{fetched.reason} on {reading.now:%Y-%m-%d}"
        told = f"the feed is {paused(reading.slug, reason)}"
        return _broken_off(reading, told, paused_reason=reason)
    if fetched.status is FetchStatus.THROTTLED and fetched.retry_at:
        told = f"{what} and asks to wait until {until(fetched.retry_at)}"
        return _broken_off(reading, told, not_before=fetched.retry_at)
    return _broken_off(reading, what, passing=fetched.status is FetchStatus.FAILED)


def _broken_off(
    reading: _Reading,
    error: str,
    *,
    paused_reason: str | None = None,
    not_before: datetime | None = None,
    passing: bool = False,
) -> FeedReport:
    with reading.store.write() as c:
        feed_store.mark_failed(
            c,
            reading.slug,
            reading.now,
            error,
            not_before=not_before,
            paused_reason=paused_reason or reading.state.paused_reason,
        )
    found = reading.new or reading.changed
    told = proof.BROKEN_OFF if found else ""
    return reading.report(error=error, proof=told, passing=passing)


def _proof_without_end(reading: _Reading, why: str) -> str:
    said = proof.without_end(reading.state.read_whole_at, len(reading.seen), why, reading.touches)
    return proof.not_all(said, why) if reading.whole and reading.touches else said


def _log(report: FeedReport) -> None:
    for problem in report.problems:
        log.warning("feed %s: %s", report.slug, problem)
    if report.error:
        log.warning("feed %s: %s", report.slug, report.error)
    else:
        counts = (report.new, report.changed)
        log.info("feed %s: %d new, %d changed; %s", report.slug, *counts, report.proof)
