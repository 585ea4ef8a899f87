"""Forgetting a reader: what holds the address goes, or becomes the address's keyed hash.

Rows of the ledger stay, so that every account stays. The caller holds `lock_freezing`: an issue
that is being frozen must not write down an address after it was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from digest.model import DeliveryState, Interests, Rhythm
from digest.readers.scrub import scrubbed, without_address
from digest.store import feedback
from digest.store.dialect import address_domain
from digest.store.reserving import release_posts
from digest.store.tables import (
    consents,
    deliveries,
    delivery_events,
    erasures,
    issue_transitions,
    mail_paces,
    mail_waits,
    notices,
    overflow,
    runs,
    sign_ups,
    subscribers,
    subscriptions,
    suppressions,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.engine import Connection

#: Nothing was said to a server yet.
_OPEN = (DeliveryState.PENDING, DeliveryState.CLAIMED)

#: Why what was open of an erased reader ended.
ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Known:
    """A reader to be forgotten; `subscriber_id` is None where only forms and mails know them."""

    subscriber_id: int | None
    address_key: str
    address_hash: str


@dataclass(frozen=True, slots=True)
class Wiped:
    """How much of each kind was known of the reader."""

    subscriptions: int
    consents: int
    sign_ups: int
    overflow: int
    #: All of them; their addresses are hashes now.
    deliveries: int
    #: Those among them that had not gone out, and never will.
    cancelled: int
    notices: int
    #: The address was never to be mailed, which holds on by its hash.
    suppressed: int

    @property
    def anything(self) -> bool:
        """Whether there was anything at all."""
        counts = (self.subscriptions, self.sign_ups, self.deliveries, self.notices)
        return any(counts) or self.suppressed > 0


def address_key_of(c: Connection, subscriber_id: int) -> str | None:
    """A subscriber's address key, held; None where erased or unknown."""
    held = select(subscribers.c.address_key).where(subscribers.c.id == subscriber_id)
    key: str | None = c.scalar(held.with_for_update())
    return key


def subscriber_of(c: Connection, address_key: str) -> int | None:
    """The subscriber with this address key, held."""
    held = select(subscribers.c.id).where(subscribers.c.address_key == address_key)
    number: int | None = c.scalar(held.with_for_update())
    return number


def is_subscriber(c: Connection, subscriber_id: int) -> bool:
    """Whether there is such a subscriber, erased or not."""
    return c.scalar(select(subscribers.c.id).where(subscribers.c.id == subscriber_id)) is not None


def was_erased(c: Connection, address_hash: str) -> bool:
    """Whether the address of this hash was erased, and its reader has not come back since."""
    erased = select(erasures.c.at).where(erasures.c.address_hash == address_hash)
    return c.scalar(erased) is not None


def wipe(c: Connection, known: Known, now: datetime) -> Wiped:
    """Forget a reader whose row is held."""
    # In the ledger's own order, subscriptions before deliveries before suppressions, so that
    # neither waits for the other.
    theirs = subscriptions.c.subscriber_id == known.subscriber_id
    asked = sign_ups.c.address_key == known.address_key
    of_theirs = select(subscriptions.c.id).where(theirs)
    wiped = Wiped(
        subscriptions=_end_subscriptions(c, theirs, now),
        consents=_drop(c, consents, consents.c.subscription_id.in_(of_theirs)),
        sign_ups=_drop(c, sign_ups, asked),
        overflow=_drop(c, overflow, overflow.c.subscriber_id == known.subscriber_id),
        cancelled=_cancel_open(c, known, now),
        deliveries=_hash_deliveries(c, known),
        notices=_hash_notices(c, known, now),
        suppressed=_keep_suppression(c, known, now),
    )
    c.execute(
        update(subscribers)
        .where(subscribers.c.id == known.subscriber_id)
        .values(address=None, address_key=None, weekly_cap=None, erased_at=now)
    )
    _scrub_remarks(c, known.address_key)
    _forget_domain(c, known.address_key)
    return wiped


