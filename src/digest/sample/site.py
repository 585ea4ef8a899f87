"""What the sample blog answers to an address: a pure function of its posts and the time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import parse_qs

from digest.sample.blog import (
    SamplePost,
    feed_modified,
    feed_page,
    home_page,
    missing_page,
    modified_at,
    path_of,
    post_page,
    visible,
)

UPLOADS = "/wp-content/uploads/"
HTML = "text/html; charset=UTF-8"
RSS = "application/rss+xml; charset=UTF-8"
REVALIDATE = "no-cache"
KEEP_A_DAY = "public, max-age=86400"

_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before HTTP's own business (validators, compression) is done with it."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = HTML
    modified: datetime | None = None
    cache: str = REVALIDATE
    location: str | None = None


@dataclass(slots=True)
class Site:
    """The blog's posts, and what a test has done to them since."""

    posts: tuple[SamplePost, ...]
    anchor: datetime
    withdrawn: set[int] = field(default_factory=set)
    overrides: dict[int, SamplePost] = field(default_factory=dict)

    def answer(self, target: str, now: datetime, base_url: str) -> Answer:
        """The answer to a request target such as `/feed/?paged=2`."""
        path, _, asked = target.partition("?")
        query = {key: values[-1] for key, values in parse_qs(asked).items()}
        if path == "/feed/" or (path == "/" and query.get("feed") == "rss2"):
            return self._feed(query, now, base_url)
        if path == "/" and "p" in query:
            return self._short_link(query["p"], now, base_url)
        if path == "/":
            return self._home(now, base_url)
        if path.startswith(UPLOADS):
            return self._image(path.removeprefix(UPLOADS), base_url)
        return self._page(path, now, base_url)

    def _current(self) -> list[SamplePost]:
        # An override is served to the letter: a correction planned for the original text would
        # not find its place in it.
        edited = {key: replace(post, edit=None) for key, post in self.overrides.items()}
        return [edited.get(post.id, post) for post in self.posts]

    def _standing(self) -> list[SamplePost]:
        return [post for post in self._current() if post.id not in self.withdrawn]

    def _feed(self, query: Mapping[str, str], now: datetime, base_url: str) -> Answer:
        posts, page = self._standing(), _page_number(query.get("paged", "1"))
        body = feed_page(posts, anchor=self.anchor, now=now, base_url=base_url, page=page)
        if body is None:
            return _missing(HTTPStatus.NOT_FOUND, base_url)
        return Answer(HTTPStatus.OK, body, RSS, feed_modified(posts, self.anchor, now))

    def _home(self, now: datetime, base_url: str) -> Answer:
        posts = self._standing()
        body = home_page(posts, anchor=self.anchor, now=now, base_url=base_url)
        return Answer(HTTPStatus.OK, body, modified=feed_modified(posts, self.anchor, now))

    def _short_link(self, number: str, now: datetime, base_url: str) -> Answer:
        for post in visible(self._current(), self.anchor, now):
            if str(post.id) == number:
                if post.id in self.withdrawn:
                    return _missing(HTTPStatus.GONE, base_url)
                return _moved(base_url + path_of(post, self.anchor))
        return _missing(HTTPStatus.NOT_FOUND, base_url)

    def _page(self, path: str, now: datetime, base_url: str) -> Answer:
        if not path.endswith("/"):
            return self._slashed(path, now, base_url)
        for post in visible(self._current(), self.anchor, now):
            if path_of(post, self.anchor) == path:
                return self._post(post, now, base_url)
        return _missing(HTTPStatus.NOT_FOUND, base_url)

    def _slashed(self, path: str, now: datetime, base_url: str) -> Answer:
        """WordPress sends an address without its last slash on to the one with it."""
        pages = {path_of(post, self.anchor) for post in visible(self._current(), self.anchor, now)}
        if f"{path}/" in pages | {"/feed/"}:
            return _moved(f"{base_url}{path}/")
        return _missing(HTTPStatus.NOT_FOUND, base_url)

    def _post(self, post: SamplePost, now: datetime, base_url: str) -> Answer:
        if post.id in self.withdrawn:
            return _missing(HTTPStatus.GONE, base_url)
        body = post_page(
            post, posts=self._standing(), anchor=self.anchor, now=now, base_url=base_url
        )
        return Answer(HTTPStatus.OK, body, modified=modified_at(post, self.anchor, now))

    def _image(self, name: str, base_url: str) -> Answer:
        body = _images().get(name)
        if body is None:
            return _missing(HTTPStatus.NOT_FOUND, base_url)
        return Answer(HTTPStatus.OK, body, "image/png", self.anchor, KEEP_A_DAY)


@cache
def _images() -> Mapping[str, bytes]:
    """Every picture by name; a name from outside is looked up here and never made a path."""
    folder = files("digest.sample") / "images"
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith(".png")}


def _page_number(text: str) -> int:
    """WordPress takes whatever is not a page number for the first page."""
    return max(int(text), 1) if _DIGITS.fullmatch(text) else 1


def _missing(status: HTTPStatus, base_url: str) -> Answer:
    said = {HTTPStatus.GONE: "This post has been withdrawn"}
    return Answer(status, missing_page(status, said.get(status, "Nothing here"), base_url))


def _moved(location: str) -> Answer:
    return Answer(HTTPStatus.MOVED_PERMANENTLY, location=location)
