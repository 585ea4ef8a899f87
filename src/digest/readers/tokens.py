"""Tokens that say which subscription or issue a link means, signed with the site's own secret.

A token is that number and the first 16 bytes of an HMAC-SHA256 over purpose and
number: it needs no row in the store, tells nothing about the reader, and cannot be made or
changed by anyone without the secret. The secret is made at the first run; losing it makes every
link in every mail ever sent useless, so it belongs in the backup.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias, overload

from digest.errors import DigestError
from digest.files import sync_folder

#: Of what never expires.
Lasting: TypeAlias = Literal["unsubscribe", "preview"]
#: Of what does.
Passing: TypeAlias = Literal["opt-in", "sign-up", "settings"]
Purpose: TypeAlias = Lasting | Passing

#: How long tokens are good for that open more than leaving or looking.
LIVES: dict[Purpose, timedelta] = {
    "opt-in": timedelta(days=14),
    "sign-up": timedelta(days=14),
    "settings": timedelta(days=1),
}

_SECRET_BYTES = 32
_MAC_BYTES = 16
_ID_BYTES = 8
_TIME_BYTES = 6
# Both payloads and the MAC make multiples of three bytes, so that base64 has no padding and no
# spare bits: one token has one spelling.
_SHAPES: dict[Purpose, re.Pattern[str]] = {
    "unsubscribe": re.compile(r"[A-Za-z0-9_-]{32}"),
    "opt-in": re.compile(r"[A-Za-z0-9_-]{40}"),
    "preview": re.compile(r"[A-Za-z0-9_-]{32}"),
    "sign-up": re.compile(r"[A-Za-z0-9_-]{40}"),
    "settings": re.compile(r"[A-Za-z0-9_-]{40}"),
}


@overload
def make_token(secret: bytes, purpose: Lasting, number: int, now: None = None) -> str: ...


@overload
def make_token(secret: bytes, purpose: Passing, number: int, now: datetime) -> str: ...


def make_token(secret: bytes, purpose: Purpose, number: int, now: datetime | None = None) -> str:
    """Return a token of 32 characters, of a passing one 40, all safe in a URL as they are.

    `number` is a subscription's; for "preview" an issue's, for "sign-up" a sign-up's, for
    "settings" a subscriber's. A passing token carries `now`, from which its life counts; the
    others are the same whenever they are made.
    """
    payload = number.to_bytes(_ID_BYTES, "big")
    if now is not None:
        payload += int(now.timestamp()).to_bytes(_TIME_BYTES, "big")
    return urlsafe_b64encode(payload + _mac(secret, purpose, payload)).decode("ascii")


@overload
def read_token(secret: bytes, purpose: Lasting, token: str, now: None = None) -> int | None: ...


@overload
def read_token(secret: bytes, purpose: Passing, token: str, now: datetime) -> int | None: ...


def read_token(
    secret: bytes, purpose: Purpose, token: str, now: datetime | None = None
) -> int | None:
    """Return the number that the token means, or None for any other text whatever.

    None stands for forged, changed, cut, made for another purpose or by another site, and, of a
    passing one, made longer ago than its life or after `now`.
    """
    if not _SHAPES[purpose].fullmatch(token):
        return None
    raw = urlsafe_b64decode(token)
    payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, purpose, payload)):
        return None
    if now is not None and not _is_fresh(payload[_ID_BYTES:], now, LIVES[purpose]):
        return None
    return int.from_bytes(payload[:_ID_BYTES], "big")


def signature(secret: bytes, purpose: str, text: str) -> str:
    """Return 22 characters, safe in a URL, that nobody without the secret can make for `text`."""
    mac = _mac(secret, f"text:{purpose}", text.encode())
    return urlsafe_b64encode(mac).decode("ascii").rstrip("=")


def keyed_hash(secret: bytes, address_key: str) -> str:
    """Return 32 hex digits that stand for an erased address.

    Equal addresses stay equal, and nobody without the secret can test a guess.
    """
    return _mac(secret, "erased-address", address_key.encode()).hex()


def load_secret(path: Path) -> bytes:
    """Return the site's secret of 32 bytes, made at the first call.

    Two processes that make it at once agree on one, and a crash leaves a whole file or none.
    Raises DigestError, naming the cure, where the file is damaged, out of reach, or readable by
    others than its owner.
    """
    try:
        try:
            return _read_secret(path)
        except FileNotFoundError:
            _make_secret(path)
            return _read_secret(path)
    except OSError as error:
        raise DigestError(f"the signing secret {path} cannot be used: {error.strerror}") from error


def _mac(secret: bytes, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(secret, f"digest:{purpose}:".encode() + payload, "sha256")[:_MAC_BYTES]


def _is_fresh(issued_at: bytes, now: datetime, life: timedelta) -> bool:
    age = now.timestamp() - int.from_bytes(issued_at, "big")
    return 0 <= age <= life.total_seconds()


def _read_secret(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise DigestError(
                f"the signing secret {path} can be read by others (mode {mode:04o}); "
                f"run: chmod 600 {path}"
            )
        secret = file.read(_SECRET_BYTES + 1)
    if len(secret) != _SECRET_BYTES:
        raise DigestError(
            f"the signing secret {path} is damaged: it must be {_SECRET_BYTES} bytes. "
            "Restore it from a backup; a new one would break the links in every mail sent"
        )
    return secret


def _make_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes it with mode 0600.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces: whoever comes second uses the secret that is there.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    sync_folder(path.parent)
