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
from digest.model import (
    Content,
    Envelope,
    Limits,
    MailerTraits,
    Place,
    ReadySnippet,
    Receipt,
    Seen,
    Traits,
)

#: What an adapter answers where it does not do what was asked, and to one submission.
Trouble: TypeAlias = Refused | Throttled | Unavailable | Uncertain | Unauthorized
Outcome: TypeAlias = Receipt | Trouble

#: One for each snippet, in order.
Receipts: TypeAlias = tuple[Receipt, ...]
Bodies: TypeAlias = tuple[str, ...]

#: Tells the current moment, aware, in UTC.
Clock: TypeAlias = Callable[[], datetime]


class Mail(Protocol):
    """One mail to one recipient, made when it is asked for: the same each time."""

    @property
    def envelope(self) -> Envelope: ...

    def message(self) -> bytes:
        """As RFC 5322 has it: ASCII; each line ends with CRLF, the last too, and none else.

        A bare CR or LF would let a message end before its end on some servers.
        """
        ...

    def content(self) -> Content:
        """The same in its parts."""
        ...


class Mailer(Protocol):
    """Submits mails over one connection, which one thread drives, one request after the other.

    Promises: an outcome is a `Receipt` only after the other side accepted, and `Uncertain`
    whenever acceptance cannot be excluded. It does not promise delivery, and keeps no record.
    """

    #: The adapter's name in logs and receipts, e.g. "smtp".
    name: str
    traits: MailerTraits

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Outcome, ...]:
        """Say these mails to the other side in one request, once: `traits.batch` at most.

        One outcome for each, in order. `key` is the request's own, the same only where the very
        same request is said again (`traits.same_for`).
        """
        ...

    def find(self, message_id: str) -> Receipt | Trouble | None:
        """The receipt of a mail accepted earlier; None where the other side shows none.

        Asked only where `traits.can_find`. Trouble: it cannot be told now.
        """
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
