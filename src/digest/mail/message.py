"""One letter for one recipient, as the bytes that are submitted.

Equal input gives equal bytes: the boundary comes from the Message-ID, the date is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from binascii import b2a_qp
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, quote
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote as url_quote
from urllib.parse import urlencode, urlsplit, urlunsplit

from digest.mail.policy import MAIL_POLICY, MessageError, encoded_text, one_line
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Content

if TYPE_CHECKING:
    from datetime import datetime

_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_FEEDBACK_FIELD = re.compile(r"[A-Za-z0-9._/@-]+")
_NOT_IN_A_PHRASE = re.compile(r"[^A-Za-z0-9 .,'&()/+#-]+")
_LONGEST_PHRASE = 60
#: In the order of the fields of `ReaderLinks`.
_MARKS = (UNSUBSCRIBE_MARK, UNSUBSCRIBE_MAILTO_MARK, SETTINGS_MARK)
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ReaderLinks:
    """One recipient's own addresses: what the marks become."""

    unsubscribe_url: str
    unsubscribe_mailto: str
    #: Where they ask for a link to their settings.
    settings_url: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What all recipients of one variant get alike, with marks where their own links belong.

    Without a `list_id` it is a notice: no List-* headers, no Precedence, and marks only if
    links come with it.
    """

    subject: str
    html: str
    text: str
    from_name: str
    from_address: str
    reply_to: str
    #: RFC 5646, e.g. "en-GB".
    language: str
    #: Issue, newsletter, kind and sender, each of letters, digits and . _ - / @ only.
    #: https://support.google.com/a/answer/6254652
    feedback_id: tuple[str, str, str, str]
    #: RFC 2919, without angle brackets: "weekly.example.org".
    list_id: str = ""
    list_title: str = ""

    @property
    def is_notice(self) -> bool:
        return not self.list_id


def build_message(
    letter: Letter, recipient: str, links: ReaderLinks | None, message_id: str, date: datetime
) -> bytes:
    """Return the RFC 5322 message: ASCII, CRLF line ends, text and HTML as quoted-printable.

    `recipient` is a plain ASCII address; `date` is aware. Raises MessageError where a mark is
    missing from an issue's letter, a notice has marks but no links, or something given cannot
    stand in a header.
    """
    _check_marks(letter, links)
    message = EmailMessage(MAIL_POLICY)
    for name, value in _headers(letter, recipient, message_id, date) + _list_headers(letter, links):
        message[name] = value
    message["MIME-Version"] = "1.0"
    boundary = _boundary(message_id)
    message["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
    html, text = with_links(letter, links)
    message.attach(_part("plain", text))
    message.attach(_part("html", html))
    return message.as_bytes()


def message_id_for(secret: bytes, issue_id: int, subscriber_id: int, domain: str) -> str:
    """Return the Message-ID, in angle brackets, of one issue to one subscriber: always the same.

    It does not tell who the recipient is, and cannot be guessed without the secret.
    """
    return _message_id(secret, f"issue:{issue_id}:{subscriber_id}", domain)


def notice_message_id(secret: bytes, key: str, domain: str) -> str:
    """Return the Message-ID, in angle brackets, of the notice that `key` names."""
    return _message_id(secret, f"notice:{key}", domain)


def reader_links(links_url: str, mailto: str, token: str) -> ReaderLinks:
    """Return the links that carry a reader's token.

    `links_url` is the base of the readers' pages, `mailto` the address that reads mail with the
    subject "unsubscribe TOKEN".
    """
    subject = urlencode({"subject": f"unsubscribe {token}"}, quote_via=url_quote)
    return ReaderLinks(
        _page(links_url, "u", token),
        urlunsplit(("mailto", "", url_quote(mailto, safe="@"), subject, "")),
        _page(links_url, "s", token),
    )


def _page(links_url: str, page: str, token: str) -> str:
    base = urlsplit(links_url)
    path = f"{base.path.rstrip('/')}/{page}/{url_quote(token, safe='')}"
    return urlunsplit((base.scheme, base.netloc, path, "", ""))


def content_of(letter: Letter, message_id: str, links: ReaderLinks | None) -> Content:
    """Return a mail in its parts. Raises MessageError as `build_message` does."""
    _check_marks(letter, links)
    html, text = with_links(letter, links)
    headers = [*_own_headers(letter, message_id), *_list_headers(letter, links)]
    return Content(
        from_name=one_line(letter.from_name),
        from_address=_plain_address(letter.from_address),
        reply_to=_plain_address(letter.reply_to),
        subject=one_line(letter.subject),
        headers=tuple(headers),
        text=text,
        html=html,
    )


def _headers(
    letter: Letter, recipient: str, message_id: str, date: datetime
) -> list[tuple[str, str]]:
    if date.tzinfo is None:
        raise MessageError(f"the date of a message must be aware: {date}")
    return [
        ("From", _mailbox(letter.from_name, letter.from_address)),
        ("To", _plain_address(recipient)),
        ("Reply-To", _plain_address(letter.reply_to)),
        ("Subject", encoded_text("Subject", letter.subject)),
        ("Date", format_datetime(date)),
        *_own_headers(letter, message_id),
    ]


def _own_headers(letter: Letter, message_id: str) -> list[tuple[str, str]]:
    return [
        ("Message-ID", message_id),
        ("Content-Language", letter.language),
        # RFC 3834: keeps holiday replies away.
        ("Auto-Submitted", "auto-generated"),
        ("Feedback-ID", _feedback_id(letter)),
    ]


def _list_headers(letter: Letter, links: ReaderLinks | None) -> list[tuple[str, str]]:
    if letter.is_notice or links is None:
        return []
    return [
        ("List-Id", _list_id(letter)),
        ("List-Unsubscribe", f"<{links.unsubscribe_url}>, <{links.unsubscribe_mailto}>"),
        # RFC 8058: one click, a POST to the https link.
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Precedence", "bulk"),
    ]


def _check_marks(letter: Letter, links: ReaderLinks | None) -> None:
    if links is None and not letter.is_notice:
        raise MessageError("an issue's letter needs the recipient's links")
    for part, body in (("HTML", letter.html), ("text", letter.text)):
        if not letter.is_notice and UNSUBSCRIBE_MARK not in body:
            raise MessageError(f"the {part} of the letter has no unsubscribe link")
        if links is None and any(mark in body for mark in _MARKS):
            raise MessageError(f"the {part} of the notice has a mark, and no link to put there")


def with_links(letter: Letter, links: ReaderLinks | None) -> tuple[str, str]:
    """Return HTML and text with the recipient's own links in the place of the marks."""
    return _with_links(letter.html, _escaped(links)), _with_links(letter.text, links)


