"""Reports about mails of ours, made into values: bounces, delays, complaints, automatic replies.

Known forms are read by the standard library: RFC 3464 (delivery status) and RFC 5965 (abuse).
For what mail systems wrote before those, flufl.bounce says whether it is a bounce at all. All of
it may be made up by whoever sent it: what a report means is decided by what in it only those can
know who got our mail, a bounce address (`digest.mail.verp`) or a Message-ID.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from email import policy
from email.message import Message
from email.parser import BytesParser, HeaderParser
from itertools import islice
from typing import TYPE_CHECKING, Any

from digest.mail.decisions import bounce_kind
from digest.mail.feedback import Feedback
from digest.mail.verp import read_verp
from digest.masking import said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from digest.mail.feedback import BounceKind, Event

#: What a report says stands before the mail that it returns: of more than this nothing is read.
LARGEST = 256 * 1024
#: More than any report has, side by side and within each other; from there on it is cut off.
_MOST_PARTS = 200
_MOST_BOUNDARIES = 20
_MOST_MESSAGES = 20
#: Each blank line of a delivery status makes a group of fields.
_MOST_PARAGRAPHS = 5000
_MOST_RECIPIENTS = 100
_LONGEST_LINE = 998
_LONGEST_FIELD = 8 * 1024
#: Of what a mail system wrote in its own words, so much is searched.
_LONGEST_TEXT = 16 * 1024
_LONGEST_DETAIL = 300
_LONGEST_CODE = 40
_MOST_IDS = 20

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
#: A server's reply as a report quotes it: "550 5.1.1 ...", "550-5.1.1", "#5.1.1", "550 ...".
_REPLY = re.compile(
    r"(?<![\d.])(?P<basic>[45]\d\d)[ -]+\(?#?(?P<enhanced>[45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)"
    r"|#(?P<bare>[45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)"
    r"|(?:^|[:;>\"']) {0,4}(?P<alone>[45]\d\d)(?=[ -])(?![ -]+\(?#?[45]\.\d)",
    re.MULTILINE,
)
#: As ours are, whoever's they may be.
_MESSAGE_ID = re.compile(r"<[0-9a-f]{32}@[A-Za-z0-9.-]{1,255}>")
_BOUNCE_ADDRESS = re.compile(r"\+[0-9A-Fa-f]{30}@[A-Za-z0-9.-]{1,255}")
#: Where a mail system's own words end and the returned mail begins.
_RETURNED = re.compile(r"^(?:-{2,}|Received:|Return-Path:)", re.MULTILINE)

_ACTIONS: dict[str, Event] = {
    "failed": "bounced",
    "delayed": "deferred",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
#: RFC 3463, 2.
_CLASSES: dict[str, Event] = {"2": "delivered", "4": "deferred", "5": "bounced"}
#: RFC 5965, 7.3, and RFC 6430. What is not named here is a complaint.
_COMPLAINTS: dict[str, Event] = {
    "not-spam": "delivered",
    "opt-out": "unsubscribed",
    "opt-out-list": "unsubscribed",
    "virus": "unknown",
    "auth-failure": "unknown",
    "dmarc": "unknown",
}
#: A mail system's own accounts (RFC 2142, and what is in use).
_SYSTEMS = frozenset({"mailer-daemon", "postmaster", "mail-daemon", "mdaemon"})
#: Of several recipients of one mail, as behind a forwarding address, the best fate counts.
_BEST_FIRST: tuple[tuple[Event, BounceKind | None], ...] = (
    ("delivered", None),
    ("deferred", None),
    ("bounced", "policy"),
    ("bounced", "soft"),
    ("bounced", "hard"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says of one mail."""

    event: Event
    kind: BounceKind | None = None
    code: str = ""
    #: In a line, without addresses.
    detail: str = ""
    #: What has the form of our bounce addresses, from the plus sign on, the likeliest first.
    addresses: tuple[str, ...] = ()
    #: What has the form of our Message-IDs, likewise.
    message_ids: tuple[str, ...] = ()


