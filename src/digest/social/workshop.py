"""The rest of the house, as publishing asks for it; and publishing for a home folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.errors import UsageError
from digest.feeds.fetch import FetchStatus
from digest.files import replace_text
from digest.social.choose import subject_of
from digest.social.making import shelf_of
from digest.social.pictures import freeze, load
from digest.social.plan import maker_of
from digest.social.press import Press
from digest.social.preview import preview_folder, refresh_preview
from digest.social.publish import foreseen, publish_due
from digest.social.slots import zone_of
from digest.store.memberships import load_memberships
from digest.store.posts import load_posts, mark_gone
from digest.store.social import lately_out

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from digest.bootstrap import App
    from digest.errors import Refused, Unavailable
    from digest.feeds.fetch import Fetched, Fetcher
    from digest.model import Limits, Picture
    from digest.social.choose import Shelf
    from digest.social.making import Maker
    from digest.social.networks import Network
    from digest.social.pictures import Frozen, Space
    from digest.social.press import PublishReport
    from digest.social.thread import Thread, Unthreadable
    from digest.store.social import ThreadRow

#: So long after their threads went out posts are looked after, and so often.
_LATELY = timedelta(days=30)
_ASKED_AGAIN = timedelta(hours=6)
_GONE = frozenset({FetchStatus.GONE, FetchStatus.MISSING})


@dataclass(frozen=True)
class HomeWorkshop:
    """What a home folder answers; each part is made when first asked for."""

    app: App

    def zone(self, slug: str) -> ZoneInfo:
        """The time zone of a channel's slots."""
        return zone_of(self.app.config.channels[slug], self.app.config)

    def limits(self, slug: str) -> Limits | None:
        """What the account takes, asked once a day."""
        return self.app.limits(slug)

    def network(self, slug: str) -> Network:
        """How the channel counts, within the limits of its account."""
        return self._maker.network(slug)

    def remake(self, thread: ThreadRow) -> Thread | Unthreadable | None:
        """The thread as it would be made now; None where its post left the series or theme."""
        shelf, config = self._shelf, self.app.config
        post = shelf.posts.get(thread.post_id)
        subject = subject_of(thread.scope, post, config, shelf) if post else None
        if post is None or subject is None:
            return None
        return self._maker.make(post, subject, thread.channel, shelf, repeat=thread.repeat)

    def is_gone(self, thread: ThreadRow) -> bool:
        """Ask the page of the post; what says so itself is recorded as gone."""
        return self.page_of(thread).status in _GONE

    def page_of(self, thread: ThreadRow) -> Fetched:
        """The head of the post's page; where it is gone that is recorded."""
        page = self._fetch(thread.url, with_body=False)
        if page.status in _GONE:
            with self.app.store.write() as c:
                mark_gone(c, [thread.post_id], self.app.clock())
        return page

    def freeze(self, url: str, space: Space) -> Frozen | Refused | Unavailable:
        """Fetch a picture and keep it as a file."""
        return freeze(url, space, fetch=self._fetch, folder=self._pictures)

    def picture(self, name: str, alt: str) -> Picture | None:
        """A picture that was frozen under this name."""
        return load(self._pictures, name, alt)

    def _fetch(self, url: str, *, with_body: bool = True) -> Fetched:
        feeds = self.app.config.feeds.values()
        private = {urlsplit(feed.url).netloc for feed in feeds if feed.allow_private}
        is_private = urlsplit(url).netloc in private
        return self._fetcher.fetch(url, allow_private=is_private, with_body=with_body)

    @property
    def _pictures(self) -> Path:
        return preview_folder(self.app.var) / "pictures"

    @cached_property
    def _fetcher(self) -> Fetcher:
        return self.app.fetcher()

    @cached_property
    def _maker(self) -> Maker:
        return maker_of(self.app)

    @cached_property
    def _shelf(self) -> Shelf:
        app = self.app
        with app.store.read() as c:
            posts = load_posts(c, as_of=app.clock())
            return shelf_of(posts, load_memberships(c, app.config), app.config)


def press_of(app: App, channel: str | None = None) -> Press:
    """What the home folder publishes with: all its channels, or the one named.

    UsageError for a channel that is not in config.
    """
    declared = app.config.channels
    if channel is not None and channel not in declared:
        raise UsageError(f"no channel {channel!r}; there are: {', '.join(sorted(declared))}")
    mine = dict(declared) if channel is None else {channel: declared[channel]}
    return Press(app.store, mine, app.channel, app.var / "run", app.clock, HomeWorkshop(app))


def note_withdrawn(app: App) -> None:
    """Ask, now and then, the pages of posts whose threads went out lately whether they are gone.

    A feed does not say what was withdrawn; what becomes of their threads is their channels' policy.
    """
    note, now = preview_folder(app.var) / "withdrawn-asked", app.clock()
    asked_at = _read_moment(note)
    if asked_at and abs(now - asked_at) < _ASKED_AGAIN:
        return
    with app.store.read() as c:
        lately = lately_out(c, now - _LATELY)
    workshop = HomeWorkshop(app)
    for thread in lately:
        if workshop.page_of(thread).silent:
            # The others would hardly answer now.
            break
    if lately:
        replace_text(note, now.isoformat(), mode=0o600)


def _read_moment(file: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def publish(app: App, *, channel: str | None = None, dry_run: bool = False) -> PublishReport:
    """Publish what is due on every channel, or the one named, and bring the local page up to date.

    What is late on a channel that config no longer names is given up with the rest.
    """
    press = press_of(app, channel)
    if dry_run:
        return foreseen(press, everywhere=channel is None)
    note_withdrawn(app)
    try:
        return publish_due(press, everywhere=channel is None)
    finally:
        refresh_preview(app)
