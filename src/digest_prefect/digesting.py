"""What the flows that send an issue have in common: draft, ask, check, freeze, deliver, account.

Each is a step of `digest`, safe to repeat: a run that is resumed, retried or begun twice looks
where its issue stands and goes on from there.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import get_client

from digest import sending
from digest.config import rhythm_of
from digest.issues import desk
from digest.issues.compose import Request, newsletter_of, period_asked
from digest.issues.each_post import next_post
from digest.issues.scope import make_scope
from digest.late import set_aside
from digest.model import Act, IssueState, Rhythm
from digest.recording import about
from digest.showing import account_markdown
from digest.store import accounts
from digest.store import issues as issue_store
from digest_prefect.approval import ask_until_decided, forget_answers
from digest_prefect.artifacts import at_the_desk, progress, show, show_draft, show_look
from digest_prefect.running import answered, ended, failed, skipped
from digest_prefect.tasks import NotNow, work

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from digest.sending import Sent
    from digest.store.asks import Ask
    from digest.store.issues import Issue
    from digest_prefect.running import Run

log = logging.getLogger("digest.flows")

#: Recipients in one task, and seconds: short enough to see it move, long enough to cost nothing.
BATCH = 5000
SECONDS = 30

#: Nothing is left to be done about an issue in these states.
_OVER = (IssueState.DONE, IssueState.SKIPPED, IssueState.REJECTED, IssueState.CANCELLED)

#: What the badge of a run says whose issue ended so.
_NAMES = {
    IssueState.HELD: "Held",
    IssueState.REJECTED: "Rejected",
    IssueState.CANCELLED: "Cancelled",
    IssueState.SKIPPED: "Skipped",
}

#: Somebody, or a check, stopped an issue in these; it goes on when it is resumed.
_STOPPED = (IssueState.HELD, IssueState.PAUSED)


def request_of(
    run: Run,
    *,
    newsletter: str,
    rhythm: str = "",
    series: str | None = None,
    theme: str | None = None,
    repeat: bool = False,
    edition: int = 1,
) -> Request:
    """What a flow's form asks for; its period follows from the time the run was meant to start."""
    config = run.app.config
    slug = newsletter or next(iter(config.newsletters))
    declared = newsletter_of(config, slug)
    return Request(
        newsletter=slug,
        scope=make_scope(config, series, theme),
        rhythm=Rhythm(rhythm) if rhythm else rhythm_of(declared),
        scheduled_at=run.scheduled_at,
        repeat=repeat,
        edition=edition,
        by_schedule=run.by_schedule,
    )


def make_and_send(run: Run, *, dry_run: bool, **asked: Any) -> State[Any]:
    """The issue that a form asks for, from wherever it stands to its account.

    `asked` is as of `request_of`.
    """
    return answered(run, lambda: _make_and_send(run, request_of(run, **asked), dry_run=dry_run))


def _make_and_send(run: Run, request: Request, *, dry_run: bool) -> State[Any]:
    _call(run, request, dry_run=dry_run)
    if dry_run:
        return _rehearse(run, request)
    if late := run.lateness():
        aside = set_aside(run.app, run.flow, request, late)
        if aside is not None:
            about(run.app, run.record, aside.issue.id)
            name = _NAMES.get(aside.issue.state, "Nothing to do")
            return ended(run, name, aside.why, outcome="nothing")
    issue_id = run.issue_id or work("draft", lambda: _draft(run, request), retries=3)
    return _carry_on(run, issue_id)


def send_next_post(run: Run, *, newsletter: str, dry_run: bool) -> State[Any]:
    """The oldest post without a mail of its own, to those who take each post.

    A run that was begun goes on with its own post: by then the next one may be another.
    """
    return answered(run, lambda: _send_next_post(run, newsletter, dry_run=dry_run))


def _send_next_post(run: Run, newsletter: str, *, dry_run: bool) -> State[Any]:
    if run.issue_id is not None and not dry_run:
        return _carry_on(run, run.issue_id)
    if late := run.lateness():
        return skipped(run, late)
    app = run.app
    asked = request_of(run, newsletter=newsletter, rhythm=Rhythm.EACH_POST)
    post_id = next_post(app.store, app.config, asked.newsletter, asked.scheduled_at, dry=dry_run)
    if post_id is None:
        message = f"{asked.newsletter}: no new post, or nobody who takes each post by itself"
        return ended(run, "Nothing to do", message, outcome="nothing")
    return _make_and_send(run, replace(asked, post_id=post_id), dry_run=dry_run)


