"""What a mail says in its head, and the links that are a reader's own; `press` encodes them."""

from __future__ import annotations

import hmac
import re
import unicodedata
from dataclasses import dataclass
from email.utils import format_datetime, formataddr, quote
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit, urlunsplit

from digest.mail.policy import MessageError, encoded_text, one_line
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from digest.model import Envelope

_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_FEEDBACK_FIELD = re.compile(r"[A-Za-z0-9._/@-]+")
_NOT_IN_A_PHRASE = re.compile(r"[^A-Za-z0-9 .,'&()/+#-]+")
_LONGEST_PHRASE = 60


@dataclass(frozen=True, slots=True)
class ReaderLinks:
    """One recipient's own addresses: what the marks become."""

    unsubscribe_url: str
    unsubscribe_mailto: str
    #: Where they ask for a link to their settings.
    settings_url: str

    def in_text(self) -> dict[str, str]:
        """What the marks become in plain text, by mark."""
        return {
            UNSUBSCRIBE_MARK: self.unsubscribe_url,
            UNSUBSCRIBE_MAILTO_MARK: self.unsubscribe_mailto,
            SETTINGS_MARK: self.settings_url,
        }

    def in_html(self) -> dict[str, str]:
        """The same, fit for attributes and text of HTML."""
        return {mark: escape(link) for mark, link in self.in_text().items()}


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
    quoted, page = url_quote(token, safe=""), _page(links_url)
    return ReaderLinks(
        f"{page}/u/{quoted}",
        f"mailto:{url_quote(mailto, safe='@')}?subject=unsubscribe%20{quoted}",
        f"{page}/s/{quoted}",
    )


@cache
def _page(links_url: str) -> str:
    base = urlsplit(links_url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/"), "", ""))


def with_links(letter: Letter, links: ReaderLinks | None) -> tuple[str, str]:
    """Return HTML and text with the recipient's own links in the place of the marks."""
    if links is None:
        return letter.html, letter.text
    return _replaced(letter.html, links.in_html()), _replaced(letter.text, links.in_text())


def _replaced(body: str, links: Mapping[str, str]) -> str:
    for mark, link in links.items():
        body = body.replace(mark, link)
    return body


def head(letter: Letter) -> list[tuple[str, str | None]]:
    """The names of a mail's headers, in order, and the values that all recipients get alike.

    None stands where each recipient has one of their own: see `own_headers` and `dated`. Raises
    MessageError where something of the letter cannot stand in a header.
    """
    return [
        ("From", _mailbox(letter.from_name, letter.from_address)),
        ("To", None),
        ("Reply-To", plain_address(letter.reply_to)),
        ("Subject", encoded_text("Subject", letter.subject)),
        ("Date", None),
        ("Message-ID", None),
        ("Content-Language", letter.language),
        # RFC 3834: keeps holiday replies away.
        ("Auto-Submitted", "auto-generated"),
        ("Feedback-ID", _feedback_id(letter)),
        *_list_head(letter),
    ]


def _list_head(letter: Letter) -> list[tuple[str, str | None]]:
    if letter.is_notice:
        return []
    return [
        ("List-Id", _list_id(letter)),
        ("List-Unsubscribe", None),
        # RFC 8058: one click, a POST to the https link.
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Precedence", "bulk"),
    ]


def own_headers(letter: Letter, envelope: Envelope, links: ReaderLinks | None) -> dict[str, str]:
    """The values that `head` leaves open, but for the date.

    Raises MessageError where the recipient is no plain address.
    """
    own = {"To": plain_address(envelope.recipient), "Message-ID": envelope.message_id}
    if links is not None and not letter.is_notice:
        own["List-Unsubscribe"] = f"<{links.unsubscribe_url}>, <{links.unsubscribe_mailto}>"
    return own


def dated(date: datetime) -> str:
    """The value of Date. Raises MessageError for a naive one."""
    if date.tzinfo is None:
        raise MessageError(f"the date of a message must be aware: {date}")
    # Moments that are equal are not written alike where their zones differ.
    return _to_the_second(date.replace(microsecond=0), date.utcoffset())


@lru_cache(maxsize=8)
def _to_the_second(date: datetime, offset: timedelta | None) -> str:  # noqa: ARG001  see above
    return format_datetime(date)


def _message_id(secret: bytes, name: str, domain: str) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise MessageError(f"a Message-ID needs an ASCII domain, not {domain!r}")
    mac = hmac.digest(secret, f"digest:message-id:{name}".encode(), "sha256")
    return f"<{mac[:16].hex()}@{domain}>"


def plain_address(address: str) -> str:
    """Return the address. Raises MessageError where it is anything but one ASCII address."""
    if not _PLAIN_ADDRESS.fullmatch(address):
        raise MessageError(f"not a plain ASCII address: {address!r}")
    return address


def _mailbox(name: str, address: str) -> str:
    name, address = one_line(name), plain_address(address)
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
