"""The step that reads inboxes: does what each mail asks, then files it.

What is asked is done and committed before the mail is filed. Whoever dies in between reads it
again, and finds it done. A report about a mail of ours is no more than stored:
`digest.returning` works on it. What is not understood stays unread, flagged for a person.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from digest.inbox.box import Waiting
from digest.inbox.letter import LARGEST, Letter, read_letter
from digest.inbox.wishes import (
    Automatic,
    ByAddress,
    ByToken,
    Sample,
    Unclear,
    newsletters_meant,
    wish_of,
)
from digest.logs import mask
from digest.mail.letters import domain_of
from digest.mail.reports import feedback_of, read_report
from digest.readers.settings import leave
from digest.readers.subscriptions import Confirmed, confirm
from digest.readers.tokens import read_token
from digest.store import feedback as returned
from digest.store import inboxes as queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from digest.bootstrap import App
    from digest.inbox.box import Box, Trouble
    from digest.inbox.wishes import Wish
    from digest.store.inboxes import Taken

log = logging.getLogger(__name__)

#: Where readers left, as it is kept in the history of consents.
FORM = "mail"

#: How far the clock of a mail server may be from ours.
_CLOCKS_DIFFER = timedelta(hours=1)


class Became(StrEnum):
    """What became of one mail."""

    LEFT = "left"
    CONFIRMED = "confirmed"
    #: Left or confirmed before, or a link that takes nobody off.
    NOTHING = "nothing to do"
    NOT_UNDERSTOOD = "not understood"
    #: Bounces, complaints and automatic replies, stored to be worked on.
    REPORTS = "told of our mails"
    #: Stored or dealt with before, and only seen again.
    SEEN = "seen before"


@dataclass(frozen=True, slots=True)
class InboxReport:
    """What became of the mails of one inbox; `trouble` says why not all of them were read."""

    inbox: str
    became: Mapping[Became, int]
    trouble: str = ""

    @property
    def read(self) -> int:
        return sum(self.became.values())

    @property
    def handled(self) -> int:
        """How many were new."""
        return self.read - self.became.get(Became.SEEN, 0)

    @property
    def counts(self) -> dict[str, int]:
        """By name, those at zero too."""
        found = {each.name.casefold(): self.became.get(each, 0) for each in Became}
        return {"read": self.read} | found

    @property
    def line(self) -> str:
        """The report in words, without addresses."""
        said = [f"{self.became[each]} {each}" for each in Became if self.became.get(each)]
        if self.trouble and not said:
            return f"{self.inbox}: nothing was read: {self.trouble}"
        words = f"{self.read} read: {', '.join(said)}" if said else "nothing new"
        return f"{self.inbox}: {words}" + (f"; then: {self.trouble}" if self.trouble else "")


def summed(reports: Iterable[InboxReport]) -> dict[str, int]:
    """The counts of several inboxes together."""
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report.counts)
    return dict(total)


def read_inboxes(
    app: App, slugs: Sequence[str], *, dry_run: bool = False
) -> tuple[InboxReport, ...]:
    """Read these inboxes of config, one after the other; trouble with one stops only that one."""
    return tuple(read_inbox(app, slug, app.inbox(slug), dry_run=dry_run) for slug in slugs)


def read_inbox(app: App, slug: str, box: Box, *, dry_run: bool = False) -> InboxReport:
    """Read what waits in a mailbox. With `dry_run` nothing is done and nothing filed."""
    became: Counter[Became] = Counter()
    trouble: Trouble | None = None
    try:
        for found in box.waiting():
            trouble = _handle(_Desk(app, slug, box, dry_run), found, became)
            if trouble is not None:
                break
    finally:
        box.close()
    reason = mask(trouble.reason) if trouble else ""
    report = InboxReport(slug, dict(became), reason)
    log.info("inbox %s: %s%s", slug, report.counts, f"; {reason}" if reason else "")
    return report


@dataclass(frozen=True, slots=True)
class _Desk:
    """One inbox while it is read."""

    app: App
    slug: str
    box: Box
    dry_run: bool

    @property
    def source(self) -> str:
        return f"inbox:{self.slug}"


@dataclass(frozen=True, slots=True)
class _Mail:
    """What a mail asks, as far as it was read; `raw` where more than its headers was."""

    wish: Wish
    letter: Letter | None
    raw: bytes | None
    arrived: datetime

    @property
    def name(self) -> str:
        """The same each time that it is read."""
        # The last of an mbox gets its blank line when another comes.
        return hashlib.sha256((self.raw or b"").rstrip()).hexdigest()


def _handle(desk: _Desk, found: Waiting | Trouble, became: Counter[Became]) -> Trouble | None:
    """Deal with one mail and count it; returns the trouble that ends the reading."""
    if not isinstance(found, Waiting):
        return found
    mail = _mail(desk.box, found)
    if not isinstance(mail, _Mail):
        return mail
    outcome = _outcome(desk, mail)
    became[outcome] += 1
    if desk.dry_run:
        return None
    return desk.box.flag(found.key) if outcome is _FLAGGED else desk.box.file(found.key)


def _mail(box: Box, found: Waiting) -> _Mail | Trouble | None:
    """A mail as far as it has to be read; None where it is not there any more.

    The body is fetched only of mails whose headers do not say it all.
    """
    letter, wish = _read(found.head, whole=False)
    hidden = isinstance(wish, Unclear) and letter is not None and found.size <= LARGEST
    if not found.head or not (hidden or isinstance(wish, Automatic) or not box.can_mark):
        return _Mail(wish, letter, None, found.arrived)
    raw = box.whole(found.key)
    if not isinstance(raw, bytes):
        return raw
    if hidden:
        letter, wish = _read(raw, whole=True)
    return _Mail(wish, letter, raw, found.arrived)


def _read(raw: bytes, *, whole: bool) -> tuple[Letter | None, Wish]:
    letter = read_letter(raw, whole=whole)
    return (letter, wish_of(letter)) if isinstance(letter, Letter) else (None, Unclear())


# --- what is done ------------------------------------------------------------------------------

_FLAGGED = Became.NOT_UNDERSTOOD


def _outcome(desk: _Desk, mail: _Mail) -> Became:
    """Do what a mail asks, unless that was done; what cannot be marked as done is remembered."""
    if desk.box.can_mark:
        return _act(desk, mail)
    with desk.app.store.read() as c:
        if returned.is_known(c, desk.source, mail.name):
            return Became.SEEN
    outcome = _act(desk, mail)
    if not desk.dry_run:
        with desk.app.store.write() as c:
            returned.remember(c, desk.source, mail.name, outcome, desk.app.clock())
    return outcome


def _act(desk: _Desk, mail: _Mail) -> Became:
    app, wish, letter = desk.app, mail.wish, mail.letter
    if isinstance(wish, Automatic):
        return _take_in(desk, mail)
    if isinstance(wish, Sample):
        return Became.NOTHING
    if isinstance(wish, ByToken) and wish.verb == "confirm":
        return _confirm(app, wish.token, dry_run=desk.dry_run)
    if isinstance(wish, Unclear) or letter is None:
        return Became.NOT_UNDERSTOOD
    meant = _meant(app, wish, letter)
    if not meant:
        return Became.NOT_UNDERSTOOD
    now = app.clock()
    ending = [one for one in meant if one.state != "ended" and not _came_back(one, mail.arrived)]
    if not desk.dry_run:
        for one in ending:
            leave(app.store, one.id, FORM, now)
    return Became.LEFT if ending else Became.NOTHING


def _take_in(desk: _Desk, mail: _Mail) -> Became:
    """Store what a mail system or a program says about a mail of ours."""
    report = read_report(mail.raw or b"")
    if report is None:
        return Became.NOT_UNDERSTOOD
    app, now = desk.app, desk.app.clock()
    domains = {domain_of(newsletter) for newsletter in app.config.newsletters.values()}
    feedback = feedback_of(report, app.secret, domains, min(mail.arrived, now))
    nameless = feedback.delivery_id is None and not feedback.message_id
    if nameless and feedback.event == "autoresponded":
        # Whatever it answers, or asks: no mail of ours.
        return Became.NOT_UNDERSTOOD
    if desk.dry_run:
        return Became.REPORTS
    with app.store.write() as c:
        new = returned.take_in(c, desk.source, mail.name, feedback, now)
    return Became.REPORTS if new else Became.SEEN


def _meant(app: App, wish: ByToken | ByAddress, letter: Letter) -> list[Taken]:
    """The subscriptions that should end, by the token, else by the sender.

    Anyone can write any From. It is believed all the same: a lie stops mail, which its reader can
    ask for again, and tells the liar nothing; while a reader whose mail program lost the token
    must not be kept.
    """
    if isinstance(wish, ByToken):
        number = read_token(app.secret, "unsubscribe", wish.token)
        if number is not None:
            with app.store.read() as c:
                found = queries.taken(c, number)
                if found is None or found.state != "ended" or wish.sender is None:
                    return [found] if found else []
                # Who was erased and came back has another one now, and may have an old mail.
                return [found, *queries.taken_by(c, wish.sender.key, {found.newsletter})]
    if wish.sender is None:
        return []
    newsletters = {*newsletters_meant(letter, app.config.newsletters)}
    with app.store.read() as c:
        return queries.taken_by(c, wish.sender.key, newsletters)


def _came_back(one: Taken, arrived: datetime) -> bool:
    """Whether the mail is older than the reader's last word.

    One that cannot be filed is read again and again, and must not take them off each time.
    """
    if one.agreed_at is None:
        return one.ended_at is not None and one.ended_at > arrived
    return one.agreed_at - _CLOCKS_DIFFER > arrived


def _confirm(app: App, token: str, *, dry_run: bool) -> Became:
    now = app.clock()
    if not dry_run:
        outcome = confirm(app.store, app.secret, token, now).outcome
        if outcome is Confirmed.ACTIVE:
            return Became.CONFIRMED
        # Suppressed: told to nobody but the person who looks.
        done = outcome in {Confirmed.ALREADY, Confirmed.ENDED}
        return Became.NOTHING if done else Became.NOT_UNDERSTOOD
    number = read_token(app.secret, "opt-in", token, now)
    with app.store.read() as c:
        found = queries.taken(c, number) if number is not None else None
    if found is None:
        return Became.NOT_UNDERSTOOD
    return Became.CONFIRMED if found.state == "pending" else Became.NOTHING
