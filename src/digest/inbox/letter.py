"""A mail as it came in, made into a value: whatever anybody wrote, it is read or `Unreadable`.

The old policy of `email` is taken on purpose: the new one reads addresses and encoded words by a
grammar whose time grows with the square of what a stranger wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.parser import BytesHeaderParser, BytesParser
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

#: Of a mail that is larger only the headers are read: nobody's wish is that long.
LARGEST = 1024 * 1024
#: Of headers no more is read than this, and of one header no more than the other.
LARGEST_HEAD = 256 * 1024
_LONGEST_HEADER = 8 * 1024
_LONGEST_SUBJECT = 1000
#: More than any mail program makes, side by side and within each other.
_MOST_PARTS = 1000
_MOST_BOUNDARIES = 100
_MOST_LINES = 1000

_QUOTED = re.compile(r"\s*[>|]")
_BLOCKS = "br, p, div, li, tr, h1, h2, h3, h4, blockquote"


@dataclass(frozen=True, slots=True)
class Letter:
    """What is known of a mail, decoded; everything in it may be made up by its sender."""

    subject: str
    #: The addresses of From, as written.
    senders: tuple[str, ...]
    #: Whom it was sent to, as far as it says so.
    recipients: tuple[str, ...]
    #: What the sender wrote, without what they quote; empty where only the headers were read.
    lines: tuple[str, ...]
    #: Why it is taken for a machine's answer and nobody's wish: "" where a person wrote it.
    automatic: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A mail that cannot be taken apart, and why."""

    reason: str


def read_letter(raw: bytes, *, whole: bool) -> Letter | Unreadable:
    """Read a mail, or its headers alone where `raw` is not the `whole` of it."""
    try:
        return _read(raw, whole=whole)
    except Exception as error:  # noqa: BLE001  the parser raises whatever a stranger's bytes make it
        return Unreadable(f"cannot be taken apart: {type(error).__name__}")


def _read(raw: bytes, *, whole: bool) -> Letter:
    head = BytesHeaderParser(policy=policy.compat32).parsebytes(raw[:LARGEST_HEAD])
    automatic = _automatic(head)
    lines: tuple[str, ...] = ()
    # The body of a machine's answer says nothing to us.
    if whole and not automatic and _is_modest(raw):
        message = BytesParser(policy=policy.compat32).parsebytes(raw)
        lines = tuple(_own_lines(_text(message)))
    return Letter(
        subject=" ".join(_decoded(_first(head, "Subject")).split())[:_LONGEST_SUBJECT],
        senders=_addresses(head, "From"),
        recipients=_addresses(head, "To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To"),
        lines=lines,
        automatic=automatic,
    )


def _is_modest(raw: bytes) -> bool:
    """Whether a mail can be taken apart in no time."""
    return (
        len(raw) <= LARGEST
        and raw.count(b"\n--") <= _MOST_PARTS
        and raw.lower().count(b"boundary") <= _MOST_BOUNDARIES
    )


def _automatic(head: Message) -> str:
    """RFC 3834 and RFC 3464, and what vacation programs older than them say."""
    submitted = _first(head, "Auto-Submitted").partition(";")[0].strip().casefold()
    if submitted not in {"", "no"}:
        return "Auto-Submitted"
    if head.get_content_type() in {"multipart/report", "message/delivery-status"}:
        return "a report"
    if _first(head, "Return-Path").replace(" ", "") == "<>":
        return "an empty Return-Path"
    if any(name in head for name in ("X-Autoreply", "X-Autorespond", "X-Failed-Recipients")):
        return "an automatic reply"
    if _first(head, "Precedence").strip().casefold() in {"auto_reply", "bulk", "list", "junk"}:
        return "Precedence"
    local_parts = {address.partition("@")[0].casefold() for address in _addresses(head, "From")}
    return "a mail system" if local_parts & {"mailer-daemon", "postmaster"} else ""


def _first(head: Message, name: str) -> str:
    return _plain(head.get(name, ""))


def _plain(value: Any) -> str:
    """A header as text: what is no ASCII in it comes as an object of `email`."""
    return str(value)[:_LONGEST_HEADER].replace("\x00", "")


def _decoded(header: str) -> str:
    try:
        parts = decode_header(header)
    except (HeaderParseError, ValueError):
        return header
    return "".join(
        part if isinstance(part, str) else _text_of(part, charset) for part, charset in parts
    ).replace("\x00", "")


def _text_of(raw: bytes, charset: str | None) -> str:
    try:
        return raw.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", errors="replace")


def _addresses(head: Message, *names: str) -> tuple[str, ...]:
    headers = [_plain(value) for name in names for value in head.get_all(name, [])[:20]]
    return tuple(address for _, address in getaddresses(headers) if address)


def _text(message: Message) -> str:
    """The text part, else the text of the HTML part."""
    parts = [part for part in message.walk() if not part.is_multipart()]
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
                payload = part.get_payload(decode=True)
                raw = payload if isinstance(payload, bytes) else b""
                text = _text_of(raw, part.get_content_charset()).replace("\x00", "")
                return text if kind == "text/plain" else _of_html(text)
    return ""


def _of_html(html: str) -> str:
    tree = LexborHTMLParser(html)
    for quoted in tree.css("blockquote, style, script, head"):
        quoted.decompose()
    for block in tree.css(_BLOCKS):
        block.insert_before("\n")
        block.insert_after("\n")
    return tree.body.text() if tree.body else ""


def _own_lines(text: str) -> Iterable[str]:
    for line in text.splitlines()[:_MOST_LINES]:
        if line.strip() == "--":  # a signature follows
            return
        if line.strip() and not _QUOTED.match(line):
            yield " ".join(line[:_LONGEST_HEADER].split())
