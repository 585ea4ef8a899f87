"""Mails of one letter: what all recipients get alike is encoded once, their own parts for each.

A mail is made by putting the recipient's own header lines and links between pieces that are
encoded already. In the bodies a link stands on source lines of its own, between soft line breaks
(RFC 2045, 6.7), so that nothing beside it has to be encoded anew.

Equal input gives equal bytes: the boundary comes from the letter, the date is an argument.
"""

from __future__ import annotations

import hashlib
import re
from binascii import b2a_qp
from dataclasses import dataclass
from io import IncrementalNewlineDecoder
from typing import TYPE_CHECKING, Literal, TypeAlias

from digest.mail.message import dated, head, own_headers, with_links
from digest.mail.policy import LINE, MessageError, header_line, one_line
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from digest.mail.dkim import Signer
    from digest.mail.message import Letter, ReaderLinks
    from digest.model import Envelope

#: What each recipient has of their own: a header by its name, or a mark in one of the bodies.
Slot: TypeAlias = tuple[Literal["head", "text", "html"], str]

#: What `Content` has fields for, or leaves out.
_NOT_IN_CONTENT = frozenset({"From", "To", "Reply-To", "Subject", "Date"})

_MARK = re.compile(
    "(" + "|".join(map(re.escape, (UNSUBSCRIBE_MARK, UNSUBSCRIBE_MAILTO_MARK, SETTINGS_MARK))) + ")"
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_SOFT_BREAK = b"=\r\n"
#: What b2a_qp makes of 74 characters and a blank before a line end: one too many for a line.
_TOO_LONG = re.compile(rb"^([^\r\n]{74})(=(?:20|09))(?=\r\n)", re.MULTILINE)
#: RFC 3986, 2: no blanks, and no angle brackets, which would end an address in List-Unsubscribe.
_LINK = re.compile(r"[!-;=?-~]+")


@dataclass(frozen=True, slots=True)
class Pressed:
    """One recipient's mail: its own parts are encoded, and joined with the rest when asked for."""

    press: Press
    envelope: Envelope
    links: ReaderLinks | None
    own: Mapping[Slot, bytes]
    #: A header, where the press has a signer: made with the mail, for it takes its time.
    signature: bytes = b""

    def message(self) -> bytes:
        """As RFC 5322 has it: ASCII, CRLF line ends."""
        return self.signature + self.press.joined(self.own)

    def content(self) -> Content:
        """The same in its parts, unsigned: who takes parts signs what it makes of them."""
        return self.press.content(self.envelope, self.links)


class Press:
    """Makes the mails of one letter.

    Raises MessageError where none can be made of it: an issue's letter lacks its unsubscribe
    link, or something given cannot stand in a header or a body.
    """

    def __init__(self, letter: Letter, signer: Signer | None = None) -> None:
        _check_marks(letter)
        self.letter = letter
        self.signer = signer
        self._head = head(letter)
        self._fixed, self._slots = _merged(_pieces(letter, self._head))
        _check_line_ends(b"".join(self._fixed))
        self._marked = [slot for slot in dict.fromkeys(self._slots) if slot[0] != "head"]

    def mail(self, envelope: Envelope, links: ReaderLinks | None, date: datetime) -> Pressed:
        """One recipient's mail. Raises MessageError where it cannot be made, and never later.

        The recipient is a plain ASCII address, `date` is aware. Only a notice without marks can
        do without links.
        """
        self._check_links(links)
        headers = {"Date": dated(date), **own_headers(self.letter, envelope, links)}
        own: dict[Slot, bytes] = {
            ("head", name): header_line(name, value) for name, value in headers.items()
        }
        if links is not None:
            written = {"text": links.in_text(), "html": links.in_html()}
            for slot in self._marked:
                part, mark = slot
                own[slot] = _encoded_link(written[part][mark])
        signature = self.signer.signature(self.joined(own)) if self.signer else b""
        return Pressed(self, envelope, links, own, signature)

    def _check_links(self, links: ReaderLinks | None) -> None:
        if links is None:
            if not self.letter.is_notice:
                raise MessageError("an issue's letter needs the recipient's links")
            if self._marked:
                raise MessageError("the notice has a mark, and no link to put there")
            return
        for link in links.in_text().values():
            if not _LINK.fullmatch(link):
                raise MessageError(f"not a link: {link!r}")

    def joined(self, own: Mapping[Slot, bytes]) -> bytes:
        """The whole message, with a recipient's own parts in their places."""
        parts = [b""] * (len(self._fixed) + len(self._slots))
        parts[0::2] = self._fixed
        parts[1::2] = [own[slot] for slot in self._slots]
        return b"".join(parts)

    def content(self, envelope: Envelope, links: ReaderLinks | None) -> Content:
        """The parts of a mail that `mail` has made before, and so found nothing wrong with."""
        own = own_headers(self.letter, envelope, links)
        html, text = with_links(self.letter, links)
        return Content(
            from_name=one_line(self.letter.from_name),
            from_address=self.letter.from_address,
            reply_to=self.letter.reply_to,
            subject=one_line(self.letter.subject),
            headers=tuple(
                (name, own[name] if value is None else value)
                for name, value in self._head
                if name not in _NOT_IN_CONTENT
            ),
            text=text,
            html=html,
        )


def _check_marks(letter: Letter) -> None:
    for part, body in (("HTML", letter.html), ("text", letter.text)):
        if not letter.is_notice and UNSUBSCRIBE_MARK not in body:
            raise MessageError(f"the {part} of the letter has no unsubscribe link")


def _check_line_ends(message: bytes) -> None:
    """What recipients have of their own has no line ends but its headers', so this is enough."""
    lines = IncrementalNewlineDecoder(None, translate=False)
    lines.decode(message.decode("ascii"), final=True)
    if lines.newlines != "\r\n" or not message.endswith(b"\r\n"):
        raise MessageError("a line of the letter would not end with CRLF")


def _merged(pieces: Iterable[bytes | Slot]) -> tuple[list[bytes], list[Slot]]:
    """Fixed pieces and slots, in turn: there is one piece more than there are slots."""
    fixed: list[bytes] = [b""]
    slots: list[Slot] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            fixed[-1] += piece
        else:
            slots.append(piece)
            fixed.append(b"")
    return fixed, slots


def _pieces(letter: Letter, headers: Sequence[tuple[str, str | None]]) -> Iterator[bytes | Slot]:
    """A whole message: multipart/alternative, the better part last (RFC 2046, 5.1.4)."""
    # "=_" cannot occur in quoted-printable (RFC 2045, 6.7), so no body can hold it.
    boundary = f"=_{hashlib.sha256(ascii(letter).encode()).hexdigest()[:32]}"
    for name, value in headers:
        yield ("head", name) if value is None else header_line(name, value)
    yield header_line("MIME-Version", "1.0")
    yield header_line("Content-Type", f'multipart/alternative; boundary="{boundary}"')
    yield f"\r\n--{boundary}\r\n".encode()
    yield from _part("text", "plain", letter.text)
    yield f"\r\n--{boundary}\r\n".encode()
    yield from _part("html", "html", letter.html)
    yield f"\r\n--{boundary}--\r\n".encode()


def _part(part: Literal["text", "html"], subtype: str, body: str) -> Iterator[bytes | Slot]:
    yield header_line("Content-Type", f'text/{subtype}; charset="utf-8"')
    yield header_line("Content-Transfer-Encoding", "quoted-printable")
    yield b"\r\n"
    # The last line of a text ends like the others.
    lines = _LINE_END.sub("\r\n", body).removesuffix("\r\n") + "\r\n"
    # Text and marks in turn, text at both ends.
    between = _MARK.split(lines)
    for number, text in enumerate(between):
        if number % 2:
            yield part, text
        else:
            yield _encoded(text, after=number > 0, before=number + 1 < len(between))


def _encoded(text: str, *, after: bool, before: bool) -> bytes:
    """Text as quoted-printable that begins `after` a link, and ends `before` one.

    Both leave the link's source line to the link alone.
    """
    begins = _SOFT_BREAK if after and not text.startswith("\r\n") else b""
    ends = _SOFT_BREAK if before and text and not text.endswith("\r\n") else b""
    return begins + _quoted_printable(text) + ends


def _encoded_link(link: str) -> bytes:
    """A link as quoted-printable; most are short, and need no more than this."""
    encoded = link.replace("=", "=3D").encode("ascii")
    return encoded if len(encoded) < LINE else _quoted_printable(link)


def _quoted_printable(text: str) -> bytes:
    """In lines of 76 characters at most, with room for a "=" at the end of the last one."""
    try:
        # The line end tells b2a_qp to break lines with CRLF, and to leave that room.
        encoded = b2a_qp(f"{text}\r\n".encode(), istext=True)
    except UnicodeEncodeError as error:
        raise MessageError(f"half a character cannot be written: {error.reason}") from error
    return _TOO_LONG.sub(rb"\1=\r\n\2", encoded).removesuffix(b"\r\n")
