"""Passwords of the desk's accounts: argon2id, as OWASP's cheat sheet asks for at the least.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from digest.errors import UsageError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 12
#: Nobody types more; hashing takes time with length.
LONGEST = 1024

_MEMORY_KIB = 19 * 1024
_PASSES = 2
_LANES = 1

#: Each takes its memory and a core: whoever tries many at once waits, and the pages go on.
_few = BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """The text to store. Raises UsageError where the password is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} characters or more, {LONGEST} at most")
    with _few:
        return _hasher().hash(_plain(password))


def verify(stored: str | None, password: str) -> bool:
    """Whether it is that password. Without one to compare with it takes the same time."""
    from argon2.exceptions import VerifyMismatchError

    with _few:
        try:
            _hasher().verify(stored or _nobodys(), _plain(password[: LONGEST + 1]))
        except VerifyMismatchError:
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than new ones are."""
    return _hasher().check_needs_rehash(stored)


def new_password() -> str:
    """One that nobody guesses: 120 bits, in five parts that can be read aloud."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(5))


def _plain(password: str) -> bytes:
    # One password, whichever keyboard composed its accents (RFC 8265, section 4.2).
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_bytes(16))