def send(run: Run, issue_id: int, *, dry_run: bool) -> State[Any]:
    """Go on with an issue by its number, or say what that would do."""
    if dry_run:
        return answered(run, lambda: _rehearse_issue(run, issue_id))
    # Once: a hold that somebody decides on while it asks is not lifted when it wakes.
    insist = not run.by_itself and not run.again
    return answered(run, lambda: _carry_on(run, issue_id, insist=insist))


def _carry_on(run: Run, issue_id: int, *, insist: bool = False) -> State[Any]:
    """Ask about a draft; deliver what was approved; say what came of it.

    What failed, waits, or was stopped by a check or the mailer goes on at once after Retry. With
    `insist`, somebody asks for the issue by its number: what a person held or paused goes on too.
    """
    _get(run, issue_id)
    about(run.app, run.record, issue_id)
    if insist or run.retried:
        _take_up(run, issue_id, insist=insist)
    issue = _get(run, issue_id)
    if issue.state is not IssueState.DRAFT:
        show_draft(run, issue)
    else:
        if not run.deployed:
            return _left_to_others(run, issue)
        decided = ask_until_decided(run, issue)
        if not isinstance(decided, issue_store.Issue):
            return _asked_elsewhere(run, decided)
        issue = decided
    forget_answers()
    if issue.state is IssueState.HELD or issue.state in _OVER:
        return _over(run, issue)
    with sending.alone(run.app, issue_id) as mine:
        if not mine:
            return ended(run, "Nothing to do", "another run is sending it", outcome="nothing")
        return _send(run, issue_id)


def _take_up(run: Run, issue_id: int, *, insist: bool) -> None:
    app = run.app
    act = Act(run.actor, app.clock(), "retried" if run.retried else f"run {run.flow}")
    stopped = _get(run, issue_id).state in _STOPPED
    if stopped and (insist or not _by_a_person(run, issue_id)):
        desk.resume(app.store, app.config, app.templates, issue_id, act)
    sending.hasten(app, issue_id, act)


def _by_a_person(run: Run, issue_id: int) -> bool:
    """Whether the last step of an issue was a decision of somebody's, not a check's or policy's."""
    with run.app.store.read() as c:
        return issue_store.transitions_of(c, issue_id)[-1].actor != "digest"


def _rehearse_issue(run: Run, issue_id: int) -> State[Any]:
    """What sending a stored issue would do, without doing it."""
    issue = _get(run, issue_id)
    about(run.app, run.record, issue_id)
    show_draft(run, issue)
    sent = sending.standing(run.app, issue_id)
    message = f"issue {issue_id} ({issue.name}) is {issue.state}: {sent.note}"
    return ended(run, "Dry run", message, outcome="nothing")


# --- before sending ----------------------------------------------------------------------------


def _call(run: Run, request: Request, *, dry_run: bool) -> None:
    """Name the run after what it makes: `series-digest ipc 2026-W47`."""
    period = period_asked(run.app.config, request)
    parts = (run.flow, request.scope.slug, period, "(dry run)" if dry_run else "")
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(run.id), name=" ".join(part for part in parts if part))


def _rehearse(run: Run, request: Request) -> State[Any]:
    shown = show_look(run, request)
    picked = sum(line.pick.is_in for line in shown.picks)
    what = shown.nothing or f"would send {picked} posts as “{shown.rendered.subject}”"
    return ended(run, "Dry run", f"{what}; nothing was stored or sent", outcome="nothing")


def _draft(run: Run, request: Request) -> int:
    act = Act(run.actor, run.app.clock(), f"run {run.flow}")
    return sending.draft(run.app, request, act).id


def _get(run: Run, issue_id: int) -> Issue:
    with run.app.store.read() as c:
        return issue_store.get_issue(c, issue_id)


def _left_to_others(run: Run, issue: Issue) -> State[Any]:
    """A run of no deployment cannot be suspended; the command line and other runs can decide."""
    show_draft(run, issue)
    message = sending.standing(run.app, issue.id).note
    return ended(run, "Waiting", f"issue {issue.id} {message}", outcome="partial")


def _asked_elsewhere(run: Run, ask: Ask) -> State[Any]:
    message = f"issue {ask.issue_id} waits for a decision in another run: {ask.prefect_run_id}"
    return ended(run, "Nothing to do", message, outcome="nothing")


def _over(run: Run, issue: Issue) -> State[Any]:
    """Nothing to send: it was sent before, or an editor or a policy ended or held it."""
    sent = sending.standing(run.app, issue.id)
    name = _NAMES.get(issue.state, "Nothing to do")
    return ended(run, name, f"issue {issue.id} ({issue.name}) is {sent.note}", outcome="nothing")


