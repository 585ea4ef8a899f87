"""A newsroom: posts, readers with what they chose, and issues from request to delivered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update

from digest.config import Config, StoreSettings
from digest.issues import desk
from digest.issues.compose import Request
from digest.issues.freeze import forecast, freeze_issue
from digest.issues.period import week_of
from digest.issues.preview import copy_for, preview_of_issue
from digest.issues.scope import parse_scope
from digest.model import Act, DeliveryState, IssueState, Rhythm
from digest.store import accounts, tables
from digest.store import deliveries as ledger
from digest.store import issues as issue_store
from digest.store.engine import open_store
from digest.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from digest.issues.freeze import Share
    from digest.store.engine import Store
    from digest.store.issues import Issue

LONDON = ZoneInfo("Europe/London")
#: A Monday, when weekly digests are due.
MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)

_BODY = """<mjml lang="en"><mj-head><mj-title>{{ subject }}</mj-title></mj-head><mj-body>
<mj-section><mj-column><mj-text>{{ preheader }}
{% for item in items %}<h2><a href="{{ link(item.post.url) }}">{{ item.post.title }}</a></h2>
{{ item.post.excerpt }}{% endfor %}
<a href="{{ unsubscribe }}">Unsubscribe</a> <a href="{{ unsubscribe_mailto }}">by mail</a>
<a href="{{ settings }}">Settings</a> {{ issue.postal_address }}
</mj-text></mj-column></mj-section></mj-body></mjml>"""

_TEXT = """{% for item in items %}
{{ item.post.title }}
{{ item.post.excerpt }}
{{ link(item.post.url) }}
{% endfor %}
Unsubscribe: {{ unsubscribe }}
{{ unsubscribe_mailto }}
{{ settings }}
{{ issue.postal_address }}
"""

#: A template that is rendered in no time.
TINY = {
    "body.mjml": _BODY,
    "body.txt": _TEXT,
    "preheader.txt": "{{ items[0].post.excerpt }}",
    "subject.txt": "{{ items[0].post.title }} and more",
    "subject-fallback.txt": "{{ issue.newsletter_title }}, {{ issue.period }}",
}

_NEWSLETTER = {
    "from_name": "Blog",
    "from_address": "digest@blog.example",
    "bounce_address": "bounces@blog.example",
    "reply_to": "editors@blog.example",
    "unsubscribe_mailto": "unsubscribe@blog.example",
    "mailer": "local",
    "template": "tiny",
    "series_template": "tiny",
    "begins": "2026-10-01T00:00:00Z",
}


def _config(newsletters: dict[str, dict[str, Any]]) -> Config:
    site = {"name": "Blog", "url": "https://blog.example", "contact": "editors@blog.example"}
    site |= {"postal_address": "1 Example Street", "links_url": "https://read.example"}
    declared = {
        slug: {**_NEWSLETTER, "title": slug.title(), "list_id": f"{slug}.blog.example", **said}
        for slug, said in newsletters.items()
    }
    series = {
        slug: {"title": slug.upper(), "hashtag": slug, "match": {"categories": [slug]}}
        for slug in ("ipc", "pbr")
    }
    return Config.model_validate(
        {
            "site": site,
            "mailers": {"local": {"kind": "file"}},
            "feeds": {},
            "newsletters": declared,
            "series": series,
        }
    )


@dataclass
class Newsroom:
    store: Store
    templates: Path
    config: Config = field(default_factory=lambda: _config({"weekly": {}}))
    posts: int = 0

    def declare(self, **newsletters: dict[str, Any]) -> None:
        """The newsletters of the site, each with what is said of it."""
        self.config = _config(newsletters)

    def post(self, at: datetime, *categories: str) -> int:
        """A post that arrived at that moment; its series are its categories."""
        self.posts += 1
        number = self.posts
        values = {"id": number, "guid": f"g{number}", "url": f"https://blog.example/{number}/"}
        values |= {"title": f"Post number {number}", "author": "Ann"}
        values |= dict.fromkeys(("published", "first_seen", "arrived"), at)
        values |= {"categories": list(categories), "html": "", "text": "What it says."}
        values |= {"excerpt": "What it says, in a sentence or two, for whoever is in a hurry."}
        with self.store.write() as c:
            row = {"reading_minutes": 1, "content_hash": str(number)}
            c.execute(insert(tables.posts).values(**values, **row))
        return number

    def reader(
        self,
        name: str,
        interests: str = "everything",
        *,
        newsletter: str = "weekly",
        rhythm: str = "weekly",
        cap: int | None = None,
        paused_until: datetime | None = None,
    ) -> int:
        """Subscribe a reader, known or new; the subscriber's id."""
        at, address = MONDAY - timedelta(days=30), f"{name}@example.org"
        s = tables.subscribers
        with self.store.write() as c:
            reader = c.scalar(select(s.c.id).where(s.c.address_key == address))
            if reader is None:
                values = {"address": address, "address_key": address, "created_at": at}
                new = insert(s).values(**values, weekly_cap=cap).returning(s.c.id)
                reader = c.execute(new).scalar_one()
            c.execute(
                insert(tables.subscriptions).values(
                    subscriber_id=reader,
                    newsletter=newsletter,
                    interests=interests,
                    rhythm=rhythm,
                    state="active",
                    consent_source="test",
                    consent_at=at,
                    created_at=at,
                    paused_until=paused_until,
                )
            )
        return int(reader)

    def choose(self, name: str, **values: Any) -> None:
        """What a reader changes about their subscriptions."""
        s, mine = tables.subscribers.c, tables.subscriptions
        reader = select(s.id).where(s.address_key == f"{name}@example.org").scalar_subquery()
        with self.store.write() as c:
            c.execute(update(mine).where(mine.c.subscriber_id == reader).values(**values))

    def draft(
        self,
        at: datetime,
        newsletter: str = "weekly",
        rhythm: str = "weekly",
        scope: str = "all",
        **asked: Any,
    ) -> Issue:
        request = Request(newsletter, parse_scope(scope), Rhythm(rhythm), at, **asked)
        act = Act("Maya", at, "as planned")
        return desk.draft_issue(self.store, self.config, self.templates, request, act)

    def freeze(self, issue: Issue, at: datetime) -> Issue:
        act = Act("Maya", at, "as planned")
        desk.approve(self.store, self.templates, issue.id, act)
        return freeze_issue(self.store, self.templates, issue.id, act, LONDON)

    def submit(self, issue: Issue, state: DeliveryState = DeliveryState.SUBMITTED) -> None:
        """Everything that is pending ends in a state."""
        d = tables.deliveries
        pending = (d.c.issue_id == issue.id, d.c.state == "pending")
        with self.store.write() as c:
            c.execute(update(d).where(*pending).values(state=state))

    def send(self, at: datetime, newsletter: str = "weekly", **asked: Any) -> dict[str, set[int]]:
        """An issue of that moment, delivered; who got which posts."""
        issue = self.draft(at, newsletter, **asked)
        if issue.state is IssueState.SKIPPED:
            return {}
        issue = self.freeze(issue, at)
        got = self.got(issue)
        self.submit(issue)
        return got

    def cancel(self, issue: Issue, at: datetime) -> None:
        desk.cancel(self.store, issue.id, Act("Maya", at, "oops"))

    def got(self, issue: Issue) -> dict[str, set[int]]:
        """Reader's name -> the posts in their copy."""
        d, v = tables.deliveries.c, tables.variants.c
        query = select(d.address, v.mask).join(tables.variants, v.id == d.variant_id)
        with self.store.read() as c:
            picked = {p.position: p.post_id for p in issue_store.picks_of(c, issue.id) if p.is_in}
            rows = c.execute(query.where(d.issue_id == issue.id)).all()
        return {
            address.split("@")[0]: {post for n, post in picked.items() if mask >> (n - 1) & 1}
            for address, mask in rows
        }

    def left_out(self, issue: Issue) -> dict[str, int]:
        with self.store.read() as c:
            return accounts.exclusion_counts(c, issue.id)

    def picks(self, issue: Issue) -> dict[int, tuple[bool, str, str]]:
        with self.store.read() as c:
            found = issue_store.picks_of(c, issue.id)
        return {pick.post_id: (pick.is_in, pick.code, pick.reason) for pick in found}

    def forecast(self, issue: Issue, at: datetime) -> list[Share]:
        return forecast(self.store, issue, week_of(at, LONDON))

    def copy_of(self, issue: Issue, name: str, at: datetime) -> set[int]:
        """What a preview for one reader says they would get."""
        with self.store.read() as c:
            shown = preview_of_issue(c, issue)
        week = week_of(at, LONDON)
        return set(copy_for(self.store, shown, self.templates, f"{name}@example.org", week).posts)

    def waiting(self) -> set[tuple[int, int]]:
        """(Reader, post) of every row that says that a cap kept something back."""
        o = tables.overflow.c
        with self.store.read() as c:
            return {(row[0], row[1]) for row in c.execute(select(o.subscriber_id, o.post_id))}

    def claim_and_begin(self, issue: Issue, at: datetime) -> list[str]:
        """What became of each delivery when it was about to be submitted."""
        sending = replace(issue)
        with self.store.write() as c:
            issue_store.move_issue(c, sending, IssueState.SENDING, Act("Maya", at, "go"))
            until = at + timedelta(minutes=5)
            claimed = ledger.claim(c, issue.id, "w", now=at, until=until, most=99)
            starts = [ledger.Start(one, f"<{one.id}@x>", f"r{one.id}") for one in claimed]
            words = ledger.begin(c, issue.id, starts, "w", ledger.Submission("smtp", at, until))
            return [words[one.id] for one in claimed]


@pytest.fixture(scope="session")
def tiny_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Templates that are rendered in no time."""
    home = tmp_path_factory.mktemp("templates")
    folder = home / "email" / "tiny"
    folder.mkdir(parents=True)
    for name, text in TINY.items():
        (folder / name).write_text(text, encoding="utf-8")
    return home


@pytest.fixture
def new_newsroom(_sqlite_template: Path, tiny_templates: Path) -> Iterator[Callable[[], Newsroom]]:
    """Makes any number of them, in memory."""
    stores = []

    def make() -> Newsroom:
        store = open_store(StoreSettings(url="sqlite://"), tiny_templates)
        metadata.create_all(store.engine)
        stores.append(store)
        return Newsroom(store, tiny_templates)

    yield make
    for store in stores:
        store.engine.dispose()


@pytest.fixture
def newsroom(any_store: Store, tiny_templates: Path) -> Newsroom:
    """On SQLite and on PostgreSQL."""
    return Newsroom(any_store, tiny_templates)
