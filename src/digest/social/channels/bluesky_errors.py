"""What the SDK raises, in our words.

The SDK puts a network's faults in classes of its own, but not all: a line that is closed without
an answer comes as httpx raises it. Whether something is out is decided by two questions: did a
request leave at all, and did an answer come that is surely the server's own No.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from atproto_client.exceptions import (
    LoginRequiredError,
    RateLimitExceededError,
    RequestErrorBase,
)
from atproto_core.exceptions import AtProtocolError
from atproto_server.exceptions import InvalidTokenError

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain

if TYPE_CHECKING:
    from digest.ports import Clock, Trouble

#: ValueError is what an answer raises that is cut off, or is no JSON.
FOREIGN = (AtProtocolError, httpx.HTTPError, ValueError)

_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 400, 401, 403
_NOT_FOUND, _NOT_SERVED, _TOO_LARGE, _TOO_MANY = 404, 501, 413, 429
#: The server says nothing of what became of it.
_SAYS_NOTHING = frozenset([408, 409, 425])
_FAULTS_OF_OURS = range(400, 500)
#: As much of a server's own words as a log can bear.
_LONGEST_SAYING = 200
_TOKEN_REFUSED = frozenset(["ExpiredToken", "InvalidToken"])
#: 401 too, but a new session would not cure these.
_ACCOUNT_STOPPED = frozenset(
    [
        "AccountDeactivated",
        "AccountTakedown",
        "AuthFactorTokenRequired",
        "RepoDeactivated",
        "RepoTakendown",
    ]
)


def after(error: Exception, clock: Clock, *, window: str = "post") -> Trouble:
    """What became of a request that may have changed something."""
    status, name = status_of(error), name_of(error)
    if status is None:
        return _of_the_line(error)
    reason = _reason(error, status)
    if status == _TOO_MANY:
        return Throttled(reason, name, _wait(error, clock), window)
    if status in {_UNAUTHORIZED, _FORBIDDEN} or name in _TOKEN_REFUSED | _ACCOUNT_STOPPED:
        return Unauthorized(reason, name)
    # Pictures that nothing refers to are thrown away after some hours: prepared anew, it works.
    if status in {_NOT_FOUND, _NOT_SERVED} or name == "BlobNotFound":
        return Unavailable(reason, name)
    if status in _SAYS_NOTHING or status not in _FAULTS_OF_OURS:
        return Uncertain(reason, name)
    # A PDS names what it refuses: this is the page of something that stands before it.
    if not name and status != _TOO_LARGE:
        return Unavailable(reason)
    return Refused(reason, name)


def before(error: Exception, clock: Clock, *, window: str = "read") -> Trouble:
    """What became of a request that changes nothing anybody sees."""
    trouble = after(error, clock, window=window)
    if isinstance(trouble, Uncertain):
        return Unavailable(trouble.reason, trouble.code)
    return trouble


def is_token_refused(error: Exception) -> bool:
    """Whether another access token may cure it: the request was not looked at any further."""
    name = name_of(error)
    if status_of(error) == _UNAUTHORIZED:
        return name not in _ACCOUNT_STOPPED
    # The SDK itself may find a kept token to be none, and then asks nobody.
    return name in _TOKEN_REFUSED or isinstance(error, InvalidTokenError | LoginRequiredError)


def status_of(error: Exception) -> int | None:
    """The HTTP status of the answer, None where none came."""
    if isinstance(error, RequestErrorBase) and error.response is not None:
        return int(error.response.status_code)
    return None


def name_of(error: Exception) -> str:
    """The name that XRPC gives to an error, such as "RecordNotFound"."""
    return _said(error, "error")


def _said(error: Exception, key: str) -> str:
    """A word of the answer: the SDK has it as one of two kinds of object, or as bytes."""
    if isinstance(error, RequestErrorBase) and error.response is not None:
        value = getattr(error.response.content, key, None)
        return value if isinstance(value, str) else ""
    return ""


def _of_the_line(error: Exception) -> Trouble:
    cause = error.__cause__ if isinstance(error, AtProtocolError) else error
    if isinstance(cause, httpx.UnsupportedProtocol):
        why = "the account's server has no https address, and was told nothing"
        return Unauthorized(f"{why}: see its DID document")
    if isinstance(cause, httpx.TooManyRedirects):
        return Uncertain("the server leads elsewhere; service must be where it is itself")
    if isinstance(cause, _NEVER_LEFT):
        return Unavailable(f"no connection to the server: {type(cause).__name__}")
    if isinstance(cause, httpx.HTTPError):
        return Uncertain(f"the answer was lost: {type(cause).__name__}")
    return Uncertain("the answer cannot be read")


def _reason(error: Exception, status: int) -> str:
    said = ": ".join(filter(None, [_said(error, "error"), _said(error, "message")]))
    # A fault of a record is told with its place: "at $.writes[4].record.text".
    found = re.search(r"\bwrites\D{1,3}(\d+)", said)
    item = f"snippet {int(found[1]) + 1}: " if found else ""
    words = " ".join(said.split())[:_LONGEST_SAYING].rstrip(".")
    return f"{item}the server answered {status} {words}".strip()


def _wait(error: Exception, clock: Clock) -> timedelta | None:
    if not isinstance(error, RateLimitExceededError):
        return None
    try:
        if error.retry_after is not None:
            return timedelta(seconds=error.retry_after)
        left: timedelta | None = error.reset_at - clock() if error.reset_at else None
    except (ValueError, OverflowError, OSError):
        # No moment that any calendar has.
        return None
    return None if left is None else max(left, timedelta(0))
