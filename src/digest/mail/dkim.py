"""DKIM signatures (RFC 6376) for mail that leaves through nobody who signs it.

With a key of 2048 bits a signature of 60 KB costs 10 to 16 ms of one core, most of it arithmetic
without the help of C: some 70 mails a second, however many connections there are. A relay that
signs is faster.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dkim
from dkim.crypto import (
    RSASSA_PKCS1_v1_5_sign,
    RSASSA_PKCS1_v1_5_verify,
    UnparsableKeyError,
    parse_pem_private_key,
)

if TYPE_CHECKING:
    from pathlib import Path

    from digest.config_mailers import DkimKey

#: RFC 8301, 3.2: verifiers take no shorter key for valid.
SHORTEST_KEY = 1024

#: What a signature vouches for. What is named here and not there may not be added on the way, and
#: From, named twice, not repeated (RFC 6376, 8.15). The unsubscribe headers as RFC 8058, 4, wants.
_SIGNED = (
    b"from",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"list-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"feedback-id",
    b"from",
)


_CURE = "put one there, such as openssl genrsa 2048 makes, and its public half into DNS"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs messages whose From is an address of `domain`."""

    domain: str
    selector: str
    #: A private RSA key in PEM.
    key: bytes = field(repr=False)

    def signature(self, message: bytes) -> bytes:
        """Return the message's DKIM-Signature, a header to stand before all else."""
        signature: bytes = dkim.sign(
            message,
            self.selector.encode(),
            self.domain.encode(),
            self.key,
            canonicalize=(dkim.Relaxed, dkim.Relaxed),
            include_headers=list(_SIGNED),
        )
        return signature


def load_signer(declared: DkimKey, home: Path) -> Signer | str:
    """Return what signs with the declared key; or why nothing can, and the cure."""
    path = home / declared.key_file
    try:
        # dkimpy finds no key between other line ends.
        key = path.read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}; {_CURE}"
    fault = _fault(key)
    return f"{path} {fault}; {_CURE}" if fault else Signer(declared.domain, declared.selector, key)


def _fault(pem: bytes) -> str:
    """Why nothing can be signed with this; or empty. dkimpy reads broken keys without a word."""
    digest = hashlib.sha256(b"trial")
    try:
        key = parse_pem_private_key(pem)
        bits = key["modulus"].bit_length()
        if bits < SHORTEST_KEY:
            return f"holds a key of {bits} bits, and nobody takes less than {SHORTEST_KEY}"
        is_whole = RSASSA_PKCS1_v1_5_verify(digest, RSASSA_PKCS1_v1_5_sign(digest, key), key)
    # All but the first come from what its base64 and its numbers happen to be.
    except (UnparsableKeyError, ValueError, ArithmeticError, AssertionError):
        return "holds no private RSA key in PEM without a password"
    return "" if is_whole else "holds a broken key"
