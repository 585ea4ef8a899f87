"""Readers' own forms, pauses, caps and erasure; notices that wait; editors and their sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UTC = sa.DateTime(timezone=True)
OPEN = sa.text("confirmed_at IS NULL")
STATES = (
    "'pending', 'claimed', 'submitting', 'submitted', 'refused', 'failed', 'uncertain', "
    "'suppressed', 'cancelled'"
)


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("weekly_cap", sa.Integer()))
    op.add_column("subscriptions", sa.Column("paused_until", UTC))
    _change_notices()
    _create_of_readers()
    _create_of_editors()


def _change_notices() -> None:
    with op.batch_alter_table("notices", copy_from=_notices_before()) as batch:
        batch.drop_constraint(op.f("ck_notices_kind"), type_="check")
        batch.create_check_constraint(
            op.f("ck_notices_kind"), "kind IN ('opt-in', 'sign-up', 'settings', 'test')"
        )
        batch.add_column(sa.Column("newsletter", sa.String()))
        batch.add_column(sa.Column("sign_up_id", ID))
        batch.add_column(sa.Column("subscriber_id", ID))
        batch.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("not_before", UTC))
        batch.add_column(sa.Column("worker", sa.Text()))
    op.create_index(
        op.f("ix_notices_address_key_created_at"), "notices", ["address_key", "created_at"]
    )
    op.create_index(op.f("ix_notices_state_not_before"), "notices", ["state", "not_before"])


def _notices_before() -> sa.Table:
    """SQLite tells nobody of its CHECK constraints, so they are stated here."""
    return sa.Table(
        "notices",
        sa.MetaData(),
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("issue_id", ID),
        sa.Column("subscription_id", ID),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text()),
        sa.Column("code", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("state_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("message_id", name="uq_notices_message_id"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="fk_notices_issue_id"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name="fk_notices_subscription_id"
        ),
        sa.CheckConstraint("kind IN ('opt-in', 'test')", name="ck_notices_kind"),
        sa.CheckConstraint(f"state IN ({STATES})", name="ck_notices_state"),
    )


def _create_of_readers() -> None:
    op.create_table(
        "sign_ups",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("wishes", sa.JSON(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("asked_at", UTC, nullable=False),
        sa.Column("confirmed_at", UTC),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ups")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_sign_ups_one_open_per_address",
        "sign_ups",
        ["address_key"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "consents",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("subscription_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("interests", sa.Text(), nullable=False),
        sa.Column("rhythm", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_consents_subscription_id")
        ),
    )
    op.create_index(op.f("ix_consents_subscription_id"), "consents", ["subscription_id"])
    op.create_table(
        "erasures",
        sa.Column("address_hash", sa.String(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("suppressed_reason", sa.Text()),
        sa.Column("suppressed_origin", sa.Text()),
        sa.Column("suppressed_at", UTC),
        sa.PrimaryKeyConstraint("address_hash", name=op.f("pk_erasures")),
    )
    op.create_table(
        "overflow",
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("newsletter", sa.String(), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("issue_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", "newsletter", "post_id", name=op.f("pk_overflow")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_overflow_subscriber_id")
        ),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_overflow_post_id")),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name=op.f("fk_overflow_issue_id")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_overflow_newsletter_post_id"), "overflow", ["newsletter", "post_id"])


def _create_of_editors() -> None:
    op.create_table(
        "editors",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("disabled_at", UTC),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_editors")),
        sa.UniqueConstraint("name_key", name=op.f("uq_editors_name_key")),
        sa.CheckConstraint("role IN ('editor', 'viewer')", name=op.f("ck_editors_role")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("editor_id", ID, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("seen_at", UTC, nullable=False),
        sa.Column("expires_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
        sa.ForeignKeyConstraint(["editor_id"], ["editors.id"], name=op.f("fk_sessions_editor_id")),
    )
    op.create_index(op.f("ix_sessions_editor_id"), "sessions", ["editor_id"])
