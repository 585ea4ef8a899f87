"""What an SMTP server's reply means for the message, by the phase it comes in: pure rules.

Anything before the end of the body is certainly not an acceptance. After it, only a reply of a
known class is an answer (RFC 5321, 4.2.1 and 4.5.3.2.6).
"""

from __future__ import annotations

import binascii
import re
import ssl
from dataclasses import dataclass
from enum import StrEnum
from smtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected
from typing import TYPE_CHECKING

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers.smtp_throttling import is_our_limit, reach_of, time_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.model import Receipt
    from digest.ports import Outcome

#: The server says that it closes the connection (RFC 5321, 3.8).
CLOSING = 421
#: Commands came out of step: of this connection, not of this message.
OUT_OF_STEP = 503

_OK = range(200, 300)
_GO_ON = range(300, 400)
_NOT_NOW = range(400, 500)
_NEVER = range(500, 600)
#: RFC 4954, 6.
_AUTHENTICATE_FIRST = frozenset({530, 534, 535, 538})
_TOO_LARGE = re.compile(r"552|5\d\d 5\.(3\.4|2\.3)")

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?!\S)\s*")
_LONGEST_REASON = 500
_QUEUE_ID = re.compile(
    r"queued as <?(?P<postfix>[^\s>]+)|\bid=(?P<exim>[\w.-]+)|^ok (?P<ses>[\w-]{20,})$",
    re.IGNORECASE,
)


class Phase(StrEnum):
    """What was said to the server last."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "end of data"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its code (-1 where it had none), and its text without control characters.

    `status` is the enhanced status of RFC 3463, e.g. "5.1.1", or empty.
    """

    number: int
    status: str
    text: str

    @property
    def code(self) -> str:
        return f"{self.number} {self.status}".rstrip()

    def fits(self, phase: Phase) -> bool:
        """Whether it is the answer hoped for."""
        return self.number in (_GO_ON if phase is Phase.DATA else _OK)

    @property
    def says_no(self) -> bool:
        """Whether it refuses, on a connection that stays."""
        return self.number in range(400, 600) and self.number != CLOSING

    @property
    def is_refusal(self) -> bool:
        """Whether that is about the command it answers."""
        return self.says_no and self.number != OUT_OF_STEP


def read_reply(number: int, raw: bytes | str, recipient: str = "") -> Reply:
    """Return the reply with the recipient's address taken out: the ledger keeps its text."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    if not text.isprintable():
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if recipient and recipient.lower() in text.lower():
        text = re.sub(re.escape(recipient), "recipient", text, flags=re.IGNORECASE)
    found = _ENHANCED.match(text)
    status = found[1] if found and found[1][0] == str(number)[0] else ""
    return Reply(number, status, text[found.end() if found and status else 0 :][:_LONGEST_REASON])


def rejection(phase: Phase, reply: Reply) -> Outcome:
    """Return what a reply other than the hoped-for one means, before the end of the body."""
    reason = _reason(phase, reply)
    if reply.number in _NOT_NOW or _is_our_limit(reply):
        return _throttled(reason, reply, recipient_known=phase is not Phase.MAIL)
    if reply.number in _AUTHENTICATE_FIRST:
        return Unauthorized(reason, reply.code)
    if reply.number not in _NEVER or reply.number == OUT_OF_STEP:
        return Unavailable(reason, reply.code)
    if phase is Phase.MAIL and not _TOO_LARGE.match(reply.code):
        # The sender is refused, and every delivery has the same.
        return Unauthorized(reason, reply.code)
    return Refused(reason, reply.code, address_fault=phase is Phase.RCPT)


def verdict(reply: Reply, receipt: Callable[[str, str], Receipt]) -> Outcome:
    """Return what the reply to the end of the body means; `receipt` takes queue id and text."""
    if reply.fits(Phase.END):
        return receipt(queue_id(reply.text), f"{reply.code} {reply.text}".rstrip())
    reason = _reason(Phase.END, reply)
    return _turned_down(reason, reply) or Uncertain(reason)


def interjection(reply: Reply) -> Outcome:
    """Return what a reply means that came before the body had ended: never an acceptance."""
    reason = f"{reply.text or 'no reason given'} (said before the message had ended)"
    return _turned_down(reason, reply) or Unavailable(reason, reply.code)


def failure(error: OSError | UnicodeError | binascii.Error) -> Outcome:
    """Return what an exception means before the end of the body; smtplib's are OSErrors too."""
    match error:
        case SMTPResponseException():
            return _refused_us(read_reply(error.smtp_code, error.smtp_error))
        case SMTPServerDisconnected() | ssl.SSLEOFError():
            return Unavailable(f"the server does not answer: {_words(error)}")
        case SMTPException():
            return Unauthorized(f"the server cannot be used as configured: {_words(error)}")
        case ssl.SSLError():
            return Unauthorized(f"the connection would not be secure: {_words(error)}")
        case binascii.Error():
            return Unavailable("the server's challenge to our login is no Base64")
        case UnicodeError():
            return Unauthorized("the host, user name or password is not ASCII, and cannot be sent")
        case _:
            return Unavailable(f"the server cannot be reached: {_words(error)}")


def queue_id(text: str) -> str:
    """Return the name that the server gave the message, or "" where it tells none."""
    found = _QUEUE_ID.search(text)
    return found[found.lastgroup or 0] if found else ""


def _refused_us(reply: Reply) -> Outcome:
    """Say what a reply to the greeting, EHLO, STARTTLS or AUTH means: it is about us."""
    reason = f"the server turned us away: {reply.code} {reply.text}".rstrip()
    if reply.number in _NOT_NOW:
        return _throttled(reason, reply, recipient_known=False)
    if reply.number in _NEVER:
        return Unauthorized(reason, reply.code)
    return Unavailable(reason)


def _turned_down(reason: str, reply: Reply) -> Throttled | Unavailable | Refused | None:
    """Read a reply about the message; None where it is no refusal."""
    if reply.number in _NOT_NOW or _is_our_limit(reply):
        return _throttled(reason, reply)
    if reply.number == OUT_OF_STEP:
        return Unavailable(reason, reply.code)
    return Refused(reason, reply.code) if reply.number in _NEVER else None


def _throttled(reason: str, reply: Reply, *, recipient_known: bool = True) -> Throttled:
    return Throttled(
        reason,
        reply.code,
        time_named(reply.text),
        reach=reach_of(reply.number, reply.status, reply.text, recipient_known=recipient_known),
    )


def _is_our_limit(reply: Reply) -> bool:
    return reply.number in _NEVER and is_our_limit(reply.status)


def _reason(phase: Phase, reply: Reply) -> str:
    return f"{reply.text or 'no reason given'} (answer to {phase})"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON]