def _with_links(body: str, links: ReaderLinks | None) -> str:
    if links is None:
        return body
    own = (links.unsubscribe_url, links.unsubscribe_mailto, links.settings_url)
    for mark, link in zip(_MARKS, own, strict=True):
        body = body.replace(mark, link)
    return body


def _escaped(links: ReaderLinks | None) -> ReaderLinks | None:
    if links is None:
        return None
    return ReaderLinks(
        escape(links.unsubscribe_url), escape(links.unsubscribe_mailto), escape(links.settings_url)
    )


def _part(subtype: str, body: str) -> EmailMessage:
    part = EmailMessage(MAIL_POLICY)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    part.set_payload(_quoted_printable(body))
    return part


def _quoted_printable(body: str) -> str:
    # The final line end also tells b2a_qp to break long lines with CRLF.
    lines = _LINE_END.sub("\r\n", body).removesuffix("\r\n") + "\r\n"
    return b2a_qp(lines.encode(), istext=True).decode("ascii")


def _boundary(message_id: str) -> str:
    # "=_" cannot occur in quoted-printable (RFC 2045, 6.7), so no body can hold it.
    return "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]


def _message_id(secret: bytes, name: str, domain: str) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise MessageError(f"a Message-ID needs an ASCII domain, not {domain!r}")
    mac = hmac.digest(secret, f"digest:message-id:{name}".encode(), "sha256")
    return f"<{mac[:16].hex()}@{domain}>"


def _plain_address(address: str) -> str:
    if not _PLAIN_ADDRESS.fullmatch(address):
        raise MessageError(f"not a plain ASCII address: {address!r}")
    return address


def _mailbox(name: str, address: str) -> str:
    name, address = one_line(name), _plain_address(address)
    encoded = encoded_text("From", name)
    # An encoded word may not stand in quotes (RFC 2047, section 5); formataddr sets them.
    return formataddr((name, address)) if encoded == name else f"{encoded} <{address}>"


def _list_id(letter: Letter) -> str:
    # An encoded phrase would hide the id from filters, and the phrase is a mere label: it is
    # cut down to what needs no encoding.
    letters = unicodedata.normalize("NFKD", letter.list_title).encode("ascii", "ignore").decode()
    phrase = " ".join(_NOT_IN_A_PHRASE.sub(" ", letters).split())[:_LONGEST_PHRASE].rstrip()
    return f'"{quote(phrase)}" <{letter.list_id}>' if phrase else f"<{letter.list_id}>"


def _feedback_id(letter: Letter) -> str:
    for field in letter.feedback_id:
        if not _FEEDBACK_FIELD.fullmatch(field):
            raise MessageError(f"a Feedback-ID field may not be {field!r}")
    return ":".join(letter.feedback_id)
