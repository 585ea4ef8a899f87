"""Drawing recipients and reserving posts, all in SQL, inside one transaction.

The work grows with the database's speed, not with Python's: readers are never
fetched. What a reader wants depends only on their interests, of which there
are few different ones, so wants are worked out once per interests and joined.
A set of posts is a mask: the sum of its posts' bits.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)

from digest.model import Interests, Rhythm
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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from digest.issues.period import Week
    from digest.store.issues import Issue

HAD_ALL = "has had all of these posts"
WANTS_NONE = "wants none of these posts"
SUPPRESSED = "suppressed"
PAUSED = "paused by the reader"
AT_CAP = "has had as many issues this week as they want; joins the next"
FOR_OTHERS = "wants none but posts that waited for others"


def _temporary(name: str, *columns: Column[Any]) -> Table:
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"])


def _key(name: str) -> Column[int]:
    return Column(name, Id, primary_key=True, autoincrement=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


#: The posts that readers are offered.
_offered = _temporary("offered", _key("post_id"), _number("bit"))

#: Everybody whom the issue may reach.
# PostgreSQL's statements each see what was committed by then: without it a reader who chooses
# anew in between would be left out for interests that nobody had when wants were worked out.
_audience = _temporary(
    "audience",
    _key("subscriber_id"),
    _number("subscription_id"),
    Column("interests", String, nullable=False),
    # Of the issue's rhythm; all others can only get what was kept back from them.
    Column("is_meant", Boolean, nullable=False),
    # Why nothing may be mailed to them now, or NULL.
    Column("barred", String),
)

_wants = _temporary(
    "wants",
    Column("interests", String, primary_key=True),
    # Without posts that only readers get by this issue from whom a cap kept them back; and with.
    _number("ordinary"),
    _number("altogether"),
)

#: What was kept back from readers who may have it now.
_waiting = _temporary("waiting", _key("subscriber_id"), _number("mask"))

#: What each reader of the audience is left with; 0 for nothing.
won = _temporary("won", _key("subscriber_id"), _number("subscription_id"), _number("mask"))

_TEMPORARY = (_offered, _audience, _wants, _waiting, won)


@dataclass(frozen=True, slots=True)
class Drawing:
    """For which issue, at which moment, and, to see what one reader gets, for whom alone."""

    issue: Issue
    week: Week
    only: int | None = None

    @property
    def repeat(self) -> int:
        return self.issue.id if self.issue.repeat else 0


@contextmanager
def drawn(
    c: Connection,
    drawing: Drawing,
    bits: Mapping[int, int],
    wants: Callable[[Interests], Iterable[tuple[int, bool]]],
) -> Iterator[None]:
    """Find out what each reader is left with, and say who is left out.

    While it lasts, `won` tells; nothing is reserved or enqueued yet. The caller holds
    `lock_freezing`. `bits` gives each post that is offered its bit. `wants` gives (post id,
    whether it is there only for those whose cap kept it back) for every post that interests ask
    for. Readers left with nothing become exclusions with a reason; what a weekly cap keeps from
    them waits.
    """
    for table in _TEMPORARY:
        table.create(c)
    offered = [{"post_id": post_id, "bit": bit} for post_id, bit in bits.items()]
    if offered:
        c.execute(insert(_offered), offered)
    _note_audience(c, drawing)
    _note_wants(c, bits, wants)
    _note_waiting(c, drawing)
    _share_out(c, drawing, bits)
    _keep_back(c, drawing)
    _exclude(c, drawing)
    yield
    for table in _TEMPORARY:
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


# --- who is there, and what they ask for ---------------------------------------------------------


def _note_audience(c: Connection, drawing: Drawing) -> None:
    issue, s = drawing.issue, subscriptions.c
    is_meant = s.rhythm == issue.rhythm
    # In the order in which SQL's CASE asks.
    barred = case(
        (suppressions.c.address_key.is_not(None), SUPPRESSED),
        (not_(kept.not_paused(drawing.week.now)), PAUSED),
        (kept.is_at_cap(drawing.week), AT_CAP),
    )
    found = (
        select(subscribers.c.id, s.id, s.interests, is_meant, barred)
        .select_from(subscriptions)
        .join(subscribers, subscribers.c.id == s.subscriber_id)
        .outerjoin(suppressions, suppressions.c.address_key == subscribers.c.address_key)
        .where(
            s.newsletter == issue.newsletter,
            s.state == "active",
            subscribers.c.address.is_not(None),
            or_(is_meant, _may_be_waited_for(issue)),
            true() if drawing.only is None else s.subscriber_id == drawing.only,
        )
        .order_by(subscribers.c.id)
    )
    columns = ["subscriber_id", "subscription_id", "interests", "is_meant", "barred"]
    c.execute(insert(_audience).from_select(columns, found))


def _may_be_waited_for(issue: Issue) -> ColumnElement[bool]:
    """Something was kept back from the reader of another rhythm, and the issue may bring it."""
    if issue.scope != "all":
        return not_(true())
    waits = exists().where(
        overflow.c.subscriber_id == subscriptions.c.subscriber_id,
        overflow.c.newsletter == issue.newsletter,
    )
    return and_(kept.brought_by(Rhythm(issue.rhythm)), waits)


def _note_wants(
    c: Connection,
    bits: Mapping[int, int],
    wants: Callable[[Interests], Iterable[tuple[int, bool]]],
) -> None:
    keys: Sequence[str] = c.scalars(select(_audience.c.interests).distinct()).all()
    rows = []
    for key in keys:
        asked = list(wants(Interests.from_key(key)))
        ordinary = sum(bits[post_id] for post_id, is_overflow in asked if not is_overflow)
        altogether = sum(bits[post_id] for post_id, _ in asked)
        rows.append({"interests": key, "ordinary": ordinary, "altogether": altogether})
    if rows:
        c.execute(insert(_wants), rows)


def _note_waiting(c: Connection, drawing: Drawing) -> None:
    """What an earlier issue's week kept back, to whom it was kept back from."""
    if drawing.issue.scope != "all":
        return
    found = (
        select(overflow.c.subscriber_id, cast(func.sum(_offered.c.bit), BigInteger))
        .join(_audience, _audience.c.subscriber_id == overflow.c.subscriber_id)
        .join(_wants, _wants.c.interests == _audience.c.interests)
        .join(_offered, _offered.c.post_id == overflow.c.post_id)
        .where(
            overflow.c.newsletter == drawing.issue.newsletter,
            has(_wants.c.altogether, _offered.c.bit),
            _audience.c.barred.is_(None),
            kept.unreserved(),
        )
        .group_by(overflow.c.subscriber_id)
    )
    c.execute(insert(_waiting).from_select(["subscriber_id", "mask"], found))


