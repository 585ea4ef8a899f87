"""What threads on real networks need: frozen bodies, standing threads, undoing, proof, money."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in _of_threads():
        op.add_column("threads", column)
    op.create_index(op.f("ix_threads_after_id"), "threads", ["after_id"])
    for column in _of_publications():
        op.add_column("publications", column)
    op.create_index(
        "uq_publications_remote",
        "publications",
        ["channel", "remote_id"],
        unique=True,
        sqlite_where=sa.text("remote_id IS NOT NULL"),
        postgresql_where=sa.text("remote_id IS NOT NULL"),
    )
    _create_tables()


def _of_threads() -> list[sa.Column[Any]]:
    return [
        sa.Column("form", sa.String(), nullable=False, server_default="thread"),
        sa.Column("evergreen", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("after_id", ID),
        sa.Column("post_hash", sa.String()),
        sa.Column("held_at", UTC),
        sa.Column("held_why", sa.Text()),
        sa.Column("undo_at", UTC),
        sa.Column("undo_by", sa.Text()),
        sa.Column("undo_why", sa.Text()),
        sa.Column("proved_at", UTC),
        sa.Column("differs", sa.Text()),
    ]


def _of_publications() -> list[sa.Column[Any]]:
    return [
        sa.Column("language", sa.String(), nullable=False, server_default="en"),
        sa.Column("card", sa.JSON()),
        sa.Column("tags", sa.JSON()),
        sa.Column("picture", sa.Text()),
        sa.Column("card_picture", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("body", sa.Text()),
        sa.Column("tried_at", UTC),
        sa.Column("begun_at", UTC),
        sa.Column("reply_to", sa.Text()),
        sa.Column("version", sa.Text()),
        sa.Column("deleted_at", UTC),
    ]


def _create_tables() -> None:
    op.create_table(
        "stops",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_stops")),
    )
    op.create_table(
        "waits",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("until", UTC, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "what", name=op.f("pk_waits")),
    )
    op.create_table(
        "charges",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("publication_id", ID),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sa.ForeignKeyConstraint(
            ["publication_id"], ["publications.id"], name=op.f("fk_charges_publication_id")
        ),
    )
    op.create_index(op.f("ix_charges_publication_id"), "charges", ["publication_id"])
    op.create_index(op.f("ix_charges_channel_at"), "charges", ["channel", "at"])
