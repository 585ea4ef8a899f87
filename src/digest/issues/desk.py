"""An editor's decisions on an issue: draft, change, approve, reject, hold, cancel, pause, resume.

Each is one transaction: the step, who took it and why are stored before
anything else happens. A decision that does not fit raises StateError and
changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from digest.errors import StateError, UsageError
from digest.issues.compose import (
    Request,
    compose,
    issue_hash,
    newsletter_of,
    period_asked,
    render_issue,
)
from digest.issues.content import from_json, to_json
from digest.issues.lifecycle import BEFORE_FREEZE
from digest.issues.scope import parse_scope
from digest.model import Act, IssueState, Pick
from digest.picks.candidates import DROPPED
from digest.store import deliveries as ledger
from digest.store import issues as issue_store
from digest.store.memberships import ensure_memberships

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from digest.config import Config
    from digest.issues.compose import Draft
    from digest.issues.content import IssueContent
    from digest.store.engine import Store
    from digest.store.issues import Issue


def draft_issue(
    store: Store,
    config: Config,
    templates: Path,
    request: Request,
    act: Act,
    *,
    aside: tuple[IssueState, Act] | None = None,
) -> Issue:
    """The issue of the request's period: the one there is, or a new draft.

    With too few posts it is stored as skipped, with the reason; a later call in the same
    period looks again. Two calls at once make one issue. For a schedule, what was rejected,
    cancelled or set aside in this period stays so: only an editor begins it anew.
    `aside` is a step that a new draft takes at once, in the same transaction.
    """
    with store.write() as c:
        ensure_memberships(c, config)
    with store.write() as c:
        known = _known(c, config, request)
        if known is not None and known.state is not IssueState.SKIPPED:
            return _as_asked(known, request)
        if known is not None and known.set_aside and request.by_schedule:
            return known
        draft = compose(c, config, templates, request)
        decide_by = _decide_by(config, request.newsletter, act)
        if known is not None and draft.nothing:
            return known
        if known is None:
            issue = _insert(c, draft, decide_by, act)
        else:
            issue = _redraft(c, known, draft, decide_by, act)
        if aside is not None and issue.state is IssueState.DRAFT:
            issue_store.move_issue(c, issue, *aside)
        return issue_store.get_issue(c, issue.id)


def _known(c: Connection, config: Config, request: Request) -> Issue | None:
    of = (request.newsletter, str(request.scope), period_asked(config, request))
    known = issue_store.find_current(c, *of)
    if known is None and request.by_schedule:
        return issue_store.find_ended(c, *of)
    return known


def _decide_by(config: Config, newsletter: str, act: Act) -> datetime:
    return act.at + timedelta(hours=newsletter_of(config, newsletter).answer_within_hours)


def _as_asked(known: Issue, request: Request) -> Issue:
    """The issue that a period has already; UsageError where it is not the one asked for."""
    if known.repeat != request.repeat and not request.by_schedule:
        word = "repeats" if known.repeat else "does not repeat"
        raise UsageError(
            f"issue {known.id} of {known.period} is {known.state} and {word} what readers had;"
            f" ask for another by --edition {request.edition + 1}"
        )
    return known


def _insert(c: Connection, draft: Draft, decide_by: datetime, act: Act) -> Issue:
    request = draft.asked.request
    issue_store.record_beginning(c, request.newsletter, draft.asked.began)
    state = IssueState.SKIPPED if draft.nothing else IssueState.DRAFT
    act = replace(act, reason=draft.nothing or f"{len(draft.content.items)} posts picked")
    values = {
        "newsletter": request.newsletter,
        "scope": str(request.scope),
        "period": draft.asked.period,
        "rhythm": request.rhythm,
        "repeat": request.repeat,
        "state": state,
        "scheduled_at": request.scheduled_at,
        "decide_by": decide_by,
        **_drawn(draft),
    }
    issue_id = issue_store.insert_issue(c, values, act)
    if issue_id is None:
        # PostgreSQL only: another run was faster, and its row is visible now.
        found = issue_store.find_current(
            c, request.newsletter, str(request.scope), draft.asked.period
        )
        if found is None:
            raise StateError("another run made and took back this issue just now; try again")
        return found
    issue_store.save_picks(c, issue_id, draft.picks)
    return issue_store.get_issue(c, issue_id)


def _redraft(c: Connection, issue: Issue, draft: Draft, decide_by: datetime, act: Act) -> Issue:
    request = draft.asked.request
    values = {
        **_drawn(draft),
        "approved_hash": None,
        "checked_at": None,
        "decide_by": decide_by,
        "repeat": request.repeat,
        "scheduled_at": request.scheduled_at,
    }
    issue_store.move_issue(c, issue, IssueState.DRAFT, act, **values)
    issue_store.save_picks(c, issue.id, draft.picks)
    return issue_store.get_issue(c, issue.id)


def _drawn(draft: Draft) -> dict[str, Any]:
    rendered = draft.rendered
    return {
        "content": to_json(draft.content),
        "subject": rendered.subject,
        "fallback_subject": draft.fallback_subject,
        "html": rendered.html,
        "text": rendered.text,
        "preflight": issue_store.checks_to_json(rendered.preflight),
        "hash": draft.hash,
    }


def _rendered(content: IssueContent, templates: Path, *, repeat: bool) -> dict[str, Any]:
    rendered, fallback = render_issue(content, templates)
    return {
        "content": to_json(content),
        "subject": rendered.subject,
        "fallback_subject": fallback,
        "html": rendered.html,
        "text": rendered.text,
        "preflight": issue_store.checks_to_json(rendered.preflight),
        "hash": issue_hash(content, rendered, fallback, repeat=repeat),
    }


def approve(
    store: Store,
    templates: Path,
    issue_id: int,
    act: Act,
    *,
    subject: str | None = None,
    seen: str | None = None,
) -> Issue:
    """Approve a draft, with a typed subject if one is given.

    What is approved is bound by its hash; `seen` is that of the draft which the editor looked
    at, where that is known to have been another moment. A preflight error forbids it.
    """
    with store.write() as c:
        issue = issue_store.get_issue(c, issue_id)
        _refuse_unseen(issue, seen)
        values: dict[str, Any] = {}
        if subject:
            content = replace(from_json(issue.content), typed_subject=subject)
            values = _rendered(content, templates, repeat=issue.repeat)
        checks = issue_store.checks_from_json(values["preflight"]) if values else issue.preflight
        _refuse_errors(issue, checks)
        values["approved_hash"] = values.get("hash", issue.hash)
        issue_store.move_issue(c, issue, IssueState.APPROVED, act, **values)
        return issue_store.get_issue(c, issue_id)


def _refuse_unseen(issue: Issue, seen: str | None) -> None:
    if seen is not None and seen != issue.hash:
        raise StateError(f"issue {issue.id} was changed since you looked at it; look again")


def _refuse_errors(issue: Issue, checks: Collection[Any]) -> None:
    errors = [f"{check.name}: {check.message}" for check in checks if check.severity == "error"]
    if errors and issue.state is IssueState.DRAFT:
        raise StateError(f"issue {issue.id} cannot be approved: {'; '.join(errors)}")


def change(
    store: Store,
    templates: Path,
    issue_id: int,
    act: Act,
    *,
    introduction: str | None = None,
    subject: str | None = None,
    drop: Collection[int] = (),
    seen: str | None = None,
) -> Issue:
    """Change a draft's introduction or subject, or drop posts from it.

    It is rendered anew, to be asked again.

    `drop` holds post ids. Raises StateError where one is not in the issue, and where the draft
    is not the one `seen` any more.
    """
    with store.write() as c:
        issue = issue_store.get_issue(c, issue_id)
        _refuse_unseen(issue, seen)
        if issue.state is not IssueState.DRAFT:
            raise StateError(f"issue {issue_id} is {issue.state}; only a draft can be changed")
        content = from_json(issue.content)
        if introduction is not None:
            content = replace(content, introduction=introduction)
        if subject is not None:
            content = replace(content, typed_subject=subject)
        content, picks = _without(issue, content, issue_store.picks_of(c, issue_id), drop)
        values = _rendered(content, templates, repeat=issue.repeat)
        issue_store.move_issue(c, issue, IssueState.DRAFT, act, **values)
        issue_store.save_picks(c, issue_id, picks)
        return issue_store.get_issue(c, issue_id)


def _without(
    issue: Issue, content: IssueContent, picks: Collection[Pick], drop: Collection[int]
) -> tuple[IssueContent, list[Pick]]:
    absent = set(drop) - {item.post.post_id for item in content.items}
    if absent:
        raise StateError(f"post {min(absent)} is not in issue {issue.id}")
    kept = [item for item in content.items if item.post.post_id not in drop]
    if not kept:
        raise StateError(f"issue {issue.id} would be empty; reject it instead")
    items = tuple(replace(item, position=place) for place, item in enumerate(kept, 1))
    places = {item.post.post_id: item.position for item in items}
    changed = [
        Pick(pick.post_id, is_in=False, position=None, reason="dropped by an editor", code=DROPPED)
        if pick.post_id in drop
        else replace(pick, position=places.get(pick.post_id))
        for pick in picks
    ]
    return replace(content, items=items), changed


def hold(store: Store, issue_id: int, act: Act) -> Issue:
    """Put a draft or an approved issue aside until `resume`."""
    return _move(store, issue_id, IssueState.HELD, act)


def reject(store: Store, issue_id: int, act: Act) -> Issue:
    """End an issue before anything went out; its period is free again."""
    return _move(store, issue_id, IssueState.REJECTED, act)


def pause(store: Store, issue_id: int, act: Act) -> Issue:
    """Stop claims and submissions at once; what is being submitted right now gets its answer."""
    return _move(store, issue_id, IssueState.PAUSED, act)


def _move(store: Store, issue_id: int, after: IssueState, act: Act) -> Issue:
    with store.write() as c:
        issue = issue_store.get_issue(c, issue_id)
        issue_store.move_issue(c, issue, after, act)
        return issue_store.get_issue(c, issue_id)


def cancel(store: Store, issue_id: int, act: Act) -> Issue:
    """End an issue in any state: what has not gone out never will, and its posts are free.

    A delivery that is being submitted right now still gets its answer.
    """
    with store.write() as c:
        issue = issue_store.get_issue(c, issue_id)
        issue_store.move_issue(c, issue, IssueState.CANCELLED, act)
        if issue.state not in BEFORE_FREEZE:
            ledger.cancel_open(c, issue_id, act.at)
        return issue_store.get_issue(c, issue_id)


def resume(store: Store, config: Config, templates: Path, issue_id: int, act: Act) -> Issue:
    """Go on with a paused issue; make the draft of a held one anew from the posts as they are.

    What an editor did to the draft before the hold (introduction, subject, posts dropped)
    is done to the new one.
    """
    with store.write() as c:
        ensure_memberships(c, config)
    with store.write() as c:
        issue = issue_store.get_issue(c, issue_id, lock=True)
        if issue.state is IssueState.PAUSED:
            issue_store.move_issue(c, issue, IssueState.SENDING, act)
            return issue_store.get_issue(c, issue_id)
        if issue.state is not IssueState.HELD:
            raise StateError(f"issue {issue_id} is {issue.state}; only paused or held ones resume")
        draft = compose(c, config, templates, _request_of(config, issue))
        if draft.nothing:
            raise StateError(f"issue {issue_id} has no posts left: {draft.nothing}; reject it")
        redone = _edited_again(issue, draft, issue_store.picks_of(c, issue_id), templates)
        return _redraft(c, issue, redone, _decide_by(config, issue.newsletter, act), act)


def _edited_again(issue: Issue, draft: Draft, before: Collection[Pick], templates: Path) -> Draft:
    old = from_json(issue.content)
    content = replace(draft.content, introduction=old.introduction, typed_subject=old.typed_subject)
    there = {item.post.post_id for item in content.items}
    drop = there & {pick.post_id for pick in before if pick.code == DROPPED}
    content, picks = _without(issue, content, draft.picks, drop)
    rendered, fallback = render_issue(content, templates)
    return replace(
        draft, content=content, picks=tuple(picks), rendered=rendered, fallback_subject=fallback
    )


def _request_of(config: Config, issue: Issue) -> Request:
    newsletter_of(config, issue.newsletter)
    base, _, edition = issue.period.partition(".")
    return Request(
        newsletter=issue.newsletter,
        scope=parse_scope(issue.scope),
        rhythm=issue.rhythm,
        scheduled_at=issue.scheduled_at,
        repeat=issue.repeat,
        edition=int(edition or 1),
        post_id=int(base.removeprefix("post:")) if base.startswith("post:") else None,
    )
