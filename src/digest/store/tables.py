"""The schema. The rules that must always hold are constraints here, not habits of the code.

Counts are never stored beside what they count; the account of an issue is a
query over `deliveries`. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

from digest.model import DeliveryState, IssueState, Rhythm

if TYPE_CHECKING:
    from enum import StrEnum

    from sqlalchemy.engine import Dialect


class Utc(TypeDecorator[datetime]):
    """An aware datetime in UTC; a naive one is refused at the door.

    SQLite keeps it as text without an offset, PostgreSQL as timestamptz.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r} in the store")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: SQLite counts rows itself only in a column that is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, words: type[StrEnum] | tuple[str, ...], name: str) -> CheckConstraint:
    return CheckConstraint(_in(column, words), name=name)


def _in(column: str, words: type[StrEnum] | tuple[str, ...]) -> str:
    values = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({values})"


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, nullable: bool = False, **kwargs: Any) -> Column[int]:
    return Column(name, Id, ForeignKey(target), nullable=nullable, **kwargs)


#: Small facts with one value each: the hash of the rules that memberships were found by, ...
facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

# --- feeds and posts ---------------------------------------------------------------------------

feeds = Table(
    "feeds",
    metadata,
    Column("slug", String, primary_key=True),
    # The URL the validators below belong to; with another URL in config they are void.
    Column("url", Text, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("not_before", Utc),
    # Set by 410 Gone: read no more until the operator changes the URL or asks by name.
    Column("paused_reason", Text),
    # The first complete reading is done: what it found is archive, what comes later is news.
    Column("read_whole_at", Utc),
    # A reading stored posts and has not reached its end: what was first seen since then does
    # not prove that everything before it is known. NULL once a reading is whole.
    Column("open_since", Utc),
    Column("last_read_at", Utc),
    Column("last_error", Text),
)

posts = Table(
    "posts",
    metadata,
    _id(),
    Column("guid", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("published", Utc, nullable=False),
    Column("first_seen", Utc, nullable=False),
    Column("arrived", Utc, nullable=False),
    Column("changed_at", Utc),
    # Its page was found gone; NULL again once a feed shows it again.
    Column("gone_at", Utc),
    Column("categories", JSON, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("excerpt", Text, nullable=False),
    Column("image_url", Text),
    Column("image_alt", Text),
    Column("image_width", Integer),
    Column("image_height", Integer),
    Column("reading_minutes", Integer, nullable=False),
    # sha256 over every field a reader could see; equal hash means nothing changed.
    Column("content_hash", String, nullable=False),
    # The feed that first brought it, which alone edits it: two feeds that show one post
    # differently would otherwise change it back and forth for ever.
    Column("feed", String),
    Index(None, "published"),
    Index(None, "arrived"),
)

# The same post through two feeds, or under a changed URL, is one post: every guid and
# canonical URL it was ever seen under leads to it.
post_identities = Table(
    "post_identities",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", Text, primary_key=True),
    _ref("post_id", "posts.id", index=True),
    _one_of("kind", ("guid", "url"), "kind"),
)

post_changes = Table(
    "post_changes",
    metadata,
    _id(),
    _ref("post_id", "posts.id", index=True),
    Column("at", Utc, nullable=False),
    # {"title": {"before": ..., "after": ...}, ...}
    Column("fields", JSON, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("kind", String, primary_key=True),
    Column("slug", String, primary_key=True),
    _ref("post_id", "posts.id", primary_key=True),
    Column("why", Text, nullable=False),
    _one_of("kind", ("series", "theme"), "kind"),
    Index(None, "post_id"),
)

# The content_hash of a post when its memberships were found; without a row, or with another
# hash, they are found anew. (A post of no series and no theme has no row in `memberships`.)
classified = Table(
    "classified",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    Column("content_hash", String, nullable=False),
)

# --- readers -----------------------------------------------------------------------------------

subscribers = Table(
    "subscribers",
    metadata,
    _id(),
    # Both NULL once erased; the row stays, so that ledger and account stay.
    Column("address", Text),
    # The normalised, case-folded address: one person, one row.
    Column("address_key", Text, unique=True),
    Column("created_at", Utc, nullable=False),
    Column("erased_at", Utc),
    # At most so many issues a week, of all newsletters; NULL: as they come.
    Column("weekly_cap", Integer),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    _id(),
    _ref("subscriber_id", "subscribers.id"),
    Column("newsletter", String, nullable=False),
    Column("interests", Text, nullable=False),
    Column("rhythm", String, nullable=False),
    Column("state", String, nullable=False),
    Column("consent_source", Text, nullable=False),
    Column("consent_at", Utc),
    Column("created_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("ended_reason", Text),
    # No issue reaches it before then.
    Column("paused_until", Utc),
    UniqueConstraint("subscriber_id", "newsletter"),
    _one_of("state", ("pending", "active", "ended"), "state"),
    _one_of("rhythm", Rhythm, "rhythm"),
    CheckConstraint("state <> 'active' OR consent_at IS NOT NULL", name="consent"),
    Index(None, "newsletter", "state", "rhythm"),
)

# An address here is never mailed again; no foreign key, so that it outlives the reader.
suppressions = Table(
    "suppressions",
    metadata,
    Column("address_key", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

# What somebody asked for at a form, to be confirmed by mail; until then it is nobody's consent.
# Asking again changes the one that is open.
sign_ups = Table(
    "sign_ups",
    metadata,
    _id(),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False),
    # A list, each of: newsletter, interests (the key), rhythm.
    Column("wishes", JSON, nullable=False),
    # Which form: "sign-up page", or "form on blog.example".
    Column("form", Text, nullable=False),
    # The words that were agreed to.
    Column("text", Text, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("confirmed_at", Utc),
    Index(
        "uq_sign_ups_one_open_per_address",
        "address_key",
        unique=True,
        sqlite_where=text("confirmed_at IS NULL"),
        postgresql_where=text("confirmed_at IS NULL"),
    ),
    # A mailed link means a number: that of a sign-up which is gone must never be another's.
    sqlite_autoincrement=True,
)

# The history of a subscription in the reader's own doing: what was agreed to, when, in which
# words, at which form. Only ever added to, until the reader is erased.
consents = Table(
    "consents",
    metadata,
    _id(),
    _ref("subscription_id", "subscriptions.id", index=True),
    Column("at", Utc, nullable=False),
    # "confirmed", "changed", "paused", "went on", "left"
    Column("event", String, nullable=False),
    Column("form", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("interests", Text, nullable=False),
    Column("rhythm", String, nullable=False),
)

# That an address, known by its keyed hash alone, was erased: only its reader brings it back.
erasures = Table(
    "erasures",
    metadata,
    Column("address_hash", String, primary_key=True),
    Column("at", Utc, nullable=False),
    # Of a suppression that outlives the reader; NULL where there was none.
    Column("suppressed_reason", Text),
    Column("suppressed_origin", Text),
    Column("suppressed_at", Utc),
)

# --- issues ------------------------------------------------------------------------------------

newsletters = Table(
    "newsletters",
    metadata,
    Column("slug", String, primary_key=True),
    Column("began_at", Utc, nullable=False),
)

issues = Table(
    "issues",
    metadata,
    _id(),
    Column("newsletter", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("period", String, nullable=False),
    Column("rhythm", String, nullable=False),
    Column("repeat", Boolean, nullable=False, default=False),
    Column("state", String, nullable=False),
    Column("scheduled_at", Utc, nullable=False),
    Column("created_at", Utc, nullable=False),
    # What is shown and approved: digest.issues.content.IssueContent as JSON.
    Column("content", JSON, nullable=False),
    Column("subject", Text, nullable=False),
    # For variants that lack the post that the subject names.
    Column("fallback_subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("preflight", JSON, nullable=False),
    # sha256 of subjects, HTML, text, picks and audience rule as drafted ...
    Column("hash", String, nullable=False),
    # ... and as approved: nothing else may go out.
    Column("approved_hash", String),
    Column("checked_at", Utc),
    # A draft that nobody decided on by then is decided by the newsletter's policy.
    Column("decide_by", Utc),
    # Nothing more of it goes out before then, and why: its hours, its canary, the mailer's pace.
    Column("waits_until", Utc),
    Column("waits_why", Text),
    _one_of("state", IssueState, "state"),
    CheckConstraint(
        # A CHECK passes where it comes out NULL, so NULL is excluded by name.
        "state NOT IN ('approved', 'frozen', 'sending', 'paused', 'done')"
        " OR (approved_hash IS NOT NULL AND approved_hash = hash)",
        name="approved_is_what_goes_out",
    ),
    # Rule 1: one newsletter, scope and period has one issue.
    Index(
        "uq_issues_one_per_period",
        "newsletter",
        "scope",
        "period",
        unique=True,
        sqlite_where=text("state NOT IN ('rejected', 'cancelled')"),
        postgresql_where=text("state NOT IN ('rejected', 'cancelled')"),
    ),
)

issue_transitions = Table(
    "issue_transitions",
    metadata,
    _id(),
    _ref("issue_id", "issues.id", index=True),
    Column("before", String),
    Column("after", String, nullable=False),
    Column("at", Utc, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", String),
)

# A question put to an editor about a draft, and the run that sleeps until it is answered.
# `hash` is of the draft that was shown: an answer is about nothing else.
asks = Table(
    "asks",
    metadata,
    _id(),
    _ref("issue_id", "issues.id"),
    Column("prefect_run_id", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("outcome", Text),
    Index(
        "uq_asks_one_open_per_issue",
        "issue_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

picks = Table(
    "picks",
    metadata,
    _ref("issue_id", "issues.id", primary_key=True),
    _ref("post_id", "posts.id", primary_key=True),
    Column("is_in", Boolean, nullable=False),
    Column("position", Integer),
    Column("code", String, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("is_in = (position IS NOT NULL)", name="position"),
    UniqueConstraint("issue_id", "position"),
    Index(None, "post_id"),
)

variants = Table(
    "variants",
    metadata,
    _id(),
    _ref("issue_id", "issues.id"),
    # Bit n-1 is set where the pick at position n is in.
    Column("mask", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("preflight", JSON, nullable=False),
    UniqueConstraint("issue_id", "mask"),
)

# Rule 3: one post reaches one reader once. `repeat` is 0, or the issue by which an editor
# repeats it on purpose. Freezing for a million readers writes millions of rows: they come in the
# order of the key, which is the only index; and nothing refers to what it has no foreign key for,
# since subscribers, posts and issues are never deleted. Look for them by post: `store.reserving`.
reservations = Table(
    "reservations",
    metadata,
    Column("post_id", Id, primary_key=True, autoincrement=False),
    Column("subscriber_id", Id, primary_key=True),
    Column("repeat", Id, primary_key=True),
    Column("issue_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

# Posts that a reader's weekly cap kept back: they join that reader's next issue of the newsletter.
overflow = Table(
    "overflow",
    metadata,
    _ref("subscriber_id", "subscribers.id", primary_key=True),
    Column("newsletter", String, primary_key=True),
    _ref("post_id", "posts.id", primary_key=True),
    # The issue that would have brought it.
    _ref("issue_id", "issues.id"),
    Column("at", Utc, nullable=False),
    Index(None, "newsletter", "post_id"),
    sqlite_with_rowid=False,
)

exclusions = Table(
    "exclusions",
    metadata,
    _ref("issue_id", "issues.id", primary_key=True),
    _ref("subscriber_id", "subscribers.id", primary_key=True),
    Column("reason", String, nullable=False),
)

# --- mail --------------------------------------------------------------------------------------

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    _ref("issue_id", "issues.id"),
    _ref("variant_id", "variants.id"),
    _ref("subscriber_id", "subscribers.id", index=True),
    _ref("subscription_id", "subscriptions.id"),
    # The address as frozen; a keyed hash once the reader is erased.
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Utc),
    Column("worker", Text),
    Column("lease_until", Utc),
    # What it was said to; only that one may look it up.
    Column("mailer", Text),
    # The request that it went in, with all others of the same; see `ports.Mailer.submit`.
    Column("request", String),
    # Follows from issue, subscriber and secret; stored with the first `submitting`.
    Column("message_id", Text),
    Column("remote_id", Text),
    Column("code", Text),
    Column("reason", Text),
    Column("state_at", Utc, nullable=False),
    # An editor's or adapter's word on an uncertain delivery that stays uncertain.
    Column("settled", Text),
    # Rule 2: one issue reaches one recipient once.
    UniqueConstraint("issue_id", "subscriber_id"),
    # As they come, all are pending; to look that up among nine words took SQLite a third of the
    # time of enqueuing.
    CheckConstraint(f"state = 'pending' OR {_in('state', DeliveryState)}", name="state"),
    CheckConstraint(
        "state NOT IN ('claimed', 'submitting')"
        " OR (worker IS NOT NULL AND lease_until IS NOT NULL)",
        name="lease",
    ),
    # Claims go through it by id.
    Index(None, "issue_id", "state", "id"),
    # Few wait for a time, and few were ever said to anybody while most are pending.
    Index(
        None,
        "issue_id",
        "not_before",
        sqlite_where=text("not_before IS NOT NULL"),
        postgresql_where=text("not_before IS NOT NULL"),
    ),
    Index(
        "uq_deliveries_message_id",
        "message_id",
        unique=True,
        sqlite_where=text("message_id IS NOT NULL"),
        postgresql_where=text("message_id IS NOT NULL"),
    ),
    Index(
        None,
        "request",
        sqlite_where=text("request IS NOT NULL"),
        postgresql_where=text("request IS NOT NULL"),
    ),
)

#: By which an issue's brakes go. Said word for word like this, a query finds the small index.
BRAKING = "event IN ('bounced', 'complained')"

# What became known after submission, in Anymail's words: deferred, delivered, bounced,
# complained, unsubscribed, ...
delivery_events = Table(
    "delivery_events",
    metadata,
    _id(),
    _ref("delivery_id", "deliveries.id", index=True),
    Column("event", String, nullable=False),
    # Of a bounce: "hard", "soft" or "policy".
    Column("kind", String),
    Column("at", Utc, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    Index(None, "at", sqlite_where=text(BRAKING), postgresql_where=text(BRAKING)),
)

# What came back about mails, stored before anything is done about it: reports read from an
# inbox, and what a mailer's webhook was told. One that comes again is the same row.
feedback = Table(
    "feedback",
    metadata,
    _id(),
    # Which inbox or webhook: "inbox:bounces", or "hook:relay".
    Column("source", String, nullable=False),
    # The other side's own name for the event, or a hash of what it said.
    Column("event_id", String, nullable=False),
    Column("received_at", Utc, nullable=False),
    # `digest.mail.feedback.Feedback` as JSON; NULL once it was worked on.
    Column("body", JSON(none_as_null=True)),
    Column("worked_at", Utc),
    # What was made of it, in a word: an event, or "unknown".
    Column("became", String),
    _ref("delivery_id", "deliveries.id", nullable=True, index=True),
    UniqueConstraint("source", "event_id"),
    Index(
        None,
        "received_at",
        sqlite_where=text("worked_at IS NULL"),
        postgresql_where=text("worked_at IS NULL"),
    ),
)

# How many mails a mailer took up in a slot of a period, all workers together: what `pace` allows
# next follows from the last slots. `domain` is "" for all of them together.
mail_paces = Table(
    "mail_paces",
    metadata,
    Column("mailer", String, primary_key=True),
    Column("domain", String, primary_key=True),
    # In seconds.
    Column("period", Integer, primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Mailers, or domains at a mailer, that asked for time.
mail_waits = Table(
    "mail_waits",
    metadata,
    Column("mailer", String, primary_key=True),
    Column("domain", String, primary_key=True),
    Column("until", Utc, nullable=False),
    Column("reason", Text, nullable=False),
    # How often in a row; the next wait is the longer for it.
    Column("streak", Integer, nullable=False),
)

# Mails outside any issue: opt-in mails, links that readers asked for, test copies. One row, one
# submission at most; what is `pending` waits for whoever sends notices.
notices = Table(
    "notices",
    metadata,
    _id(),
    Column("kind", String, nullable=False),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False),
    _ref("issue_id", "issues.id", nullable=True),
    _ref("subscription_id", "subscriptions.id", nullable=True),
    Column("state", String, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("remote_id", Text),
    Column("code", Text),
    Column("reason", Text),
    Column("created_at", Utc, nullable=False),
    Column("state_at", Utc, nullable=False),
    Column("newsletter", String),
    Column("sign_up_id", Id),
    Column("subscriber_id", Id),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Utc),
    # By whose lock a notice in doubt is told from one that is being submitted.
    Column("worker", Text),
    _one_of("kind", ("opt-in", "sign-up", "settings", "test"), "kind"),
    _one_of("state", DeliveryState, "state"),
    Index(None, "address_key", "created_at"),
    Index(None, "state", "not_before"),
)

# --- social ------------------------------------------------------------------------------------

channels = Table(
    "channels",
    metadata,
    Column("slug", String, primary_key=True),
    Column("since", Utc, nullable=False),
)

# Rule 3 on a channel: one post once, across series and theme threads. `repeat` is 0, or
# counts the times it was brought back on purpose.
threads = Table(
    "threads",
    metadata,
    _id(),
    Column("channel", String, nullable=False),
    _ref("post_id", "posts.id"),
    Column("repeat", Integer, nullable=False, default=0),
    # "series:ipc", "theme:funding": under whose hashtag it goes out.
    Column("scope", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("planned_at", Utc, nullable=False),
    Column("form", String, nullable=False, server_default="thread"),
    # Brought back by rotation, not by an editor.
    Column("evergreen", Boolean, nullable=False, server_default=false()),
    # In a standing thread: the one it goes on from.
    Column("after_id", Id),
    # The post's content_hash when the thread was made, or when what is out was last compared.
    Column("post_hash", String),
    # It waits for an editor.
    Column("held_at", Utc),
    Column("held_why", Text),
    # It is to be taken down.
    Column("undo_at", Utc),
    Column("undo_by", Text),
    Column("undo_why", Text),
    # When it was read back, and what differed then; nothing where it was as it should be.
    Column("proved_at", Utc),
    Column("differs", Text),
    UniqueConstraint("channel", "post_id", "repeat"),
    Index(None, "after_id"),
)

publications = Table(
    "publications",
    metadata,
    _id(),
    _ref("thread_id", "threads.id"),
    Column("channel", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("measured", Integer, nullable=False),
    Column("language", String, nullable=False, server_default="en"),
    Column("image_url", Text),
    Column("image_alt", Text),
    # A link card: url, title, description, image_url.
    Column("card", JSON),
    # Hashtags that stand in no text.
    Column("tags", JSON),
    # The pictures as they are uploaded: names of files, frozen before the first try.
    Column("picture", Text),
    Column("card_picture", Text),
    # Why it goes without a picture.
    Column("note", Text),
    Column("state", String, nullable=False),
    Column("slot", Utc, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Utc),
    Column("worker", Text),
    Column("lease_until", Utc),
    # What the network is told, exactly; when it was first and last told.
    Column("body", Text),
    Column("tried_at", Utc),
    Column("begun_at", Utc),
    # The remote id of what it answers.
    Column("reply_to", Text),
    Column("remote_id", Text),
    Column("version", Text),
    Column("url", Text),
    Column("code", Text),
    Column("reason", Text),
    Column("state_at", Utc, nullable=False),
    # An editor's or adapter's word on an uncertain publication.
    Column("settled", Text),
    # When it was found to be out no more, whoever took it down.
    Column("deleted_at", Utc),
    UniqueConstraint("thread_id", "position"),
    _one_of("state", DeliveryState, "state"),
    CheckConstraint(
        "state NOT IN ('claimed', 'submitting')"
        " OR (worker IS NOT NULL AND lease_until IS NOT NULL)",
        name="lease",
    ),
    Index(None, "state", "slot"),
    # What is out stands for one publication.
    Index(
        "uq_publications_remote",
        "channel",
        "remote_id",
        unique=True,
        sqlite_where=text("remote_id IS NOT NULL"),
        postgresql_where=text("remote_id IS NOT NULL"),
    ),
)

# Channels that publish nothing until somebody lets them; "all" stops every one.
stops = Table(
    "stops",
    metadata,
    Column("channel", String, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# What a network asked us not to do before a time: "post", "media", "delete", "read"; and "money",
# until the month is over.
waits = Table(
    "waits",
    metadata,
    Column("channel", String, primary_key=True),
    Column("what", String, primary_key=True),
    Column("until", Utc, nullable=False),
    Column("reason", Text, nullable=False),
)

# What calls cost, in millionths of a US dollar; a call in doubt is taken to cost.
charges = Table(
    "charges",
    metadata,
    _id(),
    Column("channel", String, nullable=False),
    _ref("publication_id", "publications.id", nullable=True, index=True),
    Column("what", String, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("at", Utc, nullable=False),
    Index(None, "channel", "at"),
)

# --- runs --------------------------------------------------------------------------------------

runs = Table(
    "runs",
    metadata,
    _id(),
    Column("what", String, nullable=False),
    # Ids, slugs and switches; never an address.
    Column("parameters", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("outcome", String, nullable=False),
    Column("counts", JSON, nullable=False),
    # Why nothing was sent, or what went wrong.
    Column("reason", Text),
    _ref("issue_id", "issues.id", nullable=True),
    # By whose lock a run that was killed is told from one that is running.
    Column("worker", Text),
    Column("prefect_run_id", String),
    _one_of("outcome", ("running", "done", "nothing", "partial", "failed"), "outcome"),
    Index(None, "started_at"),
    Index(None, "prefect_run_id"),
)

# --- the editors' desk -------------------------------------------------------------------------

editors = Table(
    "editors",
    metadata,
    _id(),
    # As it stands with every decision; unique without regard to case.
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    # argon2id, with its parameters and salt.
    Column("password_hash", Text, nullable=False),
    Column("role", String, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("disabled_at", Utc),
    _one_of("role", ("editor", "viewer"), "role"),
)

# Who is signed in; a new password, another role or disabling the account ends them all.
sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of the cookie, in hex: who reads the database cannot sign in with it.
    Column("token_hash", String, primary_key=True),
    _ref("editor_id", "editors.id", index=True),
    Column("created_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
)
