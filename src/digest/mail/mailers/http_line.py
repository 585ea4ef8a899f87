"""The line to a mailer's HTTP API: a request once, its answer as it came, or why there is none.

What was sent may be carried out however the line ends after that; so it is known of each failure
whether there was a connection to say anything on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BytesIO

#: Far more than any answer to what we ask.
_LARGEST = 4_000_000
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; `body` is None where it was no JSON. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: object

    @property
    def is_success(self) -> bool:
        return self.status // 100 == 2  # noqa: PLR2004  # every 2xx


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is none, and whether the request may have been received all the same."""

    reason: str
    begun: bool


class Line:
    """Speaks to the API at `url`, with these headers in each request. Nothing is connected yet."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._url = url.rstrip("/")
        self._headers = headers
        self._timeout = timeout

    def post(self, route: str, body: BytesIO, headers: Mapping[str, str]) -> Answer | NoAnswer:
        """Submit JSON."""
        headers = {"Content-Type": "application/json; charset=utf-8", **headers}
        return self._ask("POST", route, data=body, headers=headers)

    def get(self, route: str, query: Mapping[str, str]) -> Answer | NoAnswer:
        """Ask for JSON."""
        return self._ask("GET", route, params=query)

    def close(self) -> None:
        """End the connection, if there is one; the next request opens another."""
        self._session.close()

    def _ask(self, method: str, route: str, **content: Any) -> Answer | NoAnswer:
        try:
            with self._session.request(
                method,
                self._url + route,
                # A redirect would make a second request of it.
                allow_redirects=False,
                stream=True,
                timeout=self._timeout,
                **content,
            ) as response:
                read = _read(response, monotonic() + self._timeout)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            return NoAnswer(type(_cause(error)).__name__, begun=not _was_unsent(error))
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, _json(read))

    @cached_property
    def _session(self) -> requests.Session:
        session = _Session()
        # As it came, and not packed: what is read can be limited.
        own = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "digest"}
        session.headers.update({**own, **self._headers})
        # Or requests would look for a password of that host's in a file of the user's.
        session.auth = _nothing_added
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Transport())
        return session


class _Session(requests.Session):
    """Looks nowhere else: requests reads all of a redirect, however long, before it asks whether
    it is to be followed, and stumbles over what is no address."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Where to go on: nowhere."""


def _nothing_added(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(response: requests.Response, until: float) -> bytes:
    """The body; b"" for one that is too large or takes too long, which nobody needs to read."""
    body = bytearray()
    while piece := response.raw.read1(_PIECE):
        body += piece
        if len(body) > _LARGEST or monotonic() > until:
            response.raw.close()
            return b""
    return bytes(body)


def _json(body: bytes) -> object:
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found


class _Connecting:
    """Marks what goes wrong before there is a connection, TLS and all."""

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # it is mixed into connections
        except Exception as error:
            error.while_connecting = True  # type: ignore[attr-defined]
            raise


class _Http(_Connecting, HTTPConnection):
    pass


class _Https(_Connecting, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _Transport(HTTPAdapter):
    """Never repeats anything, and makes connections that mark their failures."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _was_unsent(error: BaseException) -> bool:
    """Whether there was no connection to say it on, or it could not even be written."""
    found = list(_within(error))
    # As requests has it of addresses and headers: ours, unless it had them from an answer.
    ours = isinstance(error, ValueError) and not any(
        isinstance(one, urllib3.exceptions.InvalidHeader) for one in found
    )
    return ours or any(hasattr(one, "while_connecting") for one in found)


def _cause(error: BaseException) -> BaseException:
    """What it began with: the innermost has the best name."""
    *_, last = _within(error)
    return last


def _within(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that requests and urllib3 hide in it, from outside inwards."""
    one: object = error
    seen: set[int] = set()
    while isinstance(one, BaseException) and id(one) not in seen:
        seen.add(id(one))
        yield one
        inner = getattr(one, "reason", None) or getattr(one, "original_error", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in one.args if isinstance(arg, BaseException)), None)
        one = inner or one.__cause__ or one.__context__
