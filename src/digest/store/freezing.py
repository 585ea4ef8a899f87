"""Drawing recipients and reserving posts, all in SQL, inside one transaction.

The work grows with the database's speed, not with Python's: readers are never
fetched. What a reader wants depends only on their interests, of which there
are few different ones, so wants are worked out once per interests and joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    and_,
    case,
    exists,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)

from digest.model import Interests
from digest.store import overflow as kept
from digest.store.dialect import insert_ignore
from digest.store.tables import (
    Id,
    exclusions,
    overflow,
    reservations,
    subscribers,
    subscriptions,
    suppressions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection

    from digest.issues.period import Week
    from digest.store.issues import Issue

HAD_ALL = "has had all of these posts"
WANTS_NONE = "wants none of these posts"
SUPPRESSED = "suppressed"
PAUSED = "paused by the reader"
AT_CAP = "has had as many issues this week as they want; joins the next"
FOR_OTHERS = "wants none but posts that waited for others"

# PostgreSQL's statements each see what was committed by then: without it a reader who chooses
# anew in between would be left out for interests that nobody had when wants were worked out.
_audience = Table(
    "audience",
    MetaData(),
    Column("subscriber_id", Id, primary_key=True, autoincrement=False),
    Column("interests", String, nullable=False),
    prefixes=["TEMPORARY"],
)

_wants = Table(
    "wants",
    MetaData(),
    Column("interests", String, nullable=False),
    Column("post_id", Id, nullable=False),
    # Only readers whose cap kept it back get it by this issue.
    Column("overflow", Boolean, nullable=False),
    prefixes=["TEMPORARY"],
)

_capped = Table(
    "capped",
    MetaData(),
    Column("subscriber_id", Id, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """For which issue, at which moment, and, to see what one reader gets, for whom alone."""

    issue: Issue
    week: Week
    only: int | None = None

    @property
    def repeat(self) -> int:
        return self.issue.id if self.issue.repeat else 0


def draw_recipients(
    c: Connection,
    drawing: Drawing,
    wants: Callable[[Interests], Iterable[tuple[int, bool]]],
) -> None:
    """Reserve each reader's posts and say who is left out; nothing is enqueued yet.

    The caller holds `lock_freezing`. `wants` gives (post id, whether it is there only for those
    whose cap kept it back) for every pick that interests ask for. Readers left with nothing
    become exclusions with a reason; what a weekly cap keeps from them waits.
    """
    for table in (_audience, _wants, _capped):
        table.create(c)
    _note_audience(c, drawing)
    c.execute(insert(_capped).from_select(["subscriber_id"], kept.at_cap(drawing.week)))
    _note_wants(c, wants)
    _reserve(c, drawing)
    _keep_back(c, drawing)
    _exclude(c, drawing)
    for table in (_audience, _wants, _capped):
        table.drop(c)


def exclusion_of(c: Connection, issue: Issue, subscriber_id: int) -> str:
    """Why the issue leaves a reader out; empty where it does not, or is not meant for them."""
    e = exclusions.c
    query = select(e.reason).where(e.issue_id == issue.id, e.subscriber_id == subscriber_id)
    return c.scalar(query) or ""


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader's subscription, as freezing would see it."""

    subscriber_id: int
    subscription_id: int
    address: str
    rhythm: str
    state: str
    #: Why the address is suppressed, or None.
    suppressed: str | None


def reader_of(c: Connection, address_key: str, newsletter: str) -> Reader | None:
    """The reader with this address key, if they ever subscribed to the newsletter."""
    query = (
        select(
            subscribers.c.id,
            subscriptions.c.id,
            subscribers.c.address,
            subscriptions.c.rhythm,
            subscriptions.c.state,
            suppressions.c.reason,
        )
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == subscriptions.c.subscriber_id)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(subscribers.c.address_key == address_key, subscriptions.c.newsletter == newsletter)
    )
    row = c.execute(query).one_or_none()
    return Reader(*row) if row else None


def _note_audience(c: Connection, drawing: Drawing) -> None:
    s = subscriptions.c
    active = select(s.subscriber_id, s.interests).where(
        s.newsletter == drawing.issue.newsletter,
        s.state == "active",
        true() if drawing.only is None else s.subscriber_id == drawing.only,
    )
    c.execute(insert(_audience).from_select(["subscriber_id", "interests"], active))


def _note_wants(c: Connection, wants: Callable[[Interests], Iterable[tuple[int, bool]]]) -> None:
    keys: Sequence[str] = c.scalars(select(_audience.c.interests).distinct()).all()
    rows = [
        {"interests": key, "post_id": post_id, "overflow": is_overflow}
        for key in keys
        for post_id, is_overflow in wants(Interests.from_key(key))
    ]
    if rows:
        c.execute(insert(_wants), rows)


# --- who is meant ------------------------------------------------------------------------------


def _subscribed(drawing: Drawing) -> tuple[ColumnElement[bool], ...]:
    return (
        subscriptions.c.newsletter == drawing.issue.newsletter,
        subscriptions.c.state == "active",
        subscribers.c.address.is_not(None),
        true() if drawing.only is None else subscribers.c.id == drawing.only,
    )


def _in_audience(drawing: Drawing) -> tuple[ColumnElement[bool], ...]:
    return *_subscribed(drawing), subscriptions.c.rhythm == drawing.issue.rhythm


def _may_be_mailed(drawing: Drawing) -> tuple[ColumnElement[bool], ...]:
    return suppressions.c.address_key.is_(None), kept.not_paused(drawing.week.now)


