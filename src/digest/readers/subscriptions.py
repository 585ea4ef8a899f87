"""Steps on one reader's subscriptions: subscribe, confirm, unsubscribe, suppress, list.

What can be expected (a suppressed address, a stale link) comes back in the result with a
sentence that may be shown as it is to the operator. It tells whether an address is known:
a public page must say the same to everyone instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  a field of the values below
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from digest.mail.addresses import AddressProblem, parse_address
from digest.readers.choices import choice_faults
from digest.readers.enrolment import Enrolled, Enrolment, Offer, enrol
from digest.readers.tokens import keyed_hash, read_token
from digest.readers.words import UNSUBSCRIBED, day, erased_on, left_on, suppressed_since
from digest.store import readers
from digest.store.readers import ListedSubscription, Standing, Suppression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.model import Interests, Rhythm
    from digest.store.engine import Store


@dataclass(frozen=True, slots=True)
class SubscribeResult:
    """What became of a sign-up.

    Where `outcome` is PENDING the caller sends the opt-in mail for `subscription_id`, which
    is None where there is no subscription.
    """

    outcome: Enrolled
    subscription_id: int | None
    message: str


class Confirmed(StrEnum):
    """What became of a confirmation."""

    ACTIVE = "active"
    ALREADY = "already"
    ENDED = "ended"
    SUPPRESSED = "suppressed"
    #: Forged, damaged or too old, or the subscription is not in this store.
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """What became of a confirmation; id and newsletter are of the subscription, where known."""

    outcome: Confirmed
    subscription_id: int | None
    newsletter: str
    message: str


class Unsubscribed(StrEnum):
    """What became of an unsubscription."""

    ENDED = "ended"
    ALREADY = "already"
    #: Not a link of this site, or no such subscription: nothing was changed.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class UnsubscribeResult:
    """What became of an unsubscription; `ended_at` is when it ended, the first time."""

    outcome: Unsubscribed
    subscription_id: int | None
    newsletter: str
    ended_at: datetime | None
    message: str


class Suppressed(StrEnum):
    """What became of a suppression."""

    SUPPRESSED = "suppressed"
    ALREADY = "already"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SuppressResult:
    """What became of a suppression."""

    outcome: Suppressed
    message: str


def subscribe(
    store: Store,
    config: Config,
    secret: bytes,
    *,
    address: str,
    newsletter: str,
    interests: Interests,
    rhythm: Rhythm,
    consent_source: str,
    consent_at: datetime | None,
    now: datetime,
) -> SubscribeResult:
    """Subscribe an address to a newsletter.

    `consent_at` is when the reader is known to have agreed, or None: then the subscription
    waits for the reader's confirmation. It waits as well where the reader left before or was
    erased. An active subscription stays as it is, whoever asks.
    """
    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        return SubscribeResult(Enrolled.REFUSED, None, parsed.reason)
    faults = choice_faults(config, newsletter, interests)
    if faults:
        said = "; ".join(f"{fault.message} ({fault.cure})" for fault in faults)
        return SubscribeResult(Enrolled.REFUSED, None, said)
    if consent_at is not None and consent_at > now:
        said = f"the consent of {day(consent_at)} lies in the future; say when they agreed"
        return SubscribeResult(Enrolled.REFUSED, None, said)
    offer = Offer(parsed, newsletter, interests, rhythm, consent_source, consent_at, may_ask=True)
    with store.write() as c:
        [enrolment] = enrol(c, [offer], now, partial(keyed_hash, secret))
        after = readers.standings_of(c, [parsed.key]).get((parsed.key, newsletter))
    return SubscribeResult(enrolment.outcome, after.id if after else None, _said(offer, enrolment))


def _said(offer: Offer, enrolment: Enrolment) -> str:
    address, left = offer.address.display, enrolment.left
    if enrolment.suppression is not None:
        return f"{address} {suppressed_since(enrolment.suppression)}"
    if enrolment.outcome is Enrolled.UNCHANGED:
        return f"{address} is subscribed to {offer.newsletter} already; nothing was changed"
    if enrolment.outcome is Enrolled.ACTIVE:
        return f"{address} is subscribed to {offer.newsletter}"
    if left is not None:
        return f"{address} {left_on(left)}; the opt-in mail asks them"
    if enrolment.erased_at is not None:
        return f"{address} {erased_on(enrolment.erased_at)}; the opt-in mail asks them"
    return f"{address} is subscribed to {offer.newsletter} as soon as the reader confirms"


def confirm(store: Store, secret: bytes, token: str, now: datetime) -> ConfirmResult:
    """Make a pending subscription active by the token of its opt-in mail."""
    subscription_id = read_token(secret, "opt-in", token, now)
    if subscription_id is None:
        said = "this link is damaged or older than 14 days; sign up again to get a new one"
        return ConfirmResult(Confirmed.INVALID, None, "", said)
    with store.write() as c:
        found = readers.standing(c, subscription_id)
        if found is None:
            said = "this subscription is not here any more; sign up again"
            return ConfirmResult(Confirmed.INVALID, None, "", said)
        outcome, said = _confirm(c, found, partial(keyed_hash, secret), now)
    return ConfirmResult(outcome, found.id, found.newsletter, said)


def _confirm(
    c: Connection, found: Standing, hashed: Callable[[str], str], now: datetime
) -> tuple[Confirmed, str]:
    suppression = readers.barred(c, found.address_key, hashed)
    if suppression is not None:
        return Confirmed.SUPPRESSED, f"this address {suppressed_since(suppression)}"
    if found.state == "active":
        return Confirmed.ALREADY, f"the subscription to {found.newsletter} is confirmed already"
    if found.state == "ended":
        return Confirmed.ENDED, f"the subscription to {found.newsletter} has ended; sign up again"
    readers.activate(c, found.id, now)
    readers.end_erasure(c, found.address_key, hashed)
    return Confirmed.ACTIVE, f"the subscription to {found.newsletter} is confirmed"


def unsubscribe_by_token(
    store: Store, secret: bytes, token: str, now: datetime
) -> UnsubscribeResult:
    """End the subscription that an unsubscribe link means, at once.

    Works for every link ever sent, any number of times; only the first counts. A pending
    subscription ends too.
    """
    subscription_id = read_token(secret, "unsubscribe", token)
    if subscription_id is None:
        said = "this is not an unsubscribe link of this site, or it is damaged; nothing was changed"
        return UnsubscribeResult(Unsubscribed.UNKNOWN, None, "", None, said)
    with store.write() as c:
        return _end(c, readers.standing(c, subscription_id), UNSUBSCRIBED, now)


def end_subscription(
    store: Store, *, address: str, newsletter: str, reason: str, now: datetime
) -> UnsubscribeResult:
    """End the subscription of an address, on the reader's wish or the operator's decision."""
    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        return UnsubscribeResult(Unsubscribed.UNKNOWN, None, newsletter, None, parsed.reason)
    with store.write() as c:
        found = readers.standings_of(c, [parsed.key]).get((parsed.key, newsletter))
        return _end(c, found, reason, now)


def _end(c: Connection, found: Standing | None, reason: str, now: datetime) -> UnsubscribeResult:
    if found is None:
        said = "there is no such subscription here; nothing was changed"
        return UnsubscribeResult(Unsubscribed.UNKNOWN, None, "", None, said)
    if found.state == "ended" and found.ended_at is not None:
        said = f"the subscription to {found.newsletter} ended on {day(found.ended_at)} already"
        outcome, at = Unsubscribed.ALREADY, found.ended_at
    else:
        readers.end(c, found.id, reason, now)
        said = f"the subscription to {found.newsletter} has ended; no more mail will come"
        outcome, at = Unsubscribed.ENDED, now
    return UnsubscribeResult(outcome, found.id, found.newsletter, at, said)


def suppress(store: Store, address: str, reason: str, origin: str, now: datetime) -> SuppressResult:
    """Never mail this address again, whatever else is said; the first reason stays."""
    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        return SuppressResult(Suppressed.REFUSED, parsed.reason)
    with store.write() as c:
        if readers.suppress(c, parsed.key, Suppression(reason, origin, now)):
            return SuppressResult(Suppressed.SUPPRESSED, "this address is never mailed again")
        earlier = readers.suppressions_of(c, [parsed.key])[parsed.key]
    return SuppressResult(Suppressed.ALREADY, f"this address {suppressed_since(earlier)} already")


def list_subscribers(
    store: Store,
    *,
    newsletter: str | None = None,
    states: Iterable[str] = ("active", "pending", "ended"),
) -> Iterator[ListedSubscription]:
    """Subscriptions by newsletter and address, a page at a time; erased readers are left out."""
    with store.read() as c:
        yield from readers.listed(c, newsletter, states)
