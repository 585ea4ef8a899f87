"""What would go out, for anyone or for one reader; reads only.

Where the period has an issue already, that issue is shown: the preview is what
is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.issues.compose import compose, period_asked, render_variant
from digest.issues.content import Rendered, from_json
from digest.issues.freeze import outlook
from digest.model import IssueState, Pick
from digest.store import accounts
from digest.store import issues as issue_store
from digest.store.freezing import SUPPRESSED, reader_of
from digest.store.posts import load_posts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.issues.compose import Draft, Request
    from digest.issues.content import IssueContent
    from digest.issues.period import Week
    from digest.model import Rhythm
    from digest.store.engine import Store
    from digest.store.issues import Issue


@dataclass(frozen=True, slots=True)
class PickLine:
    """A pick with what names its post."""

    guid: str
    title: str
    pick: Pick


@dataclass(frozen=True, slots=True)
class Preview:
    """An issue as it would go out. `issue_id` is None where nothing is stored yet."""

    issue_id: int | None
    #: In words where the issue stands; empty where nothing is stored yet.
    standing: str
    content: IssueContent
    rendered: Rendered
    #: Subject and fallback subject.
    both: tuple[str, str]
    picks: tuple[PickLine, ...]
    #: Why there is nothing to send; empty where there is something.
    nothing: str
    #: Whose mail it is, and whether it goes to those as well who had its posts.
    rhythm: Rhythm
    repeat: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """The variant of one reader, whose links go in."""

    address: str
    subscription_id: int
    rendered: Rendered
    #: Ids of the posts in it.
    posts: frozenset[int]


def preview(c: Connection, config: Config, templates: Path, request: Request) -> Preview:
    """The issue of the request's period: as stored, or as it would be composed now."""
    period = period_asked(config, request)
    stored = issue_store.find_current(c, request.newsletter, str(request.scope), period)
    if stored is None or stored.state is IssueState.SKIPPED:
        return _of_draft(compose(c, config, templates, request))
    return preview_of_issue(c, stored)


def preview_of_issue(c: Connection, issue: Issue) -> Preview:
    """The issue as stored, whatever its state."""
    return Preview(
        issue_id=issue.id,
        standing=f"issue {issue.id} ({issue.name}) as it stands: {issue.state}",
        content=from_json(issue.content),
        rendered=Rendered(issue.subject, "", issue.html, issue.text, issue.preflight),
        both=(issue.subject, issue.fallback_subject),
        picks=_lines(c, issue_store.picks_of(c, issue.id)),
        nothing="" if issue.html else _why_nothing(c, issue),
        rhythm=issue.rhythm,
        repeat=issue.repeat,
    )


def _why_nothing(c: Connection, issue: Issue) -> str:
    return issue_store.transitions_of(c, issue.id)[-1].reason


def _as_frozen(variant: accounts.StoredVariant) -> Rendered:
    return Rendered(variant.subject, "", variant.html, variant.text, ())


def _of_draft(draft: Draft) -> Preview:
    lines = tuple(
        PickLine(draft.posts[pick.post_id].guid, draft.posts[pick.post_id].title, pick)
        for pick in draft.picks
    )
    both = (draft.rendered.subject, draft.fallback_subject)
    return Preview(
        issue_id=None,
        standing="",
        content=draft.content,
        rendered=draft.rendered,
        both=both,
        picks=lines,
        nothing=draft.nothing,
        rhythm=draft.asked.request.rhythm,
        repeat=draft.asked.request.repeat,
    )


def _lines(c: Connection, picks: Sequence[Pick]) -> tuple[PickLine, ...]:
    posts = {post.id: post for post in load_posts(c, ids=[pick.post_id for pick in picks])}
    return tuple(
        PickLine(posts[pick.post_id].guid, posts[pick.post_id].title, pick) for pick in picks
    )


def copy_for(store: Store, shown: Preview, templates: Path, key: str, week: Week) -> Copy:
    """What the reader with this address key would get; of a frozen issue, what they do get.

    Raises UsageError, saying why, where that is nothing.
    """
    content = shown.content
    with store.read() as c:
        frozen = accounts.variant_of(c, shown.issue_id, key) if shown.issue_id else None
        reader = reader_of(c, key, content.newsletter)
    if frozen is not None:
        posts = _posts(content, frozen.mask)
        return Copy(frozen.address, frozen.subscription_id, _as_frozen(frozen.variant), posts)
    if reader is None or reader.state != "active":
        raise UsageError(f"that address has no active subscription to {content.newsletter}")
    if reader.suppressed:
        raise UsageError(f"that reader would get nothing: {SUPPRESSED} ({reader.suppressed})")
    found = outlook(store, content, shown.rhythm, week, reader.subscriber_id, repeat=shown.repeat)
    if not found.mask:
        why = found.reason or f"the issue is {shown.rhythm}, and their rhythm is {reader.rhythm}"
        raise UsageError(f"that reader would get nothing: {why}")
    rendered = render_variant(content, found.mask, templates, shown.both)
    posts = _posts(content, found.mask)
    return Copy(reader.address, reader.subscription_id, rendered, posts)


def _posts(content: IssueContent, mask: int) -> frozenset[int]:
    return frozenset(item.post.post_id for item in content.variant(mask).items)


def picks_of_copy(shown: Preview, copy: Copy) -> tuple[PickLine, ...]:
    """The picks as they turn out for one reader, who has had or does not want some of them."""
    return tuple(
        line
        if line.pick.post_id in copy.posts or not line.pick.is_in
        else replace(line, pick=_not_theirs(line.pick))
        for line in shown.picks
    )


def _not_theirs(pick: Pick) -> Pick:
    reason = "not in this reader's copy: had already, or not among their interests"
    return Pick(pick.post_id, is_in=False, position=None, reason=reason, code="not-theirs")