def feedback_of(report: Report, secret: bytes, domains: Collection[str], at: datetime) -> Feedback:
    """What came back, by a report that came in at `at`; Message-IDs are ours in these `domains`."""
    numbers = (read_verp(secret, address) for address in report.addresses)
    ours = (one for one in report.message_ids if one[:-1].partition("@")[2] in domains)
    return Feedback(
        report.event,
        at,
        report.kind,
        report.code,
        report.detail,
        delivery_id=next((number for number in numbers if number is not None), None),
        message_id=next(ours, ""),
    )


def read_report(raw: bytes) -> Report | None:
    """What an automatic mail says about one of ours; None where that cannot be told.

    `raw` may be cut off, and what is too large is: the mail that it returns stands at its end.
    """
    try:
        return _read(raw)
    except Exception:  # noqa: BLE001  the parser raises whatever a stranger's bytes make it
        return None


def _read(raw: bytes) -> Report | None:
    message = BytesParser(policy=policy.compat32).parsebytes(_modest(raw))
    parts = list(islice(message.walk(), _MOST_PARTS))
    found = _complaint(parts) or _status(parts) or _unformed(message, parts)
    if found is None:
        return None
    event, kind, code, detail = found
    addresses, message_ids = _names(parts)
    return Report(event, kind, code, said(detail, _LONGEST_DETAIL), addresses, message_ids)


def _modest(raw: bytes) -> bytes:
    """As much of a mail as is taken apart in no time."""
    raw = raw[:LARGEST].replace(b"\x00", b"")
    for mark, most in (
        (b"\n--", _MOST_PARTS),
        (b"boundary", _MOST_BOUNDARIES),
        (b"message/", _MOST_MESSAGES),
        (rb"\n\r?\n", _MOST_PARAGRAPHS),
    ):
        found = re.finditer(mark, raw, re.IGNORECASE)
        beyond = next(islice(found, most, None), None)
        raw = raw[: beyond.start()] if beyond else raw
    return raw


# --- complaints (RFC 5965) ---------------------------------------------------------------------

_Found = tuple["Event", "BounceKind | None", str, str]


def _complaint(parts: Sequence[Message]) -> _Found | None:
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            fields = next(_blocks(part), None)
            kind = said(_field(fields, "Feedback-Type").casefold(), _LONGEST_CODE) if fields else ""
            if kind and fields is not None:
                agent = _field(fields, "User-Agent")
                return _COMPLAINTS.get(kind, "complained"), None, kind, f"{kind} {agent}"
    return None


# --- delivery status (RFC 3464) ----------------------------------------------------------------


def _status(parts: Sequence[Message]) -> _Found | None:
    for part in parts:
        if part.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}:
            fates = [fate for block in _blocks(part) if (fate := _fate(block)) is not None]
            if fates:
                return min(fates, key=lambda fate: _BEST_FIRST.index(fate[:2]))
    return None


def _fate(block: Message) -> _Found | None:
    """What became of the mail for one recipient; None where a block is not about one."""
    action = re.match(r"[a-z]*", _field(block, "Action").casefold())
    status = _STATUS.search(_field(block, "Status"))
    event = _ACTIONS.get(action[0] if action else "")
    if event is None and status:
        event = _CLASSES[status[1][0]]
    if event is None:
        return None
    words = _field(block, "Diagnostic-Code").partition(";")[2].strip()
    code = reply_code(status[1] if status else "", words)
    return event, kind_of(code, words) if event == "bounced" else None, code, words


def reply_code(status: str, words: str) -> str:
    """The code that counts, "550 5.1.1", of a report's status and what it quotes; else empty.

    The server's own words are believed rather than the status of whoever reports them.
    """
    found = _REPLY.search(words)
    basic = (found["basic"] or found["alone"] or "") if found else ""
    enhanced = (found["enhanced"] or found["bare"] or "") if found else ""
    return f"{basic} {enhanced or status}".strip()


def kind_of(code: str, words: str) -> BounceKind:
    """The kind of a bounce by its code, as `reply_code` has it, and what was said."""
    if code.endswith("5.0.0"):
        # RFC 3463, 3.1: "other or undefined", and often said of anything. The words tell more.
        code = code.removesuffix("5.0.0").strip() or "550"
    return bounce_kind(code, words)


