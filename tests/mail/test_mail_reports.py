"""Reports as mail systems write them, and as nobody should: each is told for what it is, in time."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.mail.message import message_id_for
from digest.mail.reports import LARGEST, feedback_of, read_report
from digest.mail.verp import verp_address
from fakes.reports import EXIM, GMAIL_DELAYED, QMAIL, arf, dsn, plain, recipient

SECRET = bytes(range(32))
AT = datetime(2026, 11, 19, 8, tzinfo=UTC)
DOMAIN = "commonthreads.example"
TO = verp_address(f"bounces@{DOMAIN}", SECRET, 7)
OURS = message_id_for(SECRET, 1, 2, DOMAIN)


def about(raw):
    """Which delivery and which mail it is about."""
    feedback = feedback_of(read_report(raw), SECRET, {DOMAIN}, AT)
    return feedback.delivery_id, feedback.message_id


POSTFIX = dsn(
    recipient(
        "5.1.1", "smtp; 550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown"
    ),
    to=TO,
    message_id=OURS,
)
EXCHANGE = dsn(
    recipient("5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found"),
    to=TO,
    message_id=OURS,
    sender="Microsoft Outlook <MicrosoftExchange329e71ec88ae4615@example.org>",
    subject="Undeliverable: Five new posts",
    head="Auto-Submitted: auto-replied\nX-MS-Exchange-Message-Is-Ndr:\n",
    text="<html><body>Your message to ann@example.org couldn't be delivered.</body></html>",
    returned_as="message/rfc822",
)
GMAIL = dsn(
    recipient(
        "5.1.1",
        "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try"
        "\n 550-5.1.1 double-checking the recipient's email address for typos.",
    ),
    to=TO,
    message_id=OURS,
    sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
    returned_as="message/rfc822",
)

BOUNCES = {
    "Postfix, no such user": (POSTFIX, "hard", "550 5.1.1"),
    "Exchange, no such recipient": (EXCHANGE, "hard", "550 5.1.10"),
    "Gmail, no such account": (GMAIL, "hard", "550 5.1.1"),
    "qmail": (plain(QMAIL, to=TO, message_id=OURS), "hard", "5.1.1"),
    "Exim": (
        plain(EXIM, to=TO, message_id=OURS, head="X-Failed-Recipients: ann@example.org\n"),
        "hard",
        "550",
    ),
    "a mail system of any name": (
        plain(QMAIL, to=TO, message_id=OURS, sender="Mail <robot@example.org>"),
        "hard",
        "5.1.1",
    ),
    "no sender": (
        plain(QMAIL, to=TO, message_id=OURS).replace(b"From: ", b"X-From: "),
        "hard",
        "5.1.1",
    ),
    "Exim, whatever it was": (
        dsn(recipient("5.0.0", "smtp; 550 5.2.2 Over quota"), to=TO, message_id=OURS),
        "soft",
        "550 5.2.2",
    ),
    "Exim, spam without an enhanced code": (
        dsn(recipient("5.0.0", "smtp; 550 Rejected as spam"), to=TO, message_id=OURS),
        "policy",
        "550 5.0.0",
    ),
    "Exim, full without an enhanced code": (
        dsn(recipient("5.0.0", "smtp; 550 Mailbox is full"), to=TO, message_id=OURS),
        "soft",
        "550 5.0.0",
    ),
    "nothing but 5.0.0": (dsn(recipient("5.0.0"), to=TO, message_id=OURS), "hard", "5.0.0"),
    "full": (
        dsn(recipient("5.2.2", "smtp; 552 5.2.2 Mailbox full"), to=TO, message_id=OURS),
        "soft",
        "552 5.2.2",
    ),
    "given up after five days": (
        dsn(recipient("4.4.1", "X-Postfix; connect to mx: timed out"), to=TO, message_id=OURS),
        "soft",
        "4.4.1",
    ),
    "Outlook wants authenticated mail": (
        dsn(
            recipient("5.7.515", "smtp; 550 5.7.515 Access denied, sending domain example.com"),
            to=TO,
            message_id=OURS,
        ),
        "policy",
        "550 5.7.515",
    ),
    "the server's own words count": (
        dsn(recipient("5.1.1", "smtp; 550 5.7.1 Blocked by policy"), to=TO, message_id=OURS),
        "policy",
        "550 5.7.1",
    ),
    "the sender's address": (
        dsn(recipient("5.1.8", "smtp; 501 5.1.8 Bad sender"), to=TO, message_id=OURS),
        "policy",
        "501 5.1.8",
    ),
    "no reason at all": (
        plain("", to=TO, message_id=OURS, head="X-Failed-Recipients: ann@example.org\n"),
        "soft",
        "",
    ),
    "an action with a comment": (
        dsn(recipient("5.1.1 (no such user)", action="Failed (really)"), to=TO, message_id=OURS),
        "hard",
        "5.1.1",
    ),
    "no action": (
        dsn(recipient("5.1.1").replace("Action: failed\n", ""), to=TO, message_id=OURS),
        "hard",
        "5.1.1",
    ),
    "no blank line before the recipient": (
        POSTFIX.replace(b"(UTC)\n\nOriginal-Recipient", b"(UTC)\nOriginal-Recipient"),
        "hard",
        "550 5.1.1",
    ),
    "non-ASCII addresses (RFC 6533)": (
        POSTFIX.replace(b"message/delivery-status", b"message/global-delivery-status"),
        "hard",
        "550 5.1.1",
    ),
    "cut off": (POSTFIX[: POSTFIX.index(b"List-Id")], "hard", "550 5.1.1"),
    "CRLF": (POSTFIX.replace(b"\n", b"\r\n"), "hard", "550 5.1.1"),
    "far too large": (POSTFIX + b"x" * 4 * LARGEST, "hard", "550 5.1.1"),
    "many lines of dashes in our own mail": (
        POSTFIX + b"\n--------\nx" * 5000,
        "hard",
        "550 5.1.1",
    ),
    "wrapped in another": (
        b"From: postmaster@example.org\nContent-Type: message/rfc822\n\n" + POSTFIX,
        "hard",
        "550 5.1.1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BOUNCES)
def test_a_bounce_is_known_by_kind_and_code(what):
    raw, kind, code = BOUNCES[what]
    report = read_report(raw)
    assert (report.event, report.kind, report.code) == ("bounced", kind, code)
    assert "@" not in report.detail
    delivery, message_id = about(raw)
    assert delivery == 7
    assert message_id in (OURS, "")


OTHERS = {
    "delayed": (
        dsn(recipient("4.4.1", "smtp; 451 4.4.1 Try later", action="delayed"), to=TO),
        "deferred",
    ),
    "delayed, in words": (plain(GMAIL_DELAYED, to=TO), "deferred"),
    "delivered": (dsn(recipient("2.0.0", action="delivered"), to=TO), "delivered"),
    "relayed": (dsn(recipient("2.0.0", action="relayed"), to=TO), "delivered"),
    "a complaint": (arf(to=TO), "complained"),
    "a fraud": (arf(to=TO, kind="fraud"), "complained"),
    "a kind of complaint that nobody knows yet": (arf(to=TO, kind="nuisance"), "complained"),
    "no spam after all": (arf(to=TO, kind="not-spam"), "delivered"),
    "who wants to leave": (arf(to=TO, kind="opt-out"), "unsubscribed"),
    "about signatures": (arf(to=TO, kind="auth-failure"), "unknown"),
    "away": (
        plain("I am away", to=TO, sender="ann@example.org", head="Auto-Submitted: auto-replied\n"),
        "autoresponded",
    ),
    "away, and quoting a code": (
        plain("550 5.1.1", to=TO, sender="ann@example.org", head="X-Autoreply: yes\n"),
        "autoresponded",
    ),
    "opened": (
        dsn(to=TO).replace(b"message/delivery-status", b"message/disposition-notification"),
        "autoresponded",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_bounce_is_not_taken_for_one(what):
    raw, event = OTHERS[what]
    report = read_report(raw)
    assert (report.event, report.kind) == (event, None)
    assert about(raw)[0] == 7


def test_behind_a_forwarding_address_the_best_fate_counts():
    gone, full = recipient("5.1.1"), recipient("5.2.2", address="ann@work.example")
    there = recipient("2.0.0", action="delivered", address="ann@home.example")
    assert read_report(dsn(gone, gone)).kind == "hard"
    assert read_report(dsn(gone, full)).kind == "soft"
    assert read_report(dsn(gone, full, there)).event == "delivered"


# --- which mail it is about --------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        dsn(recipient("5.1.1"), message_id=OURS),
        dsn(recipient("5.1.1"), message_id=OURS, returned_as="message/rfc822"),
        dsn(recipient("5.1.1"), message_id=OURS, returned_as="message/rfc822-headers"),
        plain(QMAIL, message_id=OURS),
        arf(message_id=OURS),
        plain("Away", sender="ann@example.org", head=f"X-Autoreply: 1\nIn-Reply-To: {OURS}\n"),
        plain("Away", sender="ann@example.org", head=f"X-Autoreply: 1\nReferences: <x@y> {OURS}\n"),
    ],
)
def test_without_a_bounce_address_of_its_own_a_mail_is_known_by_its_message_id(raw):
    assert about(raw) == (None, OURS)


def test_a_provider_that_hides_the_reader_names_the_sender():
    assert about(arf(mail_from=TO)) == (7, "")
    assert about(arf(mail_from=TO.upper(), message_id=OURS)) == (7, OURS)


def test_other_peoples_message_ids_are_not_ours():
    theirs = f"<{'0' * 32}@elsewhere.example>"
    raw = plain("Away", sender="a@b", head=f"X-Autoreply: 1\nReferences: {theirs} {OURS}\n")
    assert about(raw) == (None, OURS)
    assert about(plain(QMAIL, message_id=theirs)) == (None, "")
    # Its own is not that of the mail it answers.
    raw = plain("Away", sender="a@b", head=f"X-Autoreply: 1\nMessage-ID: {OURS}\n")
    assert about(raw) == (None, "")


def test_the_recipient_that_a_report_names_finds_nobody():
    assert about(dsn(recipient("5.1.1"))) == (None, "")
    forged = f"bounces+{'0' * 30}@{DOMAIN}"
    assert about(dsn(recipient("5.1.1"), to=forged)) == (None, "")


def test_what_a_mail_system_writes_about_something_else_is_left_to_a_person():
    assert read_report(plain("The disk of mx.example.org is nearly full.")) is None
    assert read_report(dsn().replace(b"report-type=delivery-status", b"report-type=tlsrpt")) is None


# --- whatever anybody sends --------------------------------------------------------------------


def nested(depth):
    raw = b"From: MAILER-DAEMON@example.org\n"
    for n in range(depth):
        raw += f"Content-Type: multipart/report; boundary=b{n}\n\n--b{n}\n".encode()
    return raw + b"Content-Type: message/delivery-status\n\nAction: failed\n"


HEAD = b"From: MAILER-DAEMON@example.org\nContent-Type: multipart/report; boundary=b\n\n"
STATUS = HEAD + b"--b\nContent-Type: message/delivery-status\n\n"
HOSTILE = {
    "nothing": b"",
    "a NUL": b"\x00",
    "noise": os.urandom(200_000),
    "a megabyte of boundaries": HEAD + b"--b\n" * 250_000,
    "a megabyte of boundaries with parts": HEAD + b"--b\n\nx\n" * 150_000,
    "nested": nested(5000),
    "messages in messages": b"Content-Type: message/rfc822\n\n" * 30_000,
    "statuses in statuses": b"Content-Type: message/delivery-status\n\n" * 30_000,
    "a million blank lines": STATUS + b"\n" * 1_000_000,
    "a million blank lines with CR": STATUS + b"\r\n" * 500_000,
    "a million nearly blank lines": STATUS + b"\n " * 500_000,
    "a million lines of one letter": STATUS + b"x\n\n" * 300_000,
    "a million fields": STATUS + b"a:\n\n" * 300_000,
    "100,000 recipients": STATUS + b"Action: failed\nStatus: 5.1.1\n\n" * 30_000,
    "100,000 actions": STATUS + b"Action: failed\n" * 60_000,
    "a long action": STATUS + b"Action: " + b"a" * 1_000_000,
    "a long status": STATUS + b"Action: failed\nStatus: " + b"5." * 500_000,
    "a long diagnostic": STATUS + b"Action: failed\nDiagnostic-Code: smtp; " + b"550 " * 250_000,
    "a diagnostic of spaces": STATUS + b"Action: failed\nDiagnostic-Code: smtp;" + b" " * 900_000,
    "a diagnostic of dashes": STATUS + b"Action: failed\nDiagnostic-Code: ;450" + b"-" * 900_000,
    "at-signs": STATUS + b"Action: failed\nDiagnostic-Code: smtp; " + b"a@" * 500_000,
    "no end of a word": STATUS + b"Action: failed\nDiagnostic-Code: smtp; " + b"a" * 900_000,
    "plus signs": HEAD + b"+" * 1_000_000,
    "nearly bounce addresses": HEAD + (b"+" + b"0" * 30) * 30_000,
    "nearly Message-IDs": HEAD + (b"<" + b"0" * 32 + b"@a.") * 25_000,
    "10,000 Message-IDs": HEAD + (b"<" + b"0" * 32 + b"@a.b>") * 25_000,
    "10,000 headers": b"".join(b"X-%d: y\n" % n for n in range(30_000)) + b"\nx",
    "a sender of brackets": b"From: " + b"<" * 200_000 + b"@\n\nx",
    "a sender of at-signs": b"X-Failed-Recipients: a\nFrom: " + b"a@" * 100_000 + b"\n\nx",
    "a text for every detector": plain("<a@b>:\n" * 30_000),
    "a long line for every detector": plain("a" * 1_000_000),
    "a line of at-signs for every detector": plain("a@" * 500_000),
    "an open angle for every detector": plain("<" * 500_000),
    "open base64": HEAD + b"--b\nContent-Transfer-Encoding: base64\n\n" + b"=" * 500_000,
    "uuencode": HEAD
    + b"--b\nContent-Transfer-Encoding: x-uuencode\n\nbegin 6 x\n"
    + b"M" * 500_000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_mails_are_read_in_good_time(what):
    began = time.process_time()
    report = read_report(HOSTILE[what])
    assert time.process_time() - began < 3
    if report:
        feedback_of(report, SECRET, {DOMAIN}, AT)
        assert len(report.detail) <= 300


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_read(raw):
    read_report(raw)
    read_report(STATUS + raw)
    read_report(plain("").replace(b"\n\n", b"\n") + raw)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_report_with_anything_cut_out_or_put_in_is_read(data):
    raw = data.draw(st.sampled_from([POSTFIX, EXCHANGE, arf(to=TO), plain(QMAIL, to=TO)]))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    report = read_report(raw[:start] + data.draw(st.binary(max_size=50)) + raw[end:])
    if report:
        feedback_of(report, SECRET, {DOMAIN}, AT)
