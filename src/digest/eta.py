"""How long an issue that is being sent will take, in the words that all pages and commands use."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from digest.mail.brakes import Go, canary_ends, verdict
from digest.mail.pace import Limits, Portion, is_held, lasts, through_at
from digest.mail.waits import MAILER
from digest.model import IssueState
from digest.store import mail_pace
from digest.store.desk import due_by_domain, pace_of
from digest.store.tallies import tally_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.config import Newsletter
    from digest.config_mailers import Brakes
    from digest.model import Account
    from digest.store.desk import IssueRow
    from digest.store.issues import Issue

NO_ESTIMATE = "no estimate yet"


def to_go(app: App, c: Connection, issue: Issue | IssueRow, account: Account | None) -> str:
    """How long an issue that is being sent will still take: "about 3 min to go".

    With what it waits for, if it does. An empty text where it is not being sent, or nothing of
    it is open.
    """
    if issue.state is not IssueState.SENDING or account is None or not account.open:
        return ""
    at = _through_at(app, c, issue, account)
    left = f"{lasts(at - app.clock())} to go" if at else NO_ESTIMATE
    return "; ".join(filter(None, (left, waits(app, issue))))


def waits(app: App, issue: Issue | IssueRow) -> str:
    """Until when nothing of an issue that is being sent goes out, and why; or empty."""
    until = issue.waits_until
    if issue.state is not IssueState.SENDING or until is None or until <= app.clock():
        return ""
    return f"waits until {until.astimezone(app.config.site.zone):%a %d %b %H:%M}: {issue.waits_why}"


def holds_up(app: App, until: datetime, why: str) -> str:
    """What a worker waits for right now, to the second: "waits until 14:05:30: ..."."""
    return f"waits until {until.astimezone(app.config.site.zone):%H:%M:%S}: {why}"


def _through_at(
    app: App, c: Connection, issue: Issue | IssueRow, account: Account
) -> datetime | None:
    now = app.clock()
    newsletter = app.config.newsletters.get(issue.newsletter)
    limits = Limits()
    if newsletter:
        limits = _limits(app, c, issue.id, newsletter, now=now, left=account.open)
    pace = pace_of(c, issue.id, now, left=account.open, held=is_held(limits, now))
    return through_at(pace, now, limits)


def _limits(
    app: App, c: Connection, issue_id: int, newsletter: Newsletter, *, now: datetime, left: int
) -> Limits:
    paced, key = app.config.mailers[newsletter.mailer], app.mailer_key(newsletter.mailer)
    waits = mail_pace.waits(c, key, now)
    held = {domain: wait.until for domain, wait in waits.items() if wait.holds(now)}
    named = (paced.domains.keys() | held.keys()) - {"*", MAILER}
    others = bool(paced.domains.get("*"))
    due = due_by_domain(c, issue_id, now, named, others=others, left=left)
    rates = mail_pace.used(c, key, paced, due, now)
    canary_until, canary = _canary(c, issue_id, newsletter.brakes, now)
    until = [at for at in (held.get(MAILER), canary_until) if at]
    return Limits(
        rates=rates[MAILER],
        domains=tuple(
            Portion(count, rates[domain], held.get(domain)) for domain, count in due.items()
        ),
        not_before=max(until, default=None),
        canary=canary,
        window=newsletter.window,
        zone=app.config.zone_of(newsletter),
    )


def _canary(
    c: Connection, issue_id: int, rules: Brakes, now: datetime
) -> tuple[datetime | None, timedelta]:
    """Until when its canary is waited for; and for how long it will be, where it is on its way."""
    if not rules.canary:
        return None, timedelta(0)
    tally = tally_of(c, issue_id, rules)
    going = verdict(rules, tally, now)
    on_its_way = isinstance(going, Go) and going.most is not None
    pause = timedelta(minutes=rules.canary_minutes if on_its_way else 0)
    return canary_ends(rules, tally), pause
