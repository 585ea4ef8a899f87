"""A pressed mail equals the one that the standard library builds from scratch."""

from __future__ import annotations

import email
import email.policy
import re
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import partial
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.mail.message import Letter, ReaderLinks, reader_links
from digest.mail.policy import MessageError, one_line
from digest.mail.press import Press, Pressed
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Envelope

DATE = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
ENVELOPE = Envelope("bounces@example.org", "reader@example.org", "<1@example.org>")
LINKS = reader_links("https://read.example.org/readers", "leave@example.org", "t" * 32)
LETTER = Letter(
    subject="Week 47",
    html=f'<p>Grüße</p><a href="{UNSUBSCRIBE_MARK}">leave</a>',
    text=f"Grüße\nLeave: {UNSUBSCRIBE_MARK}\n",
    from_name="Common Threads",
    from_address="digest@example.org",
    reply_to="editors@example.org",
    language="en-GB",
    feedback_id=("12", "weekly", "issue", "example.org"),
    list_id="weekly.example.org",
    list_title="Common Threads",
)
MARKS = (UNSUBSCRIBE_MARK, UNSUBSCRIBE_MAILTO_MARK, SETTINGS_MARK)


# --- the same mail, made from scratch ------------------------------------------------------------


class AsGiven(email.policy.EmailPolicy):
    """The standard library's way, but for headers: what it is given is what is written.

    Of its own accord it encodes what machines read, and decodes what looks like an encoded word.
    """

    def header_store_parse(self, name, value):
        return name, value

    def fold(self, name, value):
        return f"{name}: {value}{self.linesep}"

    def fold_binary(self, name, value):
        return self.fold(name, value).encode("ascii")


def words(text: str) -> str:
    """Any text as RFC 2047 encoded words, whether it needs that or not."""
    return Header(one_line(text), "utf-8").encode(linesep="")


