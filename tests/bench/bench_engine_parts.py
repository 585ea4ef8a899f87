"""What `bench_engine.py` measures, each in a process of its own, which tells of it as JSON.

An issue of a real template goes to so many readers of 100 domains, from a home folder and by the
step that the command and the flow have.
"""

from __future__ import annotations

import argparse
import json
import shutil
import smtplib
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import String, cast, insert, literal, select

from digest import sending
from digest.bootstrap import App, bootstrap
from digest.issues.render import render
from digest.issues.specimen import specimens
from digest.mail.decisions import Decision
from digest.mail.deliver import BATCH
from digest.mail.leases import LEASE
from digest.model import (
    UNSUBSCRIBE_MARK,
    Act,
    DeliveryState,
    IssueState,
    MailerTraits,
    Receipt,
)
from digest.store import accounts, tables
from digest.store import deliveries as ledger
from digest.store import issues as issue_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from digest.issues.content import Rendered
    from digest.ports import Mail
    from digest.store.engine import Store

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
ACT = Act("bench", NOW, "bench")
ISSUE = 1
#: With so many posts a mail has about 60 KB.
POSTS = 17
_DOMAINS = 100
_LOCAL = '[mailers.local]\nkind = "file"\npath = "var/mail"\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("fill", "deliver", "nod", "ledger", "plain"):
        part = parts.add_parser(name)
        if name != "plain":
            part.add_argument("home", type=Path)
        if name != "deliver":
            part.add_argument("number", type=int, help="How many readers, or connections.")
        if name == "plain":
            part.add_argument("port", type=int)
    args = vars(parser.parse_args())
    told = {
        "fill": fill,
        "deliver": deliver,
        "nod": nod,
        "ledger": ledger_alone,
        "plain": plain_loop,
    }
    print(json.dumps(told[args.pop("part")](**args)))


# --- a home folder -----------------------------------------------------------------------------


def make_home(folder: Path, relay: tuple[int, int] | None = None) -> Path:
    """The project's config and templates; `relay` is a port on loopback, and how many connections."""
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "templates").symlink_to(ROOT / "templates")
    if relay is not None:
        smtp = '[mailers.local]\nkind = "smtp"\nhost = "127.0.0.1"\nsecurity = "none"\n'
        smtp += "port = {}\nconnections = {}\n".format(*relay)
        site = folder / "config" / "site.toml"
        text = site.read_text(encoding="utf-8")
        assert _LOCAL in text
        site.write_text(text.replace(_LOCAL, smtp), encoding="utf-8")
    return folder


def rendered() -> Rendered:
    """A digest of so many posts that a mail of it is of the usual size."""
    content = specimens("weekly")[0]
    items = (replace(content.items[n % 4], position=n + 1) for n in range(POSTS))
    return render(replace(content, items=tuple(items)), ROOT / "templates")


def fill(home: Path, number: int) -> None:
    """An issue that is being sent, with a pending delivery for each reader."""
    with bootstrap(home) as app, app.store.write() as c:
        _put_issue(c)
        _put_readers(c, number)
        if not app.store.is_sqlite:
            c.exec_driver_sql("ANALYZE")


def _put_issue(c: Connection) -> None:
    shown = rendered()
    mail = {"subject": shown.subject, "html": shown.html, "text": shown.text, "preflight": []}
    issue = {
        **mail,
        "newsletter": "weekly",
        "scope": "all",
        "period": "2026-W48",
        "rhythm": "weekly",
        "repeat": False,
        "state": IssueState.FROZEN,
        "scheduled_at": NOW,
        "content": {},
        "fallback_subject": shown.subject,
        "hash": "h",
        "approved_hash": "h",
    }
    assert issue_store.insert_issue(c, issue, ACT) == ISSUE
    issue_store.move_issue(c, issue_store.get_issue(c, ISSUE), IssueState.SENDING, ACT)
    c.execute(insert(tables.variants).values(**mail, issue_id=ISSUE, mask=1))


def _put_readers(c: Connection, readers: int) -> None:
    counted = select(literal(1).label("n")).cte("counted", recursive=True)
    counted = counted.union_all(select(counted.c.n + 1).where(counted.c.n < readers))
    n, at = counted.c.n, literal(NOW, tables.subscribers.c.created_at.type)
    domain = cast(n % _DOMAINS, String)
    address = literal("r").concat(cast(n, String)).concat("@d").concat(domain).concat(".example")
    row = {"id": n, "address": address, "address_key": address, "created_at": at}
    c.execute(insert(tables.subscribers).from_select(list(row), select(*row.values())))
    row = {"id": n, "subscriber_id": n, "consent_at": at, "created_at": at}
    said = {"newsletter": "weekly", "interests": "everything", "rhythm": "weekly"}
    said |= {"state": "active", "consent_source": "bench"}
    row |= {name: literal(value) for name, value in said.items()}
    c.execute(insert(tables.subscriptions).from_select(list(row), select(*row.values())))
    row = {"issue_id": literal(ISSUE), "variant_id": literal(1), "subscriber_id": n}
    row |= {"subscription_id": n, "address": address, "address_key": address}
    row |= {"state": literal("pending"), "attempts": literal(0), "state_at": at}
    c.execute(insert(tables.deliveries).from_select(list(row), select(*row.values())))


