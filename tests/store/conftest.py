"""Stores before any schema, and rows to fill one with."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from shutil import copytree, ignore_patterns
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import JSON, Boolean, Integer, insert

from digest.config import StoreSettings
from digest.store import tables
from digest.store.engine import Store, open_store
from digest.store.migrate import SCRIPTS, Scripts, ensure_schema
from digest.store.tables import Utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Column, Table
    from sqlalchemy.engine import Connection

_MOMENT = datetime(2026, 11, 22, 18, 0, 0, 123456, tzinfo=UTC)


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade():
    with op.batch_alter_table("subscribers") as batch:
        batch.add_column(sa.Column("shoe_size", sa.Integer()))
    with op.batch_alter_table("issues") as batch:
        batch.alter_column("fallback_subject", nullable=True)
    {more}
"""


@pytest.fixture
def next_scripts(tmp_path: Path) -> Scripts:
    return _scripts(tmp_path / "next", "")


@pytest.fixture
def broken_scripts(tmp_path: Path) -> Scripts:
    return _scripts(tmp_path / "broken", "op.execute('SELECT * FROM no_such_table')")


def _scripts(folder: Path, more: str) -> Scripts:
    """The revisions of a digest one release ahead."""
    ours = files("digest.store") / "migrations"
    copytree(str(ours), folder, ignore=ignore_patterns("__pycache__"))
    (folder / "versions" / "r9999_next.py").write_text(NEXT.format(head=SCRIPTS.head, more=more))
    return Scripts(str(folder), head="9999")


@pytest.fixture
def new_sqlite(tmp_path: Path) -> Iterator[Store]:
    """A database with nothing in it, in `tmp_path / "new.db"`."""
    store = open_store(StoreSettings(url="sqlite:///new.db"), tmp_path)
    yield store
    store.engine.dispose()


@pytest.fixture
def any_new_store(any_store: Store, request: pytest.FixtureRequest) -> Store:
    """A database with nothing in it, of the same kind as `any_store`."""
    if any_store.is_sqlite:
        return request.getfixturevalue("new_sqlite")
    create: Callable[[str], Store] = request.getfixturevalue("new_postgres")
    return create("template0")


@pytest.fixture
def put() -> Callable[..., int]:
    """Insert a row with just these values, whatever else must not be NULL filled in.

    Returns the row's id, 0 for a table without one; rows referred to by default have id 1.
    """

    def put(c: Connection, table: Table, **values: Any) -> int:
        for column in table.columns:
            if column.name not in values and _needs_value(column):
                values[column.name] = _filler(column)
        added = c.execute(insert(table).values(**values))
        return added.inserted_primary_key[0] if "id" in table.c else 0

    return put


def _needs_value(column: Column) -> bool:
    return not column.nullable and not (column.name == "id" and column.primary_key)


def _filler(column: Column) -> Any:
    for kind, value in ((Utc, _MOMENT), (JSON, {"é": [1, None]}), (Boolean, False), (Integer, 1)):
        if isinstance(column.type, kind):
            return value
    return f"{column.table.name} {column.name}"


@pytest.fixture
def fill(put: Callable[..., int]) -> Callable[[Store], None]:
    """One row, or a few, in every table."""

    def fill(store: Store) -> None:
        with store.write() as c:
            put(c, tables.facts, name="anchor", value='naïve ‘quotes’ \u2028 🍞 " \\ \n end')
            put(c, tables.feeds, etag=None, last_read_at=_MOMENT)
            for guid in ("one", "two"):
                put(c, tables.posts, guid=guid, image_alt="ภาพ")
            put(c, tables.post_identities, kind="guid")
            put(c, tables.post_changes)
            put(c, tables.memberships, kind="series")
            put(c, tables.classified, post_id=2)
            put(c, tables.subscribers, address="Ada@example.org", address_key="ada@example.org")
            put(c, tables.subscriptions, rhythm="weekly", state="active", consent_at=_MOMENT)
            for table in (tables.suppressions, tables.newsletters, tables.channels):
                put(c, table)
            put(c, tables.issues, state="frozen", hash="h", approved_hash="h")
            put(c, tables.issue_transitions)
            put(c, tables.picks, is_in=True, position=1)
            put(c, tables.variants, mask=2**40)
            put(c, tables.reservations, repeat=0)
            put(c, tables.exclusions)
            put(c, tables.sign_ups)
            put(c, tables.consents)
            put(c, tables.erasures)
            put(c, tables.overflow)
            put(c, tables.editors, role="viewer")
            put(c, tables.sessions)
            put(c, tables.asks)
            put(c, tables.deliveries, state="submitted", message_id="<1@x>", attempts=1)
            put(c, tables.delivery_events)
            put(c, tables.feedback, body={"é": 1})
            put(c, tables.mail_paces)
            put(c, tables.mail_waits)
            put(c, tables.notices, kind="test", state="pending")
            put(c, tables.threads)
            put(c, tables.publications, state="pending")
            put(c, tables.stops)
            put(c, tables.waits)
            put(c, tables.charges)
            put(c, tables.runs, outcome="done", issue_id=1)

    return fill


@pytest.fixture
def migrated(new_sqlite: Store) -> Store:
    """A store at the newest revision, and knowing it."""
    ensure_schema(new_sqlite, backup=None)
    return new_sqlite
