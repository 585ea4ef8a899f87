"""Mails outside any issue: test copies for editors, and what readers ask for.

They go through the same Mailer port, and each has a row before it leaves. Test copies and
opt-in mails are sent while somebody waits, who is told, and asks again. What is asked for at a
form of the pages waits in the store, for forms must not tell, by their time or their answer,
whom we know; whoever sends what is due decides whether it leaves.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from digest.errors import Unauthorized, Unavailable, UsageError
from digest.issues.compose import newsletter_of
from digest.links import TEST_TOKEN
from digest.mail import rates
from digest.mail.addresses import AddressProblem, parse_address
from digest.mail.decisions import FIRST_PAUSE, decide
from digest.mail.letters import domain_of, issue_letter
from digest.mail.message import notice_message_id, reader_links
from digest.mail.pacing import earliest
from digest.mail.policy import MessageError
from digest.mail.press import Press
from digest.mail.worker import death_certificate, working
from digest.masking import said
from digest.model import DeliveryState, Envelope, Receipt
from digest.notice_letters import opt_in_letter, write
from digest.readers.tokens import keyed_hash
from digest.store import issues as issue_store
from digest.store import mail_pace
from digest.store import notices as store
from digest.store.accounts import StoredVariant
from digest.store.dialect import lock_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.config import Newsletter
    from digest.config_mailers import Paced
    from digest.mail.addresses import Address
    from digest.mail.decisions import Decision
    from digest.mail.message import Letter, ReaderLinks
    from digest.ports import Mail, Mailer
    from digest.store.notices import NewNotice, Waiting

log = logging.getLogger(__name__)

#: How many are tried by one call that says nothing else.
MOST = 500


@dataclass(frozen=True, slots=True)
class NoticeSent:
    """What became of a notice; `reason` is empty where it was submitted."""

    state: DeliveryState
    reason: str


# --- sent at once ------------------------------------------------------------------------------


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
    notice = _notice(app, issue.newsletter, "test", key, address)
    return _send_now(app, replace(notice, issue_id=issue_id), letter, links)


def send_opt_in(app: App, newsletter_slug: str, subscription_id: int, to: str) -> NoticeSent:
    """Ask the reader of a pending subscription to confirm it; once a day at most."""
    address = parse_address(to)
    if isinstance(address, AddressProblem):
        raise UsageError(address.reason)
    newsletter = newsletter_of(app.config, newsletter_slug)
    letter = opt_in_letter(app, newsletter_slug, newsletter, subscription_id)
    with app.store.read() as c:
        failures = store.failed_notices(c, subscription_id)
    # Once a day; a day's mail that did not leave does not count.
    day = app.clock().astimezone(app.config.site.zone)
    key = f"opt-in:{subscription_id}:{day:%Y-%m-%d}:{failures}"
    notice = _notice(app, newsletter_slug, "opt-in", key, address)
    return _send_now(app, replace(notice, subscription_id=subscription_id), letter, None)


def _notice(app: App, slug: str, kind: str, key: str, address: Address) -> NewNotice:
    newsletter = newsletter_of(app.config, slug)
    message_id = notice_message_id(app.secret, key, domain_of(newsletter))
    return store.NewNotice(kind, address.display, address.key, message_id, slug)


def _send_now(app: App, notice: NewNotice, letter: Letter, links: ReaderLinks | None) -> NoticeSent:
    newsletter = newsletter_of(app.config, notice.newsletter)
    envelope = Envelope(newsletter.bounce_address, notice.address, notice.message_id)
    mail = Press(letter, app.signer(newsletter)).mail(envelope, links, app.clock())
    with working(app.var / "run", secrets.token_hex(4)) as worker:
        with app.store.write() as c:
            hashed = partial(keyed_hash, app.secret)
            begun = store.begin_notice(c, notice, worker, hashed, app.clock())
            if not isinstance(begun, str):
                # Somebody waits for it: it goes out, and other mails give way.
                _count(app, c, newsletter.mailer, notice.address_key)
        if isinstance(begun, str):
            return NoticeSent(DeliveryState.SUPPRESSED, begun)
        mailer = app.mailer(newsletter.mailer)
        try:
            (outcome,) = mailer.submit([mail], notice.message_id)
        finally:
            mailer.close()
        decision = decide(outcome, delivery_id=begun, attempts=0, now=app.clock())
        if decision.state is DeliveryState.PENDING:
            # Nobody retries it by machine: what may come later has failed now.
            decision = replace(decision, state=DeliveryState.FAILED, not_before=None)
        remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
        with app.store.write() as c:
            store.finish_notice(c, begun, decision, remote_id, app.clock())
    return NoticeSent(decision.state, decision.reason)


def _has_room(app: App, c: Connection, mailer: str, address_key: str) -> bool:
    """Whether the mailer's pace lets one more begin now; then it does so until the commit."""
    paced, key, domain = _paced(app, c, mailer, address_key)
    left = mail_pace.free(c, key, paced, (domain,), app.clock())
    return left.whole.free != 0 and left.domains[domain].free != 0


