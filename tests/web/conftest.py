"""The pages over a small site: real config and templates, posts and readers put into the store."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from digest import editors, links, sending
from digest.bootstrap import App
from digest.issues import desk
from digest.issues.compose import Request
from digest.issues.scope import ALL
from digest.mail.addresses import parse_address
from digest.model import Act, Interests, Rhythm
from digest.readers.subscriptions import subscribe
from digest.readers.tokens import make_token
from digest.settings import load_config
from digest.store import readers, tables
from digest.store.tables import metadata
from digest.web import guard
from digest.web.app import make_app

with warnings.catch_warnings():
    # It asks for a successor of httpx; Prefect brings httpx.
    warnings.filterwarnings("ignore", message="Using `httpx`")
    from starlette.testclient import TestClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from digest.store.engine import Store
    from digest.store.issues import Issue

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LINKS = "http://127.0.0.1:8780"


@dataclass
class House:
    """A site, its pages, and what its editors do."""

    app: App
    moment: list[datetime]
    posts: int = 0
    subscriptions: dict[str, int] = field(default_factory=dict)

    def post(self, title: str = "") -> int:
        """A post that arrived an hour ago, of a series."""
        self.posts += 1
        number = self.posts
        at = NOW - timedelta(hours=1)
        title = title or f"Post {number}"
        with self.app.store.write() as c:
            c.execute(
                insert(tables.posts).values(
                    id=number,
                    guid=f"http://127.0.0.1:8765/?p={number}",
                    url=f"http://127.0.0.1:8765/{number}/",
                    title=title,
                    author="Ann",
                    published=at,
                    first_seen=at,
                    arrived=at,
                    categories=["IPC"],
                    html=f"<p>{number}</p>",
                    text="What it says.",
                    excerpt="What it says.",
                    reading_minutes=1,
                    content_hash=str(number),
                )
            )
        return number

    def reader(self, name: str, *, confirmed: bool = True) -> int:
        """The id of a new subscription to `weekly`."""
        result = subscribe(
            self.app.store,
            self.app.config,
            self.app.secret,
            address=f"{name}@example.org",
            newsletter="weekly",
            interests=Interests(),
            rhythm=Rhythm.WEEKLY,
            consent_source="test",
            consent_at=NOW if confirmed else None,
            now=NOW,
        )
        assert result.subscription_id is not None
        self.subscriptions[name] = result.subscription_id
        return result.subscription_id

    def suppress(self, name: str) -> None:
        address: Any = parse_address(f"{name}@example.org")
        with self.app.store.write() as c:
            readers.suppress(c, address.key, readers.Suppression("asked", "test", NOW))

    @property
    def request(self) -> Request:
        return Request("weekly", ALL, Rhythm.WEEKLY, NOW)

    @property
    def act(self) -> Act:
        return Act("Maya", self.app.clock(), "as planned")

    def draft(self) -> Issue:
        app = self.app
        return desk.draft_issue(app.store, app.config, app.templates, self.request, self.act)

    def freeze(self) -> Issue:
        from digest.issues.freeze import freeze_issue

        issue = self.draft()
        desk.approve(self.app.store, self.app.templates, issue.id, self.act)
        zone = self.app.config.site.zone
        return freeze_issue(self.app.store, self.app.templates, issue.id, self.act, zone)

    def deliver(self, issue_id: int) -> sending.Sent:
        from digest.store import issues as issue_store

        with self.app.store.write() as c:
            # The posts live on no server that could be asked again.
            issue_store.mark_checked(c, issue_id, self.app.clock())
        return sending.send_issue(self.app, issue_id, self.act)

    def mails(self) -> list[EmailMessage]:
        """What lies in the local mailbox."""
        folder = self.app.home / "var" / "mail" / "new"
        found = sorted(folder.iterdir()) if folder.exists() else []
        return [message_from_bytes(path.read_bytes(), policy=default) for path in found]

    def leave_path(self, name: str) -> str:
        return f"/u/{make_token(self.app.secret, 'unsubscribe', self.subscriptions[name])}"

    def confirm_path(self, name: str, at: datetime = NOW) -> str:
        return f"/c/{make_token(self.app.secret, 'opt-in', self.subscriptions[name], at)}"

    def preview_path(self, issue_id: int) -> str:
        return links.preview_url("", self.app.secret, issue_id)

    def look_path(self, **changes: Any) -> str:
        from dataclasses import replace

        return links.look_url("", self.app.secret, replace(self.request, **changes))

    def state(self, name: str) -> str:
        query = select(tables.subscriptions.c.state)
        query = query.where(tables.subscriptions.c.id == self.subscriptions[name])
        with self.app.store.read() as c:
            return str(c.scalar(query))

    def dump(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        with self.app.store.read() as c:
            return {
                table.name: sorted(map(repr, c.execute(select(table))))
                for table in metadata.sorted_tables
            }

    def turn(self, **delta: float) -> None:
        self.moment[0] += timedelta(**delta)

    def configure(self, before: str, after: str, file: str = "newsletters.toml") -> None:
        path = self.app.home / "config" / file
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")


def build(store: Store, home: Path) -> House:
    shutil.copytree(ROOT / "config", home / "config")
    (home / "templates").symlink_to(ROOT / "templates")
    moment = [NOW]
    return House(App(home, load_config(home, {}), store, lambda: moment[0]), moment)


@pytest.fixture
def house(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("DIGEST_LINKS_URL", raising=False)
    monkeypatch.delenv("DIGEST_SAMPLE_PORT", raising=False)
    return build(store, tmp_path / "home")


@pytest.fixture
def any_house(any_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """On SQLite and on PostgreSQL."""
    monkeypatch.delenv("DIGEST_LINKS_URL", raising=False)
    monkeypatch.delenv("DIGEST_SAMPLE_PORT", raising=False)
    return build(any_store, tmp_path / "home")


def client_of(house: House) -> TestClient:
    return TestClient(make_app(house.app), base_url=LINKS, follow_redirects=False)


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with client_of(house) as client:
        yield client


@pytest.fixture
def any_client(any_house: House) -> Iterator[TestClient]:
    with client_of(any_house) as client:
        yield client


PASSWORD = "a long enough password"


@dataclass
class Signed:
    """A browser that is signed in to the desk."""

    client: TestClient
    house: House

    @property
    def csrf(self) -> str:
        return guard.csrf_of(self.client.cookies["digest-desk"])

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, **fields: Any) -> Any:
        """Send a form of ours."""
        return self.client.post(path, data={"csrf": self.csrf, **fields})


def sign_in(house: House, name: str = "Maya", role: Any = "editor") -> Signed:
    """A new browser, signed in to an account that is made where there is none."""
    if name not in [editor.name for editor in editors.list_editors(house.app.store)]:
        editors.add_editor(house.app.store, name, role, PASSWORD, house.app.clock())
    client = client_of(house)
    answer = client.post("/desk/sign-in", data={"name": name, "password": PASSWORD})
    assert answer.status_code == 303
    return Signed(client, house)


@pytest.fixture
def editor(house: House) -> Signed:
    return sign_in(house)


@pytest.fixture
def any_editor(any_house: House) -> Signed:
    return sign_in(any_house)


@pytest.fixture
def viewer(house: House) -> Signed:
    return sign_in(house, "Vera", "viewer")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder: many sites are made for them, which takes minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.pages)
