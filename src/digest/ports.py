"""The few things that the core asks of the outside world.

An adapter is one small file behind one of these; it declares its limits and
never writes the database. Foreign exceptions do not cross: what can be
expected comes back as one of the values of `digest.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Envelope, Limits, Place, ReadySnippet, Receipt, Seen, Traits

#: What an adapter answers where it does not do what was asked, and to one submission.
Trouble: TypeAlias = Refused | Throttled | Unavailable | Uncertain | Unauthorized
Outcome: TypeAlias = Receipt | Trouble

#: One for each snippet, in order.
Receipts: TypeAlias = tuple[Receipt, ...]
Bodies: TypeAlias = tuple[str, ...]

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


class Publisher(Protocol):
    """Publishes snippets on one account of a network.

    A snippet is first prepared, which may fail and be repeated at will, then published by one
    call. What `prepare` returns is all that is said: a body is JSON, fit to be stored, and
    enough to `find` the snippet by. It keeps no record.
    """

    #: The adapter's name in logs, e.g. "mastodon".
    name: str
    traits: Traits

    def limits(self) -> Limits | Trouble:
        """What the account takes; may ask the network, and is remembered by the caller."""
        ...

    def prepare(self, snippets: Sequence[ReadySnippet], place: Place | None) -> Bodies | Trouble:
        """Upload pictures and make one body a snippet, each the answer to the one before it.

        The first answers `place.parent`, or begins a thread. More than one snippet only where
        the channel is atomic. The same snippets at the same place make bodies that publish
        the same. Never Uncertain: an upload alone is nothing that anybody sees.
        """
        ...

    def publish(self, bodies: Sequence[str]) -> Receipts | Trouble:
        """Say these bodies to the network, once, in one call: all of them are out, or none.

        Receipts only after the other side accepted; `Uncertain` whenever that cannot be
        excluded.
        """
        ...

    def find(self, bodies: Sequence[str]) -> Receipts | Trouble | None:
        """Whether these bodies were accepted earlier: None where the network has none of them.

        Asked only where `traits.can_find`. Trouble: it cannot be told now.
        """
        ...


class Timeline(Protocol):
    """Reads and changes what is out on one account."""

    def read(self, receipts: Sequence[Receipt]) -> tuple[Seen | None, ...] | Trouble:
        """Each as the network shows it now, in order; None for what is there no more."""
        ...

    def edit(self, receipt: Receipt, body: str) -> Receipts | Trouble:
        """Let what is out say this body instead; one receipt. Only where `traits.can_edit`."""
        ...

    def delete(self, receipt: Receipt) -> Trouble | None:
        """Take it down; None when it is there no more, whoever took it down."""
        ...


class Channel(Publisher, Timeline, Protocol):
    """One account on a network, or the local preview of one."""
