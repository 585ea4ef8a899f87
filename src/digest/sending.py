"""An issue from request to account: draft, approve where config says so, check, freeze, deliver.

Every step is safe to repeat: it looks where the issue stands and goes on from there.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from digest import checking
from digest.errors import StateError, UsageError
from digest.eta import holds_up, waits
from digest.issues import desk
from digest.issues.compose import newsletter_of
from digest.issues.freeze import freeze_issue
from digest.mail.deliver import Shift, deliver
from digest.mail.gate import Rules
from digest.mail.letters import Letters
from digest.mail.proving import Inquiry, prove
from digest.mail.waits import MAILER
from digest.mail.windows import is_open
from digest.mail.worker import death_certificate, working
from digest.model import Account, Act, DeliveryState, IssueState
from digest.store import accounts, mail_pace, underway
from digest.store import deliveries as ledger
from digest.store import issues as issue_store
from digest.store.holding import holding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.config import Newsletter
    from digest.issues.compose import Request
    from digest.mail.deliver import Report
    from digest.store.issues import Issue

log = logging.getLogger(__name__)

#: A check of the posts is good for this long; a send that goes on later looks again.
CHECK_HOLDS = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Sent:
    """Where an issue stands after a step, and in words what is to be done, if anything."""

    issue: Issue
    account: Account
    note: str
    tried: int = 0
    #: When the next waiting delivery may be tried; None where nothing waits for a time.
    next_due: datetime | None = None
    #: Uncertain deliveries that nobody has decided yet.
    undecided: int = 0
    #: The batch is through, and more may be due right now.
    more: bool = False
    #: Why the mailer could not be reached; empty where it did its work.
    unreachable: str = ""
    #: It gave no answer to some of what it was told: those are uncertain.
    in_doubt: bool = False
    #: By domain, in words without addresses: who refuses our mail by policy.
    refusing: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """All that is to be told of where it stands."""
        return "; ".join((self.note, *self.refusing.values()))

    @property
    def complete(self) -> bool:
        """Nothing is left for the machine to do."""
        finished = {IssueState.DONE, IssueState.SKIPPED, IssueState.CANCELLED, IssueState.REJECTED}
        return self.issue.state in finished and not self.account.open

    @property
    def in_order(self) -> bool:
        """Nothing is left for the editor either."""
        return self.complete and not self.undecided and not self.account.failed


@dataclass(frozen=True, slots=True)
class Watch:
    """How a caller follows a delivery: told of each one and of waits, and asked whether to stop.

    What is held up for no longer than `patience` is waited for; `waiting` is told until when, and
    why.
    """

    progress: Callable[[], None] = lambda: None
    waiting: Callable[[datetime, str], None] = lambda *_: None
    should_stop: Callable[[], bool] = lambda: False
    patience: timedelta = timedelta(0)


#: For how long a mailer that is not there is left alone, by whoever is no person.
ABSENCE = timedelta(minutes=30)

#: For whoever can wait: what a pace by the minute holds up, and a server that is asked again soon.
PATIENCE = timedelta(minutes=2)


def logging_waits(app: App, issue_id: int) -> Callable[[datetime, str], None]:
    """Logs what an issue waits for, each reason once: a pace by the minute is one each minute."""
    told: set[str] = set()

    def waiting(until: datetime, why: str) -> None:
        if why not in told:
            told.add(why)
            log.info("issue %s %s", issue_id, holds_up(app, until, why))

    return waiting


def draft(app: App, request: Request, act: Act) -> Issue:
    """The issue of the request's period, approved already where the newsletter asks nobody."""
    newsletter = newsletter_of(app.config, request.newsletter)
    issue = desk.draft_issue(app.store, app.config, app.templates, request, act)
    if issue.state is IssueState.DRAFT and newsletter.approval == "none" and not issue.errors:
        return _approve_by_policy(app, issue, act)
    return issue


def _approve_by_policy(app: App, issue: Issue, act: Act) -> Issue:
    policy = replace(act, reason="the newsletter sends without approval")
    try:
        return desk.approve(app.store, app.templates, issue.id, policy)
    except StateError:
        now = _get(app, issue.id)
        if now.state is IssueState.DRAFT:
            raise
        # Another run of the same period was faster; both may go on with it.
        return now


