"""Reservations by post, deliveries claimed in order, requests, what comes back, pace and waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UTC = sa.DateTime(timezone=True)
STATES = (
    "'pending', 'claimed', 'submitting', 'submitted', 'refused', 'failed', 'uncertain', "
    "'suppressed', 'cancelled'"
)


def upgrade() -> None:
    op.add_column("issues", sa.Column("waits_until", UTC))
    op.add_column("issues", sa.Column("waits_why", sa.Text()))
    _order_reservations()
    _change_deliveries()
    _create_what_comes_back()
    _create_pace()


def _partial_index(name: str, columns: list[str], *, unique: bool = False) -> None:
    table = name.removeprefix("ix_").removeprefix("uq_").partition("_")[0]
    where = sa.text(f"{columns[-1]} IS NOT NULL")
    op.create_index(
        op.f(name), table, columns, unique=unique, sqlite_where=where, postgresql_where=where
    )


def _order_reservations() -> None:
    """By post first, which is the order they are written in; with no other index to keep up."""
    if op.get_bind().dialect.name == "postgresql":
        # There the name of a key is taken as long as its table has it.
        op.drop_constraint(op.f("pk_reservations"), "reservations")
    op.rename_table("reservations", "reservations_before")
    op.create_table(
        "reservations",
        sa.Column("post_id", ID, autoincrement=False, nullable=False),
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("repeat", ID, nullable=False),
        sa.Column("issue_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("post_id", "subscriber_id", "repeat", name=op.f("pk_reservations")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO reservations (post_id, subscriber_id, repeat, issue_id)"
        " SELECT post_id, subscriber_id, repeat, issue_id FROM reservations_before"
        " ORDER BY post_id, subscriber_id, repeat"
    )
    op.drop_table("reservations_before")


def _change_deliveries() -> None:
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_index(op.f("ix_deliveries_issue_id_state_not_before"))
        batch.drop_constraint(op.f("uq_deliveries_message_id"), type_="unique")
        batch.add_column(sa.Column("request", sa.String()))
        batch.drop_constraint(op.f("ck_deliveries_state"), type_="check")
        batch.create_check_constraint(
            op.f("ck_deliveries_state"), f"state = 'pending' OR state IN ({STATES})"
        )
    op.create_index(
        op.f("ix_deliveries_issue_id_state_id"), "deliveries", ["issue_id", "state", "id"]
    )
    _partial_index("ix_deliveries_issue_id_not_before", ["issue_id", "not_before"])
    _partial_index("uq_deliveries_message_id", ["message_id"], unique=True)
    _partial_index("ix_deliveries_request", ["request"])


def _create_what_comes_back() -> None:
    op.add_column("delivery_events", sa.Column("kind", sa.String()))
    braking = sa.text("event IN ('bounced', 'complained')")
    op.create_index(
        op.f("ix_delivery_events_at"),
        "delivery_events",
        ["at"],
        sqlite_where=braking,
        postgresql_where=braking,
    )
    op.create_table(
        "feedback",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("received_at", UTC, nullable=False),
        sa.Column("body", sa.JSON()),
        sa.Column("worked_at", UTC),
        sa.Column("became", sa.String()),
        sa.Column("delivery_id", ID),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_feedback_delivery_id")
        ),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_feedback_source_event_id")),
    )
    op.create_index(op.f("ix_feedback_delivery_id"), "feedback", ["delivery_id"])
    waiting = sa.text("worked_at IS NULL")
    op.create_index(
        op.f("ix_feedback_received_at"),
        "feedback",
        ["received_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _create_pace() -> None:
    op.create_table(
        "mail_paces",
        sa.Column("mailer", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("mailer", "domain", "period", "slot", name=op.f("pk_mail_paces")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mail_waits",
        sa.Column("mailer", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("until", UTC, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("streak", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("mailer", "domain", name=op.f("pk_mail_waits")),
    )
