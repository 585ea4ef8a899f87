"""Accounts of the desk, and the browsers that are signed in to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlalchemy import delete, insert, select, update

from digest.store.dialect import insert_ignore
from digest.store.tables import editors, sessions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

Role: TypeAlias = Literal["editor", "viewer"]


@dataclass(frozen=True, slots=True)
class Editor:
    """An account of the desk; one that is disabled cannot sign in."""

    id: int
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    password_hash: str


@dataclass(frozen=True, slots=True)
class Session:
    """One browser signed in, and whose account that is."""

    editor_id: int
    name: str
    role: Role
    seen_at: datetime
    expires_at: datetime


_COLUMNS = (
    editors.c.id,
    editors.c.name,
    editors.c.role,
    editors.c.created_at,
    editors.c.disabled_at,
    editors.c.password_hash,
)


# --- accounts ----------------------------------------------------------------------------------


def find_editor(c: Connection, name_key: str, *, lock: bool = False) -> Editor | None:
    """The account of that name; `lock` keeps others from changing it."""
    query = select(*_COLUMNS).where(editors.c.name_key == name_key)
    row = c.execute(query.with_for_update() if lock else query).one_or_none()
    return Editor(*row) if row else None


def list_editors(c: Connection) -> list[Editor]:
    """All of them, by name."""
    return [Editor(*row) for row in c.execute(select(*_COLUMNS).order_by(editors.c.name_key))]


def has_editors(c: Connection) -> bool:
    return c.execute(select(editors.c.id).limit(1)).first() is not None


def insert_editor(
    c: Connection, *, name: str, name_key: str, role: Role, password_hash: str, now: datetime
) -> bool:
    """Make an account; False where there is one of that name."""
    values = {"name": name, "name_key": name_key, "role": role, "password_hash": password_hash}
    statement = insert_ignore(c, editors).values(**values, created_at=now)
    return c.scalar(statement.returning(editors.c.id)) is not None


def change_editor(c: Connection, editor_id: int, **values: object) -> None:
    c.execute(update(editors).where(editors.c.id == editor_id).values(**values))


def renew_hash(c: Connection, editor_id: int, before: str, after: str) -> None:
    """The same password in another hash; not where it was changed meanwhile."""
    unchanged = (editors.c.id == editor_id, editors.c.password_hash == before)
    c.execute(update(editors).where(*unchanged).values(password_hash=after))


# --- sessions ----------------------------------------------------------------------------------


def begin_session(
    c: Connection, token_hash: str, editor_id: int, now: datetime, until: datetime
) -> None:
    values = {"token_hash": token_hash, "editor_id": editor_id}
    c.execute(insert(sessions).values(**values, created_at=now, seen_at=now, expires_at=until))


def find_session(c: Connection, token_hash: str) -> Session | None:
    """The session of an account that may sign in; whether its time is over the caller sees."""
    query = (
        select(
            editors.c.id, editors.c.name, editors.c.role, sessions.c.seen_at, sessions.c.expires_at
        )
        .join(editors, editors.c.id == sessions.c.editor_id)
        .where(sessions.c.token_hash == token_hash, editors.c.disabled_at.is_(None))
    )
    row = c.execute(query).one_or_none()
    return Session(*row) if row else None


def touch_session(c: Connection, token_hash: str, now: datetime) -> None:
    c.execute(update(sessions).where(sessions.c.token_hash == token_hash).values(seen_at=now))


def end_session(c: Connection, token_hash: str) -> None:
    c.execute(delete(sessions).where(sessions.c.token_hash == token_hash))


def end_sessions(c: Connection, editor_id: int) -> int:
    """Sign the account out everywhere; returns in how many browsers it was signed in."""
    return c.execute(delete(sessions).where(sessions.c.editor_id == editor_id)).rowcount


def forget_old_sessions(c: Connection, now: datetime, unseen_since: datetime) -> None:
    """Drop the sessions that are over."""
    c.execute(
        delete(sessions).where(
            (sessions.c.expires_at <= now) | (sessions.c.seen_at <= unseen_since)
        )
    )
