"""Resend's events, made into values.

https://resend.com/docs/webhooks/event-types, https://resend.com/docs/webhooks/emails/bounced,
https://resend.com/docs/dashboard/emails/email-bounces
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.mail.feedback import Feedback
from digest.mail.hooks.names import of_tags
from digest.mail.hooks.reading import bounce_in, dig, moment_in, name_in, words_in

if TYPE_CHECKING:
    from datetime import datetime

    from digest.mail.feedback import BounceKind, Event

#: What is not named here is not kept: opens and clicks above all, for we do not track.
_EVENTS: dict[str, Event] = {
    "email.bounced": "bounced",
    "email.complained": "complained",
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.failed": "rejected",
    "email.suppressed": "rejected",
}
#: Bounces whose cause is our mail, not the mailbox.
_OURS = frozenset({"ContentRejected", "AttachmentRejected", "MessageTooLarge"})


def read(told: object, mailer: str, now: datetime) -> Feedback | None:
    """What Resend told at `now` of a mail that `mailer` (`App.mailer_key`) submitted.

    None for what is not kept.
    """
    event = _EVENTS.get(name_in(told, "type"))
    if event is None:
        return None
    data = dig(told, "data")
    kind, code, detail = _bounce(data) if event == "bounced" else (None, "", _why(data))
    return Feedback(
        event,
        moment_in(now, told, "created_at"),
        kind,
        code,
        detail,
        message_id=of_tags(dig(data, "tags")),
        remote_id=name_in(data, "email_id"),
        mailer=mailer,
    )


def _bounce(data: object) -> tuple[BounceKind, str, str]:
    """Kind, code, and what the reader's server or Resend said."""
    bounce = dig(data, "bounce")
    quoted = dig(bounce, "diagnosticCode")
    servers = [one for one in quoted if isinstance(one, str)] if isinstance(quoted, list) else []
    words = words_in({"": " ".join(servers)}, "") or words_in(bounce, "message")
    kind, part = name_in(bounce, "type"), name_in(bounce, "subType")
    told: BounceKind = "hard" if kind == "Permanent" else "soft"
    if part in _OURS:
        told = "policy"
    return (*bounce_in(words, told, f"{kind} {part}".strip()), words)


def _why(data: object) -> str:
    """Why it did not send a mail, where it says so."""
    return words_in(data, "failed", "reason") or words_in(data, "suppressed", "message")
