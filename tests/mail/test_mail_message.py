"""A letter as bytes, read back by parsers that know nothing of how it was made."""

from __future__ import annotations

import email
import email.policy
import html as html_module
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.mail.message import (
    Letter,
    ReaderLinks,
    message_id_for,
    notice_message_id,
    reader_links,
)
from digest.mail.policy import MessageError, header_line, one_line
from digest.mail.press import Press, Pressed
from digest.model import UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Envelope
from digest.readers.tokens import make_token, read_token

SECRET = bytes(range(32))
TOKEN = make_token(SECRET, "unsubscribe", 77)
LINKS = reader_links("https://read.example.org/readers/", "leave@example.org", TOKEN)
MESSAGE_ID = message_id_for(SECRET, 12, 34, "example.org")
DATE = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
LETTER = Letter(
    subject="This week: Payment by Results, part 3",
    html=f'<html><head></head><body><h1>Grüße</h1><a href="{UNSUBSCRIBE_MARK}">leave</a> '
    f"or <a href='{UNSUBSCRIBE_MAILTO_MARK}'>by mail</a> {UNSUBSCRIBE_MARK}</body></html>",
    text=f"Grüße — a line of its own\n.\nLeave: {UNSUBSCRIBE_MARK}\nor {UNSUBSCRIBE_MAILTO_MARK}\n",
    from_name="Common Threads",
    from_address="digest@example.org",
    reply_to="editors@example.org",
    language="en-GB",
    feedback_id=("12", "weekly", "issue", "example.org"),
    list_id="weekly.example.org",
    list_title="Common Threads: weekly",
)

#: What an attacker, or an unlucky editor, may write where one line of text is expected.
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "",
            " ",
            "a\r\nBcc: victim@example.org",
            "a\nb\rc\x00d\x0be\u2028f\x85g",
            "=?utf-8?q?a=0D=0ABcc:_victim=40example.org?=",
            "=?utf-8?b?=?=",
            "👩‍👩‍👧 fünf" * 40,
            "مرحبا \u202eabc" * 30,
            "ไทยที่" * 100,
            "w" * 1000,
            "w" * 1000 + " é",
            "word " * 300,
            'x" <victim@example.org>, "y',
            'a\\b"c(d)e<f>g@h,i;j:k.',
            "é, b",
            "?= =?",
            "\ud800 half a character",
        ]
    ),
)


def mail(
    letter: Letter = LETTER,
    links: ReaderLinks | None = LINKS,
    recipient: str = "Reader@example.org",
    message_id: str = MESSAGE_ID,
    date: datetime = DATE,
) -> Pressed:
    return Press(letter).mail(Envelope("bounces@example.org", recipient, message_id), links, date)


def built(letter: Letter = LETTER, links: ReaderLinks | None = LINKS) -> bytes:
    return mail(letter, links).message()


def headers_of(raw: bytes) -> list[tuple[str, str]]:
    """Split and unfold by hand, as RFC 5322 says and no library is asked."""
    head = raw.split(b"\r\n\r\n", 1)[0].decode("ascii")
    lines = re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n")
    return [(name, value) for name, value in (line.split(": ", 1) for line in lines)]


def lines_are_short(raw: bytes) -> bool:
    """Whether all lines have 76 characters at most, but for addresses that no fold can part."""
    lines = re.sub(rb"List-Unsubscribe: [^\r]+\r\n [^\r]+\r\n", b"", raw).split(b"\r\n")
    return max(map(len, lines)) <= 76


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


def test_every_header_is_there_and_says_what_it_should() -> None:
    assert headers_of(built()) == [
        ("From", "Common Threads <digest@example.org>"),
        ("To", "Reader@example.org"),
        ("Reply-To", "editors@example.org"),
        ("Subject", "This week: Payment by Results, part 3"),
        ("Date", "Sun, 22 Nov 2026 18:00:00 +0000"),
        ("Message-ID", MESSAGE_ID),
        ("Content-Language", "en-GB"),
        ("Auto-Submitted", "auto-generated"),
        ("Feedback-ID", "12:weekly:issue:example.org"),
        ("List-Id", '"Common Threads weekly" <weekly.example.org>'),
        (
            "List-Unsubscribe",
            f"<{LINKS.unsubscribe_url}>, <{LINKS.unsubscribe_mailto}>",
        ),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Precedence", "bulk"),
        ("MIME-Version", "1.0"),
        ("Content-Type", headers_of(built())[-1][1]),
    ]


@pytest.mark.parametrize("policy", [email.policy.default, email.policy.compat32])
def test_both_parts_arrive_as_written_with_the_readers_own_links(policy) -> None:
    message = email.message_from_bytes(built(), policy=policy)
    assert message.get_content_type() == "multipart/alternative"
    parts = message.get_payload()
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert [part["Content-Transfer-Encoding"] for part in parts] == ["quoted-printable"] * 2
    text, html = (part.get_payload(decode=True).decode("utf-8") for part in parts)
    assert text == LETTER.text.replace(UNSUBSCRIBE_MARK, LINKS.unsubscribe_url).replace(
        UNSUBSCRIBE_MAILTO_MARK, LINKS.unsubscribe_mailto
    ).replace("\n", "\r\n")
    assert (
        html
        == LETTER.html.replace(UNSUBSCRIBE_MARK, LINKS.unsubscribe_url).replace(
            UNSUBSCRIBE_MAILTO_MARK, LINKS.unsubscribe_mailto
        )
        + "\r\n"
    )