def _count(app: App, c: Connection, mailer: str, address_key: str) -> None:
    """One more begins."""
    paced, key, domain = _paced(app, c, mailer, address_key)
    mail_pace.spend(c, key, paced, {domain: 1}, app.clock())


def _paced(app: App, c: Connection, mailer: str, address_key: str) -> tuple[Paced, str, str]:
    """What is declared, and by which names it is counted; nobody else counts until the commit."""
    paced, key = app.config.mailers[mailer], app.mailer_key(mailer)
    if paced.limited:
        mail_pace.lock(c, key)
    return paced, key, rates.domain_of(address_key)


# --- asked for, and sent later -----------------------------------------------------------------


def ask_for_settings(app: App, address_text: str) -> None:
    """Queue a link to the settings of whoever has this address, typed in by anybody.

    The same is done and nothing is told, whether the address is known or no address at all.
    """
    address = parse_address(address_text)
    if not isinstance(address, AddressProblem):
        _ask_for_settings(app, address)


def ask_for_settings_of(app: App, subscriber_id: int) -> None:
    """Queue a link to a reader's settings, to the address that we know; for a mail's own link."""
    with app.store.read() as c:
        address = store.address_of(c, subscriber_id)
    if address is not None:
        _ask_for_settings(app, address)


def _ask_for_settings(app: App, address: Address) -> None:
    now = app.clock()
    # As whom it is sent is decided when it is; until then any newsletter will do.
    newsletter = next(iter(app.config.newsletters), None)
    if newsletter is None:
        return
    key = f"settings:{address.key}:{now.isoformat()}"
    notice = _notice(app, newsletter, "settings", key, address)
    with app.store.write() as c:
        lock_address(c, address.key)
        # Asked again too soon, it is not sent again: the link of a moment ago works.
        if earliest(store.asked_lately(c, "settings", address.key, now), now) <= now:
            store.queue(c, notice, now)


@dataclass(frozen=True, slots=True)
class Round:
    """What became of the notices that were due, by state; pending ones are tried again later."""

    states: Mapping[DeliveryState, int] = field(default_factory=dict)
    #: Why mailers were stopped, each for this round alone, and who refuses our mail by policy.
    faults: tuple[str, ...] = ()


def send_due(app: App, most: int = MOST, should_stop: Callable[[], bool] = lambda: False) -> Round:
    """Send the notices whose time has come, one at a time, each at most once.

    Several may do this at once. `should_stop` is asked between two notices.
    """
    folder = app.var / "run"
    with working(folder, secrets.token_hex(4)) as worker:
        with app.store.write() as c:
            is_dead = death_certificate(folder, worker, app.clock())
            doubtful = store.doubt_dead(c, is_dead, app.clock())
        if doubtful:
            log.warning("%s notices are uncertain after a crash", len(doubtful))
        shift = _Shift(app, worker)
        try:
            shift.work(most, should_stop)
        finally:
            shift.close()
    return Round(dict(shift.states), (*shift.stopped.values(), *shift.refusing.values()))


