"""The migrations build just what `tables.py` declares, on both databases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from digest.store.migrate import SCRIPTS, ensure_schema
from digest.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Inspector
    from sqlalchemy.engine import Connection

    from digest.store.engine import Store


def test_migrated_schema_is_the_declared_one(any_new_store: Store):
    ensure_schema(any_new_store, backup=None)
    with any_new_store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_rules_of_migrated_schema_are_the_declared_ones(any_store: Store, any_new_store: Store):
    ensure_schema(any_new_store, backup=None)
    with any_store.engine.connect() as declared, any_new_store.engine.connect() as migrated:
        assert _rules(migrated) == _rules(declared)


def test_head_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", SCRIPTS.location)
    assert ScriptDirectory.from_config(config).get_heads() == [SCRIPTS.head]


def _rules(connection: Connection) -> dict[str, dict[str, str]]:
    """What Alembic does not compare: checks, names of constraints, partial indexes."""
    inspector = inspect(connection)
    return {
        name: _storage(inspector, name)
        | {
            str(rule["name"]): _plain(rule)
            for rule in (
                inspector.get_pk_constraint(name),
                *inspector.get_check_constraints(name),
                *inspector.get_unique_constraints(name),
                *inspector.get_foreign_keys(name),
                *inspector.get_indexes(name),
            )
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def _storage(inspector: Inspector, table: str) -> dict[str, str]:
    """Whether SQLite keeps the table without row ids."""
    options = inspector.get_table_options(table) if inspector.dialect.name == "sqlite" else {}
    return {"storage": str(options)}


def _plain(rule: dict) -> str:
    options = {key: str(value) for key, value in rule.get("dialect_options", {}).items()}
    return re.sub(r"\s+", " ", f"{sorted((rule | {'dialect_options': options}).items())}")
