"""Values that cross rooms. Frozen, standard library only; every datetime is aware and in UTC.

The words are those of CONTEXT.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  read at run time, where content becomes JSON
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

#: Stand in a rendered variant for the recipient's own links, and are put in at submission.
#: RFC 2606 reserves .invalid, and cleaning drops such links from posts, so that no feed
#: can write one.
UNSUBSCRIBE_MARK = "https://reader.invalid/unsubscribe"
UNSUBSCRIBE_MAILTO_MARK = "mailto:unsubscribe@reader.invalid"


# --- posts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One item as a feed stated it: untrusted, neither cleaned nor identified.

    `published` and `updated` are None where the feed gave no date that exists.
    """

    feed: str
    guid: str
    url: str
    title: str
    author: str
    published: datetime | None
    updated: datetime | None
    summary_html: str
    content_html: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a post; `width` and `height` in CSS pixels, 0 where unknown."""

    url: str
    alt: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class CleanPost:
    """A post made from an entry, before it has a place in the store.

    `html` is nh3's output; `text` is plain text, paragraphs parted by blank lines;
    `excerpt` is plain text cut at a sentence or word.
    """

    guid: str
    url: str
    title: str
    author: str
    published: datetime
    categories: tuple[str, ...]
    html: str
    text: str
    excerpt: str
    image: Image | None
    reading_minutes: int


@dataclass(frozen=True, slots=True)
class Post:
    """A stored post.

    `arrived` is when it became news here: the later of publication and first sight, except
    that what the very first reading of a feed finds arrived when it was published.
    """

    id: int
    guid: str
    url: str
    title: str
    author: str
    published: datetime
    arrived: datetime
    categories: tuple[str, ...]
    html: str
    text: str
    excerpt: str
    image: Image | None
    reading_minutes: int
    #: When its page was found gone, as long as no feed has shown it since.
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PostView:
    """What an issue shows of a post: the snapshot that is approved, hashed and rendered."""

    post_id: int
    guid: str
    url: str
    title: str
    author: str
    published: datetime
    excerpt: str
    image: Image | None
    reading_minutes: int


@dataclass(frozen=True, slots=True)
class PostLink:
    """A post as something to link to."""

    title: str
    url: str


# --- series, themes, picks ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Membership:
    """A post found to belong to a series or theme, and the true reason."""

    kind: str  # "series" or "theme"
    slug: str
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """Where a post stands in a series: part `part` of `of`, with its neighbours."""

    slug: str
    title: str
    hashtag: str
    part: int
    of: int
    why: str
    first: PostLink
    previous: PostLink | None
    next: PostLink | None


@dataclass(frozen=True, slots=True)
class Pick:
    """A decision on one candidate: in or out, the position where in (from 1), and the reason."""

    post_id: int
    is_in: bool
    position: int | None
    reason: str
    #: The reason as a stable word, e.g. "cap", for code that must tell reasons apart.
    code: str


class Rhythm(StrEnum):
    """How often a subscription is written to."""

    EACH_POST = "each-post"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Interests:
    """What a subscription wants: everything, or chosen series and themes as "series:ipc"."""

    chosen: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        return not self.chosen

    @property
    def key(self) -> str:
        """The canonical text under which equal interests are equal in the store."""
        return "|".join(sorted(set(self.chosen))) or "everything"

    @classmethod
    def from_key(cls, key: str) -> Interests:
        return cls(() if key == "everything" else tuple(key.split("|")))

    def wants(self, groups: Collection[str]) -> bool:
        """Whether a post of these groups ("series:ipc", "theme:funding") is wanted."""
        return self.everything or any(group in self.chosen for group in groups)


# --- issues ------------------------------------------------------------------------------------


class IssueState(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    FROZEN = "frozen"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    SKIPPED = "skipped"
    HELD = "held"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Act:
    """Who takes a step, when, and why: stored with every transition."""

    actor: str
    at: datetime
    reason: str


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the preflight. An error stops an issue; a warning is shown."""

    name: str
    severity: Severity
    message: str


# --- mail --------------------------------------------------------------------------------------


class DeliveryState(StrEnum):
    """The nine states of a delivery, and of a publication (DESIGN section 5)."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    REFUSED = "refused"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


#: States in which nobody received the post, so that its reservation is given back.
RELEASING = frozenset({DeliveryState.REFUSED, DeliveryState.SUPPRESSED, DeliveryState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Account:
    """The balanced count of all deliveries of an issue, derived from the ledger."""

    pending: int = 0
    claimed: int = 0
    submitting: int = 0
    submitted: int = 0
    refused: int = 0
    failed: int = 0
    uncertain: int = 0
    suppressed: int = 0
    cancelled: int = 0
    recipients: int = 0

    @property
    def balanced(self) -> bool:
        return self.recipients == sum(int(getattr(self, state)) for state in DeliveryState)

    @property
    def open(self) -> int:
        """Deliveries that the machine itself still has to do something about."""
        return self.pending + self.claimed + self.submitting


@dataclass(frozen=True, slots=True)
class Envelope:
    """The SMTP envelope: who a bounce goes to, and the one recipient."""

    sender: str
    recipient: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an adapter returns for an accepted item."""

    remote_id: str
    at: datetime
    url: str = ""
    response: str = field(default="", compare=False)


# --- social ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadySnippet:
    """A snippet as a channel is given it; `key` is its own for ever, to be found by."""

    key: str
    text: str
    image: Image | None = None
