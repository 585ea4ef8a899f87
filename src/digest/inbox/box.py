"""A mailbox as the step needs it, and what it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  a field of the value below
from typing import TYPE_CHECKING, Protocol, TypeAlias

from digest.errors import Unauthorized, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What ends the reading of a mailbox.
Trouble: TypeAlias = Unavailable | Unauthorized


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that nobody has read yet: neither we nor a person."""

    #: By which its mailbox finds it again.
    key: str
    arrived: datetime
    size: int
    #: Its headers, as far as LARGEST_HEAD.
    head: bytes


class Box(Protocol):
    """A mailbox. What it hands out stays as it is until it is filed or flagged.

    After trouble it is of no more use. What is not there any more, for a person moved it, is no
    trouble.
    """

    #: Whether a mail that was filed or flagged is told apart from one that waits.
    can_mark: bool

    def waiting(self) -> Iterator[Waiting | Trouble]:
        """What is unread and not flagged, the oldest first; trouble comes last."""
        ...

    def whole(self, key: str) -> bytes | Trouble | None:
        """All of a mail, as far as LARGEST; None where it is not there any more."""
        ...

    def file(self, key: str) -> Trouble | None:
        """Put away a mail that was understood and done."""
        ...

    def flag(self, key: str) -> Trouble | None:
        """Leave a mail unread, marked for a person."""
        ...

    def close(self) -> None: ...
