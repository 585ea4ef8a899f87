"""Envelope senders that say whose mail came back: VERP, one address for each delivery.

What stands behind the plus sign is a delivery's number and the first bytes of an HMAC-SHA256
over it: nobody without the site's secret makes one, so that no forged report stops a reader's
mail. Hex digits, for some servers fold the part before the @-sign to small or capital letters.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from digest.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from digest.config import Newsletter

#: RFC 5321, 4.5.3.1.1.
_LONGEST_LOCAL = 64
_NUMBER_BYTES = 5
_MAC_BYTES = 10
_TOKEN_LENGTH = 2 * (_NUMBER_BYTES + _MAC_BYTES)
_TOKEN = re.compile(rf"[0-9a-f]{{{_TOKEN_LENGTH}}}")

#: So long the part before the @-sign of a bounce address may be; a longer one gets no token.
LONGEST_LOCAL = _LONGEST_LOCAL - 1 - _TOKEN_LENGTH


def has_room(bounce_address: str) -> bool:
    """Whether a token fits into this address; else all mails bounce to one."""
    return len(bounce_address.rpartition("@")[0]) <= LONGEST_LOCAL


def verp_problems(
    newsletters: Mapping[str, Newsletter], file_of: Callable[[str], str]
) -> list[Problem]:
    """Newsletters whose mails should each have a bounce address of their own, and cannot."""
    message = (
        f"verp needs one of at most {LONGEST_LOCAL} characters before the @;"
        " shorten it, or set verp = false"
    )
    return [
        Problem(file_of(slug), f"newsletters.{slug}.bounce_address", message)
        for slug, newsletter in newsletters.items()
        if newsletter.verp and not has_room(newsletter.bounce_address)
    ]


def verp_address(bounce_address: str, secret: bytes, delivery_id: int) -> str:
    """The envelope sender of one delivery: `bounces+TOKEN@example.org`.

    The same whenever it is made. Where there is no room for a token, the bounce address itself.
    """
    if not has_room(bounce_address):
        return bounce_address
    local, _, domain = bounce_address.rpartition("@")
    number = delivery_id.to_bytes(_NUMBER_BYTES, "big")
    return f"{local}+{(number + _mac(secret, number)).hex()}@{domain}"


def read_verp(secret: bytes, address: str) -> int | None:
    """The delivery that an address means; None for any other text whatever.

    None stands for no token, a forged, changed or cut one, or one of another site. Only the part
    before the @-sign counts: a relay may write another domain.
    """
    token = address.rpartition("@")[0].rpartition("+")[2].lower()
    if not _TOKEN.fullmatch(token):
        return None
    raw = bytes.fromhex(token)
    number, mac = raw[:_NUMBER_BYTES], raw[_NUMBER_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, number)):
        return None
    return int.from_bytes(number, "big")


def _mac(secret: bytes, number: bytes) -> bytes:
    return hmac.digest(secret, b"digest:bounce:" + number, "sha256")[:_MAC_BYTES]
