"""Accounts of the desk: made and changed by whoever runs it; signing in and staying signed in.

Whatever changes an account (password, role, disabling) signs it out everywhere.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from digest import passwords
from digest.errors import UsageError
from digest.store import editors as store

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from digest.store.editors import Editor, Role, Session
    from digest.store.engine import Store

#: However busy the editor is; and when nothing was looked at for so long.
LASTS = timedelta(hours=12)
IDLE = timedelta(hours=2)
#: A look is noted this often at most.
NOTED_EVERY = timedelta(minutes=1)

_LONGEST_NAME = 60
#: They stand where nobody decided, but the machine.
_NOT_NAMES = ("digest", "prefect", "unknown")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session; the token is for the browser alone, the store keeps its hash."""

    token: str
    name: str


# --- accounts ----------------------------------------------------------------------------------


def add_editor(db: Store, name: str, role: Role, password: str, now: datetime) -> str:
    """Make an account. Returns its name as it stands with decisions from now on."""
    tidy = _tidy(name)
    hashed = passwords.hash_password(password)
    with db.write() as c:
        key = _key(tidy)
        if not store.insert_editor(
            c, name=tidy, name_key=key, role=role, password_hash=hashed, now=now
        ):
            raise UsageError(
                f"there is an account of that name; see: digest editors password {tidy!r}"
            )
    return tidy


def set_password(db: Store, name: str, password: str) -> str:
    """Give an account a new password."""
    return _change(db, name, password_hash=passwords.hash_password(password))


def set_role(db: Store, name: str, role: Role) -> str:
    return _change(db, name, role=role)


def disable(db: Store, name: str, now: datetime) -> str:
    """Let nobody in by that account any more; what it decided keeps its name."""
    return _change(db, name, disabled_at=now)


def enable(db: Store, name: str) -> str:
    return _change(db, name, disabled_at=None)


def list_editors(db: Store) -> list[Editor]:
    with db.read() as c:
        return store.list_editors(c)


def _change(db: Store, name: str, **values: object) -> str:
    with db.write() as c:
        found = store.find_editor(c, _key(name), lock=True)
        if found is None:
            raise UsageError(f"there is no account {name!r}; `digest editors list` lists them")
        store.change_editor(c, found.id, **values)
        store.end_sessions(c, found.id)
    return found.name


def _tidy(name: str) -> str:
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if not tidy or len(tidy) > _LONGEST_NAME or not tidy.isprintable() or "@" in tidy:
        raise UsageError(
            f"a name has 1 to {_LONGEST_NAME} characters and is no address: it stands with "
            "every decision"
        )
    if _key(tidy) in _NOT_NAMES:
        raise UsageError(f"{tidy!r} stands for decisions of the machine; choose another name")
    return tidy


def _key(name: str) -> str:
    """Equal for every spelling of a name."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


# --- signing in --------------------------------------------------------------------------------


def sign_in(
    db: Store,
    name: str,
    password: str,
    now: datetime,
    verify: Callable[[str | None, str], bool] = passwords.verify,
) -> SignedIn | None:
    """A new session, or None: nobody learns whether the name or the password was wrong.

    Without an account, or with one that is disabled, it takes the same time: `verify` is called
    once, whatever was found.
    """
    with db.read() as c:
        found = store.find_editor(c, _key(name[: 2 * _LONGEST_NAME]))
    usable = found if found is not None and found.disabled_at is None else None
    genuine = verify(usable.password_hash if usable else None, password)
    if usable is None or not genuine:
        return None
    token = secrets.token_urlsafe(32)
    hashed = usable.password_hash
    renewed = passwords.hash_password(password) if passwords.is_outdated(hashed) else hashed
    with db.write() as c:
        # Looked at again: a change between the two ends every session, and must end this one.
        known = store.find_editor(c, _key(usable.name), lock=True)
        if known is None or known.disabled_at is not None or known.password_hash != hashed:
            return None
        store.renew_hash(c, known.id, hashed, renewed)
        store.forget_old_sessions(c, now, now - IDLE)
        store.begin_session(c, _hashed(token), known.id, now, now + LASTS)
    return SignedIn(token, usable.name)


def session_of(db: Store, token: str, now: datetime) -> Session | None:
    """Whose session that is; None where there is none or its time is over. Notes the look."""
    with db.read() as c:
        found = store.find_session(c, _hashed(token))
    if found is None or now >= found.expires_at or now - found.seen_at >= IDLE:
        return None
    if now - found.seen_at >= NOTED_EVERY:
        with db.write() as c:
            store.touch_session(c, _hashed(token), now)
    return found


def sign_out(db: Store, token: str) -> None:
    with db.write() as c:
        store.end_session(c, _hashed(token))


def has_editors(db: Store) -> bool:
    with db.read() as c:
        return store.has_editors(c)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
