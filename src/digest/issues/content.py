"""What an issue says, before it has a look: the values that templates render.

Stored as JSON with the draft, so that what was approved can be rendered again
for each variant without asking posts or config anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003  pydantic reads it at run time
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from digest.model import Check, Part, PostView  # noqa: TC001  pydantic reads them at run time


@dataclass(frozen=True, slots=True)
class Talk:
    """Where a post is out on a network, for readers to answer it there."""

    #: As readers know it: "Mastodon".
    network_name: str
    url: str


@dataclass(frozen=True, slots=True)
class Item:
    """One picked post as shown: its snapshot, the series it stands in, its themes."""

    #: From 1; keeps its number in a variant that leaves other posts out.
    position: int
    post: PostView
    #: The series of the issue's own scope first.
    parts: tuple[Part, ...]
    #: Titles of themes.
    themes: tuple[str, ...]
    #: "series:ipc", "theme:funding": what readers' interests are compared with.
    groups: tuple[str, ...]
    reason: str
    #: One for each network; drafts that were stored before there were any have none.
    talks: tuple[Talk, ...] = ()
    #: Only for readers whose weekly cap had kept the post back.
    overflow: bool = False


@dataclass(frozen=True, slots=True)
class IssueContent:
    """Everything that the templates of `templates/email/` may show."""

    newsletter: str
    newsletter_title: str
    site_name: str
    site_url: str
    language: str
    time_zone: str
    postal_address: str
    template: str
    #: "all", "series:ipc", "theme:funding"
    scope: str
    #: Title and hashtag (without #) of the series or theme in scope; empty for "all".
    scope_title: str
    scope_hashtag: str
    scope_description: str
    #: "2026-W47", "2026-11"
    period: str
    scheduled_at: datetime
    introduction: str
    #: An editor's subject, or None: then the template's.
    typed_subject: str | None
    items: tuple[Item, ...]
    utm: tuple[tuple[str, str], ...]
    own_hosts: tuple[str, ...]
    #: Where anyone reads it; empty where the newsletter keeps no archive.
    browser_url: str = ""

    @property
    def mask(self) -> int:
        """Bit n-1 for the item at position n: which variant this is."""
        return sum(1 << (item.position - 1) for item in self.items)

    def variant(self, mask: int) -> IssueContent:
        """The same issue with just the items of `mask`, in the same order."""
        items = tuple(item for item in self.items if mask >> (item.position - 1) & 1)
        return replace(self, items=items)


@dataclass(frozen=True, slots=True)
class Rendered:
    """One variant as it goes out, with marks where the recipient's own links belong."""

    subject: str
    preheader: str
    html: str
    text: str
    preflight: tuple[Check, ...]


@cache
def _adapter() -> TypeAdapter[IssueContent]:
    return TypeAdapter(IssueContent)


def to_json(content: IssueContent) -> dict[str, Any]:
    """JSON-ready form, for the store."""
    dumped: dict[str, Any] = _adapter().dump_python(content, mode="json")
    return dumped


def from_json(stored: dict[str, Any]) -> IssueContent:
    """The content as `to_json` stored it."""
    return _adapter().validate_python(stored)
