"""Whether it is really a mailer that tells us something."""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: In seconds: how far the moment that is signed may lie from now, either way.
_TOLERANCE = 5 * 60
#: A secret is replaced by another while both are signed with; more than that is somebody's try.
_MOST_SIGNATURES = 10
#: No dots: what is signed could be cut into other pieces.
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_STAMP = re.compile(r"[0-9]{1,12}")


def signed_id(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
    """The event's own name where Svix signed it with `secret` just now; None where it did not.

    It stays the same when the same event is told again.
    https://docs.svix.com/receiving/verifying-payloads/how-manual
    """
    name, stamp = headers.get("svix-id", ""), headers.get("svix-timestamp", "")
    if not _ID.fullmatch(name) or not _STAMP.fullmatch(stamp):
        return None
    if abs(now.timestamp() - int(stamp)) > _TOLERANCE:
        return None
    key = b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{name}.{stamp}.".encode() + body, "sha256")
    wanted = b"v1," + b64encode(mac)
    given = headers.get("svix-signature", "").encode().split()[:_MOST_SIGNATURES]
    return name if any(hmac.compare_digest(wanted, one) for one in given) else None


def is_basic(username: str, password: str, authorization: str) -> bool:
    """Whether the header holds this name and password (RFC 7617)."""
    scheme, _, given = authorization.partition(" ")
    try:
        said = b64decode(given.strip(), validate=True)
    except (ValueError, binascii.Error):
        said = b""
    wanted = f"{username}:{password}".encode()
    # Hashes are all of one length, which tells nothing of that of the password.
    fits = hmac.compare_digest(sha256(said).digest(), sha256(wanted).digest())
    return fits and scheme.lower() == "basic"
