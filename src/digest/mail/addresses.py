"""E-mail addresses as people type them, checked once at the door.

Only what every mail server takes gets in: no quoted or non-ASCII part before the @-sign, since
mail is submitted without SMTPUTF8 (RFC 6531), and the domain in its ASCII form.
"""

from __future__ import annotations

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

#: RFC 5321, 4.5.3.1.3: a path of 256 octets less its angle brackets.
_LONGEST = 254


@dataclass(frozen=True, slots=True)
class Address:
    """An address that can be mailed.

    `display` is ASCII, as the owner writes it; `key` is equal for every spelling of it, and is
    what identity and suppression go by.
    """

    display: str
    key: str


@dataclass(frozen=True, slots=True)
class AddressProblem:
    """Why a text is not an address that can be mailed, in plain words."""

    text: str
    reason: str


def parse_address(text: str) -> Address | AddressProblem:
    """Check a text for being one plain address; nothing is looked up on the network."""
    text = text.strip()
    if len(text) > _LONGEST:
        return AddressProblem(text, f"An address has at most {_LONGEST} characters.")
    try:
        valid = validate_email(
            text,
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,
            test_environment=True,
        )
    except EmailNotValidError as error:
        return AddressProblem(text, str(error))
    return _accepted(text, valid.ascii_email or "")


def _accepted(text: str, ascii_form: str) -> Address | AddressProblem:
    # RFC 2047, section 5: mail programs would decode it into another address.
    if not ascii_form or "=?" in ascii_form:
        return AddressProblem(text, "The characters =? cannot stand in an address.")
    return Address(ascii_form, ascii_form.casefold())