def send_issue(app: App, issue_id: int, act: Act, watch: Watch | None = None) -> Sent:
    """Go on with an issue from wherever it stands, as far as it can go now."""
    begun = begin(app, issue_id, act)
    if begun.issue.state is IssueState.SENDING:
        return deliver_batch(app, issue_id, watch)
    return begun


def begin(app: App, issue_id: int, act: Act) -> Sent:
    """Bring an approved issue to where deliveries can go out; safe to repeat.

    What is wrong holds or pauses it; the note says so.
    """
    take_back(app, issue_id)
    issue = _get(app, issue_id)
    if issue.state in {IssueState.APPROVED, IssueState.FROZEN, IssueState.SENDING}:
        newsletter_of(app.config, issue.newsletter)
        issue = _check(app, issue)
    if issue.state is IssueState.APPROVED:
        issue = _freeze(app, issue_id, act)
    if issue.state is IssueState.FROZEN:
        issue = _start(app, issue, act)
    return _sent(app, issue, _standing(app, issue))


def _freeze(app: App, issue_id: int, act: Act) -> Issue:
    now = replace(act, at=app.clock())
    return freeze_issue(app.store, app.templates, issue_id, now, app.config.site.zone)


@contextmanager
def alone(app: App, issue_id: int) -> Iterator[bool]:
    """Whether nobody else is sending this issue now; nobody else begins until the block ends.

    Two at once would do no harm, for the ledger gives each delivery to one of them; but a run
    that finds another at work has nothing to do.
    """
    with holding(app.store, app.var / "run", f"sending-{issue_id}") as mine:
        yield mine


def deliver_batch(
    app: App,
    issue_id: int,
    watch: Watch | None = None,
    *,
    most: int | None = None,
) -> Sent:
    """Deliver what is due of an issue that is being sent, `most` at a time; close it at its end."""
    watch = watch or Watch()
    take_back(app, issue_id)
    issue = _get(app, issue_id)
    newsletter = newsletter_of(app.config, issue.newsletter)
    slug = newsletter.mailer
    if issue.waits_until is not None:
        # Somebody is at it again: what holds it up now is found out anew.
        with app.store.write() as c:
            issue_store.set_wait(c, issue_id, None)
    with working(app.var / "run", secrets.token_hex(4)) as worker:
        if can_prove(app, issue):
            _prove(app, issue, worker)
        shift = Shift(
            store=app.store,
            new_mailer=partial(app.mailer, slug),
            connections=app.connections(slug),
            traits=app.mailer(slug).traits,
            mailer_key=app.mailer_key(slug),
            rules=_rules(app, newsletter),
            letters=_letters(app, issue),
            worker=worker,
            clock=app.clock,
            should_stop=watch.should_stop,
            progress=watch.progress,
            waiting=watch.waiting,
            patience=watch.patience,
        )
        report = deliver(shift, issue.id, most=most)
        # Whoever worked beside us may have died meanwhile.
        while report.through and take_back(app, issue_id):
            rest = None if most is None else most - report.tried
            next_ = deliver(shift, issue.id, most=rest)
            refusing = {**report.refusing, **next_.refusing}
            report = replace(next_, tried=report.tried + next_.tried, refusing=refusing)
    issue = _close(app, issue, report)
    note = _note(issue, report)
    sent = _sent(app, issue, note or _standing(app, issue), tried=report.tried)
    more = report.more and issue.state is IssueState.SENDING
    return replace(
        sent,
        more=more,
        unreachable=report.unreachable,
        in_doubt=report.in_doubt,
        refusing=_refusing(app, issue, report),
    )


def _refusing(app: App, issue: Issue, report: Report) -> dict[str, str]:
    told = {}
    for domain, one in report.refusing.items():
        words = f"{domain} refuses our mail by policy: {one.said}"
        if issue.state is IssueState.SENDING:
            at = one.until.astimezone(app.config.site.zone)
            words += f"; asked again on {at:%a %d %b at %H:%M}"
        told[domain] = f"{words}; see its sender guidelines"
    return told


