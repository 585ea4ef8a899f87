"""What an instance's answer, or its silence, means for the one who asked.

https://docs.joinmastodon.org/entities/Error/, https://docs.joinmastodon.org/api/rate-limits/
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from digest.ports import Trouble

#: How long to wait where no header says it: the shortest window of an instance.
_WINDOW = timedelta(minutes=5)
#: A reset later than this is a header read wrongly.
_LONGEST = timedelta(days=1)
_LONGEST_SAYING = 200

#: Gateways give these, and they tell nothing about the server behind.
_TELLS_NOTHING = {408, 409, 425}
_OPERATOR = {401, 402, 403}
_NOT_FOUND = 404
#: Servers before an instance have limits of their own, and say so by a page.
_TOO_LARGE = 413
_INVALID = 422
_THROTTLED = 429
#: Parts of the reasons of a 422 that goes away when the picture is uploaded anew.
_PICTURE_NOT_READY = ("not finished processing", "already attached to another post")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: of which window, whether it publishes, and what no answer may repeat."""

    window: str
    publishing: bool
    secret: str


def trouble_of(
    error: Exception, answer: requests.Response | None, asked: Asked, now: datetime
) -> Trouble:
    """Judge a call that raised `error` after `answer` came, or where none came."""
    if answer is None:
        return _no_answer(error, asked)
    status = answer.status_code
    code = str(status)
    words = _words(answer)
    reason = f"the instance answered {code}: {words or answer.reason}"
    reason = reason.replace(asked.secret, "[token]")
    if status == _THROTTLED:
        return Throttled(reason, code, wait(answer.headers, now), asked.window)
    match status // 100:
        case 2:
            unread = f"the answer of the instance could not be read ({type(error).__name__})"
            return _doubtful(unread, asked, code)
        case 3:
            return Unauthorized(f"{reason}; url must be where the instance itself is", code)
        case 4 if status not in _TELLS_NOTHING:
            return _fault_of_ours(reason, status, asked, in_words=bool(words))
    return _doubtful(reason, asked, code)


def _fault_of_ours(reason: str, status: int, asked: Asked, *, in_words: bool) -> Trouble:
    """A 4xx: certainly not accepted."""
    if status in _OPERATOR:
        return Unauthorized(reason, str(status))
    if status == _NOT_FOUND and asked.window == "read":
        # Statuses that are gone do not come here: this is the account, or the API itself.
        return Unauthorized(f"{reason}; there is no account of this token, or no Mastodon", "404")
    if not in_words and status != _TOO_LARGE:
        return Unavailable(f"{reason}; this is no answer of a Mastodon", str(status))
    if status == _INVALID and any(words in reason for words in _PICTURE_NOT_READY):
        return Unavailable(reason, "media-not-ready")
    return Refused(reason, str(status))


def wait(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long until the headers of a 429 let one ask again.

    The reset is a moment on the instance's clock, and so is the date of the answer.
    """
    here = _moment(headers.get("Date", "")) or now
    reset = _moment(headers.get("X-RateLimit-Reset", ""))
    named = [reset - here] if reset else []
    if headers.get("Retry-After", "").isdecimal():
        named.append(timedelta(seconds=min(int(headers["Retry-After"]), 10**9)))
    return next((time for time in named if timedelta(0) < time <= _LONGEST), _WINDOW)


def _moment(text: str) -> datetime | None:
    """ISO 8601 as Mastodon writes it, seconds as GoToSocial does, or a date of HTTP."""
    for read in (datetime.fromisoformat, _from_seconds, parsedate_to_datetime):
        try:
            moment = read(text)
        except (ValueError, OverflowError, OSError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _from_seconds(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)


def _no_answer(error: Exception, asked: Asked) -> Trouble:
    # Mastodon.py raises its own exception while it handles that of requests.
    cause = error.__context__ if isinstance(error.__context__, requests.RequestException) else error
    name = type(cause).__name__
    if any(_is_unsent(reason) for reason in _reasons(cause)):
        return Unavailable(f"the instance cannot be reached ({name})", "unreachable")
    return _doubtful(f"no answer from the instance ({name})", asked, "no-answer")


def _reasons(cause: BaseException) -> Iterator[object]:
    """What went wrong, from requests inwards; never what our caller was handling."""
    yield cause
    inner = cause.args[0] if cause.args else None
    if isinstance(inner, MaxRetryError):
        yield inner.reason
        if isinstance(inner.reason, ProxyError):
            yield inner.reason.original_error
        elif inner.reason is not None and inner.reason.args:
            yield inner.reason.args[0]


def _is_unsent(reason: object) -> bool:
    """Refused, not found, or not trusted: not one byte of the request left."""
    unsent = (requests.ConnectTimeout, NewConnectionError, ssl.SSLCertVerificationError)
    return isinstance(reason, unsent)


def _doubtful(reason: str, asked: Asked, code: str) -> Trouble:
    return Uncertain(reason, code) if asked.publishing else Unavailable(reason, code)


def _words(answer: requests.Response) -> str:
    """The instance's own words, no full stop; a page of a gateway has none for us."""
    try:
        said = answer.json()
    except (ValueError, RuntimeError, requests.RequestException):
        return ""
    words = said.get("error") if isinstance(said, dict) else None
    line = " ".join(words.split()) if isinstance(words, str) else ""
    return line[:_LONGEST_SAYING].rstrip(".")
