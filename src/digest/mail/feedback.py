"""What came back about one mail: a bounce, a complaint, a sign that it arrived. Values only.

Reports read from an inbox and what webhooks are told become the same value, whose events are
Anymail's words (https://anymail.dev/en/stable/sending/tracking/).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

#: bounced: it did not arrive, and will not. deferred: not yet. complained: its reader calls it
#: spam. autoresponded: a machine answered it. unsubscribed: its reader left by means of somebody
#: else. rejected: whoever should send it did not. unknown: nothing of these.
Event: TypeAlias = Literal[
    "bounced",
    "deferred",
    "complained",
    "delivered",
    "autoresponded",
    "unsubscribed",
    "rejected",
    "unknown",
]
#: Of a bounce. hard: there is no such mailbox. soft: there is, and it did not take it. policy:
#: somebody does not want our mail, whoever it is for.
BounceKind: TypeAlias = Literal["hard", "soft", "policy"]

EVENTS: tuple[Event, ...] = get_args(Event)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came back about one mail.

    The mail is found by any of `delivery_id`, `message_id` and `remote_id` with `mailer`, in
    this order. Whom a report names as recipient is not kept: anybody can write any report, and
    only who got our mail knows one of these.
    """

    event: Event
    #: When it happened, or where that is not to be believed, when we were told; in UTC.
    at: datetime
    #: Of a bounce, and of nothing else.
    kind: BounceKind | None = None
    #: Reply code and enhanced status as far as there are, "550 5.1.1"; else the sender's word.
    code: str = ""
    #: What the other side said, in a line, without addresses (`digest.logs.mask`).
    detail: str = ""
    #: From a bounce address (`digest.mail.verp.read_verp`), or a tag that holds its token.
    delivery_id: int | None = None
    #: Of our mail, as it stands in its head, with angle brackets.
    message_id: str = ""
    #: A receipt's, and which mailer gave it (`App.mailer_key`).
    remote_id: str = ""
    mailer: str = ""

    def __post_init__(self) -> None:
        if (self.event == "bounced") != (self.kind is not None):
            raise ValueError("a bounce, and nothing else, has a kind")

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self) | {"at": self.at.isoformat()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Feedback:
        """As `to_json` made it."""
        return cls(**{**stored, "at": datetime.fromisoformat(stored["at"])})
