"""What Postmark's answer to a batch means for each of its mails.

https://postmarkapp.com/developer/api/overview (statuses, error codes)
https://postmarkapp.com/developer/api/email-api (batches)

| answer | each mail |
|---|---|
| 200 and a result for each mail | by its own ErrorCode, below; see `blame` |
| 200, anything else | uncertain |
| 422, 413, 415, of one mail | by the ErrorCode |
| the same, of several | unauthorized: nothing of it was taken |
| 401, 403, 404, 405, any other 4xx | unauthorized |
| 429 | throttled |
| 5xx, 408, 425, what is no status | uncertain |

| ErrorCode | the mail |
|---|---|
| 0 | a receipt |
| 100 maintenance | unavailable |
| 300 invalid, 406 inactive recipient | refused; for its address, unless 300 names another fault |
| 10 token; 300 of the sender; 400, 401, 405, 412, 413, ... sender or account | unauthorized |
| 429 too many | throttled |
| any other | refused |
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers.api_parts import blame, by_status, dig, wait_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.mail.mailers.http_line import Answer
    from digest.model import Receipt
    from digest.ports import Outcome, Trouble

_TAKEN = 0
_MAINTENANCE = 100
_INVALID = 300
_INACTIVE = 406
_TOO_MANY = 429
#: Token, sender signature, account, message stream: no mail would fare better.
_STOPS = frozenset({10, 400, 401, 405, 412, 413, 500, 501, 503, 507, *range(1221, 1240)})
#: Their ErrorCode says more than they do.
_EXPLAINED = frozenset({413, 415, 422})
#: Postmark names no time.
_SOON = timedelta(seconds=10)

_NAMES_ADDRESS = re.compile(r"['`\"]To['`\"]|recipient", re.IGNORECASE)
_NAMES_SENDER = re.compile(r"['`\"](From|ReplyTo)['`\"]|sender", re.IGNORECASE)


def outcomes(
    answer: Answer, count: int, receipt: Callable[[str], Receipt], secret: str
) -> tuple[Outcome, ...]:
    """One outcome for each of the `count` mails; `receipt` is given Postmark's id."""
    if not answer.is_success:
        return (_trouble(answer, count, secret),) * count
    results = _read(answer.body, count)
    if results is None:
        return (Uncertain("Postmark accepted the request, and its answer cannot be read"),) * count
    return blame(
        [
            receipt(str(dig(one, "MessageID"))) if code == _TAKEN else _by_code(code, one, secret)
            for code, one in results
        ]
    )


def trouble(answer: Answer, secret: str) -> Trouble:
    """What an answer without success means, of one question."""
    return _trouble(answer, 1, secret)


def _read(body: object, count: int) -> list[tuple[int, object]] | None:
    """The ErrorCode and result of each mail, in order; None unless that is all of them."""
    if not isinstance(body, list):
        return None
    found = [(code, one) for one in body if type(code := dig(one, "ErrorCode")) is int]
    ids = [dig(one, "MessageID") for code, one in found if code == _TAKEN]
    named = all(isinstance(one, str) and one for one in ids) and len(set(ids)) == len(ids)
    return found if named and len(found) == len(body) == count else None


def _by_code(code: int, result: object, secret: str) -> Trouble:
    words = words_of(dig(result, "Message"), secret) or "no reason given"
    reason = f"Postmark does not take it: {words}"
    if code == _MAINTENANCE:
        return Unavailable(reason, str(code))
    if code == _TOO_MANY:
        return Throttled(reason, str(code), _SOON, reach="mailer")
    if code in _STOPS or (code == _INVALID and _NAMES_SENDER.search(words)):
        return Unauthorized(reason, str(code))
    fault = code == _INACTIVE or (code == _INVALID and bool(_NAMES_ADDRESS.search(words)))
    return Refused(reason, str(code), address_fault=fault)


def _trouble(answer: Answer, count: int, secret: str) -> Trouble:
    code, words = dig(answer.body, "ErrorCode"), words_of(dig(answer.body, "Message"), secret)
    reason = f"Postmark answered {answer.status}: {words or 'no reason given'}"
    if answer.status == _TOO_MANY:
        wait = wait_of(answer.headers, _SOON)
        return Throttled(reason, str(_TOO_MANY), wait, reach="mailer")
    if code == _MAINTENANCE:
        return Unavailable(reason, str(code))
    found = by_status("Postmark", answer, words)
    if found is not None:
        return found
    if answer.status in _EXPLAINED and type(code) is int:
        explained = _by_code(code, answer.body, secret)
        if count == 1 or not isinstance(explained, Refused):
            return explained
    return Unauthorized(reason, str(answer.status))
