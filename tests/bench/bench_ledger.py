"""Deliveries through the whole ledger into a mailer that only nods, beside a plain loop."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING

from sqlalchemy import insert

from digest.config import Newsletter, Site, StoreSettings
from digest.config_mailers import Brakes, FileMailer, SendWindow
from digest.mail.deliver import Shift, deliver
from digest.mail.gate import Rules
from digest.mail.letters import Letters
from digest.mail.worker import working
from digest.model import UNSUBSCRIBE_MARK, IssueState, MailerTraits, Receipt
from digest.store import accounts, tables
from digest.store.engine import open_store
from digest.store.issues import get_issue
from digest.store.migrate import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from digest.ports import Mail
    from digest.store.engine import Store

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
HTML = f"<p>{UNSUBSCRIBE_MARK}</p>" + "<p>A line of an ordinary newsletter, as it goes.</p>\n" * 900
TEXT = f"{UNSUBSCRIBE_MARK}\n" + "A line of an ordinary newsletter, as it goes.\n" * 200

SITE = Site(
    name="Bench",
    url="https://bench.example/",
    contact="https://bench.example/",
    postal_address="Bench",
    links_url="https://bench.example",
)
NEWSLETTER = Newsletter(
    title="Weekly",
    from_name="Bench",
    from_address="a@bench.example",
    bounce_address="b@bench.example",
    reply_to="c@bench.example",
    unsubscribe_mailto="u@bench.example",
    list_id="weekly.bench.example",
    mailer="nod",
)


class Nod:
    """Accepts everything at once."""

    name = "nod"
    traits = MailerTraits()

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Receipt, ...]:
        return tuple(Receipt(mail.envelope.message_id, NOW) for mail in mails)

    def find(self, message_id: str) -> Receipt | None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


def plain_loop(readers: int) -> float:
    """Messages a second of the loop that everybody writes first: EmailMessage anew for each."""
    start = time.perf_counter()
    for number in range(readers):
        message = EmailMessage()
        message["To"] = f"r{number}@example.org"
        message["From"] = "a@bench.example"
        message["Subject"] = "Subject"
        message.set_content(TEXT)
        message.add_alternative(HTML, subtype="html")
        message.as_bytes()
    return readers / (time.perf_counter() - start)


def deliver_all(home: Path, readers: int) -> float:
    """Messages a second with claims, checks, personal links and outcomes, on disk."""
    store = open_store(StoreSettings(), home)
    ensure_schema(store, backup=None)
    _fill(store, readers)
    with store.read() as c:
        issue = get_issue(c, 1)
    with working(home / "run", "bench") as worker:
        shift = Shift(
            store=store,
            new_mailer=Nod,
            connections=4,
            traits=Nod.traits,
            mailer_key="nod",
            rules=Rules(FileMailer(kind="file"), SendWindow(), UTC, Brakes()),
            letters=Letters(SITE, NEWSLETTER, issue, b"s" * 32, lambda: NOW),
            worker=worker,
            clock=lambda: NOW,
            should_stop=lambda: False,
            progress=lambda: None,
        )
        start = time.perf_counter()
        deliver(shift, 1)
        seconds = time.perf_counter() - start
    with store.read() as c:
        account = accounts.account(c, 1)
    if account.submitted != readers or not account.balanced:
        raise RuntimeError(f"the ledger lost count: {account}")
    store.engine.dispose()
    return readers / seconds


def _fill(store: Store, readers: int) -> None:
    numbers = range(1, readers + 1)
    with store.write() as c:
        c.execute(
            insert(tables.subscribers),
            [
                {"id": n, "address": f"r{n}@x.org", "address_key": f"r{n}@x.org", "created_at": NOW}
                for n in numbers
            ],
        )
        c.execute(
            insert(tables.subscriptions),
            [
                {
                    "subscriber_id": n,
                    "newsletter": "weekly",
                    "interests": "everything",
                    "rhythm": "weekly",
                    "state": "active",
                    "consent_source": "bench",
                    "consent_at": NOW,
                    "created_at": NOW,
                }
                for n in numbers
            ],
        )
        c.execute(
            insert(tables.issues).values(
                id=1,
                newsletter="weekly",
                scope="all",
                period="2026-W48",
                rhythm="weekly",
                repeat=False,
                state=IssueState.SENDING,
                scheduled_at=NOW,
                created_at=NOW,
                content={},
                subject="Subject",
                fallback_subject="Subject",
                html=HTML,
                text=TEXT,
                preflight=[],
                hash="h",
                approved_hash="h",
            )
        )
        step = {"issue_id": 1, "before": "frozen", "after": "sending", "at": NOW}
        c.execute(insert(tables.issue_transitions).values(**step, actor="bench", reason="bench"))
        variant = {"issue_id": 1, "mask": 1, "subject": "Subject", "html": HTML, "text": TEXT}
        c.execute(insert(tables.variants).values(**variant, preflight=[]))
        c.execute(
            insert(tables.deliveries),
            [
                {
                    "issue_id": 1,
                    "variant_id": 1,
                    "subscriber_id": n,
                    "subscription_id": n,
                    "address": f"r{n}@x.org",
                    "address_key": f"r{n}@x.org",
                    "state": "pending",
                    "attempts": 0,
                    "state_at": NOW,
                }
                for n in numbers
            ],
        )
