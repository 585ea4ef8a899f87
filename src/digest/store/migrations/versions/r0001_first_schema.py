"""The first schema.

Written out, not taken from `digest.store.tables`: a revision must build tomorrow what it
builds today. A test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: SQLite counts rows itself only in a column that is exactly INTEGER.
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UTC = sa.DateTime(timezone=True)
STRING, TEXT, JSON = sa.String(), sa.Text(), sa.JSON()
INTEGER, BOOLEAN = sa.Integer(), sa.Boolean()

DELIVERY_STATES = (
    "'pending', 'claimed', 'submitting', 'submitted', 'refused', 'failed', 'uncertain',"
    " 'suppressed', 'cancelled'"
)


def _id(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    return sa.Column("id", ID, autoincrement=True, nullable=False), _pk(table, "id")


def _must(kind: TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False, autoincrement=False) for name in names]


def _may(kind: TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


def _pk(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _fk(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))


def _uq(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _ck(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    _feeds()
    _posts()
    _post_details()
    _readers()
    _issues()
    _issue_details()
    _variants()
    _deliveries()
    _mail_details()
    _social()
    _runs()


def _feeds() -> None:
    op.create_table(
        "facts",
        *_must(STRING, "name"),
        *_must(TEXT, "value"),
        _pk("facts", "name"),
    )
    op.create_table(
        "feeds",
        *_must(STRING, "slug"),
        *_must(TEXT, "url"),
        *_may(TEXT, "etag", "last_modified"),
        *_may(UTC, "not_before"),
        *_may(TEXT, "paused_reason"),
        *_may(UTC, "read_whole_at", "open_since", "last_read_at"),
        *_may(TEXT, "last_error"),
        _pk("feeds", "slug"),
    )


def _posts() -> None:
    op.create_table(
        "posts",
        *_id("posts"),
        *_must(TEXT, "guid", "url", "title", "author"),
        *_must(UTC, "published", "first_seen", "arrived"),
        *_may(UTC, "changed_at", "gone_at"),
        *_must(JSON, "categories"),
        *_must(TEXT, "html", "text", "excerpt"),
        *_may(TEXT, "image_url", "image_alt"),
        *_may(INTEGER, "image_width", "image_height"),
        *_must(INTEGER, "reading_minutes"),
        *_must(STRING, "content_hash"),
        *_may(STRING, "feed"),
    )
    _index("posts", "published")
    _index("posts", "arrived")


def _post_details() -> None:
    op.create_table(
        "post_identities",
        *_must(STRING, "kind"),
        *_must(TEXT, "value"),
        *_must(ID, "post_id"),
        _pk("post_identities", "kind", "value"),
        _fk("post_identities", "post_id", "posts.id"),
        _ck("post_identities", "kind", "kind IN ('guid', 'url')"),
    )
    _index("post_identities", "post_id")
    op.create_table(
        "post_changes",
        *_id("post_changes"),
        *_must(ID, "post_id"),
        *_must(UTC, "at"),
        *_must(JSON, "fields"),
        _fk("post_changes", "post_id", "posts.id"),
    )
    _index("post_changes", "post_id")
    op.create_table(
        "memberships",
        *_must(STRING, "kind", "slug"),
        *_must(ID, "post_id"),
        *_must(TEXT, "why"),
        _pk("memberships", "kind", "slug", "post_id"),
        _fk("memberships", "post_id", "posts.id"),
        _ck("memberships", "kind", "kind IN ('series', 'theme')"),
    )
    _index("memberships", "post_id")
    op.create_table(
        "classified",
        *_must(ID, "post_id"),
        *_must(STRING, "content_hash"),
        _pk("classified", "post_id"),
        _fk("classified", "post_id", "posts.id"),
    )


def _readers() -> None:
    op.create_table(
        "subscribers",
        *_id("subscribers"),
        *_may(TEXT, "address", "address_key"),
        *_must(UTC, "created_at"),
        *_may(UTC, "erased_at"),
        _uq("subscribers", "address_key"),
    )
    op.create_table(
        "subscriptions",
        *_id("subscriptions"),
        *_must(ID, "subscriber_id"),
        *_must(STRING, "newsletter"),
        *_must(TEXT, "interests"),
        *_must(STRING, "rhythm", "state"),
        *_must(TEXT, "consent_source"),
        *_may(UTC, "consent_at"),
        *_must(UTC, "created_at"),
        *_may(UTC, "ended_at"),
        *_may(TEXT, "ended_reason"),
        _fk("subscriptions", "subscriber_id", "subscribers.id"),
        _uq("subscriptions", "subscriber_id", "newsletter"),
        _ck("subscriptions", "state", "state IN ('pending', 'active', 'ended')"),
        _ck("subscriptions", "rhythm", "rhythm IN ('each-post', 'weekly', 'monthly')"),
        _ck("subscriptions", "consent", "state <> 'active' OR consent_at IS NOT NULL"),
    )
    _index("subscriptions", "newsletter", "state", "rhythm")
    op.create_table(
        "suppressions",
        *_must(TEXT, "address_key", "reason", "origin"),
        *_must(UTC, "at"),
        _pk("suppressions", "address_key"),
    )


def _issues() -> None:
    op.create_table(
        "newsletters",
        *_must(STRING, "slug"),
        *_must(UTC, "began_at"),
        _pk("newsletters", "slug"),
    )
    op.create_table(
        "issues",
        *_id("issues"),
        *_must(STRING, "newsletter", "scope", "period", "rhythm"),
        *_must(BOOLEAN, "repeat"),
        *_must(STRING, "state"),
        *_must(UTC, "scheduled_at", "created_at"),
        *_must(JSON, "content"),
        *_must(TEXT, "subject", "fallback_subject", "html", "text"),
        *_must(JSON, "preflight"),
        *_must(STRING, "hash"),
        *_may(STRING, "approved_hash"),
        *_may(UTC, "checked_at"),
        _ck(
            "issues",
            "state",
            "state IN ('draft', 'approved', 'frozen', 'sending', 'paused', 'done', 'skipped',"
            " 'held', 'rejected', 'cancelled')",
        ),
        _ck(
            "issues",
            "approved_is_what_goes_out",
            "state NOT IN ('approved', 'frozen', 'sending', 'paused', 'done')"
            " OR (approved_hash IS NOT NULL AND approved_hash = hash)",
        ),
    )
    live = sa.text("state NOT IN ('rejected', 'cancelled')")
    op.create_index(
        "uq_issues_one_per_period",
        "issues",
        ["newsletter", "scope", "period"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )


def _issue_details() -> None:
    op.create_table(
        "issue_transitions",
        *_id("issue_transitions"),
        *_must(ID, "issue_id"),
        *_may(STRING, "before"),
        *_must(STRING, "after"),
        *_must(UTC, "at"),
        *_must(TEXT, "actor", "reason"),
        *_may(STRING, "hash"),
        _fk("issue_transitions", "issue_id", "issues.id"),
    )
    _index("issue_transitions", "issue_id")
    op.create_table(
        "picks",
        *_must(ID, "issue_id", "post_id"),
        *_must(BOOLEAN, "is_in"),
        *_may(INTEGER, "position"),
        *_must(STRING, "code"),
        *_must(TEXT, "reason"),
        _pk("picks", "issue_id", "post_id"),
        _fk("picks", "issue_id", "issues.id"),
        _fk("picks", "post_id", "posts.id"),
        _uq("picks", "issue_id", "position"),
        _ck("picks", "position", "is_in = (position IS NOT NULL)"),
    )
    _index("picks", "post_id")


def _variants() -> None:
    op.create_table(
        "variants",
        *_id("variants"),
        *_must(ID, "issue_id"),
        *_must(sa.BigInteger(), "mask"),
        *_must(TEXT, "subject", "html", "text"),
        *_must(JSON, "preflight"),
        _fk("variants", "issue_id", "issues.id"),
        _uq("variants", "issue_id", "mask"),
    )
    op.create_table(
        "reservations",
        *_must(ID, "subscriber_id", "post_id", "repeat", "issue_id"),
        _pk("reservations", "subscriber_id", "post_id", "repeat"),
        _fk("reservations", "subscriber_id", "subscribers.id"),
        _fk("reservations", "post_id", "posts.id"),
        _fk("reservations", "issue_id", "issues.id"),
        sqlite_with_rowid=False,
    )
    _index("reservations", "issue_id", "subscriber_id")
    op.create_table(
        "exclusions",
        *_must(ID, "issue_id", "subscriber_id"),
        *_must(STRING, "reason"),
        _pk("exclusions", "issue_id", "subscriber_id"),
        _fk("exclusions", "issue_id", "issues.id"),
        _fk("exclusions", "subscriber_id", "subscribers.id"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        *_id("deliveries"),
        *_must(ID, "issue_id", "variant_id", "subscriber_id", "subscription_id"),
        *_must(TEXT, "address", "address_key"),
        *_must(STRING, "state"),
        *_must(INTEGER, "attempts"),
        *_may(UTC, "not_before"),
        *_may(TEXT, "worker"),
        *_may(UTC, "lease_until"),
        *_may(TEXT, "mailer", "message_id", "remote_id", "code", "reason"),
        *_must(UTC, "state_at"),
        *_may(TEXT, "settled"),
        _fk("deliveries", "issue_id", "issues.id"),
        _fk("deliveries", "variant_id", "variants.id"),
        _fk("deliveries", "subscriber_id", "subscribers.id"),
        _fk("deliveries", "subscription_id", "subscriptions.id"),
        _uq("deliveries", "issue_id", "subscriber_id"),
        _uq("deliveries", "message_id"),
        _ck("deliveries", "state", f"state IN ({DELIVERY_STATES})"),
        _ck(
            "deliveries",
            "lease",
            "state NOT IN ('claimed', 'submitting')"
            " OR (worker IS NOT NULL AND lease_until IS NOT NULL)",
        ),
    )
    _index("deliveries", "issue_id", "state", "not_before")
    _index("deliveries", "subscriber_id")


def _mail_details() -> None:
    op.create_table(
        "delivery_events",
        *_id("delivery_events"),
        *_must(ID, "delivery_id"),
        *_must(STRING, "event"),
        *_must(UTC, "at"),
        *_may(TEXT, "code", "detail"),
        _fk("delivery_events", "delivery_id", "deliveries.id"),
    )
    _index("delivery_events", "delivery_id")
    op.create_table(
        "notices",
        *_id("notices"),
        *_must(STRING, "kind"),
        *_must(TEXT, "address", "address_key"),
        *_may(ID, "issue_id", "subscription_id"),
        *_must(STRING, "state"),
        *_must(TEXT, "message_id"),
        *_may(TEXT, "remote_id", "code", "reason"),
        *_must(UTC, "created_at", "state_at"),
        _fk("notices", "issue_id", "issues.id"),
        _fk("notices", "subscription_id", "subscriptions.id"),
        _uq("notices", "message_id"),
        _ck("notices", "kind", "kind IN ('opt-in', 'test')"),
        _ck("notices", "state", f"state IN ({DELIVERY_STATES})"),
    )


def _social() -> None:
    op.create_table(
        "channels",
        *_must(STRING, "slug"),
        *_must(UTC, "since"),
        _pk("channels", "slug"),
    )
    op.create_table(
        "threads",
        *_id("threads"),
        *_must(STRING, "channel"),
        *_must(ID, "post_id"),
        *_must(INTEGER, "repeat"),
        *_must(STRING, "scope"),
        *_must(TEXT, "reason"),
        *_must(UTC, "planned_at"),
        _fk("threads", "post_id", "posts.id"),
        _uq("threads", "channel", "post_id", "repeat"),
    )
    op.create_table(
        "publications",
        *_id("publications"),
        *_must(ID, "thread_id"),
        *_must(STRING, "channel"),
        *_must(INTEGER, "position"),
        *_must(TEXT, "text"),
        *_must(INTEGER, "measured"),
        *_may(TEXT, "image_url", "image_alt"),
        *_must(STRING, "state"),
        *_must(UTC, "slot"),
        *_must(INTEGER, "attempts"),
        *_may(TEXT, "worker"),
        *_may(UTC, "lease_until"),
        *_may(TEXT, "remote_id", "url", "code", "reason"),
        *_must(UTC, "state_at"),
        _fk("publications", "thread_id", "threads.id"),
        _uq("publications", "thread_id", "position"),
        _ck("publications", "state", f"state IN ({DELIVERY_STATES})"),
        _ck(
            "publications",
            "lease",
            "state NOT IN ('claimed', 'submitting')"
            " OR (worker IS NOT NULL AND lease_until IS NOT NULL)",
        ),
    )
    _index("publications", "state", "slot")


def _runs() -> None:
    op.create_table(
        "runs",
        *_id("runs"),
        *_must(STRING, "what"),
        *_must(JSON, "parameters"),
        *_must(TEXT, "actor"),
        *_must(UTC, "started_at"),
        *_may(UTC, "ended_at"),
        *_must(STRING, "outcome"),
        *_must(JSON, "counts"),
        *_may(TEXT, "reason"),
        *_may(ID, "issue_id"),
        *_may(TEXT, "worker"),
        *_may(STRING, "prefect_run_id"),
        _fk("runs", "issue_id", "issues.id"),
        _ck("runs", "outcome", "outcome IN ('running', 'done', 'nothing', 'partial', 'failed')"),
    )
    _index("runs", "started_at")
