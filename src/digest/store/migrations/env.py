"""Run by Alembic: the caller's connection and transaction are used, never a new one."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite cannot alter a column in place: later revisions write `op.batch_alter_table`.
    render_as_batch=True,
)
context.run_migrations()