# --- what is measured --------------------------------------------------------------------------


def deliver(home: Path) -> dict[str, float]:
    """The issue to all its readers, by the mailer that config names."""
    with bootstrap(home) as app:
        return _delivered(app)


class Nod:
    """Accepts everything at once, and never asks for a byte of it."""

    name = "nod"
    traits = MailerTraits(parks=True)

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Receipt, ...]:
        return tuple(Receipt("2.0.0 Ok", NOW) for _ in mails)

    def find(self, message_id: str) -> Receipt | None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


def nod(home: Path, number: int) -> dict[str, float]:
    """The same by so many connections of a mailer that costs nothing: what is left is the ledger."""

    class Nodding(App):
        def mailer(self, slug: str) -> Nod:
            return Nod()

        def connections(self, slug: str) -> int:
            return number

    with bootstrap(home) as app:
        return _delivered(Nodding(app.home, app.config, app.store, app.clock))


def _delivered(app: App) -> dict[str, float]:
    app.mailer("local")
    with app.store.read() as c:
        c.execute(select(tables.issues.c.id)).all()
    assert app.secret
    idle = _memory("VmRSS")
    # The kernel counts the peak anew (proc(5)).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    start, busy = time.perf_counter(), time.process_time()
    sent = sending.deliver_batch(app, ISSUE)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    account = sent.account
    if account.submitted != account.recipients or not account.balanced:
        raise RuntimeError(f"not all were submitted: {account}; {sent.note}")
    return {
        "rate": account.submitted / seconds,
        "cpu": 1e6 * busy / account.submitted,
        "memory": _memory("VmHWM") - idle,
    }


def _memory(name: str) -> float:
    """A line of what Linux tells of this process (proc(5)), in megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def ledger_alone(home: Path, number: int) -> dict[str, float]:
    """The transactions that so many connections make of it, and nothing else.

    In each, what was answered to as many is written down, and as many begin.
    """
    worker, submission = "bench", ledger.Submission("nod", NOW, NOW + LEASE)
    answers: list[ledger.Answer] = []
    done = 0
    with bootstrap(home) as app:
        start, busy = time.perf_counter(), time.process_time()
        while claimed := _claimed(app.store, worker, done):
            for begin in range(0, len(claimed), number):
                together = claimed[begin : begin + number]
                starts = [ledger.Start(one, f"<{one.id}@bench>", f"{done}") for one in together]
                with app.store.write() as c:
                    ledger.finish_all(c, answers, worker, NOW)
                    words = ledger.begin(c, ISSUE, starts, worker, submission)
                if set(words.values()) != {"go"}:
                    raise RuntimeError(f"not all began: {words}")
                receipt = Decision(DeliveryState.SUBMITTED, 1)
                answers = [ledger.Answer(one, receipt, f"{one.id}") for one in together]
                done += len(together)
        with app.store.write() as c:
            ledger.finish_all(c, answers, worker, NOW)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        with app.store.read() as c:
            account = accounts.account(c, ISSUE)
    if account.submitted != done or not account.balanced:
        raise RuntimeError(f"not all were submitted: {account}")
    return {"rate": done / seconds, "cpu": 1e6 * busy / done}


def _claimed(store: Store, worker: str, after: int) -> list[ledger.Claimed]:
    with store.write() as c:
        return ledger.claim(c, ISSUE, worker, now=NOW, until=NOW + LEASE, most=BATCH, after=after)


def plain_loop(number: int, port: int) -> dict[str, float]:
    """The loop that everybody writes first: EmailMessage anew for each reader, one connection."""
    shown = rendered()
    start = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        for n in range(number):
            message = EmailMessage()
            link = f"https://read.example/u/{n:032x}"
            message["From"] = "Common Threads <digest@blog.example>"
            message["To"] = f"r{n}@d{n % _DOMAINS}.example"
            message["Subject"] = shown.subject
            message["List-Unsubscribe"] = f"<{link}>"
            message.set_content(shown.text.replace(UNSUBSCRIBE_MARK, link))
            html = shown.html.replace(UNSUBSCRIBE_MARK, link)
            message.add_alternative(html, subtype="html")
            smtp.send_message(message)
    rate = number / (time.perf_counter() - start)
    return {"rate": rate, "size": len(message.as_bytes())}


if __name__ == "__main__":
    main()
