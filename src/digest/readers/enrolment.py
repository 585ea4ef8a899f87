"""Who may be enrolled, decided the same way for a sign-up, an operator and an import.

Two rules come before everything: a suppressed address stays suppressed, and a reader who
left, or was erased, comes back only by their own mail. Who left all they had said no to what
they agreed to before then, of other newsletters as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from digest.readers.words import UNSUBSCRIBED
from digest.store import readers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.mail.addresses import Address
    from digest.model import Interests, Rhythm
    from digest.store.readers import Erasure, NewSubscription, Renewal, Standing, Suppression


class Enrolled(StrEnum):
    """What became of an offer."""

    ACTIVE = "active"
    #: Waits for the reader's own confirmation: the opt-in mail must go out.
    PENDING = "pending"
    #: Active already, and left as it was.
    UNCHANGED = "unchanged"
    SUPPRESSED = "suppressed"
    #: Unsubscribed or erased, and the offer was not the reader's own.
    LEFT = "left"
    #: Not an address, or no such newsletter, series or theme.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Offer:
    """An address offered for one newsletter.

    `consent_at`, aware, is None where the reader has still to confirm. `may_ask` says
    whether an opt-in mail may be sent to find out.
    """

    address: Address
    newsletter: str
    interests: Interests
    rhythm: Rhythm
    consent_source: str
    consent_at: datetime | None
    may_ask: bool


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What became of an offer, and what stood there before."""

    outcome: Enrolled
    before: Standing | None
    #: What the reader left: it, or the last of all they had.
    left: Standing | None
    #: Of the address, or what an erasure left of one.
    suppression: Suppression | None
    #: When the address was erased, where its reader has not come back since.
    erased_at: datetime | None


def decide(
    offer: Offer, before: Standing | None, suppression: Suppression | None, *, gone: bool
) -> Enrolled:
    """What becomes of an offer; `gone`: its reader left, or was erased."""
    if suppression is not None:
        return Enrolled.SUPPRESSED
    if before is not None and before.state == "active":
        return Enrolled.UNCHANGED
    if gone:
        return Enrolled.PENDING if offer.may_ask else Enrolled.LEFT
    return Enrolled.PENDING if offer.consent_at is None else Enrolled.ACTIVE


def enrol(
    c: Connection, offers: Sequence[Offer], now: datetime, hashed: Callable[[str], str]
) -> list[Enrolment]:
    """Decide and store offers, each (address, newsletter) at most once among them.

    `hashed` is the keyed hash by which erased addresses are known again. Returns one enrolment
    per offer, in their order, in a handful of statements.
    """
    keys = {offer.address.key for offer in offers}
    # Held first: an erasure on its way is waited for, and what it leaves is seen below.
    readers.hold_subscribers(c, keys)
    suppressions = readers.suppressions_of(c, keys)
    erasures = readers.erasures_of(c, keys, hashed)
    for key, erasure in erasures.items():
        if erasure.suppression is not None:
            suppressions.setdefault(key, erasure.suppression)
    welcome = {
        offer.address.key: offer.address.display
        for offer in offers
        if offer.address.key not in suppressions
        and (offer.may_ask or offer.address.key not in erasures)
    }
    ids = readers.add_subscribers(c, welcome, now)
    standings = readers.standings_of(c, welcome)
    leavings = _leavings(standings.values())
    enrolments = [
        _enrolment(
            offer,
            standings.get((offer.address.key, offer.newsletter)),
            leavings.get(offer.address.key),
            suppressions.get(offer.address.key),
            erasures.get(offer.address.key),
        )
        for offer in offers
    ]
    _store(c, offers, enrolments, ids, now)
    return enrolments


def _leavings(standings: Collection[Standing]) -> dict[str, Standing]:
    """By address key, the last leaving of readers who left and have nothing now."""
    have = {one.address_key for one in standings if one.state == "active"}
    ended = [
        (one.ended_at, one.id, one)
        for one in standings
        if one.ended_at and one.ended_reason == UNSUBSCRIBED and one.address_key not in have
    ]
    return {one.address_key: one for _, _, one in sorted(ended)}


def _enrolment(
    offer: Offer,
    before: Standing | None,
    leaving: Standing | None,
    suppression: Suppression | None,
    erasure: Erasure | None,
) -> Enrolment:
    left = before if before is not None and before.ended_at is not None else None
    if left is None and leaving is not None and _is_older(offer, leaving):
        left = leaving
    outcome = decide(offer, before, suppression, gone=left is not None or erasure is not None)
    return Enrolment(outcome, before, left, suppression, erasure.at if erasure else None)


def _is_older(offer: Offer, leaving: Standing) -> bool:
    """Whether the consent that is offered was given before its reader left."""
    agreed, left = offer.consent_at, leaving.ended_at
    return agreed is not None and left is not None and agreed <= left


def _store(
    c: Connection,
    offers: Sequence[Offer],
    enrolments: Sequence[Enrolment],
    ids: dict[str, int],
    now: datetime,
) -> None:
    new: list[NewSubscription] = []
    renewed: list[Renewal] = []
    for offer, enrolment in zip(offers, enrolments, strict=True):
        if enrolment.outcome not in {Enrolled.ACTIVE, Enrolled.PENDING}:
            continue
        if enrolment.before is None:
            new.append(_new(offer, enrolment.outcome, ids[offer.address.key], now))
        else:
            renewed.append(_renewal(offer, enrolment.outcome, enrolment.before.id))
    readers.add_subscriptions(c, new)
    readers.renew(c, renewed)


def _new(offer: Offer, state: Enrolled, subscriber_id: int, now: datetime) -> NewSubscription:
    return {
        "subscriber_id": subscriber_id,
        "newsletter": offer.newsletter,
        "interests": offer.interests.key,
        "rhythm": str(offer.rhythm),
        "state": str(state),
        "consent_source": offer.consent_source,
        "consent_at": _consent(offer, state),
        "created_at": now,
    }


def _renewal(offer: Offer, state: Enrolled, subscription_id: int) -> Renewal:
    return {
        "subscription_id": subscription_id,
        "interests": offer.interests.key,
        "rhythm": str(offer.rhythm),
        "state": str(state),
        "consent_source": offer.consent_source,
        "consent_at": _consent(offer, state),
    }


def _consent(offer: Offer, state: Enrolled) -> datetime | None:
    # A pending subscription has no consent yet, whatever was claimed.
    return offer.consent_at if state is Enrolled.ACTIVE else None