def test_the_strictest_reading_finds_no_defect() -> None:
    message = email.message_from_bytes(built(), policy=email.policy.strict)
    assert [part.defects for part in message.walk()] == [[], [], []]
    assert all(not value.defects for value in message.values())


def test_equal_input_gives_equal_bytes_and_each_letter_its_own_boundary() -> None:
    assert built() == built()
    other = built(replace(LETTER, subject="Another one"))
    boundaries = {email.message_from_bytes(raw).get_boundary() for raw in (built(), other)}
    assert len(boundaries) == 2


def test_links_are_escaped_for_the_place_they_stand_in() -> None:
    links = ReaderLinks(
        "https://read.example.org/u/x?a=1&b='\"",
        "mailto:a@example.org?c&d",
        "https://s.example/?a&b",
    )
    raw = built(replace(LETTER, list_id="", list_title=""), links)
    text, html = (
        part.get_payload(decode=True).decode()
        for part in email.message_from_bytes(raw).get_payload()
    )
    assert f"Leave: {links.unsubscribe_url}\r\n" in text
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.extend(v for k, v in attrs if k == "href")
    parser.feed(html)
    assert found == [links.unsubscribe_url, links.unsubscribe_mailto]
    assert html.count(html_module.escape(links.unsubscribe_url)) == 2


def test_the_links_lead_back_to_the_token() -> None:
    url, mailto = urlsplit(LINKS.unsubscribe_url), urlsplit(LINKS.unsubscribe_mailto)
    assert (url.scheme, url.netloc, url.path) == (
        "https",
        "read.example.org",
        f"/readers/u/{TOKEN}",
    )
    assert unquote(mailto.path) == "leave@example.org"
    word, token = parse_qs(mailto.query)["subject"][0].split()
    assert (word, read_token(SECRET, "unsubscribe", token)) == ("unsubscribe", 77)


def test_an_address_with_url_characters_stays_one_address_in_a_mailto() -> None:
    links = reader_links("https://read.example.org", "leave+a?b&c@example.org", "t/../o ken")
    assert unquote(urlsplit(links.unsubscribe_mailto).path) == "leave+a?b&c@example.org"
    assert urlsplit(links.unsubscribe_url).path == "/u/t%2F..%2Fo%20ken"


@pytest.mark.parametrize(
    "letter",
    [
        replace(LETTER, html="<p>no link</p>"),
        replace(LETTER, text="no link"),
        replace(LETTER, html=f"<p>{UNSUBSCRIBE_MAILTO_MARK}</p>"),
    ],
)
def test_an_issue_without_a_way_out_is_not_built(letter: Letter) -> None:
    with pytest.raises(MessageError, match="no unsubscribe link"):
        built(letter)


def test_an_issue_without_links_is_not_built() -> None:
    with pytest.raises(MessageError, match="needs the recipient's links"):
        built(LETTER, None)


def test_a_notice_is_no_bulk_mail() -> None:
    notice = replace(LETTER, list_id="", html="<p>Please confirm</p>", text="Please confirm")
    names = {name for name, _ in headers_of(built(notice, None))}
    assert not {name for name in names if name.startswith("List-")}
    assert "Precedence" not in names
    assert {"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted"} <= names


def test_a_notice_never_shows_a_mark() -> None:
    with pytest.raises(MessageError, match="mark"):
        built(replace(LETTER, list_id=""), None)


def test_a_message_id_is_always_the_same_valid_and_unguessable() -> None:
    assert message_id_for(SECRET, 12, 34, "example.org") == MESSAGE_ID
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", MESSAGE_ID)
    others = {
        message_id_for(SECRET, 12, 35, "example.org"),
        message_id_for(SECRET, 1, 234, "example.org"),
        message_id_for(bytes(32), 12, 34, "example.org"),
        notice_message_id(SECRET, "12:34", "example.org"),
        MESSAGE_ID,
    }
    assert len(others) == 5
    with pytest.raises(MessageError, match="domain"):
        message_id_for(SECRET, 12, 34, "example.org>\r\nBcc: a@example.org")


@pytest.mark.parametrize(
    "change",
    [
        {"from_address": "a@example.org\r\nBcc: b@example.org"},
        {"from_address": "a@example.org, b@example.org"},
        {"reply_to": "jörg@example.org"},
        {"language": "en\r\nBcc: b@example.org"},
        {"list_id": "weekly.example.org>\r\nBcc: b@example.org <"},
        {"list_id": "wöchentlich.example.org"},
        {"list_id": "=?utf-8?q?x?="},
        {"feedback_id": ("12", "a:b", "issue", "example.org")},
        {"feedback_id": ("12", "a\r\nb", "issue", "example.org")},
    ],
)
def test_what_cannot_stand_in_a_header_is_refused(change) -> None:
    with pytest.raises(MessageError):
        built(replace(LETTER, **change))


