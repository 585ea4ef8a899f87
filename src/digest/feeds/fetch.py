"""Reading a URL over HTTP. Whatever a server does comes back as a `Fetched`; nothing is raised."""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from importlib.metadata import version
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError

from digest.feeds.network import Sessions, private_kinds_of

if TYPE_CHECKING:
    from digest.config import Site
    from digest.ports import Clock

#: After decompression, so that a small gzip file cannot grow without end.
MAX_BODY = 15 * 1024 * 1024
MAX_REDIRECTS = 5
#: RFC 9110, 15.4; 300 and 304 to 306 lead nowhere.
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What a throttling server gets that names no time.
DEFAULT_WAIT = timedelta(minutes=15)
#: A server that asks for more is asked again after this.
MAX_WAIT = timedelta(days=30)
_CHUNK = 64 * 1024
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.5"
#: What can be handed back in a header: RFC 9110, 5.5, without obs-fold and obs-text.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,510}[\x21-\x7e])?")


class FetchStatus(StrEnum):
    OK = "ok"
    NOT_MODIFIED = "not-modified"
    GONE = "gone"
    MISSING = "missing"
    THROTTLED = "throttled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server gave to ask "has it changed?" with (RFC 9110, 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer. `url` is the last one asked; `reason` says in words why it is not "ok".

    `retry_at` (UTC) stands with "throttled" alone.
    """

    status: FetchStatus
    url: str
    body: bytes = b""
    content_type: str = ""
    validators: Validators = Validators()
    retry_at: datetime | None = None
    reason: str = ""
    #: The host gave no answer at all, and will hardly give one to the next question.
    silent: bool = False
    #: Asked again, it fails again: it is too large, or stands at an address that is never asked.
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    validators: Validators
    timeout_seconds: float
    allow_private: bool
    with_body: bool
    #: By `time.monotonic`.
    deadline: float


class Fetcher:
    """Reads URLs, one after the other. Not to be shared between threads."""

    def __init__(self, site: Site, clock: Clock) -> None:
        contact = quote(site.contact, safe=":/?#[]@!$&'()*+,;=~%")
        self._user_agent = f"digest/{version('digest')} (+{contact})"
        self._clock = clock
        self._sessions = Sessions(self._user_agent)

    def fetch(
        self,
        url: str,
        *,
        validators: Validators = Validators(),
        timeout_seconds: float = 20,
        allow_private: bool = False,
        with_body: bool = True,
    ) -> Fetched:
        """GET `url`, following redirects.

        Connecting, and each read, may take `timeout_seconds`; all of it twice that.
        `allow_private` lets a URL that is itself at a private address be read. Without
        `with_body` only the head of the answer is waited for.
        """
        total = timeout_seconds * 2
        request = _Request(
            url, validators, timeout_seconds, allow_private, with_body, monotonic() + total
        )
        return self._within(total, request)

    def close(self) -> None:
        self._sessions.close()

    def _within(self, total: float, request: _Request) -> Fetched:
        """Wait for the answer no longer than `total` seconds.

        A time-out of the socket starts anew with each byte, and a server that drips its
        headers is inside the library's own loop; so the exchange runs beside us and is left
        behind, with its sessions, when its time is over.
        """
        answer: Future[Fetched] = Future()
        sessions = self._sessions
        threading.Thread(
            target=_settle, args=(answer, sessions, request, self._clock), daemon=True
        ).start()
        try:
            return answer.result(timeout=total)
        except TimeoutError:
            self._sessions = Sessions(self._user_agent)
            return _failed(request.url, _too_slow(request), silent=True)


def _settle(answer: Future[Fetched], sessions: Sessions, request: _Request, clock: Clock) -> None:
    try:
        answer.set_result(_follow(sessions, request, clock))
    except BaseException as error:  # noqa: BLE001  raised again where the answer is awaited
        answer.set_exception(error)


def _follow(sessions: Sessions, request: _Request, clock: Clock) -> Fetched:
    url = request.url
    try:
        own = private_kinds_of(url) if request.allow_private else frozenset()
        asked = {url}
        for _hop in range(MAX_REDIRECTS + 1):
            found = _exchange(sessions.for_url(url, own), url, request, clock)
            if isinstance(found, Fetched):
                return found
            if found in asked:
                return _failed(found, "redirects in a circle")
            asked.add(found)
            url = found
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        # urllib3 and the idna codec raise ValueErrors of their own for broken addresses.
        lasting = isinstance(error, InvalidIPAddress | ValueError)
        return _failed(url, _why(error, request), silent=True, lasting=lasting)
    return _failed(url, f"redirects more than {MAX_REDIRECTS} times")


def _exchange(
    session: requests.Session, url: str, request: _Request, clock: Clock
) -> Fetched | str:
    """One request: its answer, or the URL that it redirects to."""
    with session.get(
        url,
        headers={"Accept": _ACCEPT, **request.validators.headers},
        stream=True,
        allow_redirects=False,
        timeout=(request.timeout_seconds, request.timeout_seconds),
    ) as response:
        if response.status_code not in REDIRECTS:
            return _answer(response, url, request, clock)
        location = session.get_redirect_target(response) or ""
        target = urljoin(url, location)
    if not location or urlsplit(target).scheme not in {"http", "https"}:
        return _failed(url, f"redirects to {location[:200]!r}, which leads nowhere")
    return target


def _answer(response: requests.Response, url: str, request: _Request, clock: Clock) -> Fetched:
    status = response.status_code
    reason = f"answered {_phrase(status)}"
    if status in {HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION}:
        return _content(response, url, request)
    if status == HTTPStatus.NOT_MODIFIED and request.validators.headers:
        return Fetched(FetchStatus.NOT_MODIFIED, url, validators=_validators(response))
    if status == HTTPStatus.GONE:
        return Fetched(FetchStatus.GONE, url, reason=reason)
    if status == HTTPStatus.NOT_FOUND:
        return Fetched(FetchStatus.MISSING, url, reason=reason)
    retry_at = retry_time(response.headers.get("Retry-After", ""), clock())
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        retry_at = retry_at or clock() + DEFAULT_WAIT
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} and retry_at:
        return Fetched(FetchStatus.THROTTLED, url, retry_at=retry_at, reason=reason)
    return _failed(url, reason)


def _content(response: requests.Response, url: str, request: _Request) -> Fetched:
    fetched = Fetched(
        FetchStatus.OK,
        url,
        content_type=response.headers.get("Content-Type", ""),
        validators=_validators(response),
    )
    if not request.with_body:
        return fetched
    body = bytearray()
    # read1 hands over what one read of the socket brings: a drip cannot hold it.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > MAX_BODY:
            return _failed(url, f"is larger than {MAX_BODY // 1024 // 1024} MB", lasting=True)
        if monotonic() > request.deadline:
            return _failed(url, _too_slow(request))
    return replace(fetched, body=bytes(body))


def retry_time(value: str, now: datetime) -> datetime | None:
    """The moment that a Retry-After header names (RFC 9110, 10.2.3); None where it names none."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return now + min(timedelta(seconds=min(int(value), 10**9)), MAX_WAIT)
    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(now, min(moment.astimezone(UTC), now + MAX_WAIT))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _validators(response: requests.Response) -> Validators:
    def usable(name: str) -> str | None:
        value = response.headers.get(name, "")
        return value if _HEADER_SAFE.fullmatch(value) else None

    return Validators(usable("ETag"), usable("Last-Modified"))


def _failed(url: str, reason: str, *, silent: bool = False, lasting: bool = False) -> Fetched:
    return Fetched(FetchStatus.FAILED, url, reason=reason, silent=silent, lasting=lasting)


def _phrase(status: int) -> str:
    """The status in our words: the server's own are its to choose."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _too_slow(request: _Request) -> str:
    return f"was not done within {request.timeout_seconds * 2:g} seconds"


def _why(error: Exception, request: _Request) -> str:
    """The error in plain words, for an editor."""
    silent = f"did not answer within {request.timeout_seconds:g} seconds"
    words: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (InvalidIPAddress, "leads to a private address, where this feed may not go"),
        ((requests.Timeout, ReadTimeoutError), silent),
        (requests.exceptions.SSLError, "has a certificate that is not accepted"),
        ((requests.exceptions.InvalidURL, ValueError), "has an address that cannot be asked"),
        ((requests.exceptions.ContentDecodingError, DecodeError), "is compressed wrongly"),
        ((requests.ConnectionError, HTTPError, OSError), "could not be reached, or hung up"),
    )
    plain = next((text for kind, text in words if isinstance(error, kind)), "cannot be read")
    return f"{plain} ({type(error).__name__})"
