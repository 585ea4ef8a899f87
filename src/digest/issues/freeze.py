"""Freezing: one transaction that draws recipients, reserves posts, and renders every variant.

Afterwards nothing renders any more; what goes out is what stands in the store.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digest.errors import StateError
from digest.issues.compose import issue_hash, render_issue, render_variant
from digest.issues.content import from_json
from digest.issues.period import week_of
from digest.issues.render import subject_for
from digest.issues.scope import parse_scope
from digest.model import Act, IssueState, Severity
from digest.store import accounts, enqueuing, freezing, overflow, reserving
from digest.store import issues as issue_store
from digest.store.dialect import lock_freezing
from digest.store.freezing import Drawing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from sqlalchemy.engine import Connection

    from digest.issues.compose import Request
    from digest.issues.content import IssueContent, Rendered
    from digest.issues.period import Week
    from digest.model import Interests, Rhythm
    from digest.store.engine import Store
    from digest.store.issues import Issue


def freeze_issue(store: Store, templates: Path, issue_id: int, act: Act, zone: ZoneInfo) -> Issue:
    """Freeze an approved issue; one that is frozen already is returned as it is.

    `zone` is the site's, on whose clock weekly caps count.

    Where today's templates no longer give what was approved, the issue is held (rule 4).
    """
    with store.write() as c:
        lock_freezing(c)
        issue = issue_store.get_issue(c, issue_id, lock=True)
        if issue.state is not IssueState.APPROVED:
            return issue
        content = from_json(issue.content)
        difference = _difference(issue, content, templates)
        if difference:
            held = Act("digest", act.at, difference)
            issue_store.move_issue(c, issue, IssueState.HELD, held)
            return issue_store.get_issue(c, issue_id)
        overflow.tidy(c, issue)
        drawing = Drawing(issue, week_of(act.at, zone))
        with _drawn(c, drawing, content):
            masks = enqueuing.mask_counts(c)
            rendered = {mask: _variant(issue, content, mask, templates) for mask in masks}
            reserving.reserve(c, drawing, _bits(content))
            count = enqueuing.enqueue(c, issue, rendered, act.at)
        reason = f"{count} recipients, {len(rendered)} variants"
        issue_store.move_issue(c, issue, IssueState.FROZEN, replace(act, reason=reason))
        return issue_store.get_issue(c, issue_id)


@dataclass(frozen=True, slots=True)
class Share:
    """How many readers would get one variant, under which subject, with how many posts."""

    readers: int
    posts: int
    subject: str
    #: Which of the issue's items the variant has; see `IssueContent.mask`.
    mask: int = 0


def forecast(store: Store, issue: Issue, week: Week) -> list[Share]:
    """Who would get what if the issue were frozen now, largest share first; changes nothing."""
    both = (issue.subject, issue.fallback_subject)
    with _rolled_back(store) as c:
        return _shares(c, Drawing(issue, week), from_json(issue.content), both)


def forecast_unstored(
    store: Store, request: Request, content: IssueContent, both: tuple[str, str], week: Week
) -> list[Share]:
    """Who would get what of an issue that is composed but not stored; changes nothing."""
    with _rolled_back(store) as c:
        stand_in = _stand_in(c, content, request.rhythm, repeat=request.repeat)
        return _shares(c, Drawing(stand_in, week), content, both)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one reader would get: a set of items, or nothing and why."""

    mask: int
    reason: str


def outlook(
    store: Store, content: IssueContent, rhythm: Rhythm, week: Week, reader: int, *, repeat: bool
) -> Outlook:
    """What one reader would get of an issue if it were frozen now; changes nothing."""
    with _rolled_back(store) as c:
        stand_in = _stand_in(c, content, rhythm, repeat=repeat)
        with _drawn(c, Drawing(stand_in, week, only=reader), content):
            mask = enqueuing.mask_of(c, reader)
        return Outlook(mask, freezing.exclusion_of(c, stand_in, reader))


def frozen_shares(c: Connection, issue_id: int) -> list[Share]:
    """Who gets what of an issue that is frozen, largest share first; empty before that."""
    found = accounts.variant_counts(c, issue_id)
    return _largest_first(
        Share(readers, mask.bit_count(), subject, mask) for mask, subject, readers in found
    )


@contextmanager
def _rolled_back(store: Store) -> Iterator[Connection]:
    with store.engine.connect() as c, c.begin() as transaction:
        lock_freezing(c)
        yield c
        transaction.rollback()


def _stand_in(c: Connection, content: IssueContent, rhythm: Rhythm, *, repeat: bool) -> Issue:
    return issue_store.insert_stand_in(
        c,
        newsletter=content.newsletter,
        scope=content.scope,
        period=content.period,
        rhythm=rhythm,
        repeat=repeat,
        scheduled_at=content.scheduled_at,
    )


def _drawn(c: Connection, drawing: Drawing, content: IssueContent) -> AbstractContextManager[None]:
    return freezing.drawn(c, drawing, _bits(content), lambda interests: _wants(content, interests))


def _bits(content: IssueContent) -> dict[int, int]:
    """The bit of each post in readers' masks."""
    return {item.post.post_id: 1 << (item.position - 1) for item in content.items}


def _shares(
    c: Connection, drawing: Drawing, content: IssueContent, both: tuple[str, str]
) -> list[Share]:
    with _drawn(c, drawing, content):
        counts = enqueuing.mask_counts(c)
    shares = []
    for mask, readers in counts.items():
        variant = content.variant(mask)
        subject = subject_for(variant, content, both)
        shares.append(Share(readers, len(variant.items), subject, mask))
    return _largest_first(shares)


def _largest_first(shares: Iterable[Share]) -> list[Share]:
    return sorted(shares, key=lambda share: (-share.readers, -share.posts, share.mask))


def _wants(content: IssueContent, interests: Interests) -> Iterator[tuple[int, bool]]:
    """The posts that these interests ask for, and which only readers get for whom they wait.

    A digest of one series or theme is for those who follow it, and for those who want
    everything; to them it goes whole.
    """
    scope = parse_scope(content.scope)
    for item in content.items:
        groups = item.groups if scope.is_all else (content.scope,)
        if interests.wants(groups):
            yield item.post.post_id, item.overflow


def _difference(issue: Issue, content: IssueContent, templates: Path) -> str:
    rendered, fallback = render_issue(content, templates)
    if issue_hash(content, rendered, fallback, repeat=issue.repeat) == issue.approved_hash:
        return ""
    changed = [
        name
        for name, before, after in (
            ("subject", issue.subject, rendered.subject),
            ("fallback subject", issue.fallback_subject, fallback),
            ("HTML", issue.html, rendered.html),
            ("text", issue.text, rendered.text),
        )
        if before != after
    ]
    what = " and ".join(changed) or "content"
    return f"the templates changed since approval: {what} would differ; resume to look again"


def _variant(issue: Issue, content: IssueContent, mask: int, templates: Path) -> Rendered:
    variant = render_variant(content, mask, templates, (issue.subject, issue.fallback_subject))
    errors = [c.message for c in variant.preflight if c.severity is Severity.ERROR]
    if errors:
        raise StateError(f"a variant of issue {issue.id} fails its preflight: {'; '.join(errors)}")
    return variant
