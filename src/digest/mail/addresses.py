"""E-mail addresses as people type them, checked once at the door.

Only what every mail server takes gets in: no quoted or non-ASCII part before the @-sign, since
mail is submitted without SMTPUTF8 (RFC 6531), and the domain in its ASCII form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

#: RFC 5321, 4.5.3.1.3: a path of 256 octets less its angle brackets.
_LONGEST = 254
#: RFC 5321, 4.5.3.1.1.
_LONGEST_LOCAL = 64

#: Nearly every address: nothing about its local part has to be thought over.
_PLAIN = re.compile(r"(?P<local>[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@(?P<domain>[^@]+)", re.ASCII)


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
    return _plain(text) or _checked(text)


def _plain(text: str) -> Address | None:
    """A plain address with a domain that is fine, at a fraction of the cost of a whole check."""
    parts = _PLAIN.fullmatch(text)
    if parts is None or len(parts["local"]) > _LONGEST_LOCAL:
        return None
    domain = _domain(parts["domain"])
    display = f"{parts['local']}@{domain}"
    if domain is None or len(display) > _LONGEST:
        return None
    return Address(display, display.casefold())


@lru_cache(maxsize=4096)
def _domain(text: str) -> str | None:
    """The ASCII form of a domain; None where it may be at fault."""
    checked = _checked(f"a@{text}")
    return checked.display.partition("@")[2] if isinstance(checked, Address) else None


def _checked(text: str) -> Address | AddressProblem:
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
