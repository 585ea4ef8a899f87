"""A local Postmark: batches, the search for what was sent, and webhooks, as its documents say.

https://postmarkapp.com/developer/api/email-api, .../messages-api, .../overview,
https://postmarkapp.com/support/article/1125-custom-metadata-faq,
https://postmarkapp.com/developer/webhooks/bounce-webhook, .../spam-complaint-webhook,
.../delivery-webhook, .../subscription-change-webhook
"""

from __future__ import annotations

import base64
import re
import uuid
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from digest.config_mailers import PostmarkMailer
from digest.mail.mailers.postmark import LARGEST, PostmarkApi
from fakes.api import Api, Reply
from fakes.mails import clock

MOST = 500
TOKEN = "the-token-of-the-test"
FIELDS = {
    "From", "To", "Cc", "Bcc", "Subject", "Tag", "HtmlBody", "TextBody", "ReplyTo", "Headers",
    "TrackOpens", "TrackLinks", "Metadata", "MessageStream", "Attachments",
}  # fmt: skip
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'`*+/=?^_{|}~-]+@(\.?[A-Za-z0-9-])+")


class PostmarkServer(Api):
    """The state of a server, in Postmark's sense."""

    def __init__(self, now=clock) -> None:
        super().__init__()
        self.now = now
        self.senders = {"example.org"}
        self.streams = {"outbound", "broadcast"}
        #: Addresses that it does not send to any more.
        self.inactive: set[str] = set()
        #: So many of the newest mails are not found yet.
        self.lag = 0
        #: Of a request, in bytes.
        self.largest = LARGEST
        #: Each mail that was taken, with the id it got.
        self.accepted: dict[str, dict] = {}

    @property
    def copies(self) -> Counter:
        """How many mails each recipient gets."""
        return Counter(email["To"] for email in self.accepted.values())

    def answer(self, asked):
        if asked.headers.get("X-Postmark-Server-Token") != TOKEN:
            return fault(401, 10, "Request does not contain a valid Server token.")
        if asked.headers.get("Accept") != "application/json":
            return fault(422, 409, "The Accept header must be application/json.")
        parts = urlsplit(asked.target)
        if (asked.method, parts.path) == ("GET", "/messages/outbound"):
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            return self._search(query)
        if (asked.method, asked.target) != ("POST", "/email/batch"):
            return Reply(404, b"<h1>Not found</h1>")
        return self._batch(asked)

    def _batch(self, asked):
        if len(asked.body) > self.largest:
            return Reply(413, b"<h1>Payload too large</h1>")
        emails = asked.json()
        if not isinstance(emails, list):
            return fault(422, 403, "The JSON is not what was expected.")
        if len(emails) > MOST:
            return fault(422, 410, "Too many messages: a batch may have 500.")
        return Reply(200, [self._send(email) for email in emails])

    def _send(self, email):
        code, words = self._wrong_with(email)
        if code:
            return {"ErrorCode": code, "Message": words}
        found = str(uuid.uuid4())
        self.accepted[found] = email
        at = self.now().isoformat()
        return {
            "To": email["To"], "SubmittedAt": at, "MessageID": found, "ErrorCode": 0,
            "Message": "OK",
        }  # fmt: skip

    def _wrong_with(self, email):
        if unknown := set(email) - FIELDS:
            return 403, f"The property {min(unknown)} is not known."
        return self._wrong_with_sender(email) or self._wrong_with_mail(email) or (0, "")

    def _wrong_with_sender(self, email):
        sender = re.fullmatch(r'(?:("(?:[^"\\]|\\.)*"|[^"<>,.]+) )?<?([^<>\s]+)>?', email["From"])
        if not sender or not _MAILBOX.fullmatch(sender[2]):
            return 300, "Error parsing 'From': Illegal email address."
        if sender[2].partition("@")[2] not in self.senders:
            return 400, f"The 'From' address you supplied ({sender[2]}) is not a Sender Signature"
        if email["MessageStream"] not in self.streams:
            return 1235, "The 'MessageStream' provided does not exist on this server."
        return None

    def _wrong_with_mail(self, email):
        if not _MAILBOX.fullmatch(email["To"]):
            return 300, f"Error parsing 'To': Illegal email address '{email['To']}'."
        if email["To"] in self.inactive:
            return 406, (
                "You tried to send to recipient(s) that have been marked as inactive. Found"
                f" inactive addresses: {email['To']}. Inactive recipients are ones that have"
                " generated a hard bounce, a spam complaint, or a manual suppression."
            )
        metadata = email.get("Metadata", {})
        if any(len(name) > 20 or len(value) > 80 for name, value in metadata.items()):
            return 300, "A metadata key or value is too long."
        if not email.get("HtmlBody") and not email.get("TextBody"):
            return 300, "Provide either email TextBody or HtmlBody or both."
        return None

    def _search(self, query):
        if not {"count", "offset"} <= set(query) or int(query["count"]) > 500:
            return fault(422, 701, "You must supply count and offset.")
        wanted = [(k.removeprefix("metadata_"), v) for k, v in query.items() if "metadata_" in k]
        if len(wanted) > 1:
            return fault(422, 300, "One metadata field at a time.")
        stream = query.get("messagestream", "outbound")
        shown = list(self.accepted.items())
        found = [
            {
                "MessageID": name,
                "Recipients": [email["To"]],
                "ReceivedAt": f"{self.now():%Y-%m-%dT%H:%M:%S}.0000000+00:00",
                "Status": "Sent",
                "MessageStream": email["MessageStream"],
                "Metadata": email["Metadata"],
            }
            for name, email in shown[: len(shown) - self.lag]
            if email["MessageStream"] == stream
            and all(email["Metadata"].get(key) == value for key, value in wanted)
        ]
        start = int(query["offset"])
        page = found[start : start + int(query["count"])]
        return Reply(200, {"TotalCount": len(found), "Messages": page})


