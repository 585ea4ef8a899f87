"""Asking an editor about a draft, and doing what they answered: by whatever screen they do it.

An ask is stored before anybody is shown anything, and bound to the draft that is shown. An
answer is one decision of the desk, stored with who took it before anything else happens; then
the ask is ended. A crash between the two asks nobody again: the draft is a draft no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digest import notices
from digest.errors import StateError, UsageError
from digest.issues import desk
from digest.issues.compose import newsletter_of
from digest.issues.content import from_json
from digest.model import Act, IssueState
from digest.store import asks
from digest.store import issues as issue_store

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.config import Policy
    from digest.store.asks import Ask
    from digest.store.issues import Issue

SEND = "send"
CHANGE = "change, and ask again"
TEST = "send a test copy, and ask again"
HOLD = "hold"
REJECT = "reject"

#: What each policy does to a draft that nobody decided on, in words for the one who is asked.
UNANSWERED: dict[Policy, str] = {
    "send": "it is sent as it stands",
    "hold": "it is held",
    "roll": "its posts wait for the next issue",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What an editor is asked about a draft."""

    issue: Issue
    #: What may be answered: a draft that fails its preflight cannot be sent.
    decisions: tuple[str, ...]
    introduction: str
    #: The posts in it, by a label to choose them by.
    posts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an editor answered; subject and introduction as they stood in the form."""

    decision: str
    approver: str
    subject: str = ""
    introduction: str = ""
    #: Ids of posts.
    drop: tuple[int, ...] = ()
    test_to: str = ""
    reason: str = ""


def put(app: App, issue: Issue, prefect_run_id: str) -> Ask:
    """The open ask about an issue: this run's own from now on, or another run's."""
    found = None
    while found is None:
        # Not found where another run ended its ask between the two statements.
        with app.store.write() as c:
            asks.put_ask(c, issue.id, prefect_run_id, issue.hash, app.clock())
            found = asks.open_ask(c, issue.id)
    return found


def end(app: App, ask: Ask, outcome: str) -> None:
    """The ask needs no answer any more, and why."""
    with app.store.write() as c:
        asks.end_ask(c, ask.id, outcome, app.clock())


def question(issue: Issue) -> Question:
    """What may be decided about a draft."""
    content = from_json(issue.content)
    decisions = (CHANGE, TEST, HOLD, REJECT) if issue.errors else (SEND, CHANGE, TEST, HOLD, REJECT)
    posts = {f"{item.position}. {item.post.title}": item.post.post_id for item in content.items}
    return Question(issue, decisions, content.introduction, posts)


def take(app: App, ask: Ask, answer: Answer) -> str:
    """Do what was answered, and end the ask; returns what the next question begins with.

    An answer that cannot be carried out changes nothing, and the note says why.
    """
    approver = answer.approver.strip()
    act = Act(approver, app.clock(), answer.reason.strip() or answer.decision)
    try:
        note = _do(app, ask, replace(answer, approver=approver), act)
    except (StateError, UsageError) as refused:
        whose = f"of {approver}" if approver else "without a name"
        note = f"The answer {whose} was not carried out: {refused}."
        end(app, ask, f"not carried out for {approver}: {answer.decision}")
        return note
    end(app, ask, f"answered by {approver}: {answer.decision}")
    if answer.decision == TEST:
        # After the ask has ended: a crash leaves a copy unsent, not sent twice.
        return f"{note} {_test_copy(app, ask.issue_id, answer.test_to)}".strip()
    return note


def _do(app: App, ask: Ask, answer: Answer, act: Act) -> str:
    """Carry out an answer; what was changed in the form is never lost without a word."""
    if not act.actor:
        raise UsageError("say who decides")
    if answer.decision == TEST and not answer.test_to.strip():
        raise UsageError("a test copy needs an address to go to")
    with app.store.read() as c:
        issue = issue_store.get_issue(c, ask.issue_id)
    subject = " ".join(answer.subject.split())
    typed = subject if subject != issue.subject else None
    if answer.decision == REJECT:
        desk.reject(app.store, issue.id, act)
        return ""
    introduction = _introduction(issue, answer)
    redone = introduction is not None or bool(answer.drop)
    if answer.decision == SEND and not redone:
        if not subject:
            raise UsageError("the subject is empty")
        desk.approve(app.store, app.templates, issue.id, act, subject=typed, seen=ask.hash)
        return ""
    changed = redone or bool(typed)
    if changed:
        desk.change(
            app.store,
            app.templates,
            issue.id,
            act,
            introduction=introduction,
            subject=typed or None,
            drop=answer.drop,
            seen=ask.hash,
        )
    if answer.decision == HOLD:
        desk.hold(app.store, issue.id, act)
        return ""
    if changed:
        return f"Changed by {act.actor}. Nothing was sent: please look at it again."
    return "Nothing was changed." if answer.decision == CHANGE else ""


def _introduction(issue: Issue, answer: Answer) -> str | None:
    """The introduction as answered; None where it is the one that was shown."""
    shown, given = from_json(issue.content).introduction, answer.introduction.strip()
    return None if given == shown.strip() else given


def _test_copy(app: App, issue_id: int, to: str) -> str:
    # The address stands in no word of this: what is asked next is shown on a screen.
    try:
        sent = notices.send_test_copy(app, issue_id, to.strip())
    except UsageError:
        return "No test copy was sent: that is no e-mail address that mail can go to."
    if sent.reason:
        return f"The test copy is {sent.state}."
    return "The test copy was submitted."


def deadline(app: App, issue: Issue) -> str:
    """By when an answer is wanted and what happens without one, in words; or empty."""
    if issue.decide_by is None or issue.state is not IssueState.DRAFT:
        return ""
    newsletter = newsletter_of(app.config, issue.newsletter)
    by = issue.decide_by.astimezone(app.config.zone_of(newsletter))
    policy = "hold" if issue.errors and newsletter.unanswered == "send" else newsletter.unanswered
    return f"Without an answer by {by:%A %d %B %Y, %H:%M} ({by.tzname()}) {UNANSWERED[policy]}."
