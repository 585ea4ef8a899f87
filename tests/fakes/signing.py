"""A key to sign mail with, and the DNS that tells its public half."""

from __future__ import annotations

import base64
from functools import cache

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

#: The shortest that anybody takes: it signs fastest.
BITS = 1024


@cache
def key() -> rsa.RSAPrivateKey:
    """Made anew in each session; nothing secret stands in a file."""
    return rsa.generate_private_key(65537, BITS)


def pem(a_key=None, form=serialization.PrivateFormat.PKCS8) -> bytes:
    plain = serialization.NoEncryption()
    return (a_key or key()).private_bytes(serialization.Encoding.PEM, form, plain)


def is_signed(message: bytes, selector: str, domain: str) -> bool:
    """Whether a receiver who looks the key up takes the signature for valid."""
    public = key().public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        found = name.decode() == f"{selector}._domainkey.{domain}."
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der) if found else None

    return dkim.verify(message, dnsfunc=txt)
