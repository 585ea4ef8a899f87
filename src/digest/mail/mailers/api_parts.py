"""What the mailers with an HTTP API have in common: pure rules."""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import quote
from typing import TYPE_CHECKING

from digest.errors import Refused, Unauthorized, Unavailable, Uncertain
from digest.masking import said
from digest.model import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from digest.mail.mailers.http_line import Answer, NoAnswer
    from digest.model import Content
    from digest.ports import Outcome, Trouble

#: Kept of what the other side says.
_LONGEST_REASON = 300
_SECRET = re.compile(r"[!-~]+")
#: What a name in a mailbox may hold without quotes (RFC 5322, 3.2.3), and letters of any script.
_PLAIN_NAME = re.compile(r"[\w !#$%&'*+/=?^`{|}~-]*")

#: Definite by their number, but said by proxies too while the request may go on behind them.
_IN_DOUBT = frozenset({408, 425})
_REDIRECTS = range(300, 400)
_EXPLAINED = range(400, 500)


def sender_of(content: Content) -> str:
    """Name and address of the sender, in characters as they are: the API encodes them."""
    name = content.from_name
    if not name:
        return content.from_address
    shown = name if _PLAIN_NAME.fullmatch(name) else f'"{quote(name)}"'
    return f"{shown} <{content.from_address}>"


def wrong_secret(secret: str) -> Unauthorized | None:
    """What is wrong with a key that cannot stand in a header; an exception would spell it out."""
    if _SECRET.fullmatch(secret):
        return None
    return Unauthorized("the key has characters that no key has, or there is none")


def dig(body: object, key: str) -> object:
    """What stands there in JSON that somebody else wrote; None where it has no such place."""
    return body.get(key) if isinstance(body, dict) else None


def words_of(text: object, secret: str) -> str:
    """What the other side says, fit for the ledger: no addresses, no key, no full stop."""
    words = text.replace(secret, "[key]") if isinstance(text, str) else ""
    return said(words, _LONGEST_REASON).rstrip(".")


def unanswered(who: str, why: NoAnswer) -> Uncertain | Unavailable:
    """What becomes of mails whose request had no answer."""
    if why.begun:
        return Uncertain(f"no answer from {who}: {why.reason}")
    return Unavailable(f"{who} cannot be reached: {why.reason}")


def by_status(who: str, answer: Answer, words: str) -> Trouble | None:
    """What a status means whoever says it; None for those that only their sayer explains."""
    code = str(answer.status)
    reason = f"{who} answered {code}: {words or 'no reason given'}"
    if answer.status in _REDIRECTS:
        return Unauthorized(f"{reason}; api_url must be where the API itself is", code)
    if answer.status not in _EXPLAINED or answer.status in _IN_DOUBT:
        return Uncertain(reason, code)
    return None


def wait_of(headers: Mapping[str, str], shortest: timedelta) -> timedelta:
    """How long until it takes requests again, as far as it says so; in seconds."""
    named = [headers.get(name, "").strip() for name in ("retry-after", "ratelimit-reset")]
    seconds = [int(value) for value in named if re.fullmatch(r"[0-9]{1,6}", value)]
    return max(shortest, timedelta(seconds=seconds[0])) if seconds else shortest


def blame(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes of one request, so that no fault of ours refuses every reader of an issue.

    Where all of several mails are refused, for one and the same reason, and not for their
    addresses, it is something that they all share: the sender, or how we write them.
    """
    first = outcomes[0]
    alike = all(
        isinstance(one, Refused) and not one.address_fault and one == first for one in outcomes
    )
    if len(outcomes) == 1 or not alike or isinstance(first, Receipt):
        return tuple(outcomes)
    return tuple(Unauthorized(first.reason, first.code) for _ in outcomes)