def _letters(app: App, issue: Issue) -> Letters:
    newsletter = newsletter_of(app.config, issue.newsletter)
    signer = app.signer(newsletter)
    return Letters(app.config.site, newsletter, issue, app.secret, app.clock, signer)


def _rules(app: App, newsletter: Newsletter) -> Rules:
    return Rules(
        paced=app.config.mailers[newsletter.mailer],
        window=newsletter.window,
        zone=app.config.zone_of(newsletter),
        brakes=newsletter.brakes,
    )


def _note(issue: Issue, report: Report) -> str:
    """What an editor should know of a delivery that ended before its end; or empty."""
    if report.mailer_fault:
        again = f"digest resume {issue.id} and digest deliver {issue.id}"
        return f"mailer stopped: {report.mailer_fault}; then {again}"
    if report.unreachable:
        return f"the mailer cannot be reached: {report.unreachable}"
    return ""


def standing(app: App, issue_id: int) -> Sent:
    """Where an issue stands, and in words what is to be done; changes nothing."""
    issue = _get(app, issue_id)
    return _sent(app, issue, _standing(app, issue))


def take_back(app: App, issue_id: int) -> bool:
    """Recover what dead workers held, whatever became of the issue since; whether they held any."""
    is_dead = death_certificate(app.var / "run", "", app.clock())
    with app.store.write() as c:
        issue = issue_store.get_issue(c, issue_id, lock=True)
        dead = any(is_dead(*held) for held in underway.workers_on(c, issue_id))
        doubts = ledger.recover(c, issue_id, is_dead, app.clock())
        if issue.state is IssueState.CANCELLED:
            ledger.cancel_open(c, issue_id, app.clock())
    if doubts:
        log.warning("issue %s: %s deliveries are uncertain after a crash", issue_id, doubts)
    return dead


#: Issues whose ledger may be opened again.
_REOPENING = (IssueState.FROZEN, IssueState.SENDING, IssueState.PAUSED, IssueState.DONE)


def retry_failed(app: App, issue_id: int, act: Act) -> int:
    """An editor's retry of what failed; opens a finished issue again. Returns how many."""
    with app.store.write() as c:
        issue = _reopenable(c, issue_id)
        count = ledger.retry_failed(c, issue_id, act.at)
        _reopen(c, issue, replace(act, reason=f"retry of {count} failed"))
    return count


def hasten(app: App, issue_id: int, act: Act) -> None:
    """Somebody wants an issue tried again now: what failed is pending again, and nothing waits."""
    with app.store.write() as c:
        issue = issue_store.get_issue(c, issue_id, lock=True)
        if issue.state not in _REOPENING:
            return
        ledger.retry_failed(c, issue_id, act.at)
        ledger.end_waiting(c, issue_id)
        issue_store.set_wait(c, issue_id, None)
        _reopen(c, issue, act)


def settle(
    app: App, issue_id: int, act: Act, *, resend: bool, only: Collection[str] | None = None
) -> int:
    """Decide every uncertain delivery: leave it be, or send it again. Returns how many.

    Left, it stays uncertain for good and says who decided so. `only` names some readers by
    their address keys; raises UsageError, and decides none, where one has no uncertain delivery.
    """
    after = DeliveryState.PENDING if resend else DeliveryState.UNCERTAIN
    how = f"{'resend' if resend else 'leave'}, by {act.actor}"
    take_back(app, issue_id)
    with app.store.write() as c:
        issue = _reopenable(c, issue_id) if resend else issue_store.get_issue(c, issue_id)
        doubtful = [number for number, _ in ledger.uncertain_ids(c, issue_id, decided=resend)]
        if only is not None:
            named = _named(c, issue_id, only)
            doubtful = [number for number in doubtful if number in named]
        for delivery_id in doubtful:
            ledger.settle(c, delivery_id, after, how=how, now=act.at)
        if doubtful:
            settled = replace(act, reason=f"{len(doubtful)} uncertain settled: {how}")
            issue_store.record_decision(c, issue, settled)
        _reopen(c, issue, replace(act, reason="uncertain sent again"))
    return len(doubtful)


def _named(c: Connection, issue_id: int, keys: Collection[str]) -> set[int]:
    found = accounts.uncertain_of(c, issue_id, keys)
    missing = sorted(set(keys) - found.keys())
    if missing:
        raise UsageError(
            f"issue {issue_id} has no uncertain delivery to {', '.join(missing)};"
            f" nothing was decided: see digest account {issue_id} --who uncertain"
        )
    return set(found.values())