def has(mask: ColumnElement[int], bit: int | ColumnElement[int]) -> ColumnElement[bool]:
    other = literal(bit, BigInteger) if isinstance(bit, int) else bit
    return mask.bitwise_and(other) != 0


# --- what they get -----------------------------------------------------------------------------


def _share_out(c: Connection, drawing: Drawing, bits: Mapping[int, int]) -> None:
    """Everybody gets what they want of what they have not had; who is barred, nothing."""
    ordinary = case((_audience.c.is_meant, _wants.c.ordinary), else_=0)
    waiting = func.coalesce(_waiting.c.mask, 0)
    mask = case((_audience.c.barred.is_(None), ordinary.bitwise_or(waiting)), else_=0)
    wanted = (
        select(_audience.c.subscriber_id, _audience.c.subscription_id, mask.label("mask"))
        .join(_wants, _wants.c.interests == _audience.c.interests)
        .outerjoin(_waiting, _waiting.c.subscriber_id == _audience.c.subscriber_id)
        .subquery()
        .c
    )
    rows = select(
        wanted.subscriber_id, wanted.subscription_id, _less_had(c, drawing, bits, wanted)
    ).order_by(wanted.subscriber_id)
    c.execute(insert(won).from_select(["subscriber_id", "subscription_id", "mask"], rows))


