"""Queries on what came back about mails: stored first, worked on later, each once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, literal, select, tuple_, update

from digest.mail.bounces import IN_A_ROW, LOOKED_BACK, Past
from digest.model import DeliveryState, IssueState
from digest.readers.scrub import scrubbed
from digest.store.dialect import insert_ignore
from digest.store.tables import deliveries, delivery_events, issues, notices, suppressions
from digest.store.tables import feedback as table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

    from digest.mail.feedback import Feedback

#: How many are read at a time.
_PAGE = 500
#: For so long it is known what a hook told: mailers say a thing again for some days.
KEPT = timedelta(days=90)
#: Of a delivery that a mailer answered for good.
_ANSWERED = (DeliveryState.SUBMITTED, DeliveryState.REFUSED)


def take_in(c: Connection, source: str, event_id: str, feedback: Feedback, now: datetime) -> bool:
    """Store what came back; False where it is here already, worked on or not.

    `source` is "inbox:SLUG" or "hook:SLUG"; `event_id` the other side's own name for the event,
    or a hash of what it said: the same each time that it says the same. Nothing is done about it
    yet. Once this is committed, whoever told it may be told that we have it.
    """
    row = {
        "source": source,
        "event_id": event_id,
        "received_at": now,
        "body": feedback.to_json(),
    }
    # Not by `rowcount`, which an INSERT leaves at -1 on PostgreSQL.
    added = insert_ignore(c, table).returning(table.c.id)
    return c.execute(added, row).first() is not None


def remember(c: Connection, source: str, event_id: str, became: str, now: datetime) -> None:
    """Keep that something was dealt with, where its own place cannot be marked."""
    row = {"source": source, "event_id": event_id, "received_at": now, "worked_at": now}
    c.execute(insert_ignore(c, table), row | {"became": became})


def is_known(c: Connection, source: str, event_id: str) -> bool:
    """Whether this was taken in or remembered."""
    here = (table.c.source == source, table.c.event_id == event_id)
    return c.scalar(select(table.c.id).where(*here)) is not None


# --- working on it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """What nobody worked on yet."""

    id: int
    received_at: datetime
    #: As it was stored.
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """The mail that it is about: a delivery, or a notice, which has no `delivery_id`.

    `address_key` is the keyed hash where the reader is erased.
    """

    address_key: str
    delivery_id: int | None = None
    subscriber_id: int | None = None
    subscription_id: int | None = None
    #: Nobody could tell whether it left.
    in_doubt: bool = False


def waiting(c: Connection, last: Waiting | None = None) -> list[Waiting]:
    """Some of what waits to be worked on, the oldest first, after the last one seen."""
    t = table.c
    query = select(t.id, t.received_at, t.body).where(t.worked_at.is_(None))
    if last is not None:
        # As rows: told apart by OR, SQLite reads all that came before once more for each page.
        seen = (literal(last.received_at, t.received_at.type), literal(last.id))
        query = query.where(tuple_(t.received_at, t.id) > tuple_(*seen))
    return [Waiting(*row) for row in c.execute(query.order_by(t.received_at, t.id).limit(_PAGE))]


def waiting_named(c: Connection, source: str, event_id: str) -> Waiting | None:
    """One that waits, by what it was taken in as; None where somebody worked on it."""
    t = table.c
    query = select(t.id, t.received_at, t.body).where(t.source == source, t.event_id == event_id)
    row = c.execute(query.where(t.worked_at.is_(None))).first()
    return Waiting(*row) if row else None


def find(c: Connection, feedback: Feedback, *, held: bool = True) -> About | None:
    """The mail that it is about, held for whoever writes; None where we know of no such mail.

    A bounce address holds a number alone: where the report names a mail of ours as well, it is
    believed only if both are the same, for a store that was restored gives numbers anew.
    """
    d = deliveries.c
    for known, where in (
        (feedback.delivery_id is not None, d.id == feedback.delivery_id),
        (feedback.message_id, d.message_id == feedback.message_id),
        (feedback.remote_id, _by_receipt(feedback)),
    ):
        row = _delivery(c, where, held=held) if known else None
        if row and feedback.message_id in {"", row.message_id}:
            return _about(row)
    return _find_notice(c, feedback, held=held)


def _delivery(c: Connection, where: ColumnElement[bool], *, held: bool) -> Row[Any] | None:
    """A delivery that was said to a mailer; nothing comes back about others."""
    d = deliveries.c
    whose = (d.address_key, d.id, d.subscriber_id, d.subscription_id)
    query = select(*whose, d.message_id, d.state).where(where, d.message_id.is_not(None)).limit(1)
    return c.execute(query.with_for_update() if held else query).first()


def _about(row: Row[Any]) -> About:
    in_doubt = row.state == DeliveryState.UNCERTAIN
    return About(row.address_key, row.id, row.subscriber_id, row.subscription_id, in_doubt)


def _by_receipt(feedback: Feedback) -> ColumnElement[bool]:
    said_to = deliveries.c.mailer == feedback.mailer
    return and_(said_to, deliveries.c.remote_id == feedback.remote_id)


def _find_notice(c: Connection, feedback: Feedback, *, held: bool) -> About | None:
    n = notices.c
    for known, where in (
        (feedback.message_id, n.message_id == feedback.message_id),
        (feedback.remote_id, n.remote_id == feedback.remote_id),
    ):
        query = select(n.address_key).where(where).limit(1)
        key = c.scalar(query.with_for_update() if held else query) if known else None
        if key is not None:
            return About(key)
    return None


def finish(
    c: Connection, feedback_id: int, became: str, delivery_id: int | None, now: datetime
) -> bool:
    """Write what was made of it, and forget what it said; False where somebody else did."""
    done = (
        update(table)
        .where(table.c.id == feedback_id, table.c.worked_at.is_(None))
        .values(worked_at=now, became=became, delivery_id=delivery_id, body=None)
    )
    return c.execute(done).rowcount == 1


def add_event(c: Connection, delivery_id: int, feedback: Feedback) -> bool:
    """Write what became known of a delivery that is held; False where it is known already.

    Two ways may tell of one bounce, and a mail system may tell of one delay each day.
    """
    e = delivery_events.c
    same = (
        e.delivery_id == delivery_id,
        e.event == feedback.event,
        e.kind.is_not_distinct_from(feedback.kind),
    )
    if c.scalar(select(e.id).where(*same).limit(1)) is not None:
        return False
    values = {
        "delivery_id": delivery_id,
        "event": feedback.event,
        "kind": feedback.kind,
        "at": feedback.at,
        "code": feedback.code or None,
        "detail": feedback.detail or None,
    }
    c.execute(insert(delivery_events).values(values))
    return True


# --- mailboxes that keep refusing --------------------------------------------------------------


def history(c: Connection, subscriber_id: int, now: datetime) -> list[Past]:
    """A reader's answered deliveries with their events, the newest first."""
    d, e = deliveries.c, delivery_events.c
    query = (
        select(d.id, d.state_at, d.state, e.event, e.kind)
        .outerjoin(delivery_events, e.delivery_id == d.id)
        .where(
            d.subscriber_id == subscriber_id,
            d.state.in_(_ANSWERED),
            d.state_at > now - LOOKED_BACK,
        )
        .order_by(d.state_at.desc(), d.id.desc())
    )
    events: defaultdict[tuple[int, datetime, str], list[tuple[str, str | None]]]
    events = defaultdict(list)
    for number, at, state, event, kind in c.execute(query):
        said = events[number, at, state]
        if event is not None:
            said.append((event, kind))
    return [
        Past(at, state == DeliveryState.SUBMITTED, tuple(said))
        for (_, at, state), said in events.items()
    ]