def from_scratch(letter: Letter, envelope: Envelope, links: ReaderLinks, date: datetime) -> bytes:
    """What a press makes, by the standard library alone."""
    own = (links.unsubscribe_url, links.unsubscribe_mailto, links.settings_url)
    text, html = letter.text, letter.html
    for mark, link in zip(MARKS, own, strict=True):
        text, html = text.replace(mark, link), html.replace(mark, escape(link))
    message = EmailMessage(AsGiven(linesep="\r\n", max_line_length=76))
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message["From"] = f"{words(letter.from_name)} <{letter.from_address}>".strip()
    message["To"] = envelope.recipient
    message["Reply-To"] = letter.reply_to
    message["Subject"] = words(letter.subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = envelope.message_id
    message["Content-Language"] = letter.language
    message["Auto-Submitted"] = "auto-generated"
    message["Feedback-ID"] = ":".join(letter.feedback_id)
    if letter.list_id:
        message["List-Id"] = f'"{letter.list_title}" <{letter.list_id}>'
        message["List-Unsubscribe"] = f"<{links.unsubscribe_url}>, <{links.unsubscribe_mailto}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["Precedence"] = "bulk"
    return message.as_bytes()


def headers(message: EmailMessage) -> list[tuple[str, str]]:
    """Decoded, by name; but for the boundary, which each maker draws for itself."""
    found = [(name.lower(), str(value)) for name, value in message.items() if name != "From"]
    return sorted((name, re.sub(r'boundary=".*"', "", value)) for name, value in found)


def sender(raw: bytes) -> tuple[str, str]:
    """Name and address, without the modern parser, which puts blanks between encoded words."""
    value = email.message_from_bytes(raw)["From"]
    name, address = parseaddr(re.sub(r"\r\n(?=[ \t])", "", value))
    return str(make_header(decode_header(name))), address


def in_full(raw: bytes) -> list[object]:
    """All that a reader's program gets out of a message, as plain values."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    found: list[object] = [headers(message), sender(raw)]
    for part in message.iter_parts():
        assert isinstance(part, EmailMessage)
        found += [
            part.get_content_type(),
            part.get_content_charset(),
            part.get_content_disposition(),
            part["Content-Transfer-Encoding"],
            part.get_payload(decode=True),
            part.get_content(),
        ]
    return found


def check_raw(raw: bytes) -> None:
    """What must hold of the bytes themselves, whoever reads them."""
    assert raw.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)
    assert raw.endswith(b"\r\n")
    top, _, bodies = raw.partition(b"\r\n\r\n")
    assert max(map(len, top.split(b"\r\n"))) <= 998
    assert max(map(len, bodies.split(b"\r\n"))) <= 76
    assert not re.search(rb"[ \t]\r\n", raw.replace(b"\r\nSubject: \r\n", b"\r\n"))
    unfolded = re.sub(rb"\r\n[ \t]", b" ", top).split(b"\r\n")
    machines = [line for line in unfolded if not line.startswith((b"From:", b"Subject:"))]
    assert not [line for line in machines if b"=?" in line]
    names = [line.partition(b":")[0] for line in unfolded]
    assert len(names) == len(set(names))


# --- what is put in ------------------------------------------------------------------------------

HOSTILE = st.sampled_from(
    [
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "=",
        "=\n",
        "=3D",
        ".",
        "\n.\n",
        "\n..\n.",
        "x" * 73 + "  \n",
        "x" * 74 + " \n",
        "x" * 74 + "\t",
        "x" * 75,
        "x" * 76,
        "w" * 2000,
        "é" * 30,
        "日" * 300,
        "👩‍👩‍👧",
        "مرحبا \u202eabc",
        "a\xa0b",
        "\x00\x0b\x0c\x1c\x7f\x85\u2028",
        "=?utf-8?q?a=0D=0ABcc:_victim=40example.org?=",
        "From me\n",
        "--=_\n",
        "--\n",
        "a\r\nBcc: victim@example.org\r\n\r\nx",
        'x" <victim@example.org>, "y',
        "&amp;<>'\"",
        "https://reader.invalid/unsubscrib",
    ]
)
TEXT = st.lists(HOSTILE | st.text(max_size=20), max_size=6).map("".join)
#: Runs of text and marks.
BODIES = st.lists(HOSTILE | st.sampled_from(MARKS) | st.text(max_size=9), max_size=9).map("".join)
#: With the one mark that an issue cannot do without, wherever it stands.
ISSUES = st.tuples(BODIES, BODIES).map(UNSUBSCRIBE_MARK.join)


def no_encoded_word(text: str) -> bool:
    """The others are refused, where machines read them."""
    return "=?" not in text


ADDRESSES = st.from_regex(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,90}@[A-Za-z0-9.-]{1,90}", fullmatch=True
).filter(no_encoded_word)
URLS = st.text(
    [chr(c) for c in range(33, 127) if chr(c) not in "<>"], min_size=1, max_size=300
).filter(no_encoded_word)
LINKS_OF_ANY_KIND = st.builds(ReaderLinks, URLS, URLS, URLS) | st.builds(
    reader_links,
    st.sampled_from(["https://r.example.org", "http://127.0.0.1:8780/pages/and/more/"]),
    ADDRESSES,
    st.text(max_size=30),
)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DATES = st.datetimes(timezones=ZONES | st.just(UTC)).filter(lambda date: date.year >= 1900)


def check(letter: Letter, envelope: Envelope, links: ReaderLinks, date: datetime) -> None:
    mail = Press(letter).mail(envelope, links, date)
    raw = mail.message()
    check_raw(raw)
    assert in_full(raw) == in_full(from_scratch(letter, envelope, links, date))
    assert raw == mail.message() == Press(letter).mail(envelope, links, date).message()
    check_content(mail)


def check_content(mail: Pressed) -> None:
    """The same mail in its parts says the same."""
    content, raw = mail.content(), mail.message()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    text, html = (part.get_payload(decode=True).decode() for part in message.iter_parts())
    assert (as_arrived(content.text), as_arrived(content.html)) == (text, html)
    assert sender(raw) == (content.from_name, content.from_address)
    assert (message["Reply-To"], message["Subject"]) == (content.reply_to, content.subject)
    said = {"From", "To", "Reply-To", "Subject", "Date", "MIME-Version", "Content-Type"}
    assert list(content.headers) == [(k, str(v)) for k, v in message.items() if k not in said]
    for one_line_only in (content.from_name, content.subject, *sum(content.headers, ())):
        assert not re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", one_line_only)


def as_arrived(body: str) -> str:
    """RFC 2045: a line ends with CRLF, and so does the last one."""
    return re.sub(r"\r\n|\r|\n", "\r\n", body).removesuffix("\r\n") + "\r\n"


@settings(max_examples=60, deadline=None)
@given(
    st.builds(partial(replace, LETTER), subject=TEXT, from_name=TEXT, text=ISSUES, html=ISSUES),
    st.builds(partial(replace, ENVELOPE), recipient=ADDRESSES),
    LINKS_OF_ANY_KIND,
    DATES,
)
def test_an_issue_equals_the_mail_made_from_scratch(letter, envelope, links, date) -> None:
    check(letter, envelope, links, date)


@settings(max_examples=30, deadline=None)
@given(
    st.builds(partial(replace, LETTER, list_id=""), subject=TEXT, text=BODIES, html=BODIES),
    LINKS_OF_ANY_KIND,
)
def test_a_notice_equals_the_mail_made_from_scratch(letter, links) -> None:
    check(letter, ENVELOPE, links, DATE)


@pytest.mark.parametrize(
    "body",
    [
        UNSUBSCRIBE_MARK,
        UNSUBSCRIBE_MARK * 3,
        "".join(MARKS),
        f"{UNSUBSCRIBE_MARK} {SETTINGS_MARK}",
        f"{UNSUBSCRIBE_MARK}\n{SETTINGS_MARK}\n",
        f"{UNSUBSCRIBE_MARK}\n\n\n{SETTINGS_MARK}\n\n\n",
        f"\r{UNSUBSCRIBE_MARK}\r",
        f" \t{UNSUBSCRIBE_MARK}\t ",
        f".{UNSUBSCRIBE_MARK}.",
        f"={UNSUBSCRIBE_MARK}=\n",
        f"{'x' * 75}{UNSUBSCRIBE_MARK}{'x' * 76}",
        f"{'x' * 74} {UNSUBSCRIBE_MARK}{'x' * 74} \nx",
        f"{'é' * 24}xx {UNSUBSCRIBE_MARK}",
    ],
)
def test_marks_may_stand_anywhere(body: str) -> None:
    check(replace(LETTER, text=body, html=body), ENVELOPE, LINKS, DATE)


@pytest.mark.parametrize("length", [*range(70, 80), 149, 150, 151, 152])
def test_links_of_any_length_fit_into_their_lines(length: int) -> None:
    links = ReaderLinks("u" * length, "m" * (length - 1) + "=", "=" + "s" * (length - 3) + "&s")
    body = f"a{MARKS[0]}b{MARKS[1]}{MARKS[2]}"
    check(replace(LETTER, text=body, html=body), ENVELOPE, links, DATE)


def test_each_link_has_source_lines_of_its_own() -> None:
    body = f"a{UNSUBSCRIBE_MARK}b {SETTINGS_MARK}{UNSUBSCRIBE_MAILTO_MARK}\n{SETTINGS_MARK}"
    long = "https://r.example.org/s/" + "t" * 100
    links = ReaderLinks("https://r.example.org/u/1", "mailto:l@example.org?subject=u%201", long)
    raw = Press(replace(LETTER, text=body)).mail(ENVELOPE, links, DATE).message()
    assert raw.split(b"\r\n\r\n")[2].split(b"\r\n--")[0].split(b"\r\n") == [
        b"a=",
        b"https://r.example.org/u/1=",
        b"b=20=",
        b"https://r.example.org/s/" + b"t" * 51 + b"=",
        b"t" * 49 + b"=",
        b"mailto:l@example.org?subject=3Du%201",
        b"https://r.example.org/s/" + b"t" * 51 + b"=",
        b"t" * 49,
    ]


def test_a_mail_that_waits_holds_no_copy_of_the_letter() -> None:
    press = Press(replace(LETTER, html=LETTER.html * 20_000))
    press.mail(ENVELOPE, LINKS, DATE)
    tracemalloc.start()
    waiting = [press.mail(ENVELOPE, LINKS, DATE) for _ in range(10)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000 < len(waiting[0].message())


@pytest.mark.parametrize("body", ["text", "html"])
def test_half_a_character_is_refused_and_not_dropped(body: str) -> None:
    with pytest.raises(MessageError, match="half a character"):
        Press(replace(LETTER, **{body: f"\ud800{UNSUBSCRIBE_MARK}"}))


@pytest.mark.parametrize(
    "link", ["", "a b", "https://bücher.example", "a\r\nb", "a\nb", "<a>", "a\x7f"]
)
@pytest.mark.parametrize("which", range(3))
def test_only_links_stand_where_links_belong(link: str, which: int) -> None:
    own = ["https://u", "mailto:m", "https://s"]
    own[which] = link
    for letter in (LETTER, replace(LETTER, list_id="")):
        with pytest.raises(MessageError, match="not a link"):
            Press(letter).mail(ENVELOPE, ReaderLinks(*own), DATE)


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": "=?utf-8?q?a=0D=0ABcc:_b=40example.org?=@example.org"},
        {"recipient": f"{'a' * 1000}@example.org"},
        {"message_id": "<a>\r\nBcc: b@example.org"},
        {"message_id": "<é@example.org>"},
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_made(change) -> None:
    with pytest.raises(MessageError):
        Press(LETTER).mail(replace(ENVELOPE, **change), LINKS, DATE)
