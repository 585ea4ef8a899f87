"""The few things that the core asks of the outside world.

An adapter is one small file behind one of these; it declares its limits and
never writes the database. Foreign exceptions do not cross: what can be
expected comes back as one of the values of `digest.errors`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeAlias

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Envelope, ReadySnippet, Receipt

#: What an adapter answers to one submission.
Outcome: TypeAlias = Receipt | Refused | Throttled | Unavailable | Uncertain | Unauthorized

#: Tells the current moment, aware, in UTC.
Clock: TypeAlias = Callable[[], datetime]


class Mailer(Protocol):
    """Submits one encoded message at a time.

    Promises: `submit` returns `Receipt` only after the other side accepted, and
    `Uncertain` whenever acceptance cannot be excluded. It does not promise
    delivery, and keeps no record.
    """

    #: The adapter's name in logs and receipts, e.g. "smtp".
    name: str
    #: Whether `find` can prove that a message was, or was not, accepted.
    can_find: bool

    def submit(self, envelope: Envelope, message: bytes) -> Outcome:
        """Submit an RFC 5322 message with CRLF line ends, once."""
        ...

    def find(self, message_id: str) -> Receipt | None:
        """Return the receipt of a message accepted earlier. Asked only where `can_find`."""
        ...

    def close(self) -> None:
        """End connections; a later `submit` opens them again."""
        ...


class Channel(Protocol):
    """Publishes one snippet at a time on one account.

    Promises: `publish` returns `Receipt` only after the other side accepted, and `Uncertain`
    whenever acceptance cannot be excluded. It keeps no record.
    """

    #: The adapter's name in logs, e.g. "preview".
    name: str
    #: Whether `find` can prove that a snippet was, or was not, accepted.
    can_find: bool

    def publish(self, snippet: ReadySnippet, reply_to: Receipt | None) -> Outcome:
        """Publish a snippet once, as an answer to the one before it in its thread."""
        ...

    def find(self, key: str) -> Receipt | None:
        """Return the receipt of a snippet accepted earlier. Asked only where `can_find`."""
        ...
