"""A site with two newsletters, its readers, and a Maildir that they write to."""

from __future__ import annotations

import os
import shutil
import ssl
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from sqlalchemy import select

from digest.bootstrap import App
from digest.inbox.boxes.maildir import MaildirBox
from digest.inbox.reading import read_inbox
from digest.model import Interests, Rhythm
from digest.readers.subscriptions import subscribe
from digest.readers.tokens import make_token
from digest.settings import load_config
from digest.store import tables
from fakes.imap import ImapServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from digest.inbox.box import Box
    from digest.inbox.reading import InboxReport
    from digest.store.engine import Store

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
UNSUBSCRIBE = "unsubscribe@commonthreads.example"
MONTHLY = "leave-monthly@commonthreads.example"

#: Signs a certificate for 127.0.0.1, anew in each session; nothing secret stands in a file.
AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("127.0.0.1")


@dataclass
class Office:
    """A site and the mails that come to it."""

    app: App
    moment: list[datetime]
    maildir: Path
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    mails: int = 0

    def reader(self, name: str, newsletter: str = "weekly", *, confirmed: bool = True) -> None:
        result = subscribe(
            self.app.store,
            self.app.config,
            self.app.secret,
            address=f"{name}@example.org",
            newsletter=newsletter,
            interests=Interests(("series:ipc",)),
            rhythm=Rhythm.WEEKLY if newsletter == "weekly" else Rhythm.MONTHLY,
            consent_source="test",
            consent_at=NOW - timedelta(days=30) if confirmed else None,
            now=NOW - timedelta(days=30),
        )
        assert result.subscription_id is not None
        self.ids[name, newsletter] = result.subscription_id

    def token(self, name: str, newsletter: str = "weekly") -> str:
        return make_token(self.app.secret, "unsubscribe", self.ids[name, newsletter])

    def opt_in_token(self, name: str) -> str:
        return make_token(self.app.secret, "opt-in", self.ids[name, "weekly"], self.moment[0])

    def state(self, name: str, newsletter: str = "weekly") -> str:
        query = select(tables.subscriptions.c.state)
        query = query.where(tables.subscriptions.c.id == self.ids[name, newsletter])
        with self.app.store.read() as c:
            return str(c.scalar(query))

    def consents(self) -> list[tuple[Any, ...]]:
        c = tables.consents.c
        query = select(c.event, c.form, c.interests, c.rhythm, c.at).order_by(c.id)
        with self.app.store.read() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def dump(self) -> dict[str, list[str]]:
        """Every row of every table."""
        with self.app.store.read() as c:
            return {
                table.name: sorted(map(repr, c.execute(select(table))))
                for table in tables.metadata.sorted_tables
            }

    def post(self, raw: bytes, *, folder: str = "new", marks: str = "") -> str:
        """Deliver a mail, some minutes ago; returns its name."""
        self.mails += 1
        name = f"{self.mails}.mail.example"
        path = self.maildir / folder / f"{name}{marks}"
        path.write_bytes(raw)
        at = (self.moment[0] - timedelta(minutes=5) + timedelta(seconds=self.mails)).timestamp()
        os.utime(path, (at, at))
        return name

    def where(self, name: str) -> str:
        """The folder and marks of a mail: "new/", "cur/S"."""
        [path] = [p for f in ("new", "cur") for p in (self.maildir / f).glob(f"{name}*")]
        return f"{path.parent.name}/{path.name.partition(':2,')[2]}"

    def read(self, box: Box | None = None, *, dry_run: bool = False) -> InboxReport:
        return read_inbox(self.app, "post", box or MaildirBox(self.maildir), dry_run=dry_run)

    def turn(self, **delta: float) -> None:
        self.moment[0] += timedelta(**delta)


def build(store: Store, home: Path) -> Office:
    shutil.copytree(ROOT / "config", home / "config")
    text = (home / "config" / "newsletters.toml").read_text()
    monthly = text.replace("newsletters.weekly", "newsletters.monthly").replace(
        UNSUBSCRIBE, MONTHLY
    )
    (home / "config" / "monthly.toml").write_text(
        monthly.replace('cadence = "weekly"', 'cadence = "monthly"')
    )
    (home / "config" / "inboxes.toml").write_text(
        '[inboxes.post]\nkind = "maildir"\npath = "var/inbox"\n'
    )
    maildir = home / "var" / "inbox"
    for folder in ("tmp", "new", "cur"):
        (maildir / folder).mkdir(parents=True)
    moment = [NOW]
    return Office(App(home, load_config(home, {}), store, lambda: moment[0]), moment, maildir)


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    return build(store, tmp_path / "home")


@pytest.fixture
def any_office(any_store: Store, tmp_path: Path) -> Office:
    """On SQLite and on PostgreSQL."""
    return build(any_store, tmp_path / "home")


@pytest.fixture
def imap_server(tmp_path: Path, monkeypatch: Any) -> Iterator[Callable[..., ImapServer]]:
    """Starts servers whose certificate the client trusts."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    with ExitStack() as servers:

        def start(**about: Any) -> ImapServer:
            server = ImapServer(context, **about)
            servers.callback(server.stop)
            return server

        yield start
