"""Postmark's events, made into values.

https://postmarkapp.com/developer/webhooks/bounce-webhook, .../spam-complaint-webhook,
.../delivery-webhook, .../subscription-change-webhook
https://postmarkapp.com/developer/api/bounce-api#bounce-types

| bounce | becomes |
|---|---|
| HardBounce, BadEmailAddress | bounced, hard |
| SoftBounce, DnsError | bounced, soft |
| Blocked, SpamNotification, DMARCPolicy, VirusNotification | bounced, policy |
| Transient | deferred |
| SpamComplaint | complained |
| Unsubscribe | unsubscribed |
| AutoResponder, AddressChange, ChallengeVerification | autoresponded |
| ManuallyDeactivated, Unconfirmed, SMTPApiError, TemplateRenderingFailed, InboundError | rejected |
| Unknown, which Postmark could not classify, and any other | unknown |
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from digest.mail.feedback import Feedback
from digest.mail.hooks.names import of_metadata
from digest.mail.hooks.reading import bounce_in, dig, moment_in, name_in, words_in

if TYPE_CHECKING:
    from datetime import datetime

    from digest.mail.feedback import BounceKind, Event

_BOUNCES: dict[str, BounceKind] = {
    "HardBounce": "hard",
    "BadEmailAddress": "hard",
    "SoftBounce": "soft",
    "DnsError": "soft",
    "Blocked": "policy",
    "SpamNotification": "policy",
    "DMARCPolicy": "policy",
    "VirusNotification": "policy",
}
#: What a mail that came back may be besides.
_OTHERS: dict[str, Event] = {
    "Transient": "deferred",
    "SpamComplaint": "complained",
    "Unsubscribe": "unsubscribed",
    "AutoResponder": "autoresponded",
    "AddressChange": "autoresponded",
    "ChallengeVerification": "autoresponded",
    "ManuallyDeactivated": "rejected",
    "Unconfirmed": "rejected",
    "SMTPApiError": "rejected",
    "TemplateRenderingFailed": "rejected",
    "InboundError": "rejected",
}
#: Why it does not send to somebody any more; streams for newsletters tell complaints no other way.
_RETURNED = frozenset({"HardBounce", "SpamComplaint"})
#: What tells one event from another.
_OWN = ("RecordType", "ID", "Type", "MessageID", "Email", "Recipient", "SuppressSending")
_MOMENTS = ("BouncedAt", "DeliveredAt", "ChangedAt")


def event_id(told: object) -> str:
    """A name for the event, the same whenever the same is told."""
    own = [dig(told, key) for key in (*_OWN, *_MOMENTS)]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:32]


def read(told: object, mailer: str, now: datetime) -> Feedback | None:
    """What Postmark told at `now` of a mail that `mailer` (`App.mailer_key`) submitted.

    None for what is not kept: opens and clicks, for we do not track, and what an operator of
    Postmark did by hand.
    """
    match dig(told, "RecordType"):
        case "Bounce" | "SpamComplaint":
            return _returned(told, name_in(told, "Type"), mailer, now)
        case "Delivery":
            return _feedback(told, "delivered", mailer, now)
        case "SubscriptionChange" if dig(told, "SuppressSending") is True:
            return _suppressed(told, mailer, now)
    return None


def _suppressed(told: object, mailer: str, now: datetime) -> Feedback | None:
    """Postmark will not send to somebody any more."""
    why = name_in(told, "SuppressionReason")
    if why in _RETURNED:
        return _returned(told, why, mailer, now)
    by_reader = dig(told, "Origin") == "Recipient"
    return _feedback(told, "unsubscribed", mailer, now) if by_reader else None


def _returned(told: object, why: str, mailer: str, now: datetime) -> Feedback:
    """Something came back about a mail: of one of Postmark's types."""
    kind = _BOUNCES.get(why)
    if kind is None:
        return _feedback(told, _OTHERS.get(why, "unknown"), mailer, now)
    words = words_in(told, "Details") or words_in(told, "Description")
    return _feedback(told, "bounced", mailer, now, bounce_in(words, kind, why))


def _feedback(
    told: object,
    event: Event,
    mailer: str,
    now: datetime,
    bounce: tuple[BounceKind | None, str] = (None, ""),
) -> Feedback:
    when = next((key for key in _MOMENTS if dig(told, key)), _MOMENTS[0])
    return Feedback(
        event,
        moment_in(now, told, when),
        *bounce,
        detail=words_in(told, "Details") or words_in(told, "Description"),
        message_id=of_metadata(dig(told, "Metadata")),
        remote_id=name_in(told, "MessageID"),
        mailer=mailer,
    )
