"""A home folder without posts, and issues put straight into the ledger at any moment."""

from __future__ import annotations

import io
import json
import shutil
import threading
from base64 import b64encode
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from digest.bootstrap import App, bootstrap
from digest.cli import main
from digest.model import Act, IssueState
from digest.settings import load_config
from digest.store import asks, runs, tables
from digest.store import issues as issue_store
from digest.up.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from digest.config import Config
    from digest.store.engine import Store
    from digest.store.issues import Issue

ROOT = Path(__file__).parents[2]

#: A Monday, and its slot of the weekly digest: 08:00 in London, in winter.
MONDAY = datetime(2026, 11, 16, 8, tzinfo=UTC)
EDITOR = Act("Maya", MONDAY, "as planned")

_STEPS = {
    IssueState.APPROVED: (IssueState.APPROVED,),
    IssueState.FROZEN: (IssueState.APPROVED, IssueState.FROZEN),
    IssueState.SENDING: (IssueState.APPROVED, IssueState.FROZEN, IssueState.SENDING),
    IssueState.PAUSED: (
        IssueState.APPROVED,
        IssueState.FROZEN,
        IssueState.SENDING,
        IssueState.PAUSED,
    ),
    IssueState.DONE: (
        IssueState.APPROVED,
        IssueState.FROZEN,
        IssueState.SENDING,
        IssueState.DONE,
    ),
}


@dataclass
class World:
    """An app whose clock stands still until a test turns it."""

    home: Path
    store: Store
    config: Config
    now: datetime = MONDAY
    readers: list[int] = field(default_factory=list)

    @property
    def app(self) -> App:
        return App(self.home, self.config, self.store, lambda: self.now)

    def later(self, **delta: float) -> datetime:
        self.now += timedelta(**delta)
        return self.now

    def declare(self, **changes: Any) -> None:
        """Change the weekly newsletter."""
        weekly = self.config.newsletters["weekly"].model_copy(update=changes)
        newsletters = {**self.config.newsletters, "weekly": weekly}
        self.config = self.config.model_copy(update={"newsletters": newsletters})

    def issue(self, state: IssueState = IssueState.DRAFT, **values: Any) -> Issue:
        """An issue that took its steps to this state just now."""
        act = Act("Maya", self.now, "as planned")
        first = state if state is IssueState.SKIPPED else IssueState.DRAFT
        given = {
            "newsletter": "weekly",
            "scope": "all",
            "period": "2026-W47",
            "rhythm": "weekly",
            "repeat": False,
            "state": first,
            "scheduled_at": MONDAY,
            "content": {},
            "subject": "Subject",
            "fallback_subject": "Subject",
            "html": "html",
            "text": "text",
            "preflight": [],
            "hash": "h",
            "decide_by": self.now + timedelta(hours=48),
            **values,
        }
        steps = (first,) if state is first else _STEPS.get(state, (state,))
        with self.store.write() as c:
            number = issue_store.insert_issue(c, given, act)
            assert number is not None
            for step in steps if state is not first else ():
                issue = issue_store.get_issue(c, number)
                approved = {"approved_hash": issue.hash} if step is IssueState.APPROVED else {}
                issue_store.move_issue(c, issue, step, act, **approved)
            return issue_store.get_issue(c, number)

    def move(self, issue: Issue, after: IssueState, actor: str = "Maya", **values: Any) -> None:
        with self.store.write() as c:
            fresh = issue_store.get_issue(c, issue.id)
            issue_store.move_issue(c, fresh, after, Act(actor, self.now, "so decided"), **values)

    def delivery(self, issue: Issue, state: str, **values: Any) -> None:
        """One recipient of the issue."""
        number = len(self.readers) + 1
        self.readers.append(number)
        address = f"reader{number}@example.org"
        with self.store.write() as c:
            subscriber = c.execute(
                insert(tables.subscribers)
                .values(address=address, address_key=address, created_at=self.now)
                .returning(tables.subscribers.c.id)
            ).scalar_one()
            subscription = c.execute(
                insert(tables.subscriptions)
                .values(
                    subscriber_id=subscriber,
                    newsletter="weekly",
                    interests="everything",
                    rhythm="weekly",
                    state="active",
                    consent_source="test",
                    consent_at=self.now,
                    created_at=self.now,
                )
                .returning(tables.subscriptions.c.id)
            ).scalar_one()
            variant = c.execute(
                insert(tables.variants)
                .values(issue_id=issue.id, mask=number, subject="s", html="", text="", preflight=[])
                .returning(tables.variants.c.id)
            ).scalar_one()
            c.execute(
                insert(tables.deliveries).values(
                    issue_id=issue.id,
                    variant_id=variant,
                    subscriber_id=subscriber,
                    subscription_id=subscription,
                    address=address,
                    address_key=address,
                    state=state,
                    **{"state_at": self.now, **values},
                )
            )

    def run(self, what: str = "ingest", worker: str = "w:1:a", issue: int | None = None) -> int:
        """A run that has begun and not ended."""
        begun = runs.Beginning(what, {}, "schedule", worker)
        with self.store.write() as c:
            number = runs.begin_run(c, begun, self.now)
            if issue is not None:
                runs.note_issue(c, number, issue)
        return number

    def end(self, number: int, outcome: str = "done", reason: str = "") -> None:
        with self.store.write() as c:
            runs.end_run(c, number, runs.Ending(outcome, {}, reason), self.now)

    def ask(self, issue: Issue, run_id: str = "run-1") -> None:
        with self.store.write() as c:
            asks.put_ask(c, issue.id, run_id, issue.hash, self.now)

    def state(self, issue: Issue) -> str:
        with self.store.read() as c:
            return issue_store.get_issue(c, issue.id).state

    def last_step(self, issue: Issue) -> issue_store.Transition:
        with self.store.read() as c:
            return issue_store.transitions_of(c, issue.id)[-1]

    def ask_outcome(self, issue: Issue) -> str | None:
        """How the last ask about the issue ended; None where it is open."""
        query = select(tables.asks.c.outcome).where(tables.asks.c.issue_id == issue.id)
        with self.store.read() as c:
            return c.scalar(query.order_by(tables.asks.c.id.desc()).limit(1))

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """A command in this home folder: exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        ended: Any = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main([*arguments, "--home", str(self.home)])
            except SystemExit as exit_:
                ended = exit_.code or 0
        return ended, out.getvalue(), err.getvalue()

    def forget_deadline(self, issue: Issue) -> None:
        """As drafts are that were made before there were deadlines."""
        with self.store.write() as c:
            c.execute(
                update(tables.issues).values(decide_by=None).where(tables.issues.c.id == issue.id)
            )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DIGEST_DATABASE_URL", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(ROOT / "config", tmp_path / "home" / "config")
    return tmp_path / "home"


@pytest.fixture
def config(home: Path) -> Config:
    return load_config(home)


@pytest.fixture
def world(store: Store, home: Path, config: Config) -> World:
    return World(home, store, config)


@pytest.fixture
def any_world(any_store: Store, home: Path, config: Config) -> World:
    return World(home, any_store, config)


@pytest.fixture
def at_home(home: Path) -> Iterator[World]:
    """A world that commands see too: in the home folder's own database, and now."""
    with bootstrap(home) as app:
        yield World(home, app.store, app.config, datetime.now(UTC))


