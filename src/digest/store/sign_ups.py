"""Queries on sign-ups: what somebody asked for at a form, until the reader confirms it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from digest.model import Interests, Rhythm
from digest.readers.tokens import LIVES
from digest.readers.wishes import Wish
from digest.store.tables import notices, sign_ups, subscriptions

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from digest.mail.addresses import Address

#: How old a sign-up's mail may get before it is not sent any more: nobody waits for it by then.
SENT_WITHIN = timedelta(days=2)
#: How long an unconfirmed sign-up is kept: until no link to it works.
KEPT = SENT_WITHIN + LIVES["sign-up"]


@dataclass(frozen=True, slots=True)
class SignUp:
    """What an address was asked to be sent, at which form, under which words."""

    id: int
    address: str
    address_key: str
    wishes: tuple[Wish, ...]
    form: str
    text: str
    asked_at: datetime
    confirmed_at: datetime | None


def keep(
    c: Connection,
    address: Address,
    wishes: tuple[Wish, ...],
    *,
    form: str,
    text: str,
    now: datetime,
) -> int:
    """Store what was asked for, in the open sign-up of the address if it has one.

    The caller holds the address (`dialect.lock_address`).
    """
    s = sign_ups.c
    values = {
        "address": address.display,
        "wishes": [
            {
                "newsletter": wish.newsletter,
                "interests": wish.interests.key,
                "rhythm": str(wish.rhythm),
            }
            for wish in wishes
        ],
        "form": form,
        "text": text,
        "asked_at": now,
    }
    again = (
        update(sign_ups)
        .where(s.address_key == address.key, s.confirmed_at.is_(None))
        .values(values)
        .returning(s.id)
    )
    known: int | None = c.scalar(again)
    if known is not None:
        return known
    added = insert(sign_ups).values(values | {"address_key": address.key}).returning(s.id)
    return int(c.execute(added).scalar_one())


def sign_up(c: Connection, sign_up_id: int, *, held: bool = False) -> SignUp | None:
    """One sign-up, held for whoever confirms it."""
    query = select(sign_ups).where(sign_ups.c.id == sign_up_id)
    row = c.execute(query.with_for_update() if held else query).one_or_none()
    if row is None:
        return None
    wishes = tuple(
        Wish(wish["newsletter"], Interests.from_key(wish["interests"]), Rhythm(wish["rhythm"]))
        for wish in row.wishes
    )
    return SignUp(
        row.id,
        row.address,
        row.address_key,
        wishes,
        row.form,
        row.text,
        row.asked_at,
        row.confirmed_at,
    )


def agree(c: Connection, subscription_id: int, wish: Wish, form: str, now: datetime) -> None:
    """The reader's own word for one newsletter: it comes as wished, whatever was before."""
    c.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(
            interests=wish.interests.key,
            rhythm=wish.rhythm,
            state="active",
            consent_source=form,
            consent_at=now,
            ended_at=None,
            ended_reason=None,
            paused_until=None,
        )
    )


def mark_confirmed(c: Connection, sign_up_id: int, now: datetime) -> None:
    """The reader said so; what is asked for later is another sign-up."""
    c.execute(update(sign_ups).where(sign_ups.c.id == sign_up_id).values(confirmed_at=now))


def forget_unconfirmed(c: Connection, before: datetime) -> int:
    """Delete the sign-ups that nobody confirmed, last asked for before then, with their mails.

    Returns how many. No trace is left of an address that somebody else typed in.
    """
    s = sign_ups.c
    old = (s.confirmed_at.is_(None), s.asked_at < before)
    # Held first: who asks again just now keeps both. There may be more than a statement can name.
    ids = c.scalars(select(s.id).where(*old).order_by(s.id).with_for_update()).all()
    c.execute(delete(notices).where(notices.c.sign_up_id.in_(select(s.id).where(*old))))
    c.execute(delete(sign_ups).where(*old))
    return len(ids)