def look_up(app: App, issue_id: int, act: Act) -> int:
    """Let the mailer prove the uncertain deliveries that it can find. Returns how many it did.

    What it never had is pending again.
    """
    take_back(app, issue_id)
    with working(app.var / "run", secrets.token_hex(4)) as worker:
        count = _prove(app, _get(app, issue_id), worker)
    with app.store.write() as c:
        issue = issue_store.get_issue(c, issue_id, lock=True)
        if issue.state is IssueState.CANCELLED:
            ledger.cancel_open(c, issue_id, act.at)
        _reopen(c, issue, replace(act, reason="uncertain, and looked up: never submitted"))
    return count


def can_prove(app: App, issue: Issue) -> bool:
    """Whether its mailer can tell at this moment what became of mails in doubt.

    A request that is said again may be the first that arrives: not outside the hours, and not
    while the mailer asks for time.
    """
    newsletter = app.config.newsletters.get(issue.newsletter)
    if newsletter is None or newsletter.mailer not in app.config.mailers:
        return False
    traits = app.mailer(newsletter.mailer).traits
    rules = _rules(app, newsletter)
    now = app.clock()
    with app.store.read() as c:
        wait = mail_pace.waits(c, app.mailer_key(newsletter.mailer), now).get(MAILER)
    held_up = wait is not None and wait.holds(now)
    allowed = is_open(rules.window, rules.zone, now) and not held_up
    return (traits.can_find or traits.same_for is not None) and allowed


def _prove(app: App, issue: Issue, worker: str) -> int:
    slug = newsletter_of(app.config, issue.newsletter).mailer
    mailer = app.mailer(slug)
    try:
        return prove(
            Inquiry(
                store=app.store,
                mailer=mailer,
                mailer_key=app.mailer_key(slug),
                letters=_letters(app, issue),
                issue_id=issue.id,
                worker=worker,
                clock=app.clock,
            )
        )
    finally:
        mailer.close()


def _reopenable(c: Connection, issue_id: int) -> Issue:
    issue = issue_store.get_issue(c, issue_id, lock=True)
    if issue.state not in _REOPENING:
        raise StateError(f"issue {issue_id} is {issue.state}; nothing of it can be sent again")
    return issue


def _reopen(c: Connection, issue: Issue, act: Act) -> None:
    """A finished issue that has something to deliver again is being sent again."""
    if issue.state is IssueState.DONE and accounts.account(c, issue.id).open:
        issue_store.move_issue(c, issue, IssueState.SENDING, act)


def _get(app: App, issue_id: int) -> Issue:
    with app.store.read() as c:
        return issue_store.get_issue(c, issue_id)


def _move(app: App, issue: Issue, after: IssueState, act: Act) -> Issue:
    with app.store.write() as c:
        issue_store.move_issue(c, issue, after, act)
        return issue_store.get_issue(c, issue.id)


def _check(app: App, issue: Issue) -> Issue:
    """Look again before the first delivery; what is wrong holds or pauses the issue.

    Once a mail has left, the issue is on its way, and nothing looks again.
    """
    now = app.clock()
    with app.store.read() as c:
        if accounts.has_left(c, issue.id):
            return issue
    if issue.checked_at is not None and now - issue.checked_at <= CHECK_HOLDS:
        return issue
    findings = checking.look_again(app, issue)
    found = "; ".join(findings.faults)
    if found:
        after = IssueState.HELD if issue.state is IssueState.APPROVED else IssueState.PAUSED
        return _move(app, issue, after, Act("digest", now, found))
    with app.store.write() as c:
        issue_store.mark_checked(c, issue.id, now)
        if findings.warnings:
            seen = f"not looked at again: {'; '.join(findings.warnings)}"
            issue_store.record_decision(c, issue, Act("digest", now, seen))
    return _get(app, issue.id)


def _start(app: App, issue: Issue, act: Act) -> Issue:
    begun = replace(act, at=app.clock(), reason="delivery began")
    try:
        return _move(app, issue, IssueState.SENDING, begun)
    except StateError:
        # Another run began it a moment ago; both may work on it.
        return _get(app, issue.id)


