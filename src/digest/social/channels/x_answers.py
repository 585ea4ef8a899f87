"""What an answer of X means for the caller: every status and detail in our own words.

https://docs.x.com/x-api/fundamentals/response-codes-and-errors
https://docs.x.com/x-api/fundamentals/rate-limits
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.social.channels.untrusted import dicts, dig, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from digest.ports import Trouble

#: What is asked for: each has a limit of its own.
Call: TypeAlias = Literal["post", "media", "delete", "read"]

#: To wait where X says "too many" and not until when: its windows are that long.
WINDOW = timedelta(minutes=15)
#: A clock that runs ahead of X's must not make us ask without pause.
SHORTEST_WAIT = timedelta(seconds=1)
#: No limit of X runs longer; a later reset is a mistake.
LONGEST_WAIT = timedelta(days=32)
#: As much of X's own words as a log can bear.
DETAIL_LENGTH = 200

BAD_REQUEST = 400
#: By what X takes nothing of the account, whatever it is asked for.
STOPPED = {401: "X does not take the keys of the account", 402: "out of credits at X"}
FORBIDDEN = 403
TOO_LARGE = 413
TOO_MANY = 429
#: Definite by their number, but said by proxies too while the request may go on behind them.
IN_DOUBT = frozenset({408, 409, 425})

_LIMITS = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")
_DUPLICATE = re.compile(r"duplicate", re.IGNORECASE)
_PARENT_UNSEEN = re.compile(r"deleted or not visible", re.IGNORECASE)
_DAILY = re.compile(r"\bdaily\b.*\blimit", re.IGNORECASE)
_MEDIA_GONE = re.compile(r"media ids? (is|are) invalid", re.IGNORECASE)
#: The account or the app may not, whatever it is asked for.
_STOPS = re.compile(
    r"suspended|temporarily locked|app permissions|read-only|access level"
    r"|client-forbidden|client-not-enrolled|unsupported-authentication|oauth1-permissions",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; `body` is None where it was no JSON. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: object


def trouble_in(answer: Answer, call: Call, now: datetime) -> Trouble | None:
    """What is wrong with the answer; None where X did what was asked."""
    status, detail = answer.status, detail_of(answer)
    if status // 100 == 2:  # noqa: PLR2004  # every 2xx
        return None
    if status == TOO_MANY:
        return Throttled(detail, "429", wait_of(answer.headers, now), call)
    if status in STOPPED:
        return Unauthorized(f"{STOPPED[status]}: {detail}", str(status))
    if status // 100 != 4 or status in IN_DOUBT:  # noqa: PLR2004  # every 4xx
        return lost(call, detail, str(status))
    if not isinstance(answer.body, dict) and status != TOO_LARGE:
        # A page: something before X's API turned us away.
        return Unavailable(detail, str(status))
    if status == FORBIDDEN:
        return _forbidden(answer, call, now)
    if status == BAD_REQUEST and call == "post" and _MEDIA_GONE.search(_words(answer)):
        # Uploads live a day: prepared anew, the snippet may well be taken.
        return Unavailable(detail, "400")
    return _refused(call, detail, str(status))


def lost(call: Call, reason: str, code: str = "") -> Uncertain | Unavailable:
    """No answer that tells anything: only a post that may be out is in doubt."""
    return Uncertain(reason, code) if call == "post" else Unavailable(reason, code)


def unreadable(call: Call) -> Uncertain | Unavailable:
    """The answer was friendly, and does not say what it must."""
    return lost(call, "X accepted the call, and its answer cannot be read")


def wait_of(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long until X takes such calls again, by the limits that are used up."""
    used_up = [name for name in _LIMITS if _number(headers, f"{name}-remaining") == 0]
    resets = [_number(headers, f"{name}-reset") for name in used_up or _LIMITS[:1]]
    waits = [timedelta(seconds=reset - now.timestamp()) for reset in resets if reset]
    waits = [wait for wait in waits if wait <= LONGEST_WAIT]
    return max(*waits, SHORTEST_WAIT) if waits else WINDOW


def detail_of(answer: Answer) -> str:
    """What X says about it, in one line; other words follow it, so it has no full stop."""
    said = " ".join(next(filter(None, _sayings(answer.body)), "").split())
    return said[:DETAIL_LENGTH].rstrip(".") or f"X answered with status {answer.status}"


def _forbidden(answer: Answer, call: Call, now: datetime) -> Trouble:
    words, detail = _words(answer), detail_of(answer)
    if _STOPS.search(words):
        return Unauthorized(detail, "403")
    if _DAILY.search(words):
        return Throttled(detail, "403", wait_of(answer.headers, now), call)
    if call == "post" and _DUPLICATE.search(words):
        return Uncertain(detail, "duplicate")
    if call == "post" and _PARENT_UNSEEN.search(words):
        # X says so too of a parent that is a second old.
        return Unavailable(detail, "parent")
    return _refused(call, detail, "403")


def _refused(call: Call, detail: str, code: str) -> Refused | Unavailable:
    # Nothing can be wrong for ever with a question.
    return Unavailable(detail, code) if call == "read" else Refused(detail, code)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,12}", value) else None


def _sayings(body: object) -> list[str]:
    """Where X says what is the matter, the best first."""
    errors = dicts(dig(body, "errors"))
    inner = [text(error.get(key)) for error in errors for key in ("message", "detail")]
    outer = text(dig(body, "detail"))
    general = "One or more parameters to your request was invalid."
    first = [*inner, outer] if outer == general else [outer, *inner]
    return [*first, text(dig(body, "title"))]


def _words(answer: Answer) -> str:
    """Everything to tell cases apart by."""
    kinds = [text(dig(answer.body, key)) for key in ("type", "reason")]
    return " ".join([*_sayings(answer.body), *kinds])
