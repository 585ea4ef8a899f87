"""Mails as nobody should write them: each is read, or told to be unreadable, in good time."""

from __future__ import annotations

import os
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.inbox.letter import LARGEST, Letter, Unreadable, read_letter
from digest.inbox.wishes import ByAddress, wish_of
from fakes.letters import letter


def nested(depth):
    """Parts in parts in parts."""
    raw = b"From: ann@example.org\nSubject: x\n"
    for number in range(depth):
        raw += f"Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n".encode()
    return raw + b"\nunsubscribe"


HOSTILE = {
    "nothing": b"",
    "a NUL": b"\x00",
    "NULs": b"\x00" * 10_000,
    "no headers": b"\n\nunsubscribe",
    "no line end": b"Subject",
    "noise": random.Random(1).randbytes(100_000),
    "10,000 headers": b"".join(b"X-%d: y\n" % n for n in range(10_000)) + b"\nx",
    "10,000 subjects": b"Subject: unsubscribe\n" * 10_000 + b"\nx",
    "10,000 senders": b"From: ann@example.org\n" * 10_000 + b"\nx",
    "10,000 addresses": b"To: " + b"ann@example.org, " * 10_000 + b"\n\nx",
    "open comments": b"From: " + b"(" * 100_000 + b"\n\nx",
    "open quotes": b'To: "' + b'\\"' * 50_000 + b"\n\nx",
    "open angles": b"From: " + b"<" * 100_000 + b"\n\nx",
    "a long subject": b"Subject: " + b"[" * 200_000 + b"\n\nx",
    "a subject of brackets": b"Subject: " + b"[a]" * 60_000 + b"\n\nx",
    "a subject of prefixes": b"Subject: " + b"Re:" * 60_000 + b"x\n\nx",
    "a subject of encoded words": b"Subject: " + b"=?utf-8?q?=3D?= " * 15_000 + b"\n\nx",
    "broken base64": b"Subject: =?utf-8?b?A?=\n\nx",
    "no such charset": b"Subject: =?nope?q?x?=\nContent-Type: text/plain; charset=nope\n\nx",
    "a dangerous charset": b"Content-Type: text/plain; charset=rot13\n\nx",
    "an undecodable charset": b"Content-Type: text/plain; charset=idna\n\n\xff\xfe",
    "a charset of NULs": b"Content-Type: text/plain; charset=\x00\n\nx",
    "a broken type": b"Content-Type: text/plain; charset*0*=x'; charset*a=\n\nx",
    "10,000 parameters": b"Content-Type: text/plain" + b"; a=b" * 10_000 + b"\n\nx",
    "a bad encoding": b"Content-Transfer-Encoding: base64\n\n====\xff",
    "uuencode": b"Content-Transfer-Encoding: uuencode\n\nbegin 666 x\n\xff\xff",
    "parts in parts": nested(60),
    "parts in parts without end": nested(20_000),
    "a boundary of nothing": b'Content-Type: multipart/mixed; boundary=""\n\n--\n\nx',
    "an unheard-of boundary": b"Content-Type: multipart/mixed\n\nunsubscribe",
    "many parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000,
    "a long line": b"Subject: x\n\n" + b"x" * 1_000_000,
    "many lines": b"Subject: x\n\n" + b"x\n" * 500_000,
    "one open tag": b"Content-Type: text/html\n\n" + b"<p>" * 100_000,
    "8 bit": "Subject: désabonner\nFrom: Zoë <ann@example.org>\n\nx".encode("latin-1"),
    "only CR": b"Subject: x\rFrom: y\r\rz",
    "spaces before": b" Subject: x\n\ny",
    "a mailbox line": b"From ann@example.org Mon Nov 23\nSubject: x\n\ny",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_mails_end_in_a_value_in_good_time(what):
    began = time.process_time()
    for whole in (False, True):
        found = read_letter(HOSTILE[what], whole=whole)
        assert isinstance(found, (Letter, Unreadable))
        if isinstance(found, Letter):
            wish_of(found)
            text = repr(found)
            assert "\\x00" not in text
            text.encode(errors="surrogateescape")
    assert time.process_time() - began < 2


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=2000))
def test_any_bytes_end_in_a_value(raw):
    head = b"From: ann@example.org\r\nContent-Type: multipart/mixed; boundary=a\r\n"
    for given_ in (raw, head + raw):
        found = read_letter(given_, whole=True)
        if isinstance(found, Letter):
            wish_of(found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_any_headers_end_in_a_value(subject, sender, to):
    raw = f"From: {sender}\nTo: {to}\nSubject: {subject}\n\nx".encode(errors="replace")
    found = read_letter(raw, whole=True)
    if isinstance(found, Letter):
        wish_of(found)


SENDERS = {
    "ann@example.org": True,
    "<ann@example.org>": True,
    '"Ann, of Leeds" <ann@example.org>': True,
    "=?utf-8?b?w4RubmU=?= <ann@example.org>": True,
    "Ann (at home) <ann@example.org>": True,
    "ann@example.org, bob@example.org": False,
    "ann@example.org <bob@example.org>, carl@example.org": False,
    "Ann": False,
    "": False,
    "ann@": False,
    "ann@example.org\n bob@example.org": False,
    "<ann@example.org> <bob@example.org>": False,
}


@pytest.mark.parametrize("sender", SENDERS)
def test_a_sender_is_one_plain_address_or_nobody(sender):
    found = read_letter(letter("unsubscribe", sender=sender), whole=True)
    assert isinstance(found, Letter)
    wish = wish_of(found)
    assert isinstance(wish, ByAddress) == SENDERS[sender]
    if isinstance(wish, ByAddress):
        assert wish.sender.key == "ann@example.org"


def test_two_froms_are_nobody():
    raw = b"From: ann@example.org\nFrom: bob@example.org\nSubject: unsubscribe\n\n"
    found = read_letter(raw, whole=True)
    assert not isinstance(wish_of(found), ByAddress)


def test_a_large_mail_is_read_in_its_headers():
    raw = letter("Hello", body="unsubscribe\n" + "x" * LARGEST)
    assert read_letter(raw, whole=True).lines == ()


# --- Maildirs ----------------------------------------------------------------------------------


def test_hostile_mails_do_not_keep_a_wish_from_being_read(office):
    office.reader("ann")
    for raw in HOSTILE.values():
        office.post(raw)
    name = office.post(letter("unsubscribe"))
    report = office.read()
    assert office.state("ann") == "ended"
    assert office.where(name) == "cur/S"
    assert report.read == len(HOSTILE) + 1
    assert not report.trouble


def test_what_a_person_has_dealt_with_is_theirs(office):
    for marks in (":2,S", ":2,F", ":2,T", ":2,RS", ":2,D", ":2,P"):
        office.post(letter("What?"), folder="cur", marks=marks)
    assert office.read().read == 0


def test_what_a_mail_program_moved_unread_is_read(office):
    office.reader("ann")
    name = office.post(letter("unsubscribe"), folder="cur", marks=":2,")
    also = office.post(letter("What?"), folder="cur")
    assert office.read().read == 2
    assert (office.where(name), office.where(also)) == ("cur/S", "cur/F")


def test_what_is_no_mail_is_passed_over(office):
    new = office.maildir / "new"
    os.mkfifo(new / "1.fifo")
    (new / "2.folder").mkdir()
    (new / "3.link").symlink_to("/etc/passwd")
    (new / ".hidden").write_bytes(letter("unsubscribe"))
    report = office.read()
    assert (report.read, report.trouble) == (0, "")


def test_a_mail_that_is_gone_meanwhile_is_no_trouble(office):
    from digest.inbox.boxes.maildir import MaildirBox

    office.post(letter("What?"))
    box = MaildirBox(office.maildir)
    [waiting] = box.waiting()
    next((office.maildir / "new").iterdir()).unlink()
    assert box.whole(waiting.key) is None
    assert box.file(waiting.key) is None
    assert box.flag(waiting.key) is None


def test_a_folder_that_is_no_maildir_is_a_line_in_the_report(office):
    (office.maildir / "cur").rmdir()
    office.post(letter("unsubscribe"))
    assert "is no Maildir" in office.read().trouble
    office.maildir.rename(office.maildir.with_name("gone"))
    office.maildir.write_text("a file")
    assert "is no Maildir" in office.read().trouble