def _drop(c: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return c.execute(delete(table).where(which)).rowcount


def _end_subscriptions(c: Connection, theirs: ColumnElement[bool], now: datetime) -> int:
    changed = c.execute(
        update(subscriptions)
        .where(theirs)
        .values(
            state="ended",
            ended_at=func.coalesce(subscriptions.c.ended_at, now),
            ended_reason=ERASED,
            interests=Interests().key,
            rhythm=Rhythm.WEEKLY,
            consent_source=ERASED,
            paused_until=None,
        )
    )
    return changed.rowcount


def _cancel_open(c: Connection, known: Known, now: datetime) -> int:
    if known.subscriber_id is None:
        return 0
    d = deliveries.c
    is_open = (d.subscriber_id == known.subscriber_id, d.state.in_(_OPEN))
    ended = c.scalars(
        update(deliveries)
        .where(*is_open)
        .values(
            state=DeliveryState.CANCELLED,
            reason=ERASED,
            worker=None,
            lease_until=None,
            state_at=now,
        )
        .returning(d.issue_id)
    ).all()
    for issue_id in ended:
        release_posts(c, issue_id, [known.subscriber_id])
    return len(ended)


def _hash_deliveries(c: Connection, known: Known) -> int:
    theirs = deliveries.c.subscriber_id == known.subscriber_id
    _scrub(c, deliveries, theirs, ("remote_id", "code", "reason", "settled"), known)
    ids = select(deliveries.c.id).where(theirs)
    of_theirs = delivery_events.c.delivery_id.in_(ids)
    _scrub(c, delivery_events, of_theirs, ("code", "detail"), known)
    hashed = {"address": known.address_hash, "address_key": known.address_hash}
    return c.execute(update(deliveries).where(theirs).values(hashed)).rowcount


def _hash_notices(c: Connection, known: Known, now: datetime) -> int:
    n = notices.c
    theirs = n.address_key == known.address_key
    _scrub(c, notices, theirs, ("remote_id", "code", "reason"), known)
    c.execute(
        update(notices)
        .where(theirs, n.state.in_(_OPEN))
        .values(state=DeliveryState.CANCELLED, reason=ERASED, worker=None, state_at=now)
    )
    hashed = {"address": known.address_hash, "address_key": known.address_hash}
    count = c.execute(update(notices).where(theirs).values(hashed)).rowcount
    # What came back about them is held after the mails themselves, and before suppressions.
    feedback.forget(c, known.address_key)
    return count


def _scrub(
    c: Connection, table: Table, theirs: ColumnElement[bool], columns: tuple[str, ...], known: Known
) -> None:
    texts = [table.c[column] for column in columns]
    for row in c.execute(select(table.c.id, *texts).where(theirs)).all():
        said = row._asdict()
        number = said.pop("id")
        after = {column: scrubbed(text, known.address_key) for column, text in said.items()}
        if after != said:
            c.execute(update(table).where(table.c.id == number).values(after))


def _keep_suppression(c: Connection, known: Known, now: datetime) -> int:
    s = suppressions.c
    gone = c.execute(
        delete(suppressions)
        .where(s.address_key == known.address_key)
        .returning(s.reason, s.origin, s.at)
    ).one_or_none()
    values: dict[str, object] = {"at": now}
    if gone is not None:
        values |= {
            "suppressed_reason": scrubbed(gone.reason, known.address_key),
            "suppressed_origin": scrubbed(gone.origin, known.address_key),
            "suppressed_at": gone.at,
        }
    here = erasures.c.address_hash == known.address_hash
    # An earlier erasure may stand, of a reader who came as far as a form since.
    if was_erased(c, known.address_hash):
        c.execute(update(erasures).where(here).values(values))
    else:
        c.execute(insert(erasures).values(address_hash=known.address_hash, **values))
    return int(gone is not None)


def _scrub_remarks(c: Connection, address_key: str) -> None:
    """What an editor typed, or an error said, beside a decision or a run."""
    for table in (runs, issue_transitions):
        quotes = func.lower(table.c.reason).contains(address_key, autoescape=True)
        for number, said in c.execute(select(table.c.id, table.c.reason).where(quotes)).all():
            after = without_address(said, address_key)
            c.execute(update(table).where(table.c.id == number).values(reason=after))


def _forget_domain(c: Connection, address_key: str) -> None:
    """What mailers took up for their domain, and who asked for time, where nobody else has it."""
    w, (local, _, domain) = mail_waits.c, address_key.rpartition("@")
    kept = [
        table
        for table in (mail_paces, mail_waits)
        if c.execute(select(table.c.mailer).where(table.c.domain == domain).limit(1)).first()
    ]
    of_it = address_domain(c, subscribers.c.address_key) == domain
    if kept and c.execute(select(subscribers.c.id).where(of_it).limit(1)).first() is None:
        for table in kept:
            c.execute(delete(table).where(table.c.domain == domain))
    for mailer, of, said in c.execute(select(w.mailer, w.domain, w.reason)).all():
        # The domain that others have as well tells of nobody.
        after = scrubbed(said, f"{local}@")
        if after != said:
            here = (w.mailer == mailer, w.domain == of)
            c.execute(update(mail_waits).where(*here).values(reason=after))