def _blocks(part: Message) -> Iterator[Message]:
    """The groups of fields of a report, whether the parser told them apart or not."""
    payload: Any = part.get_payload()
    found = payload if isinstance(payload, list) else [payload]
    for one in found[:_MOST_RECIPIENTS]:
        if isinstance(one, Message):
            yield one
            rest = one.get_payload()
            groups = re.split(r"\r?\n(?:[ \t]*\r?\n)+", rest) if isinstance(rest, str) else []
        else:
            groups = re.split(r"\r?\n(?:[ \t]*\r?\n)+", str(one))
        for group in groups[:_MOST_RECIPIENTS]:
            yield HeaderParser(policy=policy.compat32).parsestr(group.lstrip())


def _field(block: Message, name: str) -> str:
    return " ".join(str(block.get(name, ""))[:_LONGEST_FIELD].split())


# --- what has no known form --------------------------------------------------------------------


def _unformed(message: Message, parts: Sequence[Message]) -> _Found | None:
    system = _is_system(message)
    # RFC 8098: a reader's program says that the mail was opened, or thrown away.
    read = any(part.get_content_type() == "message/disposition-notification" for part in parts)
    if not read and (system or _field(message, "Return-Path").replace(" ", "") == "<>"):
        text = _own_text(parts)
        returned = _RETURNED.search(text)
        words = text[: returned.start()] if returned else text
        temporary, permanent = _flufl(message, text)
        if permanent or (not temporary and "X-Failed-Recipients" in message):
            return _by_words(words)
        if temporary:
            return "deferred", None, "", words
    return None if system and not read else ("autoresponded", None, "", "")


def _is_system(message: Message) -> bool:
    """Whether a mail system wrote it, not the program of a person who is away."""
    sender = _field(message, "From").casefold()
    found = re.search(r"([^\s<>\"(),:;@]+)@", sender)
    return (
        "X-Failed-Recipients" in message
        or message.get_content_type() == "multipart/report"
        or (found[1] if found else sender.strip("<> ")) in _SYSTEMS
    )


def _by_words(words: str) -> _Found:
    """A bounce whose reason stands in its text, if anywhere: without a code nothing is dead."""
    found = _REPLY.search(words)
    if found is None:
        return "bounced", "soft", "", words
    line = words[words.rfind("\n", 0, found.start() + 1) + 1 :][:_LONGEST_DETAIL]
    code = reply_code("", line)
    return "bounced", kind_of(code, line), code, line


def _own_text(parts: Sequence[Message]) -> str:
    """What the mail system says, and perhaps the mail that it returns."""
    texts = (_text(part) for part in parts if part.get_content_maintype() == "text")
    return next(texts, "")[:_LONGEST_TEXT]


def _flufl(message: Message, text: str) -> tuple[bool, bool]:
    """Whether flufl.bounce takes it for a passing and for a lasting failure."""
    from flufl.bounce import all_failures

    # Each of its detectors tells what it does.
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)
    # Its patterns are made for the lines of mail systems, not for those of an attacker.
    tame = Message()
    tame["From"] = _field(message, "From") or "nobody"  # one of them fails without
    for name in ("Subject", "X-Failed-Recipients"):
        if name in message:
            tame[name] = _field(message, name)
    tame["Content-Type"] = "text/plain"
    tame.set_payload("\n".join(line[:_LONGEST_LINE] for line in text.splitlines()))
    temporary, permanent = all_failures(tame)
    return bool(temporary), bool(permanent)


# --- which mail --------------------------------------------------------------------------------


def _names(parts: Sequence[Message]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Bounce addresses and Message-IDs, the report's own head first, without its own id."""
    texts = []
    for number, part in enumerate(parts):
        own = () if number else ("message-id",)
        heads = [f"{k}: {v}" for k, v in part.items()[:_MOST_PARTS] if k.casefold() not in own]
        texts.append("\n".join(head[:_LONGEST_FIELD] for head in heads))
        if not part.is_multipart():
            texts.append(_text(part))
    text = "\n".join(texts)
    return _first(_BOUNCE_ADDRESS, text), _first(_MESSAGE_ID, text)


def _first(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    found = (match[0] for match in islice(pattern.finditer(text), 10 * _MOST_IDS))
    return tuple(dict.fromkeys(found))[:_MOST_IDS]


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""