def fault(status: int, code: int, message: str) -> Reply:
    return Reply(status, {"ErrorCode": code, "Message": message})


def postmark(url: str, *, token: str = TOKEN, largest: int = LARGEST, **changes) -> PostmarkApi:
    """A mailer of that server."""
    settings = PostmarkMailer(kind="postmark", server_token=token, api_url=url)
    settings = settings.model_copy(update={"timeout_seconds": 5} | changes)
    return PostmarkApi(settings, clock, largest=largest)


# --- webhooks ----------------------------------------------------------------------------------

USER, PASSWORD = "postmark", "a password, with: a colon"


def basic(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """The headers of a webhook."""
    given = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {given}", "content-type": "application/json"}


def bounce(message_id: str, kind: str = "HardBounce", **changes) -> dict:
    return {
        "RecordType": "Bounce",
        "MessageStream": "broadcast",
        "ID": 4323372036854775807,
        "Type": kind,
        "TypeCode": 1,
        "Name": kind,
        "MessageID": message_id,
        "Metadata": {},
        "ServerID": 1234,
        "Description": "The server was unable to deliver your message.",
        "Details": "smtp;550 5.1.1 The email account <reader@example.org> does not exist.",
        "Email": "reader@example.org",
        "From": "digest@example.org",
        "BouncedAt": "2026-11-22T12:59:00.9070259-05:00",
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
        "Subject": "hello",
        **changes,
    }


def complaint(message_id: str, **changes) -> dict:
    fields = {"RecordType": "SpamComplaint", "TypeCode": 512, "Details": "", **changes}
    return bounce(message_id, "SpamComplaint", **fields)


def delivery(message_id: str, **changes) -> dict:
    return {
        "RecordType": "Delivery",
        "MessageStream": "broadcast",
        "ServerID": 1234,
        "MessageID": message_id,
        "Recipient": "reader@example.org",
        "DeliveredAt": "2026-11-22T17:59:00Z",
        "Details": "smtp;250 2.0.0 OK",
        "Metadata": {},
        **changes,
    }


def subscription_change(message_id: str | None, reason: str | None, **changes) -> dict:
    return {
        "RecordType": "SubscriptionChange",
        "MessageID": message_id,
        "ServerID": 1234,
        "MessageStream": "broadcast",
        "ChangedAt": "2026-11-22T17:59:00.416071Z",
        "Recipient": "reader@example.org",
        "Origin": "Recipient",
        "SuppressSending": reason is not None,
        "SuppressionReason": reason,
        "Metadata": {},
        **changes,
    }
