"""Mails outside any issue: test copies for editors, opt-in mails for readers.

They go through the same Mailer port, and each has a row before it leaves. Nobody
retries them by machine: whoever asked is told, and asks again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.issues.compose import newsletter_of
from digest.issues.render import render_opt_in
from digest.links import TEST_TOKEN
from digest.mail.addresses import AddressProblem, parse_address
from digest.mail.decisions import decide
from digest.mail.letters import domain_of, issue_letter
from digest.mail.message import Letter, build_message, notice_message_id, reader_links
from digest.model import DeliveryState, Envelope, Receipt
from digest.readers.tokens import make_token
from digest.store import issues as issue_store
from digest.store.accounts import StoredVariant
from digest.store.notices import NewNotice, begin_notice, failed_notices, finish_notice

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.config import Newsletter
    from digest.mail.message import ReaderLinks


@dataclass(frozen=True, slots=True)
class NoticeSent:
    """What became of a notice; `reason` is empty where it was submitted."""

    state: DeliveryState
    reason: str


def send_test_copy(app: App, issue_id: int, to: str) -> NoticeSent:
    """Send an issue as it stands to one address, marked as a test; touches no reader."""
    address = parse_address(to)
    if isinstance(address, AddressProblem):
        raise UsageError(f"--to: {address.reason}")
    with app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
    if not issue.html:
        raise UsageError(f"issue {issue_id} is {issue.state} and has nothing to show")
    newsletter = newsletter_of(app.config, issue.newsletter)
    variant = StoredVariant(0, f"[Test] {issue.subject}", issue.html, issue.text)
    letter = issue_letter(app.config.site, newsletter, variant, issue)
    # The token of no subscription: a click in a test copy can take nobody off.
    links = reader_links(app.config.site.links_url, newsletter.unsubscribe_mailto, TEST_TOKEN)
    key = f"test:{issue_id}:{address.key}:{app.clock().isoformat()}"
    notice = _notice(app, newsletter, "test", key, address.display, address.key)
    return _submit(app, newsletter, replace(notice, issue_id=issue_id), letter, links)


def send_opt_in(app: App, newsletter_slug: str, subscription_id: int, to: str) -> NoticeSent:
    """Ask the reader of a pending subscription to confirm it; once a day at most."""
    address = parse_address(to)
    if isinstance(address, AddressProblem):
        raise UsageError(address.reason)
    newsletter = newsletter_of(app.config, newsletter_slug)
    site, now = app.config.site, app.clock()
    token = make_token(app.secret, "opt-in", subscription_id, now)
    subject, html, text = render_opt_in(app.templates, site, newsletter, token)
    letter = Letter(
        subject=subject,
        html=html,
        text=text,
        from_name=newsletter.from_name,
        from_address=newsletter.from_address,
        reply_to=newsletter.reply_to,
        language=site.language,
        feedback_id=("opt-in", newsletter_slug, "notice", domain_of(newsletter)),
    )
    with app.store.read() as c:
        failures = failed_notices(c, subscription_id)
    # Once a day; a day's mail that did not leave does not count.
    key = f"opt-in:{subscription_id}:{now.astimezone(site.zone):%Y-%m-%d}:{failures}"
    notice = _notice(app, newsletter, "opt-in", key, address.display, address.key)
    return _submit(app, newsletter, replace(notice, subscription_id=subscription_id), letter, None)


def _notice(app: App, newsletter: Newsletter, kind: str, key: str, *address: str) -> NewNotice:
    message_id = notice_message_id(app.secret, key, domain_of(newsletter))
    return NewNotice(kind, address[0], address[1], message_id)


def _submit(
    app: App,
    newsletter: Newsletter,
    notice: NewNotice,
    letter: Letter,
    links: ReaderLinks | None,
) -> NoticeSent:
    message = build_message(letter, notice.address, links, notice.message_id, app.clock())
    with app.store.write() as c:
        begun = begin_notice(c, notice, app.clock())
    if isinstance(begun, str):
        return NoticeSent(DeliveryState.SUPPRESSED, begun)
    mailer = app.mailer(newsletter.mailer)
    try:
        envelope = Envelope(newsletter.bounce_address, notice.address, notice.message_id)
        outcome = mailer.submit(envelope, message)
    finally:
        mailer.close()
    decision = decide(outcome, delivery_id=begun, attempts=0, now=app.clock())
    remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
    with app.store.write() as c:
        finish_notice(c, begun, decision, remote_id, app.clock())
    return NoticeSent(decision.state, decision.reason)
