"""The sample blog over HTTP, on this machine alone: for a first run and for tests."""

import gzip
import hashlib
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from digest.sample.blog import SamplePost, load_posts
from digest.sample.site import Answer, Site

HOST = "127.0.0.1"
MARK = ("X-Digest-Sample", "common-threads")
POLL_SECONDS = 0.02  # how long stop() may take; the default half second adds up in tests

_GZIP = re.compile(
    r"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q=([01](?:\.[0-9]*)?)\s*)?(?:,|$)", re.IGNORECASE
)


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


class SampleServer:
    """Serves the sample blog while entered as a context manager.

    `withdrawn` and `overrides` may be changed at any time and hold from the next request on.
    `requests` logs each request as `"GET /feed/?paged=2"`.
    """

    def __init__(
        self,
        *,
        anchor: datetime,
        now: Callable[[], datetime] = utc_now,
        port: int = 0,
        posts: tuple[SamplePost, ...] | None = None,
    ) -> None:
        self._site = Site(load_posts() if posts is None else posts, anchor.astimezone(UTC))
        self._now = now
        self._port = port
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None
        self._seen: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.Lock()
        self.requests: list[str] = []

    @property
    def withdrawn(self) -> set[int]:
        """Ids of posts that are gone: their pages answer 410, the feed lacks them."""
        return self._site.withdrawn

    @property
    def overrides(self) -> dict[int, SamplePost]:
        """Edited versions by id, served instead of the originals."""
        return self._site.overrides

    @property
    def posts(self) -> tuple[SamplePost, ...]:
        """The posts as they were loaded, oldest first."""
        return self._site.posts

    @property
    def url(self) -> str:
        """The blog's address without a last slash, such as `http://127.0.0.1:8000`."""
        if self._listener is None:
            raise RuntimeError("the sample blog is not being served")
        return f"http://{HOST}:{self._listener.server_port}"

    def start(self) -> None:
        """Begin to listen; OSError when the port is taken."""
        self._listener = _Listener((HOST, self._port), _Handler)
        self._listener.blog = self
        serve = self._listener.serve_forever
        self._thread = threading.Thread(target=serve, args=(POLL_SECONDS,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; does nothing when not started."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def answer(self, target: str) -> tuple[Answer, str, datetime | None]:
        """The answer to a target, its entity tag, and when it last changed."""
        now = self._now()
        answer = self._site.answer(target, now, self.url)
        tag = hashlib.sha256(answer.body).hexdigest()[:32]
        if answer.modified is None:
            return answer, tag, None
        modified = answer.modified.replace(microsecond=0)  # HTTP dates have none
        return answer, tag, self._changed(target, tag, modified, now)

    def _changed(self, target: str, tag: str, modified: datetime, now: datetime) -> datetime:
        """When the answer changed: by its posts' dates, or when a test changed it under way.

        The posts' dates know nothing of overrides and withdrawals, so a tag that differs from
        the one given out before counts as a change made now; never at the same second as the
        last one, or If-Modified-Since would hide it.
        """
        with self._lock:
            before, moment = self._seen.get(target, (tag, modified))
            if before != tag:
                moment = max(now.replace(microsecond=0), moment + timedelta(seconds=1))
            self._seen[target] = (tag, moment)
            return moment


class _Listener(ThreadingHTTPServer):
    blog: SampleServer

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for this machine's name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A reader who hangs up is no error of the blog's.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "CommonThreads/1", ""
    wbufsize = -1  # head and body in one packet: two would wait on a delayed ACK
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a body, unless the asker has it."""
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        """Answer as GET would, without the body."""
        self._respond(with_body=False)

    def end_headers(self) -> None:
        self.send_header(*MARK)  # here, so that the standard library's own errors bear it too
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base names it
        """Quiet: `requests` is the log."""

    def _respond(self, *, with_body: bool) -> None:
        blog = self.server.blog
        blog.requests.append(f"{self.command} {self.path}")
        answer, tag, modified = blog.answer(self.path)
        zipped = _may_zip(answer) and _takes_gzip(self.headers.get("Accept-Encoding", ""))
        if answer.status is HTTPStatus.OK and self._is_fresh(tag, modified):
            self._head(HTTPStatus.NOT_MODIFIED, answer, tag, modified, zipped=zipped)
            self.end_headers()
            return
        body = gzip.compress(answer.body, mtime=0) if zipped else answer.body
        self._head(answer.status, answer, tag, modified, zipped=zipped)
        self._entity(answer, len(body), zipped=zipped)
        if with_body:
            self.wfile.write(body)

    def _is_fresh(self, tag: str, modified: datetime | None) -> bool:
        wanted = self.headers.get("If-None-Match")
        if wanted is not None:  # then the date is not looked at (RFC 9110, 13.1.3)
            return wanted.strip() == "*" or tag in re.findall(r'"([^"]*)"', wanted)
        since = _http_date(self.headers.get("If-Modified-Since"))
        return since is not None and modified is not None and modified <= since

    def _head(
        self,
        status: HTTPStatus,
        answer: Answer,
        tag: str,
        modified: datetime | None,
        *,
        zipped: bool,
    ) -> None:
        self.send_response(status)
        self.send_header("Cache-Control", answer.cache)
        self.send_header("Vary", "Accept-Encoding")
        if answer.status is HTTPStatus.OK:
            # Weak when compressed, as nginx does: the same text, other bytes.
            self.send_header("ETag", f'{"W/" if zipped else ""}"{tag}"')
        if modified is not None:
            self.send_header("Last-Modified", format_datetime(modified, usegmt=True))
        if answer.location is not None:
            self.send_header("Location", answer.location)

    def _entity(self, answer: Answer, length: int, *, zipped: bool) -> None:
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(length))
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()


def _may_zip(answer: Answer) -> bool:
    return bool(answer.body) and not answer.content_type.startswith("image/")


def _takes_gzip(accepted: str) -> bool:
    found = _GZIP.search(accepted)
    return found is not None and float(found.group(1) or 1) > 0


def _http_date(text: str | None) -> datetime | None:
    """A date from a header; one that cannot be read is to be ignored (RFC 9110, 13.1.3)."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
