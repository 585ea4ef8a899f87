"""A local Resend: the batch endpoint and its webhooks, as its documents describe them.

https://resend.com/docs/api-reference/emails/send-batch-emails, .../api-reference/errors,
https://resend.com/docs/dashboard/emails/idempotency-keys, .../batch-validation-modes, .../tags,
https://resend.com/docs/api-reference/rate-limit, https://resend.com/docs/webhooks/event-types,
https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
import uuid
from collections import Counter
from datetime import timedelta

from digest.config_mailers import ResendMailer
from digest.mail.mailers.resend import ResendApi
from fakes.api import Api, Reply
from fakes.mails import clock

MOST = 100
KEPT = timedelta(hours=24)
KEY = "re_the_key_of_the_test"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four.").decode()
FIELDS = {
    "from", "to", "subject", "bcc", "cc", "reply_to", "html", "text", "headers", "tags",
}  # fmt: skip
_ADDRESS = re.compile(r"[^\s<>@\"]+@[^\s<>@\"]+\.[^\s<>@\"]+")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Fault(Exception):  # noqa: N818
    """An answer that is an error."""

    def __init__(self, status: int, name: str, message: str, **headers: str) -> None:
        document = {"statusCode": status, "message": message, "name": name}
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        self.reply = Reply(status, document, given)


class ResendServer(Api):
    """The state of an account."""

    def __init__(self, now=clock) -> None:
        super().__init__()
        self.now = now
        self.domains = {"example.org"}
        #: How many mails it takes altogether.
        self.quota: int | None = None
        #: Requests with these keys are said to be under way.
        self.under_way: set[str] = set()
        #: Each mail that was taken, with the id it got.
        self.accepted: dict[str, dict] = {}
        self._keys: dict[str, tuple] = {}

    @property
    def copies(self) -> Counter:
        """How many mails each recipient gets."""
        return Counter(address for email in self.accepted.values() for address in email["to"])

    def answer(self, asked):
        try:
            return self._answer(asked)
        except Fault as fault:
            return fault.reply

    def _answer(self, asked):
        self._check_caller(asked)
        key = asked.headers.get("Idempotency-Key")
        if key is not None and not 1 <= len(key) <= 256:
            raise Fault(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        if key in self.under_way:
            raise Fault(
                409,
                "concurrent_idempotent_requests",
                "Same idempotency key used while original request is still in progress.",
            )
        known = self._keys.get(key)
        if known and self.now() - known[0] < KEPT:
            if known[1] != asked.body:
                raise Fault(
                    409,
                    "invalid_idempotent_request",
                    "Same idempotency key used with a different request payload.",
                )
            return known[2]
        reply = Reply(200, self._send(asked))
        if key is not None:
            self._keys[key] = (self.now(), asked.body, reply)
        return reply

    def _check_caller(self, asked):
        if not asked.headers.get("User-Agent"):
            raise Fault(403, "validation_error", "error code: 1010")
        given = asked.headers.get("Authorization", "")
        if not given.startswith("Bearer "):
            raise Fault(401, "missing_api_key", "Missing API key in the authorization header.")
        if given != f"Bearer {KEY}":
            raise Fault(403, "invalid_api_key", "API key is invalid.")
        if (asked.method, asked.target) != ("POST", "/emails/batch"):
            raise Fault(404, "not_found", "The requested endpoint does not exist.")

    def _send(self, asked):
        emails = asked.json()
        if not isinstance(emails, list) or not 1 <= len(emails) <= MOST:
            raise Fault(422, "validation_error", "The batch must have 1 to 100 emails.")
        for email in emails:
            self._check_domain(email)
        wrong = {
            number: found
            for number, email in enumerate(emails)
            if (found := wrong_with(email)) is not None
        }
        permissive = asked.headers.get("x-batch-validation") == "permissive"
        if wrong and not permissive:
            raise Fault(422, "validation_error", next(iter(wrong.values())))
        self._check_quota(len(emails) - len(wrong))
        data = []
        for number, email in enumerate(emails):
            if number not in wrong:
                data.append({"id": str(uuid.uuid4())})
                self.accepted[data[-1]["id"]] = email
        errors = [{"index": number, "message": found} for number, found in wrong.items()]
        return {"data": data, **({"errors": errors} if permissive else {})}

    def _check_domain(self, email):
        domain = str(email.get("from", "")).rpartition("@")[2].rstrip(">")
        if "@" in str(email.get("from", "")) and domain not in self.domains:
            raise Fault(
                403,
                "validation_error",
                f"The {domain} domain is not verified. Please, add and verify your domain.",
            )

    def _check_quota(self, more):
        if self.quota is not None and len(self.accepted) + more > self.quota:
            raise Fault(
                429, "daily_quota_exceeded", "You have reached your daily email sending quota."
            )


def wrong_with(email) -> str | None:
    """What Resend would say of one mail."""
    if unknown := set(email) - FIELDS:
        return f"The `{min(unknown)}` field is not known."
    for name in ("from", "to", "subject"):
        if not email.get(name):
            return f"Missing `{name}` field."
    mailbox = re.fullmatch(r'(?:("(?:[^"\\]|\\.)*"|[^"<>,]+) )?<?([^<>\s]+)>?', email["from"])
    if not mailbox or not _ADDRESS.fullmatch(mailbox[2]):
        return "Invalid `from` field. The email address needs to follow the `email@example.com` or"
    if not all(_ADDRESS.fullmatch(one) and one.isascii() for one in email["to"]):
        return "Invalid `to` field. The email address needs to follow the `email@example.com` or"
    if not email.get("html") and not email.get("text"):
        return "Missing `html` or `text` field."
    headers = email.get("headers", {})
    if not all(isinstance(value, str) and value.isprintable() for value in headers.values()):
        return "Invalid `headers` field."
    tags = [word for tag in email.get("tags", []) for word in (tag["name"], tag["value"])]
    if not all(_TAG.fullmatch(word) for word in tags):
        return "Tags should only contain ASCII letters, numbers, underscores, or dashes."
    return None


def resend(
    url: str, *, key: str = KEY, sleep=lambda _: None, monotonic=time.monotonic, **changes
) -> ResendApi:
    """A mailer of that account; it does not wait between requests."""
    settings = ResendMailer(kind="resend", api_key=key, api_url=url)
    settings = settings.model_copy(update={"timeout_seconds": 5} | changes)
    return ResendApi(settings, clock, sleep=sleep, monotonic=monotonic)


# --- webhooks ----------------------------------------------------------------------------------


def event(kind: str, email_id: str, *, tags=None, at="2026-11-22T17:59:00.126Z", **more) -> dict:
    """An event as Resend tells it: `event("email.bounced", id, bounce={...})`."""
    return {
        "type": kind,
        "created_at": at,
        "data": {
            "created_at": "2026-11-22T17:58:11.894719+00:00",
            "email_id": email_id,
            "message_id": "<111-222-333@email.example.com>",
            "from": "Common Threads <digest@example.org>",
            "to": ["reader@example.org"],
            "subject": "hello",
            **({"tags": tags} if tags else {}),
            **more,
        },
    }


def signed(body: bytes, at, *, name: str = "msg_1", secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    """The headers that Svix sends with it."""
    stamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, b".".join([name.encode(), stamp.encode(), body]), "sha256")
    return {
        "svix-id": name,
        "svix-timestamp": stamp,
        "svix-signature": f"v1,{base64.b64encode(mac).decode()}",
        "content-type": "application/json",
    }


def told(document: object, at, **how) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a webhook."""
    body = json.dumps(document).encode()
    return body, signed(body, at, **how)
