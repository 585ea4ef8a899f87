"""A small world of posts, readers and issues, put straight into the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from digest.issues.content import Rendered
from digest.issues.period import week_of
from digest.model import Act, Interests, IssueState, Pick
from digest.store import enqueuing, freezing, reserving, tables
from digest.store import issues as issue_store
from digest.store.dialect import lock_freezing
from fakes.delivering import Engine, address, name_of, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.engine import Connection

    from digest.store.engine import Store
    from digest.store.issues import Issue

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
EDITOR = Act("Maya", NOW, "as planned")


@dataclass
class World:
    store: Store
    groups: dict[int, list[str]] = field(default_factory=dict)
    now: datetime = NOW
    #: What happens between finding out who gets what and reserving it.
    just_before_reserving: Callable[[Connection], object] = lambda _: None

    def post(self, *groups: str) -> int:
        number = len(self.groups) + 1
        with self.store.write() as c:
            c.execute(
                insert(tables.posts).values(
                    id=number,
                    guid=f"https://blog.example/?p={number}",
                    url=f"https://blog.example/{number}/",
                    title=f"Post {number}",
                    author="Ann",
                    published=NOW,
                    first_seen=NOW,
                    arrived=NOW,
                    categories=[],
                    html="",
                    text="",
                    excerpt="",
                    reading_minutes=1,
                    content_hash=str(number),
                )
            )
        self.groups[number] = list(groups)
        return number

    def reader(
        self,
        name: str,
        interests: str = "everything",
        newsletter: str = "weekly",
        rhythm: str = "weekly",
        state: str = "active",
    ) -> int:
        """Subscribe a reader (known or new) and return the subscriber's id."""
        address = f"{name}@example.org"
        with self.store.write() as c:
            known = select(tables.subscribers.c.id).where(
                tables.subscribers.c.address_key == address
            )
            subscriber = (
                c.scalar(known)
                or c.execute(
                    insert(tables.subscribers)
                    .values(address=address, address_key=address, created_at=NOW)
                    .returning(tables.subscribers.c.id)
                ).scalar_one()
            )
            c.execute(
                insert(tables.subscriptions).values(
                    subscriber_id=subscriber,
                    newsletter=newsletter,
                    interests=interests,
                    rhythm=rhythm,
                    state=state,
                    consent_source="test",
                    consent_at=NOW,
                    created_at=NOW,
                )
            )
        return subscriber

    def suppress(self, name: str) -> None:
        with self.store.write() as c:
            c.execute(
                insert(tables.suppressions).values(
                    address_key=f"{name}@example.org", reason="asked", origin="test", at=NOW
                )
            )

    def issue(
        self,
        *posts: int,
        newsletter: str = "weekly",
        period: str = "2026-W48",
        repeat: bool = False,
        state: IssueState = IssueState.SENDING,
    ) -> Issue:
        """An issue with these posts, frozen by the real queries and being sent."""
        with self.store.write() as c:
            lock_freezing(c)
            values = {
                "newsletter": newsletter,
                "scope": "all",
                "period": period,
                "rhythm": "weekly",
                "repeat": repeat,
                "state": IssueState.APPROVED,
                "scheduled_at": NOW,
                "content": {},
                "subject": "Subject",
                "fallback_subject": "Subject",
                "html": "html",
                "text": "text",
                "preflight": [],
                "hash": "h",
                "approved_hash": "h",
            }
            number = issue_store.insert_issue(c, values, EDITOR)
            assert number is not None
            picked = enumerate(posts, start=1)
            issue_store.save_picks(
                c, number, (Pick(post, True, place, "new", "new") for place, post in picked)
            )
            issue = issue_store.get_issue(c, number)
            self._freeze(c, issue, posts)
            issue_store.move_issue(c, issue, IssueState.FROZEN, EDITOR)
            issue = issue_store.get_issue(c, number)
            if state is not IssueState.FROZEN:
                issue_store.move_issue(c, issue, IssueState.SENDING, EDITOR)
            return issue_store.get_issue(c, number)

    def _freeze(self, c: Connection, issue: Issue, posts: tuple[int, ...]) -> None:
        bits = {post: 1 << place for place, post in enumerate(posts)}

        def wants(interests: Interests):
            return [(p, False) for p in posts if interests.wants(self.groups[p])]

        week = week_of(self.now, ZoneInfo("Europe/London"))
        drawing = freezing.Drawing(issue, week)
        with freezing.drawn(c, drawing, bits, wants):
            rendered = {
                mask: Rendered(f"Mask {mask}", "", f"html {mask}", f"text {mask}", ())
                for mask in enqueuing.mask_counts(c)
            }
            self.just_before_reserving(c)
            reserving.reserve(c, drawing, bits)
            enqueuing.enqueue(c, issue, rendered, NOW)

    def got(self, issue: Issue) -> dict[str, int]:
        """Reader's name -> mask of the variant they are to get."""
        query = (
            select(tables.deliveries.c.address, tables.variants.c.mask)
            .join(tables.variants, tables.variants.c.id == tables.deliveries.c.variant_id)
            .where(tables.deliveries.c.issue_id == issue.id)
        )
        with self.store.read() as c:
            return {address.split("@")[0]: mask for address, mask in c.execute(query)}

    def later(self, **delta: float) -> datetime:
        self.now += timedelta(**delta)
        return self.now


@pytest.fixture
def world(any_store: Store) -> World:
    return World(any_store)


@pytest.fixture
def new_engine(world: World) -> Iterator[Callable[..., Engine]]:
    """Makes an issue to so many readers (or these), and what delivers it.

    At the end nothing of it is leased to anybody.
    """
    made: list[Engine] = []

    def make(readers: int | Sequence[str] = 3, **changes: Any) -> Engine:
        names = map(name_of, range(readers)) if isinstance(readers, int) else readers
        subscribe(world.store, [address(name) for name in names])
        issue = world.issue(world.post(), period=f"2026-W{48 + len(made)}")
        made.append(Engine(world.store, issue, **changes))
        return made[-1]

    yield make
    for engine in made:
        assert "claimed" not in engine.states()
