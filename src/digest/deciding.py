"""What an editor decides at the desk, by the same steps as the commands and Prefect's form.

Each is kept as a run, under the name of the account. A decision that does not fit changes
nothing and raises StateError or UsageError.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from digest import notices, sending
from digest.errors import UsageError
from digest.issues import desk
from digest.issues.content import from_json
from digest.logs import mask
from digest.mail.addresses import AddressProblem, parse_address
from digest.model import Act, DeliveryState, IssueState
from digest.recording import recorded
from digest.settling import settle_deliveries
from digest.starting import start_sending
from digest.store import accounts
from digest.store import issues as issue_store
from digest.store.asks import open_ask
from digest.up.connection import read_connection
from digest.waking import BRISK, Fate, wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.bootstrap import App
    from digest.recording import RunRecord
    from digest.store.issues import Issue


class Decision(StrEnum):
    """What may be decided about an issue."""

    APPROVE = "approve"
    CHANGE = "change"
    TEST = "test"
    HOLD = "hold"
    REJECT = "reject"
    SEND = "send"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    LOOK = "look"
    LEAVE = "leave"
    RESEND = "resend"


#: Not to be taken back: they are asked about once more.
GRAVE = (Decision.REJECT, Decision.CANCEL, Decision.RESEND)

_BEFORE = (Decision.APPROVE, Decision.CHANGE, Decision.TEST, Decision.HOLD, Decision.REJECT)
_MAY: dict[IssueState, tuple[Decision, ...]] = {
    IssueState.DRAFT: _BEFORE,
    IssueState.APPROVED: (Decision.SEND, Decision.TEST, Decision.HOLD, Decision.REJECT),
    IssueState.FROZEN: (Decision.SEND, Decision.TEST, Decision.PAUSE, Decision.CANCEL),
    IssueState.SENDING: (Decision.SEND, Decision.TEST, Decision.PAUSE, Decision.CANCEL),
    IssueState.PAUSED: (Decision.RESUME, Decision.TEST, Decision.CANCEL),
    IssueState.DONE: (Decision.TEST,),
    IssueState.HELD: (Decision.RESUME, Decision.TEST, Decision.REJECT),
}
#: Whose failed and uncertain deliveries may be sent again.
_REOPENING = (IssueState.FROZEN, IssueState.SENDING, IssueState.PAUSED, IssueState.DONE)


@dataclass(frozen=True, slots=True)
class Word:
    """What an editor said, as the form had it."""

    decision: Decision
    reason: str = ""
    #: The hash of the draft that was shown.
    seen: str = ""
    subject: str = ""
    introduction: str = ""
    #: Ids of posts.
    drop: tuple[int, ...] = ()
    test_to: str = ""


def choices(issue: Issue, *, failed: int, undecided: int, uncertain: int) -> tuple[Decision, ...]:
    """What may be decided about an issue as it stands."""
    found = [one for one in _MAY.get(issue.state, ()) if one is not Decision.TEST or issue.html]
    if issue.errors and Decision.APPROVE in found:
        found.remove(Decision.APPROVE)
    reopens = issue.state in _REOPENING
    if failed and reopens:
        found.append(Decision.RETRY)
    if undecided:
        found += [Decision.LOOK, Decision.LEAVE]
    if uncertain and reopens:
        found.append(Decision.RESEND)
    return tuple(found)


def decide(app: App, issue_id: int, word: Word, actor: str) -> str:
    """Do what was decided. Returns in words what was done and what happens next."""
    what = "settle" if word.decision in _SETTLING else str(word.decision)
    with recorded(app, what, actor, {"issue": issue_id}) as run:
        run.issue_id = issue_id
        act = Act(actor, app.clock(), word.reason or _REASONS.get(word.decision, what))
        return _STEPS[word.decision](app, run, issue_id, word, act)


_SETTLING = (Decision.LOOK, Decision.LEAVE, Decision.RESEND)
_REASONS = {
    Decision.APPROVE: "approved",
    Decision.CHANGE: "changed",
    **dict.fromkeys(_SETTLING, "settled at the desk"),
}


# --- drafts ------------------------------------------------------------------------------------


def _approve(app: App, _run: RunRecord, issue_id: int, word: Word, act: Act) -> str:
    subject = _subject(app, issue_id, word)
    desk.approve(app.store, app.templates, issue_id, act, subject=subject, seen=word.seen)
    return f"Approved. {_who_sends(app, issue_id)}"


def _change(app: App, _run: RunRecord, issue_id: int, word: Word, act: Act) -> str:
    with app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
    before, given = from_json(issue.content).introduction, word.introduction.strip()
    introduction = None if given == before.strip() else given
    subject = _subject(app, issue_id, word)
    if introduction is None and subject is None and not word.drop:
        raise UsageError("nothing was changed: it is all as it was")
    desk.change(
        app.store,
        app.templates,
        issue_id,
        act,
        introduction=introduction,
        subject=subject,
        drop=word.drop,
        seen=word.seen,
    )
    _wake(app, issue_id)
    return "Changed. Nothing was sent: look at it as it is now, then decide."


def _subject(app: App, issue_id: int, word: Word) -> str | None:
    """The subject as typed; None where it is the one that was shown."""
    subject = " ".join(word.subject.split())
    if not subject:
        raise UsageError("the subject is empty")
    with app.store.read() as c:
        shown = issue_store.get_issue(c, issue_id).subject
    return subject if subject != shown else None


def _test(app: App, run: RunRecord, issue_id: int, word: Word, _act: Act) -> str:
    if isinstance(parse_address(word.test_to), AddressProblem):
        raise UsageError("no test copy was sent: that is no address that mail can go to")
    sent = notices.send_test_copy(app, issue_id, word.test_to)
    if sent.state is DeliveryState.SUBMITTED:
        return "The test copy was submitted."
    # A server's words may quote whom the mail was for.
    run.outcome, run.reason = "failed", mask(sent.reason)
    return f"The test copy is {sent.state}: {sent.reason}."


def _hold(app: App, _run: RunRecord, issue_id: int, _word: Word, act: Act) -> str:
    desk.hold(app.store, issue_id, act)
    _wake(app, issue_id)
    return "Held. It stays here until somebody resumes it; the draft is then made anew."


def _reject(app: App, _run: RunRecord, issue_id: int, _word: Word, act: Act) -> str:
    desk.reject(app.store, issue_id, act)
    _wake(app, issue_id)
    return "Rejected. Its posts are free for another issue."


# --- on its way --------------------------------------------------------------------------------


def _send(app: App, run: RunRecord, issue_id: int, _word: Word, _act: Act) -> str:
    with app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
    if Decision.SEND not in _MAY.get(issue.state, ()):
        raise UsageError(f"issue {issue_id} is {issue.state}; there is nothing to send now")
    refused = _refused(app, issue_id)
    if refused:
        run.outcome, run.reason = "partial", refused
    return refused or _STARTED


def _pause(app: App, _run: RunRecord, issue_id: int, _word: Word, act: Act) -> str:
    desk.pause(app.store, issue_id, act)
    return "Paused. What is being submitted at this moment still gets its answer."


def _resume(app: App, _run: RunRecord, issue_id: int, _word: Word, act: Act) -> str:
    issue = desk.resume(app.store, app.config, app.templates, issue_id, act)
    _wake(app, issue_id)
    if issue.state is IssueState.DRAFT:
        return "The draft was made anew from the posts as they are. Look at it, then decide."
    return f"Resumed. {_start(app, issue_id)}"


def _cancel(app: App, _run: RunRecord, issue_id: int, _word: Word, act: Act) -> str:
    desk.cancel(app.store, issue_id, act)
    _wake(app, issue_id)
    return "Cancelled. What has not gone out never will, and its posts are free."


# --- deliveries --------------------------------------------------------------------------------


def _retry(app: App, run: RunRecord, issue_id: int, _word: Word, act: Act) -> str:
    count = sending.retry_failed(app, issue_id, act)
    run.counts = {"retried": count}
    return _sent_again(app, issue_id, count, "that failed")


def _settle(app: App, run: RunRecord, issue_id: int, word: Word, act: Act) -> str:
    count = settle_deliveries(app, issue_id, str(word.decision), act)
    run.counts = {"settled": count}
    if word.decision is Decision.LEAVE:
        return f"{count} uncertain left as they are, for good."
    if word.decision is Decision.RESEND:
        return _sent_again(app, issue_id, count, "that were uncertain")
    if not count:
        return "The mailer could prove none of them; they stay uncertain."
    with app.store.read() as c:
        again = accounts.account(c, issue_id).pending
    said = f"The mailer could tell of {count} uncertain."
    return f"{said} {_start(app, issue_id)}" if again else said


def _sent_again(app: App, issue_id: int, count: int, which: str) -> str:
    if not count:
        return f"There were none {which}."
    with app.store.read() as c:
        state = issue_store.get_issue(c, issue_id).state
    said = f"{count} {which} are pending again."
    if state is IssueState.PAUSED:
        return f"{said} The issue is paused: resume it to send them."
    return f"{said} {_start(app, issue_id)}"


# --- what happens next -------------------------------------------------------------------------


def _wake(app: App, issue_id: int) -> tuple[Fate, str] | None:
    """Tell the run that asked about the issue, if one did. The decision stands in any case."""
    with app.store.read() as c:
        if open_ask(c, issue_id) is None:
            return None
    connection = read_connection(app.home, app.config)
    told = wake(app, connection, issue_id=issue_id, timeout=BRISK).told
    return (told[0].fate, told[0].reason) if told else None


def _who_sends(app: App, issue_id: int) -> str:
    """Who sends what was just approved."""
    woken = _wake(app, issue_id)
    if woken is None:
        return (
            "No run in Prefect waits for it: where Prefect runs, housekeeping sends it at one of "
            f"its next rounds. To send it at once press “Send now”, or: digest deliver {issue_id}"
        )
    fate, reason = woken
    if fate is Fate.WOKEN:
        return "The run in Prefect that asked about it goes on, and sends it."
    if fate is Fate.AGAIN:
        return (
            f"The run in Prefect that asked about it cannot be told yet ({reason}); housekeeping "
            f"tells it. Or send it at once: digest deliver {issue_id}"
        )
    return (
        f"The run in Prefect that asked about it does not go on ({reason}): housekeeping sends "
        f"it. To send it at once press “Send now”, or: digest deliver {issue_id}"
    )


_STARTED = "A run in Prefect was started that sends it."


def _start(app: App, issue_id: int) -> str:
    return _refused(app, issue_id) or _STARTED


def _refused(app: App, issue_id: int) -> str:
    """Have a run started that sends the issue; why that could not be, or an empty text."""
    connection = read_connection(app.home, app.config)
    why = start_sending(connection, issue_id, app.clock(), BRISK)
    return f"No run could be started: {why}. Send it with: digest deliver {issue_id}" if why else ""


_STEPS: dict[Decision, Callable[[App, RunRecord, int, Word, Act], str]] = {
    Decision.APPROVE: _approve,
    Decision.CHANGE: _change,
    Decision.TEST: _test,
    Decision.HOLD: _hold,
    Decision.REJECT: _reject,
    Decision.SEND: _send,
    Decision.PAUSE: _pause,
    Decision.RESUME: _resume,
    Decision.CANCEL: _cancel,
    Decision.RETRY: _retry,
    **dict.fromkeys(_SETTLING, _settle),
}
