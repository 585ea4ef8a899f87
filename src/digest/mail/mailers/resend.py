"""Resend's API: batches of 100, each carried out once however often it is said.

https://resend.com/docs/api-reference/emails/send-batch-emails
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from digest.mail.hooks.names import TAG, tag_of
from digest.mail.mailers.api_parts import sender_of, unanswered, wrong_secret
from digest.mail.mailers.http_line import Line, NoAnswer
from digest.mail.mailers.resend_answers import outcomes
from digest.model import MailerTraits, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digest.config_mailers import ResendMailer
    from digest.ports import Clock, Mail, Outcome, Trouble


class ResendApi:
    """Submits over one line, kept open: a request that was lost on it may be said again."""

    name = "resend"
    #: Resend knows a key for 24 hours; their clock need not be ours.
    traits = MailerTraits(batch=100, same_for=timedelta(hours=23))

    def __init__(
        self,
        settings: ResendMailer,
        clock: Clock,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = settings.api_key.get_secret_value()
        headers = {"Authorization": f"Bearer {self._secret}"}
        self._line = Line(settings.api_url, headers, settings.timeout_seconds)
        self._pause = 1 / settings.requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._next = 0.0

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Outcome, ...]:
        """Say them in one request. A bad mail among them spoils none of the others."""
        wrong = wrong_secret(self._secret)
        if wrong is not None:
            return (wrong,) * len(mails)
        body = json.dumps([_email(mail) for mail in mails], ensure_ascii=False).encode()
        self._wait()
        headers = {"Idempotency-Key": key, "x-batch-validation": "permissive"}
        answer = self._line.post("/emails/batch", BytesIO(body), headers)
        if isinstance(answer, NoAnswer):
            return (unanswered("Resend", answer),) * len(mails)
        now = self._clock()
        return outcomes(answer, len(mails), lambda found: Receipt(found, now), self._secret)

    def find(self, message_id: str) -> Receipt | Trouble | None:
        """Not to be asked: a key that is still known settles what is uncertain."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connection; a later `submit` opens another."""
        self._line.close()

    def _wait(self) -> None:
        """Keep to so many requests a second."""
        wait = self._next - self._monotonic()
        if wait > 0:
            self._sleep(wait)
        self._next = self._monotonic() + self._pause


def _email(mail: Mail) -> dict[str, Any]:
    content = mail.content()
    return {
        "from": sender_of(content),
        "to": [mail.envelope.recipient],
        "reply_to": content.reply_to,
        "subject": content.subject,
        "html": content.html,
        "text": content.text,
        "headers": dict(content.headers),
        "tags": [{"name": TAG, "value": tag_of(mail.envelope.message_id)}],
    }
