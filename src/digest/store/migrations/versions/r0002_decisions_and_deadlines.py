"""What is asked of editors, by when they must decide, and which run waits for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("issues", sa.Column("decide_by", UTC))
    op.create_table(
        "asks",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("issue_id", ID, nullable=False),
        sa.Column("prefect_run_id", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("asked_at", UTC, nullable=False),
        sa.Column("ended_at", UTC),
        sa.Column("outcome", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asks")),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name=op.f("fk_asks_issue_id")),
    )
    op.create_index(
        "uq_asks_one_open_per_issue",
        "asks",
        ["issue_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(op.f("ix_runs_prefect_run_id"), "runs", ["prefect_run_id"])
