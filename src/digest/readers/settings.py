"""Steps on what a reader chose: changing it, pausing, leaving, coming back.

Each is one transaction, and each leaves a row in the history of consents. They come from two
places: the reader's own page, reached by a link mailed to their address, and the link of any
mail, which somebody else may hold. That one can end or pause, and nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime  # noqa: TC003  a field of the values below
from enum import StrEnum
from typing import TYPE_CHECKING

from digest.config import rhythm_of
from digest.model import Interests
from digest.readers.changes import (
    SETTINGS_PAGE,
    changes_of,
    consent,
    faults_of,
    pause_words,
    start_of,
)
from digest.readers.words import UNSUBSCRIBED
from digest.store import readers
from digest.store import settings as queries
from digest.store.consents import add_consents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from zoneinfo import ZoneInfo

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.model import Rhythm
    from digest.readers.changes import Wanted
    from digest.store.engine import Store
    from digest.store.settings import Settings, Subscription

#: Where the link of a mail did something, as it is kept in the history.
MAIL_LINK = "link in a mail"


class Changed(StrEnum):
    """What became of a reader's wish."""

    SAVED = "saved"
    #: Something in it cannot be; nothing was changed.
    FAULTY = "faulty"
    #: The address is never written to; nothing was changed.
    SUPPRESSED = "suppressed"
    #: There is no such reader, or no such newsletter for them.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What became of a change; `faults` by field, in words for the reader."""

    outcome: Changed
    faults: Mapping[str, str] = field(default_factory=dict)


class Gone(StrEnum):
    """What became of leaving or pausing by the link of a mail."""

    LEFT = "left"
    PAUSED = "paused"
    #: It had ended before.
    ALREADY = "already"
    #: Only what is active can be paused.
    NOT_ACTIVE = "not active"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GoneResult:
    """What became of leaving or pausing; `at` is when it ended, or until when it is paused."""

    outcome: Gone
    newsletter: str = ""
    at: datetime | None = None


def change(
    store: Store, config: Config, subscriber_id: int, wanted: Wanted, now: datetime
) -> ChangeResult:
    """Make a reader's settings what they want; all of it or nothing.

    A newsletter that has ended meanwhile stays ended: an older page is nobody's consent.
    """
    with store.write() as c:
        settings = _held(c, subscriber_id)
        if isinstance(settings, Changed):
            return ChangeResult(settings)
        faults = faults_of(config, settings, wanted, now)
        if faults:
            return ChangeResult(Changed.FAULTY, faults)
        for each in changes_of(config, settings, wanted, now):
            queries.choose(c, each.after)
            add_consents(c, each.consents)
        queries.set_weekly_cap(c, subscriber_id, wanted.weekly_cap)
    return ChangeResult(Changed.SAVED)


def go_on(store: Store, subscriber_id: int, newsletter: str, now: datetime) -> ChangeResult:
    """End a pause before its time."""
    with store.write() as c:
        settings = _held(c, subscriber_id)
        if isinstance(settings, Changed):
            return ChangeResult(settings)
        found = settings.of(newsletter)
        if found is None:
            return ChangeResult(Changed.UNKNOWN)
        if found.active and found.pause(now):
            queries.choose(c, replace(found, paused_until=None))
            add_consents(c, [consent(found, "went on", SETTINGS_PAGE, "at once", now)])
    return ChangeResult(Changed.SAVED)


def join(
    store: Store, config: Config, subscriber_id: int, newsletter: str, now: datetime
) -> ChangeResult:
    """Take one more newsletter, or one that was left, with what was chosen then.

    The reader holds a link that only their mailbox got: this is their word, and needs no
    further mail.
    """
    declared = config.newsletters.get(newsletter)
    if declared is None or declared.sign_up != "open":
        return ChangeResult(Changed.UNKNOWN)
    with store.write() as c:
        settings = _held(c, subscriber_id)
        if isinstance(settings, Changed):
            return ChangeResult(settings)
        found = settings.of(newsletter)
        if found is not None and found.active:
            return ChangeResult(Changed.SAVED)
        if found is None:
            first = _first(subscriber_id, newsletter, rhythm_of(declared), now)
            readers.add_subscriptions(c, [first])
        else:
            queries.come_back(c, found.id, SETTINGS_PAGE, now)
        made = queries.subscription_to(c, subscriber_id, newsletter)
        add_consents(c, [consent(made, "confirmed", SETTINGS_PAGE, config.web.consent, now)])
    return ChangeResult(Changed.SAVED)


def pause(
    store: Store, zone: ZoneInfo, subscription_id: int, until: date, now: datetime
) -> GoneResult:
    """By the link of a mail: nothing of this newsletter comes before that day begins.

    A longer pause stays: whoever has the mail must not bring its reader mail sooner.
    """
    moment = start_of(until, zone)
    with store.write() as c:
        found = queries.subscription(c, subscription_id, held=True)
        if found is None:
            return GoneResult(Gone.UNKNOWN)
        if not found.active:
            return GoneResult(Gone.NOT_ACTIVE, found.newsletter, found.ended_at)
        earlier = found.pause(now)
        if earlier is not None and earlier >= moment:
            moment = earlier
        else:
            queries.choose(c, replace(found, paused_until=moment))
            text = pause_words(moment, zone)
            add_consents(c, [consent(found, "paused", MAIL_LINK, text, now)])
    return GoneResult(Gone.PAUSED, found.newsletter, moment)


def leave(store: Store, subscription_id: int, form: str, now: datetime) -> GoneResult:
    """End one subscription at once, pending ones too; `form` says where that was asked for."""
    with store.write() as c:
        found = queries.subscription(c, subscription_id, held=True)
        if found is None:
            return GoneResult(Gone.UNKNOWN)
        if found.state == "ended":
            return GoneResult(Gone.ALREADY, found.newsletter, found.ended_at)
        _end(c, found, form, now)
    return GoneResult(Gone.LEFT, found.newsletter, now)


def leave_everything(store: Store, subscriber_id: int, form: str, now: datetime) -> None:
    """End every subscription of a reader at once, pending ones too."""
    with store.write() as c:
        settings = queries.settings_of(c, subscriber_id, held=True)
        for each in settings.subscriptions if settings else ():
            if each.state != "ended":
                _end(c, each, form, now)


def _held(c: Connection, subscriber_id: int) -> Settings | Changed:
    settings = queries.settings_of(c, subscriber_id, held=True)
    if settings is None:
        return Changed.UNKNOWN
    return Changed.SUPPRESSED if settings.suppressed else settings


def _first(
    subscriber_id: int, newsletter: str, rhythm: Rhythm, now: datetime
) -> readers.NewSubscription:
    return {
        "subscriber_id": subscriber_id,
        "newsletter": newsletter,
        "interests": Interests().key,
        "rhythm": rhythm,
        "state": "active",
        "consent_source": SETTINGS_PAGE,
        "consent_at": now,
        "created_at": now,
    }


def _end(c: Connection, found: Subscription, form: str, now: datetime) -> None:
    readers.end(c, found.id, UNSUBSCRIBED, now)
    add_consents(c, [consent(found, "left", form, "", now)])