class _Prefect(BaseHTTPRequestHandler):
    """Answers as Prefect 3.8.8 does: prefect/server/api/flow_runs.py and api/server.py."""

    server: FakePrefect

    def do_GET(self) -> None:
        fake = self.server
        fake.calls.append(f"GET {self.path}")
        run = self.path.removeprefix("/api/flow_runs/")
        if self._barred():
            return
        if not self.path.startswith("/api/flow_runs/"):
            self._say(404, {"detail": "Not Found"})
        elif run not in fake.states:
            self._say(404, {"detail": "Flow run not found"})
        else:
            kind, name = fake.states[run]
            self._say(200, {"id": run, "state": {"type": kind, "name": name}})

    def do_POST(self) -> None:
        fake = self.server
        fake.calls.append(f"POST {self.path}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._barred():
            return
        run = self.path.removeprefix("/api/flow_runs/").removesuffix("/set_state")
        fake.asked.append(body)
        if fake.refuses:
            details = {"type": "reject_details", "reason": fake.refuses}
            self._say(200, {"state": None, "status": "REJECT", "details": details})
            return
        state = body["state"]
        fake.states[run] = state["type"], state["name"]
        self._say(201, {"state": state, "status": "ACCEPT", "details": {"type": "accept_details"}})

    def _barred(self) -> bool:
        fake = self.server
        if fake.busy:
            self._say(503, {"exception_message": "Service Unavailable"})
            return True
        expected = f"Basic {b64encode(fake.auth.encode()).decode()}"
        if fake.auth and self.headers["Authorization"] != expected:
            self._say(401, {"exception_message": "Unauthorized"})
            return True
        return False

    def _say(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class FakePrefect(ThreadingHTTPServer):
    """A server with runs in given states, which it may be told to be busy or to refuse."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Prefect)
        self.states: dict[str, tuple[str, str]] = {"run-1": ("PAUSED", "Suspended")}
        self.auth = ""
        self.busy = False
        self.refuses = ""
        self.calls: list[str] = []
        self.asked: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"

    def connection(self, auth: str = "") -> Connection:
        return Connection(self.url, auth)


@pytest.fixture
def prefect() -> Iterator[FakePrefect]:
    with FakePrefect() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