def _close(app: App, issue: Issue, report: Report) -> Issue:
    """After delivering: pause where the mailer or a brake stopped it; done where nothing is left.

    What holds up the rest is kept with the issue.
    """
    now = app.clock()
    with app.store.write() as c:
        issue = issue_store.get_issue(c, issue.id, lock=True)
        if issue.state is not IssueState.SENDING:
            return issue
        account = accounts.account(c, issue.id)
        fault = _fault(report, account)
        if fault:
            log.error("issue %s paused: %s", issue.id, fault)
            issue_store.move_issue(c, issue, IssueState.PAUSED, Act("digest", now, fault))
        elif not account.open:
            act = Act(
                "digest", now, _outcome(account, accounts.exclusion_counts(c, issue.id), issue)
            )
            issue_store.move_issue(c, issue, IssueState.DONE, act)
        until, why = report.waits_until, report.why
        if report.gave_up and not report.in_doubt:
            # Housekeeping asks again then, not at each of its rounds.
            until, why = now + ABSENCE, f"the mailer cannot be reached: {report.unreachable}"
        issue_store.set_wait(c, issue.id, until, why)
        return issue_store.get_issue(c, issue.id)


def _fault(report: Report, account: Account) -> str:
    """Why an issue must pause after a delivery; or empty. Nothing pauses where nothing is open."""
    if report.mailer_fault:
        return f"mailer stopped: {report.mailer_fault}"
    if account.open and report.gave_up and report.in_doubt:
        # Each further try would leave more in doubt.
        return f"the mailer gives no answer: {report.unreachable}"
    return report.brake if account.open else ""


def _outcome(account: Account, left_out: Mapping[str, int], issue: Issue) -> str:
    words = f"{account.submitted} of {account.recipients} submitted"
    if account.uncertain:
        look = f"digest account {issue.id} --who uncertain"
        settle = f"digest settle {issue.id} --look, --leave or --resend"
        words += f"; {account.uncertain} uncertain: see {look}, then {settle}"
    if account.recipients:
        return words
    reasons = [f"{count} {reason}" for reason, count in left_out.items()]
    return f"{words}: {', '.join(reasons) or f'no reader of the rhythm {issue.rhythm}'}"


def _sent(app: App, issue: Issue, note: str, tried: int = 0) -> Sent:
    with app.store.read() as c:
        account = accounts.account(c, issue.id)
        due = accounts.next_due(c, issue.id)
        if issue.waits_until is not None and issue.state is IssueState.SENDING:
            first = accounts.first_due(c, issue.id)
            due = max(first or issue.waits_until, issue.waits_until)
        undecided = len(ledger.uncertain_ids(c, issue.id))
    return Sent(issue, account, note, tried, due, undecided)


def _standing(app: App, issue: Issue) -> str:
    """Where an issue stands and what to do next, in a sentence."""
    with app.store.read() as c:
        steps = issue_store.transitions_of(c, issue.id)
        busy = bool(underway.workers_on(c, issue.id))
    last = steps[-1].reason
    waiting = "another worker is sending it" if busy else "some deliveries wait"
    errors = "; ".join(check.message for check in issue.errors)
    return {
        IssueState.DRAFT: f"cannot be approved: {errors}"
        if errors
        else f"waits for approval: digest approve {issue.id}",
        IssueState.APPROVED: f"approved: digest deliver {issue.id}",
        IssueState.HELD: f"held: {last}; to make the draft anew: digest resume {issue.id},"
        " or the flow send-issue",
        IssueState.PAUSED: f"paused: {last}; then digest resume {issue.id} and digest deliver"
        f" {issue.id}, or digest cancel {issue.id} and send anew",
        IssueState.SKIPPED: f"skipped: {last}",
        IssueState.REJECTED: f"rejected: {last}",
        IssueState.CANCELLED: f"cancelled: {last}",
        IssueState.SENDING: waits(app, issue) or f"{waiting}; run digest deliver again",
        IssueState.DONE: f"done: {last}",
        IssueState.FROZEN: f"frozen: digest deliver {issue.id}",
    }[issue.state]
