"""What SQLite and PostgreSQL spell through different constructs: INSERT on a row that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, text
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.engine import Connection

#: Any number that only freezing uses: the key of PostgreSQL's advisory lock.
_FREEZE_LOCK = 0x64696765
#: Of PostgreSQL's locks with two keys, which are others: the first key of those on an address,
#: and of those on a mailer.
_ADDRESS_LOCKS = 0x61646472
_MAILER_LOCKS = 0x6D61696C


def insert_ignore(c: Connection, table: Table) -> sqlite.dml.Insert | postgresql.dml.Insert:
    """An INSERT that leaves an existing row alone, whichever unique key it meets."""
    return upsert(c.dialect.name, table).on_conflict_do_nothing()


def upsert(dialect: str, table: Table) -> sqlite.dml.Insert | postgresql.dml.Insert:
    """An INSERT that can say what becomes of an existing row (`on_conflict_do_update`)."""
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table)


def lock_freezing(c: Connection) -> None:
    """Let one freeze at a time decide who gets which post, until the transaction ends.

    SQLite's write transaction is such a lock already.
    """
    if c.dialect.name != "sqlite":
        c.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FREEZE_LOCK})


def lock_address(c: Connection, address_key: str) -> None:
    """Let one transaction at a time decide what an address is sent, known here or not.

    SQLite's write transaction is such a lock already.
    """
    if c.dialect.name != "sqlite":
        statement = text("SELECT pg_advisory_xact_lock(:locks, hashtext(:address))")
        c.execute(statement, {"locks": _ADDRESS_LOCKS, "address": address_key})


def lock_mailer(c: Connection, mailer: str) -> None:
    """Let one transaction at a time count what a mailer takes up, until it ends.

    SQLite's write transaction is such a lock already.
    """
    if c.dialect.name != "sqlite":
        statement = text("SELECT pg_advisory_xact_lock(:locks, hashtext(:mailer))")
        c.execute(statement, {"locks": _MAILER_LOCKS, "mailer": mailer})


def address_domain(c: Connection, address_key: ColumnElement[str]) -> ColumnElement[str]:
    """The part of an address after its only @; of an erased reader's hash nothing anybody knows."""
    if c.dialect.name == "sqlite":
        return func.substr(address_key, func.instr(address_key, "@") + 1)
    return func.split_part(address_key, "@", 2)