def _less_had(
    c: Connection,
    drawing: Drawing,
    bits: Mapping[int, int],
    wanted: ReadOnlyColumnCollection[str, Any],
) -> ColumnElement[int]:
    """The mask without what the reader holds already; a repeat on purpose leaves it in.

    Most issues bring new posts that nobody holds, and of those no reader is looked up.
    """
    r = reservations.c
    held = [] if drawing.repeat else _held_by_somebody(c, bits)
    fresh = sum(bit for post_id, bit in bits.items() if post_id not in held)
    mask: ColumnElement[int] = wanted.mask.bitwise_and(literal(fresh, BigInteger))
    for post_id in held:
        bit = bits[post_id]
        had = exists().where(
            r.post_id == post_id, r.subscriber_id == wanted.subscriber_id, r.repeat == 0
        )
        still = case((and_(has(wanted.mask, bit), not_(had)), literal(bit, BigInteger)), else_=0)
        mask = mask.bitwise_or(still)
    return mask


def _held_by_somebody(c: Connection, bits: Mapping[int, int]) -> list[int]:
    r = reservations.c
    return [post_id for post_id in bits if c.scalar(select(exists().where(r.post_id == post_id)))]


def _keep_back(c: Connection, drawing: Drawing) -> None:
    """What readers would have had but for their weekly cap waits for their next issue."""
    issue, r = drawing.issue, reservations.c
    had = exists().where(
        r.post_id == _offered.c.post_id,
        r.subscriber_id == _audience.c.subscriber_id,
        r.repeat == 0,
    )
    missed = (
        select(
            _audience.c.subscriber_id,
            literal(issue.newsletter),
            _offered.c.post_id,
            literal(issue.id),
            literal(drawing.week.now, overflow.c.at.type),
        )
        .select_from(_audience)
        .join(_wants, _wants.c.interests == _audience.c.interests)
        .join(_offered, has(_wants.c.ordinary, _offered.c.bit))
        .where(_audience.c.is_meant, _audience.c.barred == AT_CAP, not_(had))
    )
    again = missed.where(
        _audience.c.subscriber_id == overflow.c.subscriber_id,
        _offered.c.post_id == overflow.c.post_id,
    ).exists()
    # What waits already waits anew: what is too old is judged by when it was last kept back.
    waited = update(overflow).where(overflow.c.newsletter == issue.newsletter, again)
    c.execute(waited.values(issue_id=issue.id, at=drawing.week.now))
    columns = ["subscriber_id", "newsletter", "post_id", "issue_id", "at"]
    rows = missed.order_by(_audience.c.subscriber_id, _offered.c.post_id)
    c.execute(insert_ignore(c, overflow).from_select(columns, rows))


# --- who is left out, and why ------------------------------------------------------------------


def _exclude(c: Connection, drawing: Drawing) -> None:
    issue = drawing.issue
    reason = case(
        (and_(_audience.c.barred == AT_CAP, _misses_something(issue)), AT_CAP),
        (_audience.c.barred != AT_CAP, _audience.c.barred),
        (_wants.c.ordinary != 0, HAD_ALL),
        (_wants.c.altogether != 0, FOR_OTHERS),
        else_=WANTS_NONE,
    )
    left_out = (
        select(literal(issue.id), _audience.c.subscriber_id, reason)
        .join(_wants, _wants.c.interests == _audience.c.interests)
        .join(won, won.c.subscriber_id == _audience.c.subscriber_id)
        .where(_audience.c.is_meant, won.c.mask == 0)
    )
    c.execute(insert(exclusions).from_select(["issue_id", "subscriber_id", "reason"], left_out))


def _misses_something(issue: Issue) -> ColumnElement[bool]:
    """A reader at the cap would have had something of the issue: new posts, or a repeat."""
    waits = exists().where(
        overflow.c.subscriber_id == _audience.c.subscriber_id,
        overflow.c.newsletter == issue.newsletter,
        overflow.c.post_id == _offered.c.post_id,
        has(_wants.c.altogether, _offered.c.bit),
        kept.unreserved(),
    )
    return or_(waits, _wants.c.ordinary != 0) if issue.repeat else waits
