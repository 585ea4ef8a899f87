"""Values that cross rooms. Frozen, standard library only; every datetime is aware and in UTC.

The words are those of CONTEXT.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Read at run time, where content becomes JSON.
from datetime import datetime, timedelta  # noqa: TC003
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection

#: Stand in a rendered variant for the recipient's own links, and are put in at submission.
#: RFC 2606 reserves .invalid, and cleaning drops such links from posts, so that no feed
#: can write one.
UNSUBSCRIBE_MARK = "https://reader.invalid/unsubscribe"
UNSUBSCRIBE_MAILTO_MARK = "mailto:unsubscribe@reader.invalid"
SETTINGS_MARK = "https://reader.invalid/settings"


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
class Content:
    """A mail in its parts, for mailers that take no whole message (RFC 5322)."""

    from_name: str
    from_address: str
    reply_to: str
    subject: str
    #: What else stands in its head: List-*, Message-ID, Feedback-ID, ...; no Date, so that the
    #: same mail is the same whenever it is made.
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str


#: How far an answer reaches: this item, all for its recipient's domain, or all of the mailer.
Reach: TypeAlias = Literal["item", "domain", "mailer"]


@dataclass(frozen=True, slots=True)
class MailerTraits:
    """What a mailer can promise; never changes while it runs."""

    #: So many mails go in one request at most: all of them are in doubt if its answer is lost.
    batch: int = 1
    #: `find` can tell that a mail was accepted ...
    can_find: bool = False
    #: ... and that it was not: what is not found may be submitted again.
    finds_absence: bool = False
    #: So long after the first try, the same request with the same key is carried out once.
    same_for: timedelta | None = None
    #: It waits by `parking.ready` alone, so that one thread can drive many connections.
    parks: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an adapter returns for an accepted item."""

    remote_id: str
    at: datetime
    url: str = ""
    response: str = field(default="", compare=False)
    #: Which version of the item that is, where the other side names versions (Bluesky's CID).
    version: str = ""


# --- social ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is uploaded: already within its network's limits."""

    content: bytes
    #: "image/jpeg"
    media_type: str
    alt: str
    #: In pixels.
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Card:
    """A link shown as a card: plain texts, and a small picture if there is one."""

    url: str
    title: str
    description: str
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class ReadySnippet:
    """A snippet as a channel is given it."""

    #: Its own for ever: the same for the same snippet however often it is tried, never another's.
    key: str
    text: str
    #: When it was first tried, in UTC: the same at each try, later than that of the one before
    #: it in its thread. A network that lets us say when a post was made is told this.
    at: datetime
    #: BCP 47: "en-GB"
    language: str = "en"
    picture: Picture | None = None
    card: Card | None = None
    #: Hashtags that stand in no text, without the #, for networks that carry such.
    tags: tuple[str, ...] = ()
    #: It is the first of its post, even where it answers an older one: everybody is to see it,
    #: so that it is found by its hashtag.
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a snippet is attached: the first snippet of its thread, and the one it answers."""

    root: Receipt
    parent: Receipt


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account takes in one snippet, as its network says now."""

    #: In the network's own units; see `digest.social.networks`.
    characters: int
    #: What a link weighs; None where it counts like any other text.
    link_weight: int | None
    #: In bytes.
    picture_bytes: int
    #: "image/jpeg", ...
    picture_types: tuple[str, ...]
    #: Width times height; None where nothing is said.
    picture_pixels: int | None = None
    #: Of an alt text.
    alt_characters: int = 1000
    #: Of the picture of a card, in bytes; None where the network makes cards itself or not at all.
    card_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """What a channel can promise; never changes while it runs."""

    #: A thread goes out in one call, whole or not at all.
    atomic: bool
    #: `find` can tell whether a snippet was accepted.
    can_find: bool
    #: So long after a try an accepted snippet may not be found yet.
    seen_after: timedelta
    #: So long after the first try the network makes one of two equal ones; None: it does not.
    same_for: timedelta | None
    #: `edit` works.
    can_edit: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A snippet as the network shows it, in our words: text as it was said, full links."""

    text: str
    #: The remote id of what it answers.
    reply_to: str | None
    #: Hashtags that the network made of it, without the #, hidden ones too.
    tags: tuple[str, ...]
    alts: tuple[str, ...]
