"""What is an address that can be mailed, and when two are one."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from digest.mail.addresses import Address, AddressProblem, parse_address


@pytest.mark.parametrize(
    ("text", "display", "key"),
    [
        ("reader@example.org", "reader@example.org", "reader@example.org"),
        (
            "  Jo.Reader+digest@EXAMPLE.Org\r\n",
            "Jo.Reader+digest@example.org",
            "jo.reader+digest@example.org",
        ),
        ("O'Neil@example.org", "O'Neil@example.org", "o'neil@example.org"),
        ("reader@home.test", "reader@home.test", "reader@home.test"),
        ("reader@Bücher.example", "reader@xn--bcher-kva.example", "reader@xn--bcher-kva.example"),
        (
            "reader@xn--bcher-kva.example",
            "reader@xn--bcher-kva.example",
            "reader@xn--bcher-kva.example",
        ),
    ],
)
def test_an_address_is_kept_as_written_and_known_by_its_key(text, display, key) -> None:
    assert parse_address(text) == Address(display, key)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "@-sign"),
        ("reader", "@-sign"),
        ("reader@localhost", "period"),
        ("Jo <reader@example.org>", "display name"),
        ("jörg@example.org", "before the @-sign"),
        ('"a b"@example.org', "Quoting"),
        ("a@example.org,b@example.org", "invalid characters"),
        ("a@example.org\r\nBcc: b@example.org", "invalid characters"),
        ("a@[127.0.0.1]", "IP address"),
        ("=?utf-8?q?x=40evil.example=3E?=@example.org", "=?"),
        ("x" * 65 + "@example.org", "too long"),
        ("x@" + "abcdefg." * 31 + "example", "254"),
        ("x" * 1_000_000 + "@example.org", "254"),
        ("x" * 60 + "@" + "ü." * 25 + "example", "too long"),
    ],
)
def test_what_cannot_be_mailed_is_refused_for_a_reason(text: str, word: str) -> None:
    problem = parse_address(text)
    assert isinstance(problem, AddressProblem)
    assert word in problem.reason


@given(st.text() | st.emails() | st.from_regex(r"[^@]{1,9}@[^@]{1,9}\.[a-z]{2,4}", fullmatch=True))
def test_whatever_is_accepted_is_safe_in_a_header_and_parses_to_itself(text: str) -> None:
    parsed = parse_address(text)
    if isinstance(parsed, Address):
        assert parsed.display.isascii()
        assert parsed.display.isprintable()
        assert not set(parsed.display) & set(' <>,;:"()[]\\')
        assert parse_address(parsed.display) == parsed
        assert parse_address(parsed.display.upper()).key == parsed.key


_LOCALS = st.text(alphabet="aZ0._+-=?'\"@ é", max_size=8) | st.sampled_from(["x" * 64, "x" * 65])
_DOMAINS = st.text(alphabet="aZ0.-é_ [:]@", max_size=10) | st.sampled_from(
    ["example.org", "EXAMPLE.Org", "bücher.example", "localhost", "a" * 64 + ".org", "x.org."]
)


@given(_LOCALS, _DOMAINS)
def test_a_plain_address_is_judged_as_by_the_whole_check(local: str, domain: str) -> None:
    """What is known of a domain already spares a check, and changes none."""
    text = f"{local}@{domain}".strip()
    try:
        checked = validate_email(
            text,
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,
            test_environment=True,
        )
    except EmailNotValidError:
        assert isinstance(parse_address(text), AddressProblem)
        return
    parsed = parse_address(text)
    if isinstance(parsed, Address):
        assert parsed.display == checked.ascii_email
    else:
        assert "=?" in text