def hold(c: Connection, delivery_id: int) -> About | None:
    """A delivery as it stands now, held."""
    row = _delivery(c, deliveries.c.id == delivery_id, held=True)
    return _about(row) if row else None


def refused_again(c: Connection, since: datetime) -> list[int]:
    """The deliveries that a server refused softly since then, and not for the first time.

    A refusal is no report: the engine writes it, and this is how it counts.
    """
    d, e = deliveries.c, delivery_events.c
    recent = select(issues.c.id).where(
        issues.c.created_at > since - LOOKED_BACK,
        issues.c.state.in_([IssueState.SENDING, IssueState.PAUSED, IssueState.DONE]),
    )
    earlier = deliveries.alias("earlier")
    soft = (
        select(func.count())
        .select_from(earlier)
        .join(delivery_events, e.delivery_id == earlier.c.id)
        .where(earlier.c.subscriber_id == d.subscriber_id, e.event == "bounced", e.kind == "soft")
        .scalar_subquery()
    )
    query = (
        select(d.id)
        .outerjoin(suppressions, suppressions.c.address_key == d.address_key)
        .where(
            d.issue_id.in_(recent),
            d.state == DeliveryState.REFUSED,
            d.state_at > since,
            suppressions.c.address_key.is_(None),
            soft >= IN_A_ROW,
        )
    )
    return list(c.scalars(query.order_by(d.id)))


# --- forgetting --------------------------------------------------------------------------------


def forget_past(c: Connection, now: datetime) -> int:
    """Delete some of what hooks told long ago, the oldest; returns how many, 0 where none is left.

    What came to inboxes stays: one that cannot be marked is read again, and is known by this.
    """
    t = table.c
    # A page by its ids, which are in the order of time: no index is kept for this alone.
    oldest = select(t.id).where(t.source.like("hook:%")).order_by(t.id).limit(_PAGE)
    old = delete(table).where(t.id.in_(oldest), t.worked_at < now - KEPT)
    return c.execute(old).rowcount


def forget(c: Connection, address_key: str) -> None:
    """Forget what was said, in anything that waits, where it may tell of this reader.

    Whose it is would have to be looked up; nothing is lost where it is of another.
    """
    last: Waiting | None = None
    while page := waiting(c, last):
        for one in page:
            after = {**one.body, "detail": scrubbed(one.body.get("detail"), address_key)}
            if after != one.body:
                waits = (table.c.id == one.id, table.c.worked_at.is_(None))
                c.execute(update(table).where(*waits).values(body=after))
        last = page[-1]
