"""Postmark's API: batches of 500 and a result for each mail; nothing keeps one from being doubled.

So a request is said once, on a new line: one that died while it was idle would look like an
answer that was lost. Mails are found again by what we write into their metadata.

https://postmarkapp.com/developer/api/email-api
https://postmarkapp.com/developer/api/messages-api
https://postmarkapp.com/support/article/1125-custom-metadata-faq
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from digest.errors import Refused, Throttled, Unavailable
from digest.mail.hooks.names import LEFT, metadata_of
from digest.mail.mailers.api_parts import dig, sender_of, unanswered, wrong_secret
from digest.mail.mailers.http_line import Line, NoAnswer
from digest.mail.mailers.postmark_answers import outcomes, trouble
from digest.model import MailerTraits, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.config_mailers import PostmarkMailer
    from digest.ports import Clock, Mail, Outcome, Trouble

#: Of a request, in bytes.
LARGEST = 50_000_000


class PostmarkApi:
    """Submits over a new line each time."""

    name = "postmark"
    # It is not said how soon a mail is found, nor for how long.
    traits = MailerTraits(batch=500, can_find=True, finds_absence=False)

    def __init__(self, settings: PostmarkMailer, clock: Clock, *, largest: int = LARGEST) -> None:
        self._secret = settings.server_token.get_secret_value()
        self._stream = settings.message_stream
        headers = {"X-Postmark-Server-Token": self._secret}
        self._line = Line(settings.api_url, headers, settings.timeout_seconds)
        self._clock = clock
        self._largest = largest

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Outcome, ...]:
        """Say those that fit into one request; those that do not are to be said again."""
        wrong = wrong_secret(self._secret)
        if wrong is not None:
            return (wrong,) * len(mails)
        body, count = self._body(mails)
        if count == 0:
            alone = Refused("the mail is larger than a request to Postmark may be")
            return (alone, *[_left_over()] * (len(mails) - 1))
        self._line.close()
        answer = self._line.post("/email/batch", body, {})
        return (*self._read(answer, count), *[_left_over()] * (len(mails) - count))

    def find(self, message_id: str) -> Receipt | Trouble | None:
        """Return the receipt of a mail that Postmark shows; None where it shows none yet."""
        wrong = wrong_secret(self._secret)
        if wrong is not None:
            return wrong
        wanted = metadata_of(message_id)
        query = {
            "count": "10",
            "offset": "0",
            "messagestream": self._stream,
            # It looks for one value at a time, and this one has all that cannot be guessed.
            f"metadata_{LEFT}": wanted[LEFT],
        }
        answer = self._line.get("/messages/outbound", query)
        if isinstance(answer, NoAnswer):
            return unanswered("Postmark", NoAnswer(answer.reason, begun=False))
        if not answer.is_success:
            return trouble(answer, self._secret)
        return self._found(answer.body, wanted)

    def close(self) -> None:
        """End the connection; a later `submit` opens another."""
        self._line.close()

    def _body(self, mails: Sequence[Mail]) -> tuple[BytesIO, int]:
        """The first mails as JSON, and how many they are."""
        body, count = BytesIO(), 0
        for mail in mails:
            piece = json.dumps(self._email(mail), ensure_ascii=False).encode()
            if body.tell() + len(piece) + 2 > self._largest:
                break
            body.write(b"," if count else b"[")
            body.write(piece)
            count += 1
        body.write(b"]")
        body.seek(0)
        return body, count

    def _email(self, mail: Mail) -> dict[str, Any]:
        content, message_id = mail.content(), mail.envelope.message_id
        # Without the second it puts a Message-ID of its own in the place of ours.
        headers = [*content.headers, ("X-PM-KeepID", "true")]
        return {
            "From": sender_of(content),
            "To": mail.envelope.recipient,
            "ReplyTo": content.reply_to,
            "Subject": content.subject,
            "HtmlBody": content.html,
            "TextBody": content.text,
            "Headers": [{"Name": name, "Value": value} for name, value in headers],
            "MessageStream": self._stream,
            "Metadata": metadata_of(message_id),
            "TrackOpens": False,
            "TrackLinks": "None",
        }

    def _read(self, answer: Any, count: int) -> tuple[Outcome, ...]:
        if isinstance(answer, NoAnswer):
            return (unanswered("Postmark", answer),) * count
        now = self._clock()
        return outcomes(answer, count, lambda found: Receipt(found, now), self._secret)

    def _found(self, body: object, wanted: dict[str, str]) -> Receipt | Trouble | None:
        messages = dig(body, "Messages")
        if not isinstance(messages, list):
            return Unavailable("Postmark's answer cannot be read")
        for one in messages:
            found, named = dig(one, "MessageID"), dig(one, "Metadata")
            # Whatever a search brings, only a mail of this very name is the one.
            if found and isinstance(named, dict) and wanted.items() <= named.items():
                return Receipt(str(found), _moment(dig(one, "ReceivedAt")) or self._clock())
        return None


def _moment(text: object) -> datetime | None:
    """When Postmark took it, in UTC."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _left_over() -> Throttled:
    return Throttled("it did not fit into one request to Postmark; it goes with the next")
