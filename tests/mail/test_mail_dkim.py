"""Signatures, checked as a receiver does: by dkimpy's verifier, with a DNS of our own."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import ValidationError

from digest.config_mailers import DkimKey
from digest.mail.dkim import Signer, load_signer
from digest.mail.message import Letter, reader_links
from digest.mail.press import Press
from digest.model import UNSUBSCRIBE_MARK, Envelope
from fakes.signing import is_signed, key, pem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATE = datetime(2026, 11, 22, 18, tzinfo=UTC)
ENVELOPE = Envelope("bounces@example.org", "reader@example.org", "<1@example.org>")
LINKS = reader_links("https://read.example.org/readers", "leave@example.org", "t" * 90)
LETTER = Letter(
    subject="Grüße: week 47",
    html=f'<p>Grüße</p><a href="{UNSUBSCRIBE_MARK}">leave</a>',
    text=f"Grüße  \n\n\n.\n \nLeave: {UNSUBSCRIBE_MARK}\n\n\n",
    from_name="Common Threads",
    from_address="digest@example.org",
    reply_to="editors@example.org",
    language="en-GB",
    feedback_id=("12", "weekly", "issue", "example.org"),
    list_id="weekly.example.org",
    list_title="Common Threads",
)
SIGNED = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",
]


def unsigned() -> bytes:
    return Press(LETTER).mail(ENVELOPE, LINKS, DATE).message()


def signed(letter: Letter = LETTER, *, domain: str = "example.org", selector: str = "s1") -> bytes:
    press = Press(letter, Signer(domain, selector, pem()))
    links = None if letter.is_notice else LINKS
    return press.mail(ENVELOPE, links, DATE).message()


def holds(message: bytes) -> bool:
    return is_signed(message, "s1", "example.org")


def test_a_receiver_takes_the_signature_for_valid() -> None:
    assert holds(signed())
    assert not is_signed(signed(), "s2", "example.org")
    assert not is_signed(signed(), "s1", "example.com")


def test_the_message_is_the_unsigned_one_with_a_header_before_it() -> None:
    added = signed().removesuffix(unsigned())
    assert added.startswith(b"DKIM-Signature: ")
    assert added.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\r\n(?=\S)|[ \t]\r\n", added)
    assert added.endswith(b"\r\n")
    assert max(map(len, added.split(b"\r\n"))) <= 76


def test_every_header_that_matters_is_covered_and_from_twice() -> None:
    value = re.sub(rb"\s+", b"", signed().partition(b"\r\nFrom:")[0]).decode()
    fields = dict(field.split("=", 1) for field in value.split(":", 1)[1].split(";"))
    assert sorted(fields["h"].split(":")) == sorted(["from", *map(str.lower, SIGNED)])
    assert (fields["a"], fields["c"]) == ("rsa-sha256", "relaxed/relaxed")
    assert (fields["d"], fields["s"]) == ("example.org", "s1")


@pytest.mark.parametrize("name", SIGNED)
def test_one_character_changed_in_a_header_breaks_it(name: str) -> None:
    head, between, value = signed().partition(f"\r\n{name}: ".encode())
    changed = bytes([value[0] ^ 1]) + value[1:]
    assert not holds(head + between + changed)


def test_one_character_changed_anywhere_in_the_bodies_breaks_it() -> None:
    message = signed()
    begin = message.index(b"\r\n\r\n") + 4
    end = len(message.rstrip())
    visible = [place for place in range(begin, end) if message[place] not in b" \r\n"]
    for place in visible[:: len(visible) // 40]:
        changed = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        assert not holds(changed), f"{message[place - 9 : place + 9]!r}"


@pytest.mark.parametrize("header", [b"From: x@example.com\r\n", b"from: digest@example.org\r\n"])
def test_no_second_sender_can_be_added(header: bytes) -> None:
    assert not holds(header + signed())
    assert not holds(signed().replace(b"\r\nTo:", b"\r\n" + header + b"To:"))


def test_nobody_can_put_a_way_out_of_theirs_into_a_notice() -> None:
    notice = replace(LETTER, list_id="", html="<p>Please confirm</p>", text="Please confirm")
    assert holds(signed(notice))
    assert not holds(b"List-Unsubscribe: <https://evil.example>\r\n" + signed(notice))


def test_what_relays_do_on_the_way_leaves_it_valid() -> None:
    message = signed()
    assert holds(b"Received: by mx.example.com\r\n\tfrom here\r\n" + message)
    assert holds(message.replace(b"\r\n", b"\n"))
    refolded = message.replace(b",\r\n <mailto:", b",\r\n\t  <mailto:")
    assert refolded != message
    assert holds(refolded)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "👩‍👩‍👧 fünf " * 40, "from_name": "=?utf-8?q?=0D=0ABcc:_a?="},
        {"subject": "", "from_name": ""},
        {"subject": "word " * 100, "feedback_id": ("1" * 200, "weekly", "issue", "example.org")},
        {"text": UNSUBSCRIBE_MARK, "html": UNSUBSCRIBE_MARK * 2},
        {"text": f"\n\n\n{UNSUBSCRIBE_MARK}\n \n\t\n\n"},
    ],
)
def test_it_holds_whatever_the_letter_says(change) -> None:
    assert holds(signed(replace(LETTER, **change)))


def test_mails_in_parts_are_not_signed_here() -> None:
    mail = Press(LETTER, Signer("example.org", "s1", pem())).mail(ENVELOPE, LINKS, DATE)
    assert "DKIM-Signature" not in dict(mail.content().headers)


# --- keys ----------------------------------------------------------------------------------------


def declared(name: str = "dkim.pem", **change: str) -> DkimKey:
    given = {"domain": "example.org", "selector": "s1", "key_file": name, **change}
    return DkimKey.model_validate(given)


@pytest.mark.parametrize(
    "written",
    [
        pem,
        lambda: pem(form=serialization.PrivateFormat.TraditionalOpenSSL),
        lambda: pem().replace(b"\n", b"\r\n"),
        lambda: b"my key\n" + pem() + b"\n\n",
    ],
)
def test_keys_are_read_as_openssl_writes_them(tmp_path: Path, written: Callable[[], bytes]) -> None:
    (tmp_path / "dkim.pem").write_bytes(written())
    signer = load_signer(declared(), tmp_path)
    assert isinstance(signer, Signer)
    assert holds(signer.signature(unsigned()) + unsigned())
    elsewhere = load_signer(declared(str(tmp_path / "dkim.pem")), tmp_path / "no such folder")
    assert elsewhere == signer


def test_the_key_is_in_no_text_about_the_signer(tmp_path: Path) -> None:
    assert "PRIVATE" not in repr(Signer("example.org", "s1", pem()))


def broken() -> bytes:
    """A key one of whose primes was changed, in PEM as it should be."""
    numbers = key().private_numbers()
    p = numbers.p.to_bytes((numbers.p.bit_length() + 7) // 8, "big")
    der = key().private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert der.count(p) == 1
    return as_pem(der.replace(p, p[:-1] + bytes([p[-1] ^ 2])))


def short() -> bytes:
    """A key of 24 bits, which no tool makes any more: version, n, e, d, p, q, ..."""
    p, q, e = 4093, 4091, 17
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    body = b"".join(
        b"\x02" + bytes([n.bit_length() // 8 + 1]) + n.to_bytes(n.bit_length() // 8 + 1, "big")
        for n in numbers
    )
    return as_pem(b"\x30" + bytes([len(body)]) + body)


def as_pem(der: bytes) -> bytes:
    lines = base64.encodebytes(der)
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + lines + b"-----END RSA PRIVATE KEY-----\n"


def locked() -> bytes:
    return key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def public() -> bytes:
    return (
        key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (lambda: b"", "no private RSA key"),
        (lambda: b"\x00\xff" * 500, "no private RSA key"),
        (lambda: pem()[:400], "no private RSA key"),
        (lambda: pem().replace(b"MII", b"M=I"), "no private RSA key"),
        (lambda: pem(ec.generate_private_key(ec.SECP256R1())), "no private RSA key"),
        (lambda: pem(ed25519.Ed25519PrivateKey.generate()), "no private RSA key"),
        (locked, "no private RSA key in PEM without a password"),
        (public, "no private RSA key"),
        (short, "a key of 24 bits, and nobody takes less than 1024"),
        (broken, "a broken key"),
    ],
)
def test_a_key_that_cannot_sign_is_told_with_its_cure(
    tmp_path: Path, written: Callable[[], bytes], fault: str
) -> None:
    (tmp_path / "dkim.pem").write_bytes(written())
    told = load_signer(declared(), tmp_path)
    assert isinstance(told, str)
    assert fault in told
    assert str(tmp_path / "dkim.pem") in told
    assert "openssl genrsa 2048" in told


def test_a_key_that_cannot_be_read_is_told_with_its_cure(tmp_path: Path) -> None:
    assert "No such file" in str(load_signer(declared(), tmp_path))
    (tmp_path / "dkim.pem").mkdir()
    assert "Is a directory" in str(load_signer(declared(), tmp_path))


def test_the_longest_names_that_may_be_declared_are_found_in_the_dns() -> None:
    domain, selector = f"{'d' * 51}.example.org", "s" * 63
    assert len(declared(domain=domain, selector=selector).domain) == 63
    assert is_signed(signed(domain=domain, selector=selector), selector, domain)
    for longer in ({"domain": f"d{domain}"}, {"selector": f"s{selector}"}):
        with pytest.raises(ValidationError, match="at most 63"):
            declared(**longer)