@dataclass
class _Shift:
    """One worker among all mailers, for one round."""

    app: App
    worker: str
    states: Counter[DeliveryState] = field(default_factory=Counter)
    #: Why, by mailer.
    stopped: dict[str, str] = field(default_factory=dict)
    #: Who refuses our mail by policy, by domain, in words without addresses.
    refusing: dict[str, str] = field(default_factory=dict)
    #: How many wait for those; they must keep nobody else from their turn.
    passed_over: int = 0
    _mailers: dict[str, Mailer] = field(default_factory=dict)

    def work(self, most: int, should_stop: Callable[[], bool]) -> None:
        broken = []
        for seen, notice in enumerate(self._due()):
            if seen - self.passed_over >= most or should_stop():
                break
            try:
                self._send(notice)
            except Exception as error:  # noqa: BLE001  told below, when the others have left
                broken.append(error)
        if broken:
            raise ExceptionGroup(f"{len(broken)} notices could not be sent", broken)

    def _due(self) -> Iterator[Waiting]:
        """Each notice that is due, once."""
        last = 0
        while True:
            with self.app.store.read() as c:
                notice = store.next_due(c, last, self.app.clock())
            if notice is None:
                return
            last = notice.id
            yield notice

    def close(self) -> None:
        for mailer in self._mailers.values():
            mailer.close()

    def _send(self, notice: Waiting) -> None:
        app = self.app
        written = write(app, notice)
        if isinstance(written, str):
            self._drop(notice, DeliveryState.CANCELLED, written)
            return
        newsletter = app.config.newsletters[written.newsletter]
        if newsletter.mailer in self.stopped:
            self.passed_over += 1
            return
        # Built first: a message that cannot be built must not leave a notice in doubt.
        try:
            envelope = Envelope(newsletter.bounce_address, notice.address, notice.message_id)
            press = Press(written.letter, app.signer(newsletter))
            mail = press.mail(envelope, None, app.clock())
        except MessageError as error:
            log.error("notice %s: failed, its message cannot be made", notice.id)  # noqa: TRY400
            self._drop(notice, DeliveryState.FAILED, str(error))
            return
        mailer = self._mailer(newsletter.mailer)
        with app.store.write() as c:
            if not _has_room(app, c, newsletter.mailer, notice.address_key):
                self.passed_over += 1
                return
            begun = store.begin_waiting(
                c,
                notice,
                newsletter=written.newsletter,
                worker=self.worker,
                hashed=partial(keyed_hash, app.secret),
                now=app.clock(),
            )
            if begun:
                _count(app, c, newsletter.mailer, notice.address_key)
        if begun:
            self._submit(notice, newsletter, mailer, mail)

    def _submit(
        self,
        notice: Waiting,
        newsletter: Newsletter,
        mailer: Mailer,
        mail: Mail,
    ) -> None:
        (outcome,) = mailer.submit([mail], notice.message_id)
        now = self.app.clock()
        decision = decide(outcome, delivery_id=notice.id, attempts=notice.attempts, now=now)
        if decision.stop_mailer or isinstance(outcome, Unavailable):
            self._stop(newsletter.mailer, decision)
        if decision.by_policy:
            self._tell_refusing(rates.domain_of(notice.address_key), decision)
        if isinstance(outcome, Unauthorized):
            # Not tried at all, as far as the notice is concerned; but not again at once.
            decision = replace(decision, not_before=now + FIRST_PAUSE)
        remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
        with self.app.store.write() as c:
            store.finish_notice(c, notice.id, decision, remote_id, now)
        self.states[decision.state] += 1

    def _stop(self, mailer: str, decision: Decision) -> None:
        level = logging.ERROR if decision.stop_mailer else logging.WARNING
        log.log(level, "notices wait: the mailer %s: %s", mailer, decision.reason)
        self.stopped[mailer] = decision.reason

    def _tell_refusing(self, domain: str, decision: Decision) -> None:
        words = said(f"{decision.code} {decision.reason}")
        self.refusing[domain] = f"{domain} refuses our mail by policy: {words}"
        log.error("a notice waits: %s", self.refusing[domain])

    def _drop(self, notice: Waiting, state: DeliveryState, reason: str) -> None:
        with self.app.store.write() as c:
            store.drop_waiting(c, notice.id, state, reason, self.app.clock())
        self.states[state] += 1

    def _mailer(self, slug: str) -> Mailer:
        if slug not in self._mailers:
            self._mailers[slug] = self.app.mailer(slug)
        return self._mailers[slug]
