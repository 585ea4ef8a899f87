"""What can go wrong, named by what the caller must do about it.

The five answers of an adapter are values, not exceptions: a refused address is
an expected part of sending mail. Exceptions are left for mistakes of the
operator (`ConfigError`, `UsageError`) and for surprises, which crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from digest.model import Reach


@dataclass(frozen=True, slots=True)
class Refused:
    """This item, never again as it is.

    `address_fault` says that the recipient's address was refused, not the
    message: an SMTP 5xx in answer to RCPT, which is a bounce.
    """

    reason: str
    code: str = ""
    address_fault: bool = False


@dataclass(frozen=True, slots=True)
class Throttled:
    """Certainly not accepted; ask again, not before `retry_after` where the server named a time.

    `window` says what may be asked no more until then: "post", "media", "delete" or "read" on
    a channel, where each has a limit of its own. `reach` says for whom the answer holds, of
    mails: this one ("item"), its recipient's whole domain, or the mailer.
    """

    reason: str
    code: str = ""
    retry_after: timedelta | None = None
    window: str = "post"
    reach: Reach = "item"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Certainly not accepted: nothing of this item reached the other side."""

    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """May have been accepted: the answer was lost. Never repeated by itself.

    The code "duplicate" says that the other side has something equal already, perhaps this.
    """

    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """Stop this mailer or channel and tell the operator: credentials or policy, not this item."""

    reason: str
    code: str = ""


class DigestError(Exception):
    """Base of the errors that a command reports in a sentence instead of a traceback."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault in what is declared: where it stands and how to cure it."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.message) if part)


class ConfigError(DigestError):
    """Config or templates are wrong; carries every problem found, not just the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(DigestError):
    """A command was asked for something that does not exist or cannot be done now."""


class StateError(DigestError):
    """A decision does not fit the state that the issue is in; nothing was changed."""
