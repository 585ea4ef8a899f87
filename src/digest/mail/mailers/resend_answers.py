"""What Resend's answer to a batch means for each of its mails.

https://resend.com/docs/api-reference/errors
https://resend.com/docs/api-reference/emails/send-batch-emails
https://resend.com/docs/dashboard/emails/batch-validation-modes
https://resend.com/docs/dashboard/emails/idempotency-keys

| answer | each mail |
|---|---|
| 200, ids and errors for all mails | a receipt; or refused, see `blame` |
| 200, anything else | uncertain |
| 400 or 422, of one mail | refused |
| 400 or 422, of several: one bad mail sinks no permissive batch, so it is ours | unauthorized |
| 401, 403 (key, domain not verified), 404, 405, 451, any other 4xx | unauthorized |
| 409: the key's first request was another, or is not over yet | uncertain |
| 429 | throttled: a second or as it says; a quota, a day |
| 5xx, 408, 425, what is no status | uncertain |
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import Refused, Throttled, Unauthorized, Uncertain
from digest.mail.mailers.api_parts import blame, by_status, dig, wait_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.mail.mailers.http_line import Answer
    from digest.model import Receipt
    from digest.ports import Outcome, Trouble

#: Where a 429 does not say when.
_SOON = timedelta(seconds=1)
#: "Wait until 24 hours have passed"; a month's quota is asked after as often.
_QUOTA = timedelta(hours=24)

_CONFLICT = 409
_TOO_MANY = 429
#: Their name says that the request is at fault, and not who makes it.
_VALIDATION = frozenset({400, 422})
_OUR_KEY = "invalid_idempotency_key"
_NAMES_ADDRESS = re.compile(r"[`'\"]to[`'\"]")
_NAMES_SENDER = re.compile(r"[`'\"](from|reply_to|replyTo)[`'\"]")


def outcomes(
    answer: Answer, count: int, receipt: Callable[[str], Receipt], secret: str
) -> tuple[Outcome, ...]:
    """One outcome for each of the `count` mails; `receipt` is given Resend's id."""
    if answer.is_success:
        return _accepted(answer.body, count, receipt, secret)
    return (_trouble(answer, count, secret),) * count


def _accepted(
    body: object, count: int, receipt: Callable[[str], Receipt], secret: str
) -> tuple[Outcome, ...]:
    found = _read(body, count)
    if found is None:
        return (Uncertain("Resend accepted the request, and its answer cannot be read"),) * count
    ids, errors = found
    rest = iter(ids)
    return blame(
        [
            _refused(words_of(errors[number], secret)) if number in errors else receipt(next(rest))
            for number in range(count)
        ]
    )


def _read(body: object, count: int) -> tuple[list[str], dict[int, str]] | None:
    """Ids of the mails that were taken, in order, and what was wrong with the others by number.

    None unless that is all of them, each once.
    """
    data, wrong = dig(body, "data"), dig(body, "errors") or []
    if not isinstance(data, list) or not isinstance(wrong, list):
        return None
    ids = [found for one in data if isinstance(found := dig(one, "id"), str) and found]
    errors = {
        index: words
        for one in wrong
        if type(index := dig(one, "index")) is int and 0 <= index < count
        if isinstance(words := dig(one, "message"), str)
    }
    each_once = len(set(ids)) == len(data) and len(errors) == len(wrong)
    return (ids, errors) if each_once and len(ids) + len(errors) == count else None


def _refused(words: str) -> Outcome:
    """What Resend says of one mail of a batch that it takes otherwise."""
    reason = f"Resend does not take it: {words}"
    if _NAMES_SENDER.search(words):
        return Unauthorized(reason, "422")
    return Refused(reason, "422", address_fault=bool(_NAMES_ADDRESS.search(words)))


def _trouble(answer: Answer, count: int, secret: str) -> Trouble:
    """What an answer without success means for all mails of its request."""
    name = words_of(dig(answer.body, "name"), secret)
    words = words_of(dig(answer.body, "message"), secret)
    code, reason = str(answer.status), f"Resend answered {answer.status}: {words or name}"
    if answer.status == _TOO_MANY:
        wait = _QUOTA if "quota" in name else wait_of(answer.headers, _SOON)
        return Throttled(reason, code, wait, reach="mailer")
    if answer.status == _CONFLICT:
        return Uncertain(reason, code)
    found = by_status("Resend", answer, words or name)
    if found is not None:
        return found
    ours = not name or name == _OUR_KEY or _NAMES_SENDER.search(words)
    if answer.status in _VALIDATION and count == 1 and not ours:
        return Refused(reason, code, address_fault=bool(_NAMES_ADDRESS.search(words)))
    return Unauthorized(reason, code)