@pytest.mark.parametrize(
    "recipient", ["", "a@b@c", "a b@example.org", "a@example.org\r\nBcc: b@example.org", "<a@b.c>"]
)
def test_only_one_plain_recipient_is_written_to(recipient: str) -> None:
    with pytest.raises(MessageError, match="plain ASCII address"):
        mail(recipient=recipient)


def test_a_naive_date_is_refused() -> None:
    with pytest.raises(MessageError, match="aware"):
        mail(date=DATE.replace(tzinfo=None))


@pytest.mark.parametrize(
    "value", ["<https://x.example/é>", "<a>\r\nBcc: x", "<a>\nx", "=?utf-8?q?a?="]
)
@pytest.mark.parametrize("name", ["List-Unsubscribe", "List-Id", "Feedback-ID", "Message-ID", "To"])
def test_what_machines_read_is_written_bare_or_not_at_all(name: str, value: str) -> None:
    with pytest.raises(MessageError, match=name):
        header_line(name, value)


def test_long_list_headers_fold_between_addresses_and_nowhere_else() -> None:
    links = ReaderLinks(
        "https://read.example.org/u/" + "t" * 300, "mailto:" + "m" * 300, "https://s"
    )
    raw = built(LETTER, links)
    assert (
        f"\r\nList-Unsubscribe: <{links.unsubscribe_url}>,\r\n <{links.unsubscribe_mailto}>\r\n".encode()
        in raw
    )


def test_a_header_that_no_line_can_hold_is_refused() -> None:
    links = ReaderLinks(
        "https://read.example.org/u/" + "t" * 1000, "mailto:a@example.org", "https://s"
    )
    with pytest.raises(MessageError, match="List-Unsubscribe"):
        built(LETTER, links)


@pytest.mark.parametrize(
    ("title", "header"),
    [
        ("Wöchentlich", '"Wochentlich" <weekly.example.org>'),
        ("=?utf-8?q?x?=", '"utf-8 q x" <weekly.example.org>'),
        ('a" <b@c>', '"a b c" <weekly.example.org>'),
        ("週刊", "<weekly.example.org>"),
        ("", "<weekly.example.org>"),
    ],
)
def test_the_list_id_is_ascii_whatever_the_newsletter_is_called(title: str, header: str) -> None:
    assert dict(headers_of(built(replace(LETTER, list_title=title))))["List-Id"] == header


@settings(max_examples=150, deadline=None)
@given(subject=HOSTILE, name=HOSTILE, title=HOSTILE)
def test_no_text_can_break_a_header(subject: str, name: str, title: str) -> None:
    raw = built(replace(LETTER, subject=subject, from_name=name, list_title=title))
    headers = dict(headers_of(raw))
    assert list(headers) == [header for header, _ in headers_of(built())]
    assert decoded(headers["Subject"]) == one_line(subject)
    assert (
        headers["From"].endswith("<digest@example.org>") or headers["From"] == "digest@example.org"
    )
    assert not [k for k, v in headers.items() if "=?" in v and k not in {"Subject", "From"}]
    assert lines_are_short(raw)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    modern = email.message_from_bytes(raw, policy=email.policy.default)
    assert [address.addr_spec for address in modern["From"].addresses] == ["digest@example.org"]
    assert modern["Subject"] == one_line(subject)
    assert modern["Bcc"] is None


@settings(max_examples=100, deadline=None)
@given(name=HOSTILE)
def test_the_senders_name_arrives_as_it_is(name: str) -> None:
    value = dict(headers_of(built(replace(LETTER, from_name=name))))["From"]
    words, address = value.rsplit(" ", 1) if " " in value else ("", value)
    quoted = re.fullmatch(r'"(.*)"', words)
    shown = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else decoded(words)
    assert shown == one_line(name)
    assert address.strip("<>") == "digest@example.org"


BODIES = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(
    [
        ".\n..\n",
        "x" * 5000,
        "日" * 3000,
        "From me\n",
        "--=_\n",
        " \t\n \n",
        "\ud7ff\ue000\x00",
        "=\n=",
    ]
)


@settings(max_examples=150, deadline=None)
@given(text=BODIES, html=BODIES)
def test_any_body_arrives_whole_in_short_lines(text: str, html: str) -> None:
    letter = replace(LETTER, text=text + UNSUBSCRIBE_MARK, html=html + UNSUBSCRIBE_MARK)
    raw = built(letter)
    assert lines_are_short(raw)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    arrived = [part.get_payload(decode=True).decode() for part in message.iter_parts()]
    for body, part in zip((text, html), arrived, strict=True):
        lines = re.sub(r"\r\n|\r|\n", "\r\n", body + LINKS.unsubscribe_url)
        assert part == lines + "\r\n"
