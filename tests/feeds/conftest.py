"""A web server on loopback that does what a test tells it, and a blog of WordPress's kind on it."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from time import sleep
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from digest.config import Config
from digest.feeds.fetch import Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)

#: The real feed is somebody's blog, and not part of this project.
collect_ignore = [] if os.environ.get("DIGEST_REAL_FEED") else ["test_feeds_real.py"]


@dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Bytes for the socket as they are, before which nothing is sent.
    raw: bytes | None = None
    #: Seconds to wait after each byte of `raw`.
    drip: float = 0.0


class Web:
    """Replies by target ("/feed/?paged=2"); unknown targets get 404. `asked` logs requests."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[str], Reply]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.web = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def put(self, target: str, body: str | bytes = b"", status: int = 200, **headers: str) -> str:
        """Serve this at `target`; returns its URL."""
        data = body.encode() if isinstance(body, str) else body
        named = {"Content-Type": "application/rss+xml; charset=UTF-8"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies[target] = Reply(data, status, named)
        return self.url + target

    def answer(self, target: str) -> Reply:
        found = self.replies.get(target) or self.replies.get(urlsplit(target).path)
        if callable(found):
            return found(target)
        return found or Reply(b"not here", 404)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    web: Web
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is what many of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        web = self.server.web
        web.asked.append(self.path)
        web.headers.append({name.lower(): value for name, value in self.headers.items()})
        web.connections.add(self.client_address)
        reply = web.answer(self.path)
        if reply.raw is not None:
            return self._raw(reply)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.status != 304:
            self.wfile.write(reply.body)
        return None

    def _raw(self, reply: Reply) -> None:
        self.close_connection = True
        if not reply.drip:
            self.wfile.write(reply.raw)
            return
        for byte in reply.raw:
            if self.server.web.closing.is_set():
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            sleep(reply.drip)

    def log_message(self, *args) -> None:
        """Quiet."""


@dataclass
class Item:
    """A post of the blog, as its feed states it."""

    number: int
    title: str = ""
    html: str = ""
    guid: str = ""
    link: str = ""
    date: str = ""
    author: str = "Ann Author"
    categories: tuple[str, ...] = ("Notes",)

    def xml(self, base: str) -> str:
        title = self.title or f"Post number {self.number}"
        html = self.html or f"<p>The words of post {self.number}. They go on for a while.</p>"
        published = NOW - timedelta(days=400 - self.number)
        categories = "".join(f"<category><![CDATA[{c}]]></category>" for c in self.categories)
        return (
            f"<item><title>{escape(title)}</title>"
            f"<link>{escape(self.link or f'{base}/post-{self.number}/')}</link>"
            f"<dc:creator><![CDATA[{self.author}]]></dc:creator>"
            f"<pubDate>{self.date or format_datetime(published)}</pubDate>{categories}"
            f"<guid isPermaLink='false'>{escape(self.guid or f'{base}/?p={self.number}')}</guid>"
            f"<description><![CDATA[{html[:80]} [&#8230;]]]></description>"
            f"<content:encoded><![CDATA[{html}]]></content:encoded></item>"
        )


def rss(*items: str) -> str:
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<rss version='2.0'"
        " xmlns:content='http://purl.org/rss/1.0/modules/content/'"
        " xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<channel><title>A blog</title>{''.join(items)}</channel></rss>"
    )


class Blog:
    """A feed in pages, newest first, as WordPress serves it. Change anything at any time."""

    def __init__(self, web: Web, path: str = "/feed/", count: int = 0) -> None:
        self.web = web
        self.path = path
        self.items = [Item(number) for number in range(1, count + 1)]
        self.per_page = 10
        self.failing: set[int] = set()
        self.repeats_last = False
        self.validators = True
        web.replies[path] = self._reply
        for item in self.items:
            web.put(f"/post-{item.number}/", "<p>page</p>", Content_Type="text/html")

    @property
    def url(self) -> str:
        return self.web.url + self.path

    def publish(self, count: int) -> None:
        start = len(self.items) + 1
        self.items += [Item(number) for number in range(start, start + count)]
        for number in range(start, start + count):
            self.web.put(f"/post-{number}/", "<p>page</p>", Content_Type="text/html")

    def _reply(self, target: str) -> Reply:
        page = int(parse_qs(urlsplit(target).query).get("paged", ["1"])[0])
        if page in self.failing:
            return Reply(b"oh", 500)
        newest = self.items[::-1]
        last = max(1, -(-len(newest) // self.per_page))
        if page > last and not self.repeats_last:
            return Reply(b"<html>no such page</html>", 404, {"Content-Type": "text/html"})
        page = min(page, last)
        shown = newest[(page - 1) * self.per_page : page * self.per_page]
        body = rss(*(item.xml(self.web.url) for item in shown)).encode()
        tag = f'"{abs(hash(body))}"'
        if self.validators and self.web.headers[-1].get("if-none-match") == tag:
            return Reply(b"", 304, {"ETag": tag})
        headers = {"Content-Type": "application/rss+xml; charset=UTF-8"}
        return Reply(body, 200, headers | ({"ETag": tag} if self.validators else {}))


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture
def new_blog(web: Web) -> Callable[..., Blog]:
    return lambda *args, **kwargs: Blog(web, *args, **kwargs)


@pytest.fixture
def make_item() -> type[Item]:
    return Item


@pytest.fixture
def make_rss() -> Callable[..., str]:
    return rss


@pytest.fixture
def make_reply() -> type[Reply]:
    return Reply


@pytest.fixture
def fetcher(make_config) -> Iterator[Fetcher]:
    with closing(Fetcher(make_config().site, lambda: NOW)) as fetcher:
        yield fetcher


@pytest.fixture
def make_config() -> Callable[..., Config]:
    """`make_config(blog="http://127.0.0.1:1/feed/")`, or with a dict for more than the URL."""

    def make(**feeds: str | dict[str, object]) -> Config:
        tables = {
            slug: {"allow_private": True, "timeout_seconds": 5}
            | ({"url": feed} if isinstance(feed, str) else feed)
            for slug, feed in feeds.items()
        }
        site = {
            "name": "A blog",
            "url": "https://blog.example/",
            "contact": "https://blog.example/contact",
            "postal_address": "1 Some Street",
            "links_url": "https://blog.example/r",
        }
        return Config.model_validate(
            {"site": site, "mailers": {}, "feeds": tables, "newsletters": {}}
        )

    return make
