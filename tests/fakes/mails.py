"""Mails of given bytes, mailers to say them to, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from digest.config_mailers import SmtpMailer
from digest.mail.mailers.smtp import RelayMailer
from digest.model import Content, Envelope

if TYPE_CHECKING:
    from digest.ports import Mailer, Outcome

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
ENVELOPE = Envelope("bounces@example.org", "reader@example.org", "<one@example.org>")
MESSAGE = b"Subject: hello\r\n\r\n.\r\n..two\r\nline = caf=C3=A9\r\n\r\n"
CONTENT = Content(
    from_name="Common Threads",
    from_address="digest@example.org",
    reply_to="editors@example.org",
    subject="hello",
    headers=(("Message-ID", ENVELOPE.message_id), ("List-Id", "<weekly.example.org>")),
    text=".\n..two\nline = café\n",
    html="<p>line = café</p>",
)

USER, PASSWORD = "digest", "correct horse"


@dataclass(frozen=True)
class Written:
    """A mail that is made already: its bytes, and its parts for who takes no bytes."""

    raw: bytes = MESSAGE
    envelope: Envelope = ENVELOPE
    parts: Content = CONTENT

    def message(self) -> bytes:
        return self.raw

    def content(self) -> Content:
        return self.parts


def numbered(number: int) -> Written:
    """One of many: no two are alike, nor go to one reader."""
    subject, message_id = f"number {number}", f"<{number}@example.org>"
    return Written(
        b"Subject: %s\r\n\r\n.\r\n" % subject.encode(),
        replace(ENVELOPE, recipient=f"reader{number}@example.org", message_id=message_id),
        replace(CONTENT, subject=subject, headers=(("Message-ID", message_id),)),
    )


def clock() -> datetime:
    return NOW


def relay(port: int, **changes) -> RelayMailer:
    """A relay on loopback, in clear; time-outs shorter than an operator may set."""
    settings = SmtpMailer(kind="smtp", host="127.0.0.1", port=port, security="none")
    return RelayMailer(settings.model_copy(update={"timeout_seconds": 5} | changes), clock)


def secure_relay(port: int, **changes) -> RelayMailer:
    secret = SmtpMailer(kind="smtp", host="x", password=PASSWORD).password
    asked = {"security": "starttls", "username": USER, "password": secret}
    return relay(port, **(asked | changes))


def said(mailer: Mailer, raw: bytes = MESSAGE, envelope: Envelope = ENVELOPE) -> Outcome:
    """What the mailer answers to one mail alone."""
    [outcome] = mailer.submit([Written(raw, envelope)], "key")
    return outcome


def answer_of(mailer: Mailer, raw: bytes = MESSAGE, envelope: Envelope = ENVELOPE) -> Outcome:
    """The same, after which the mailer is closed."""
    try:
        return said(mailer, raw, envelope)
    finally:
        mailer.close()
