"""Steps of signing up: somebody asks at a form, and the reader confirms by mail.

What is asked for is nobody's consent: anyone can type anyone's address. The same is done for
every address, known here or not, and nothing that a page could show comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from digest.mail.message import notice_message_id
from digest.mail.pacing import earliest
from digest.readers.tokens import keyed_hash, read_token
from digest.readers.wishes import Wish, as_offered, fingerprint
from digest.store import consents, notices, readers, sign_ups
from digest.store.dialect import lock_address

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.mail.addresses import Address
    from digest.store.consents import Consent
    from digest.store.engine import Store
    from digest.store.readers import NewSubscription
    from digest.store.sign_ups import SignUp


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form was filled in with, checked; `form` and `text` are kept as evidence."""

    address: Address
    wishes: tuple[Wish, ...]
    #: Which form: "sign-up page", "form on blog.example".
    form: str
    #: The words that were agreed to.
    text: str


def ask(store: Store, config: Config, secret: bytes, asked: Asked, now: datetime) -> None:
    """Keep what was asked for, and queue the mail that asks its reader to confirm it.

    Asked again soon, only what is kept changes: the mail of a moment ago leads to it. A sign-up
    without a mail yet, after one that was confirmed a moment ago, gets its own a while later.
    """
    address = asked.address
    with store.write() as c:
        lock_address(c, address.key)
        sign_up_id = sign_ups.keep(
            c, address, asked.wishes, form=asked.form, text=asked.text, now=now
        )
        at = earliest(notices.asked_lately(c, "sign-up", address.key, now), now)
        if at <= now or not notices.has_notice(c, sign_up_id):
            slug = asked.wishes[0].newsletter
            key = f"sign-up:{sign_up_id}:{now.isoformat()}"
            domain = config.newsletters[slug].from_address.partition("@")[2]
            message_id = notice_message_id(secret, key, domain)
            notice = notices.NewNotice(
                *("sign-up", address.display, address.key, message_id, slug),
                sign_up_id=sign_up_id,
            )
            notices.queue(c, notice, now, not_before=at)


class Joined(StrEnum):
    """How a sign-up stands, or what became of confirming it."""

    #: It waits for its reader's word.
    OPEN = "open"
    CONFIRMED = "confirmed"
    ALREADY = "already"
    #: What was shown is not what is asked for any more.
    CHANGED = "changed"
    #: The address must never be mailed.
    BARRED = "barred"
    #: Nothing of it is offered any more.
    GONE = "gone"
    #: Forged, damaged or too old, or the sign-up is not in this store.
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Joining:
    """A sign-up as its reader may see it."""

    outcome: Joined
    #: What can be had.
    wishes: tuple[Wish, ...] = ()
    #: Newsletters that were asked for and are gone.
    gone: tuple[str, ...] = ()
    #: The words that are agreed to.
    text: str = ""
    #: Of wishes and words, to be given back with the confirmation.
    seen: str = ""


_INVALID = Joining(Joined.INVALID)


def look(store: Store, config: Config, secret: bytes, token: str, now: datetime) -> Joining:
    """What the link of a mail would confirm; changes nothing."""
    sign_up_id = read_token(secret, "sign-up", token, now)
    if sign_up_id is None:
        return _INVALID
    with store.read() as c:
        return _joining(config, sign_ups.sign_up(c, sign_up_id))


def confirm(
    store: Store, config: Config, secret: bytes, token: str, *, seen: str, now: datetime
) -> Joining:
    """Make subscriptions of what was shown: the reader's own word, whatever was before.

    It counts once: a link used again brings nobody back who left since.
    """
    sign_up_id = read_token(secret, "sign-up", token, now)
    if sign_up_id is None:
        return _INVALID
    with store.write() as c:
        found = _held(c, sign_up_id)
        joining = _joining(config, found)
        if found is None or joining.outcome is not Joined.OPEN:
            return joining
        if seen != joining.seen:
            return replace(joining, outcome=Joined.CHANGED)
        hashed = partial(keyed_hash, secret)
        if readers.barred(c, found.address_key, hashed):
            return Joining(Joined.BARRED)
        _subscribe(c, found, joining.wishes, now)
        readers.end_erasure(c, found.address_key, hashed)
        sign_ups.mark_confirmed(c, found.id, now)
        return replace(joining, outcome=Joined.CONFIRMED)


def _held(c: Connection, sign_up_id: int) -> SignUp | None:
    """A sign-up as it stands when nobody else is at work on its address."""
    found = sign_ups.sign_up(c, sign_up_id)
    if found is None:
        return None
    # An erasure on its way is waited for, and so is one of an address that is no subscriber yet.
    # Then the subscriber, first of the rows as everywhere.
    lock_address(c, found.address_key)
    readers.hold_subscribers(c, [found.address_key])
    return sign_ups.sign_up(c, sign_up_id, held=True)


def _joining(config: Config, found: SignUp | None) -> Joining:
    if found is None:
        return _INVALID
    if found.confirmed_at is not None:
        return Joining(Joined.ALREADY)
    wishes, gone = as_offered(config, found.wishes)
    outcome = Joined.OPEN if wishes else Joined.GONE
    return Joining(outcome, wishes, gone, found.text, fingerprint(wishes, found.text))


def _subscribe(c: Connection, found: SignUp, wishes: tuple[Wish, ...], now: datetime) -> None:
    key = found.address_key
    subscriber_id = readers.add_subscribers(c, {key: found.address}, now)[key]
    before = readers.standings_of(c, [key])
    new = [wish for wish in wishes if (key, wish.newsletter) not in before]
    readers.add_subscriptions(c, [_new(wish, found, subscriber_id, now) for wish in new])
    subscriptions = readers.standings_of(c, [key])
    for wish in wishes:
        subscription_id = subscriptions[key, wish.newsletter].id
        sign_ups.agree(c, subscription_id, wish, found.form, now)
        consents.add_consents(c, [_consent(subscription_id, wish, found, now)])


def _new(wish: Wish, found: SignUp, subscriber_id: int, now: datetime) -> NewSubscription:
    return {
        "subscriber_id": subscriber_id,
        "newsletter": wish.newsletter,
        "interests": wish.interests.key,
        "rhythm": str(wish.rhythm),
        "state": "active",
        "consent_source": found.form,
        "consent_at": now,
        "created_at": now,
    }


def _consent(subscription_id: int, wish: Wish, found: SignUp, now: datetime) -> Consent:
    return {
        "subscription_id": subscription_id,
        "at": now,
        "event": "confirmed",
        "form": found.form,
        "text": found.text,
        "interests": wish.interests.key,
        "rhythm": str(wish.rhythm),
    }
