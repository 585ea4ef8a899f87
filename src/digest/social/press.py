"""What publishing works with, and what it reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from digest import config_social
    from digest.errors import Refused, Unavailable
    from digest.model import Limits, Picture
    from digest.ports import Channel, Clock
    from digest.social.networks import Network
    from digest.social.pictures import Frozen, Space
    from digest.social.thread import Thread, Unthreadable
    from digest.store.engine import Store
    from digest.store.publications import Publication
    from digest.store.social import ThreadRow


#: Longer than one call of the slowest network; counts only for workers on other machines.
LEASE = timedelta(minutes=30)


class Workshop(Protocol):
    """What publishing asks of the rest of the house; nothing of it is said to a network."""

    def zone(self, slug: str) -> ZoneInfo:
        """The time zone of a channel's slots."""
        ...

    def limits(self, slug: str) -> Limits | None:
        """What the account takes, as remembered; None where nothing is known."""
        ...

    def network(self, slug: str) -> Network:
        """How the channel counts, within the limits of its account."""
        ...

    def remake(self, thread: ThreadRow) -> Thread | Unthreadable | None:
        """The thread as it would be made now; None where its post left the series or theme."""
        ...

    def is_gone(self, thread: ThreadRow) -> bool:
        """Ask the page of its post; what says so itself is recorded as gone."""
        ...

    def freeze(self, url: str, space: Space) -> Frozen | Refused | Unavailable:
        """Fetch a picture and keep it as a file."""
        ...

    def picture(self, name: str, alt: str) -> Picture | None:
        """A picture that was frozen under this name."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one publication, or would; `state` as in the ledger."""

    channel: str
    title: str
    position: int
    of: int
    state: str
    reason: str = ""
    url: str = ""
    thread: int = 0


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What one call did, or in a dry run would do."""

    lines: tuple[Line, ...]
    #: By channel, why it ended its turn before everything due was out.
    faults: Mapping[str, str]
    #: Publications that nobody knows of whether they are out, on these channels.
    uncertain: int
    dry_run: bool
    #: What somebody should know, in sentences, each told once.
    notices: tuple[str, ...] = ()
    #: A person has to do something before all of it can go on.
    for_person: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many snippets came to which state."""
        return dict(Counter(str(line.state) for line in self.lines))


@dataclass(frozen=True, slots=True)
class Press:
    """What publishing works with; several may do so at once."""

    store: Store
    #: The channels to serve, as declared.
    declared: Mapping[str, config_social.Channel]
    #: Gives the channel of that name; nothing is connected before it is used.
    open: Callable[[str], Channel]
    #: Where workers hold the locks by which they are known to be alive.
    folder: Path
    clock: Clock
    workshop: Workshop


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of publishing, and what it has to tell so far."""

    press: Press
    worker: str
    lines: list[Line] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    for_person: list[str] = field(default_factory=list)

    def tell(self, notice: str) -> None:
        """Say something that a person has to act on."""
        self.notices.append(notice)
        self.for_person.append(notice)

    def add(self, one: Publication, state: str, reason: str = "", url: str = "") -> None:
        """Report what became of a publication."""
        self.lines.append(line_of(one, state, reason, url))


def line_of(one: Publication, state: str, reason: str = "", url: str = "") -> Line:
    """A publication as it is reported."""
    return Line(
        one.channel, one.title, one.position, one.of, state, reason, url, thread=one.thread_id
    )


def named(one: Publication | ThreadRow) -> str:
    """A thread in a notice: its number is what commands take."""
    return f"thread {one.thread_id} on {one.channel} ({one.title})"
