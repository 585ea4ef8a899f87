"""Run by Alembic: the caller's connection and transaction are used, never a new one."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite cannot alter a column in place: later revisions write `op.batch_alter_table`, which
    # loses every CHECK that is not named again in its `table_args`; tests/store finds that out
    # (https://alembic.sqlalchemy.org/en/latest/batch.html#including-check-constraints).
    render_as_batch=True,
)
context.run_migrations()