# --- sending -----------------------------------------------------------------------------------


def _send(run: Run, issue_id: int) -> State[Any]:
    faults: list[str] = []
    refusing: dict[str, str] = {}
    if work("check and freeze", lambda: _begin(run, issue_id), retries=3):
        tell, number = progress(f"send-{issue_id}", f"Issue {issue_id}: deliveries made"), 0
        watch = sending.Watch(
            waiting=sending.logging_waits(run.app, issue_id), patience=sending.PATIENCE
        )
        batch = partial(_batch, run, issue_id, watch, faults, refusing)
        more = True
        while more:
            number += 1
            more = work(f"deliver batch {number}", batch, retries=3)
            tell(_share(run, issue_id))
    sent = sending.standing(run.app, issue_id)
    # Of nobody who has taken all of it meanwhile.
    return _finish(run, sent if sent.in_order else replace(sent, refusing=refusing), faults)


def _begin(run: Run, issue_id: int) -> bool:
    act = Act(run.actor, run.app.clock(), f"run {run.flow}")
    return sending.begin(run.app, issue_id, act).issue.state is IssueState.SENDING


def _batch(
    run: Run, issue_id: int, watch: sending.Watch, faults: list[str], refusing: dict[str, str]
) -> bool:
    """Deliver to the next recipients; whether there may be more right now.

    Where the mailer could certainly not be reached, it is worth another try soon; `faults`
    keeps why, for the tries may end with nothing left that is due. `refusing` keeps who wants none
    of our mail, each domain once.
    """
    ends = monotonic() + SECONDS
    watch = replace(watch, should_stop=lambda: monotonic() > ends)
    sent = sending.deliver_batch(run.app, issue_id, watch, most=BATCH)
    log.info("issue %s: tried %s, %s submitted", issue_id, sent.tried, sent.account.submitted)
    refusing |= sent.refusing
    if sent.unreachable:
        faults.append(sent.note)
        if not sent.in_doubt:
            raise NotNow(sent.note)
    elif sent.tried:
        faults.clear()
    return sent.more


def _share(run: Run, issue_id: int) -> float:
    with run.app.store.read() as c:
        account = accounts.account(c, issue_id)
    return 1 - account.open / account.recipients if account.recipients else 1.0


def _finish(run: Run, sent: Sent, faults: list[str]) -> State[Any]:
    issue = sent.issue
    with run.app.store.read() as c:
        left_out = accounts.exclusion_counts(c, issue.id)
    key = f"account-{issue.id}"
    told = account_markdown(sent, left_out) + at_the_desk(run.app, issue.id)
    show(key, told, f"Issue {issue.id}: who got it")
    run.record.counts = {"submitted": sent.account.submitted}
    if issue.state in _STOPPED and _by_a_person(run, issue.id):
        name = "Held" if issue.state is IssueState.HELD else "Paused"
        return ended(run, name, f"issue {issue.id} is {sent.words}", outcome="partial")
    if issue.state is IssueState.CANCELLED and not sent.undecided:
        message = f"issue {issue.id} is {sent.note}"
        return ended(run, _NAMES[issue.state], message, outcome="partial")
    if sent.account.claimed or sent.account.submitting:
        message = f"another worker is sending issue {issue.id}; see digest account {issue.id}"
        return _waiting(run, sent, message)
    if issue.state is IssueState.SENDING and sent.next_due is not None:
        at = sent.next_due.astimezone(run.app.config.site.zone)
        why = f" ({issue.waits_why})" if issue.waits_why else ""
        waiting = f"{sent.account.open} deliveries wait until {at:%a %d %b %H:%M}{why}"
        message = f"{waiting}; housekeeping goes on"
        if faults:
            message = f"{faults[-1]}; {message}, or press Retry"
            return failed(run, "; ".join((message, *sent.refusing.values())))
        return _waiting(run, sent, message)
    if not sent.in_order:
        return failed(run, f"issue {issue.id} is {sent.words}")
    if not sent.account.recipients:
        return ended(run, "Nothing to do", f"issue {issue.id} is {sent.note}", outcome="nothing")
    return ended(run, "Sent", f"issue {issue.id} ({issue.name}): {sent.note}")


def _waiting(run: Run, sent: Sent, message: str) -> State[Any]:
    """It goes on by itself; but who refuses our mail by policy wants something of an operator."""
    if sent.refusing:
        return failed(run, "; ".join((message, *sent.refusing.values())))
    return ended(run, "Waiting", message, outcome="partial")
