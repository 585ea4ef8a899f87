"""What a planning reports: every candidate of every channel, in or out, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digest.store.social import PlannedSnippet


@dataclass(frozen=True, slots=True)
class Planned:
    """A candidate of one channel: in, with its snippets and their slots (UTC), or out; and why."""

    channel: str
    post_id: int
    title: str
    reason: str
    #: "series:ipc", "theme:funding"; empty where it is of none that the channel takes.
    scope: str
    is_in: bool = False
    snippets: tuple[PlannedSnippet, ...] = ()
    #: What an editor should know about how it was made, a sentence each.
    notes: tuple[str, ...] = ()
    form: str = "thread"
    #: 0, or which time it is brought back.
    repeat: int = 0
    #: Brought back by rotation.
    evergreen: bool = False
    #: Its number in the ledger; None where nothing was stored.
    thread_id: int | None = None
    #: It grows a standing thread that is there already: that one's last, None in a dry run
    #: where that is in the same plan.
    goes_on: bool = False
    after_id: int | None = None
    #: What a snippet may measure, and in what.
    limit: int = 0
    unit: str = ""
    #: In words; empty where the channel costs nothing.
    cost: str = ""
    #: In US dollars.
    price: Decimal = Decimal(0)
    #: The links that the network sees: the position of the snippet, and the link.
    links: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Every candidate of every channel, in the order of the slots given."""

    planned: tuple[Planned, ...]
    dry_run: bool
    #: By channel, why rotation brings no old post back.
    silent: Mapping[str, str] = field(default_factory=dict)

    @property
    def threads(self) -> tuple[Planned, ...]:
        """What is in."""
        return tuple(one for one in self.planned if one.is_in)

    def price_on(self, channel: str) -> Decimal:
        """What the threads of a channel cost together, in US dollars."""
        return sum((one.price for one in self.planned if one.channel == channel), Decimal(0))

    @property
    def left_out(self) -> tuple[Planned, ...]:
        """What is not."""
        return tuple(one for one in self.planned if not one.is_in)
