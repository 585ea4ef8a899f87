"""Bringing the database to the schema that this digest was written for.

The usual answer is "it is there already", found by one select and without Alembic, whose
import costs more than most commands take.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, func, inspect, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from digest.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.config import Config
    from sqlalchemy.engine import Connection

    from digest.store.engine import Store


@dataclass(frozen=True, slots=True)
class Scripts:
    """Where the revisions stand, as Alembic's "package:folder", and which is the newest."""

    location: str
    head: str


SCRIPTS = Scripts("digest.store:migrations", head="0006")

#: Any number will do, so long as everyone who migrates takes the same one.
_LOCK = 0x0D16E57

version = Table("alembic_version", MetaData(), Column("version_num", String))


def ensure_schema(
    store: Store, *, backup: Callable[[str], None] | None, scripts: Scripts = SCRIPTS
) -> None:
    """Create the schema, or bring it up to date, in one transaction.

    Before an older database is changed, `backup` is called with the revision it is at. Of
    two processes one migrates and the other waits. A database that a newer digest wrote is
    a `UsageError`, and stays as it is.
    """
    if _is_at(store, scripts.head):
        return
    with migrating(store) as connection:
        # Asked again: another process may have migrated while this one waited.
        found = revision_of(connection)
        if found == scripts.head:
            return
        check_known(found, scripts)
        if found is not None and backup is not None:
            backup(found)
        upgrade(connection, scripts)
        lost = orphan(connection)
        assert lost is None, lost


def _is_at(store: Store, revision: str) -> bool:
    try:
        # As a reader, who waits for no writer.
        with store.read() as connection:
            return connection.execute(select(version.c.version_num)).scalar() == revision
    except (OperationalError, ProgrammingError):
        # Most likely a new database; if not, the slow way meets the same fault and says so.
        return False


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at; None where digest has never been."""
    if not inspect(connection).has_table(version.name):
        return None
    return connection.execute(select(version.c.version_num)).scalar()


def check_known(revision: str | None, scripts: Scripts = SCRIPTS) -> None:
    """Raise `UsageError` for a database at a revision that this digest does not have."""
    if revision is not None and not knows(revision, scripts):
        raise UsageError(
            f"the database is at revision {revision}, which this digest does not know (its own is "
            f"{scripts.head}). Run the newer digest that wrote it, restore a backup made before, "
            "or name another database in [store] url"
        )


def knows(revision: str, scripts: Scripts = SCRIPTS) -> bool:
    """Whether the revision is one of this digest's own."""
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory.from_config(_config(scripts))
    return revision in {script.revision for script in directory.walk_revisions()}


@contextmanager
def migrating(store: Store) -> Iterator[Connection]:
    """One transaction that changes the schema, alone: whoever comes second waits.

    SQLite does not enforce foreign keys in it; the caller asks for an `orphan` at the end.
    """
    with store.engine.connect() as connection:
        if store.is_sqlite:
            with _without_foreign_keys(connection), connection.begin():
                yield connection
        else:
            with connection.begin():
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
                yield connection


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let a revision replace a table that others refer to.

    The switch works only outside a transaction (https://www.sqlite.org/lang_altertable.html,
    section 7), hence the driver's own connection.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def orphan(connection: Connection) -> str | None:
    """A row that refers to nothing, in words; PostgreSQL would have refused it."""
    if connection.dialect.name != "sqlite":
        return None
    found = connection.execute(text("PRAGMA foreign_key_check")).first()
    if found is None:
        return None
    return f"a row of {found[0]} refers to a row of {found[2]} that is not there"


def upgrade(connection: Connection, scripts: Scripts = SCRIPTS, revision: str = "head") -> None:
    """Run the revisions up to `revision` in the caller's transaction."""
    from alembic import command

    config = _config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config(scripts: Scripts) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", scripts.location)
    return config