def _is_capped() -> ColumnElement[bool]:
    return subscribers.c.id.in_(select(_capped.c.subscriber_id))


# --- what they get -----------------------------------------------------------------------------


def _reserve(c: Connection, drawing: Drawing) -> None:
    """Rule 3: whoever has the post already keeps it; the row here just does not come to be.

    What an issue repeats on purpose is reserved for ordinary issues too, or the next of
    those would bring it once more.
    """
    for repeat in {0, drawing.repeat}:
        _insert_reservations(c, drawing, repeat, _ordinary(drawing))
        if drawing.issue.scope == "all":
            _insert_reservations(c, drawing, repeat, _kept_back(drawing))


def _insert_reservations(
    c: Connection, drawing: Drawing, repeat: int, winners: Select[tuple[int, int]]
) -> None:
    won = winners.subquery()
    rows = select(
        won.c.subscriber_id, won.c.post_id, literal(repeat), literal(drawing.issue.id)
    ).order_by(won.c.subscriber_id, won.c.post_id)
    columns = ["subscriber_id", "post_id", "repeat", "issue_id"]
    c.execute(insert_ignore(c, reservations).from_select(columns, rows))


def _wanted() -> Select[tuple[int, int]]:
    """Every reader with every post that their interests ask for."""
    return (
        select(subscribers.c.id.label("subscriber_id"), _wants.c.post_id)
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == subscriptions.c.subscriber_id)
        .join(_audience, _audience.c.subscriber_id == subscribers.c.id)
        .join(_wants, _wants.c.interests == _audience.c.interests)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
    )


def _ordinary(drawing: Drawing) -> Select[tuple[int, int]]:
    return _wanted().where(
        *_in_audience(drawing),
        *_may_be_mailed(drawing),
        not_(_is_capped()),
        not_(_wants.c.overflow),
    )


def _kept_back(drawing: Drawing) -> Select[tuple[int, int]]:
    """What an earlier issue's week kept back, to whom it was kept back from."""
    return (
        _wanted()
        .join(
            overflow,
            and_(
                overflow.c.subscriber_id == subscribers.c.id,
                overflow.c.newsletter == subscriptions.c.newsletter,
                overflow.c.post_id == _wants.c.post_id,
            ),
        )
        .where(
            *_subscribed(drawing),
            *_may_be_mailed(drawing),
            not_(_is_capped()),
            kept.brought_by(drawing.issue.rhythm),
            kept.unreserved(but=drawing.issue.id),
        )
    )


def _keep_back(c: Connection, drawing: Drawing) -> None:
    """What readers would have had but for their weekly cap waits for their next issue."""
    issue, r = drawing.issue, reservations.c
    had = exists().where(
        r.subscriber_id == subscribers.c.id, r.post_id == _wants.c.post_id, r.repeat == 0
    )
    missed = (
        _wanted()
        .with_only_columns(
            subscribers.c.id,
            literal(issue.newsletter),
            _wants.c.post_id,
            literal(issue.id),
            literal(drawing.week.now, overflow.c.at.type),
        )
        .where(
            *_in_audience(drawing),
            *_may_be_mailed(drawing),
            _is_capped(),
            not_(_wants.c.overflow),
            not_(had),
        )
        .order_by(subscribers.c.id, _wants.c.post_id)
    )
    again = missed.subquery()
    same = and_(
        again.c.id == overflow.c.subscriber_id,
        again.c.post_id == overflow.c.post_id,
        overflow.c.newsletter == issue.newsletter,
    )
    # What waits already waits anew: what is too old is judged by when it was last kept back.
    waited = update(overflow).where(exists().where(same))
    c.execute(waited.values(issue_id=issue.id, at=drawing.week.now))
    columns = ["subscriber_id", "newsletter", "post_id", "issue_id", "at"]
    c.execute(insert_ignore(c, overflow).from_select(columns, missed))


# --- who is left out, and why ------------------------------------------------------------------


def _exclude(c: Connection, drawing: Drawing) -> None:
    issue = drawing.issue
    won = select(reservations.c.subscriber_id).where(
        reservations.c.issue_id == issue.id, reservations.c.repeat == drawing.repeat
    )
    any_wanted = select(_wants.c.interests)
    wanted = any_wanted.where(not_(_wants.c.overflow))
    reason = case(
        (suppressions.c.address_key.is_not(None), SUPPRESSED),
        (not_(kept.not_paused(drawing.week.now)), PAUSED),
        (and_(_is_capped(), _misses_something(issue)), AT_CAP),
        (_audience.c.interests.in_(wanted), HAD_ALL),
        (_audience.c.interests.in_(any_wanted), FOR_OTHERS),
        else_=WANTS_NONE,
    )
    left_out = (
        select(literal(issue.id), subscribers.c.id, reason)
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == subscriptions.c.subscriber_id)
        .join(_audience, _audience.c.subscriber_id == subscribers.c.id)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(*_in_audience(drawing), subscribers.c.id.not_in(won))
    )
    c.execute(insert(exclusions).from_select(["issue_id", "subscriber_id", "reason"], left_out))


def _misses_something(issue: Issue) -> ColumnElement[bool]:
    """A reader at the cap would have had something of the issue: new posts, or a repeat."""
    asked = _wants.c.interests == _audience.c.interests
    waits = exists().where(
        overflow.c.subscriber_id == subscribers.c.id,
        overflow.c.newsletter == issue.newsletter,
        overflow.c.post_id == _wants.c.post_id,
        asked,
        kept.unreserved(),
    )
    repeated = exists().where(asked, not_(_wants.c.overflow)) if issue.repeat else not_(true())
    return or_(waits, repeated)
