"""A small site: two newsletters, two series, one theme; readers of whom every table holds something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from digest.config import Config
from digest.mail.feedback import Feedback
from digest.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from digest.store.engine import Store
    from digest.store.readers import ListedSubscription

SECRET = bytes(range(32))

_NEWSLETTER = {
    "title": "Letters",
    "from_name": "Letters",
    "from_address": "letters@example.org",
    "bounce_address": "bounces@example.org",
    "reply_to": "editors@example.org",
    "unsubscribe_mailto": "unsubscribe@example.org",
    "list_id": "letters.example.org",
    "mailer": "local",
}


@pytest.fixture
def secret() -> bytes:
    return SECRET


@pytest.fixture
def config() -> Config:
    series = {"title": "A series", "hashtag": "Series", "match": {"categories": ["A"]}}
    return Config.model_validate(
        {
            "site": {
                "name": "A blog",
                "url": "https://blog.example.org",
                "contact": "https://blog.example.org/about",
                "postal_address": "1 High Street",
                "links_url": "https://letters.example.org",
            },
            "mailers": {"local": {"kind": "file"}},
            "feeds": {"blog": {"url": "https://blog.example.org/feed"}},
            "series": {"ipc": series, "pbr": series},
            "themes": {"funding": {"title": "Funding", "hashtag": "Funding", "terms": {"x": 1}}},
            "newsletters": {
                "weekly": _NEWSLETTER,
                "monthly": _NEWSLETTER | {"cadence": "monthly"},
            },
        }
    )


@pytest.fixture
def listed() -> Callable[[Store], dict[tuple[str, str], ListedSubscription]]:
    """All subscriptions by address and newsletter."""
    from digest.readers.subscriptions import list_subscribers

    return lambda store: {(one.address, one.newsletter): one for one in list_subscribers(store)}


ANN = "Ann.Whitlock+Blog@Mail.Example.org"
KEY = ANN.casefold()
BO = "bo@example.org"
THEN = datetime(2026, 11, 1, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)

#: The state of the reader's delivery in each issue, by the issue's number.
STATES = (
    "submitted", "pending", "claimed", "submitting", "uncertain", "failed", "refused",
    "suppressed", "cancelled",
)  # fmt: skip
LEASED = {"claimed", "submitting"}


class Holdings:
    """Fills a store; `ann` and `bo` are the subscribers, of whom `ann` is in every state."""

    address, key, other, states = ANN, KEY, BO, STATES

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as c:
            self.posts = [self._post(c, number) for number in range(1, len(STATES) + 1)]
            self.ann, self.anns = self._reader(c, ANN)
            self.bo, self.bos = self._reader(c, BO)
            self.issues = [
                self._issue(c, number, state) for number, state in enumerate(STATES, start=1)
            ]
            self._around(c)

    def put(self, c: Connection, table: Table, **values: Any) -> int:
        number = c.execute(insert(table).values(**values)).inserted_primary_key
        return number[0] if number else 0

    def _post(self, c: Connection, number: int) -> int:
        return self.put(
            c,
            tables.posts,
            guid=str(number),
            url=f"https://blog.example.org/{number}/",
            title=f"Post {number}",
            author="Maya",
            published=THEN,
            first_seen=THEN,
            arrived=THEN,
            categories=[],
            html="",
            text="",
            excerpt="",
            reading_minutes=1,
            content_hash=str(number),
        )

    def _reader(self, c: Connection, address: str) -> tuple[int, int]:
        reader = self.put(
            c,
            tables.subscribers,
            address=address,
            address_key=address.casefold(),
            created_at=THEN,
            weekly_cap=3,
        )
        subscription = self.put(
            c,
            tables.subscriptions,
            subscriber_id=reader,
            newsletter="weekly",
            interests="series:ipc|theme:funding",
            rhythm="monthly",
            state="active",
            consent_source=f"a letter from {address}",
            consent_at=THEN,
            created_at=THEN,
            paused_until=NOW + timedelta(days=9),
        )
        self.put(
            c,
            tables.consents,
            subscription_id=subscription,
            at=THEN,
            event="confirmed",
            form="sign-up page",
            text=f"{address} agrees",
            interests="everything",
            rhythm="weekly",
        )
        return reader, subscription

    def _issue(self, c: Connection, number: int, state: str) -> int:
        issue = self.put(
            c,
            tables.issues,
            newsletter="weekly",
            scope="all",
            period=f"2026-W{number:02}",
            rhythm="weekly",
            repeat=False,
            state="sending",
            scheduled_at=THEN + timedelta(days=number),
            created_at=THEN,
            content={},
            subject="Drafted",
            fallback_subject="",
            html="",
            text="",
            preflight=[],
            hash="h",
            approved_hash="h",
        )
        variant = self.put(
            c,
            tables.variants,
            issue_id=issue,
            mask=1,
            subject=f"Issue {number}",
            html="",
            text="",
            preflight=[],
        )
        pick = {"post_id": self.posts[number - 1], "is_in": True, "position": 1}
        self.put(c, tables.picks, issue_id=issue, **pick, code="new", reason="new")
        self._delivery(c, issue, variant, state, (self.ann, self.anns, ANN))
        self._delivery(c, issue, variant, "submitted", (self.bo, self.bos, BO))
        return issue

    def _delivery(
        self, c: Connection, issue: int, variant: int, state: str, whose: tuple[int, int, str]
    ) -> None:
        reader, subscription, address = whose
        delivery = self.put(
            c,
            tables.deliveries,
            issue_id=issue,
            variant_id=variant,
            subscriber_id=reader,
            subscription_id=subscription,
            address=address,
            address_key=address.casefold(),
            state=state,
            worker="w" if state in LEASED else None,
            lease_until=NOW if state in LEASED else None,
            mailer="file",
            message_id=f"<{issue}.{reader}@example.org>",
            remote_id=f"250 <{address.upper()}> queued as 1F",
            code="450",
            reason=f"450 <{address}> later",
            settled="leave, by Maya",
            state_at=NOW,
        )
        self.put(
            c,
            tables.delivery_events,
            delivery_id=delivery,
            event="deferred",
            at=NOW,
            detail=f"mailbox {address.partition('@')[0].upper()} is full",
        )
        told = Feedback("bounced", NOW, "soft", "552", f"{address.split('@')[0]} is full")
        for number, (body, became) in enumerate(((told.to_json(), None), (None, "bounced"))):
            self.put(
                c,
                tables.feedback,
                source="inbox:bounces",
                event_id=f"{delivery}.{number}",
                received_at=NOW,
                body=body,
                worked_at=NOW if became else None,
                became=became,
                delivery_id=delivery if became else None,
            )
        self.put(
            c,
            tables.reservations,
            subscriber_id=reader,
            post_id=self.posts[issue - 1],
            repeat=0,
            issue_id=issue,
        )

    def _around(self, c: Connection) -> None:
        for reader, address in ((self.ann, ANN), (self.bo, BO)):
            key = address.casefold()
            wish = {"newsletter": "weekly", "interests": "series:ipc|theme:x", "rhythm": "weekly"}
            for confirmed in (None, NOW):
                self.put(
                    c,
                    tables.sign_ups,
                    address=address,
                    address_key=key,
                    wishes=[wish],
                    form="sign-up page",
                    text="I agree",
                    asked_at=THEN,
                    confirmed_at=confirmed,
                )
            for state in ("pending", "submitting", "submitted", "failed"):
                self.put(
                    c,
                    tables.notices,
                    kind="settings",
                    address=address,
                    address_key=key,
                    state=state,
                    message_id=f"<{state}.{reader}@example.org>",
                    reason=f"550 {address} unknown",
                    created_at=NOW,
                    state_at=NOW,
                    newsletter="weekly",
                    subscriber_id=reader,
                )
            self.put(
                c,
                tables.overflow,
                subscriber_id=reader,
                newsletter="weekly",
                post_id=self.posts[0],
                issue_id=self.issues[0],
                at=NOW,
            )
            domain = key.partition("@")[2]
            self.put(
                c, tables.mail_paces, mailer="smtp", domain=domain, period=1, slot=reader, count=1
            )
            for of in (domain, f"other{reader}.example"):
                self.put(
                    c,
                    tables.mail_waits,
                    mailer="smtp",
                    domain=of,
                    until=NOW,
                    reason=f"452 too much for {key.partition('@')[0]}",
                    streak=1,
                )
            excluded = self.put(
                c,
                tables.issues,
                newsletter="weekly",
                scope="series:ipc",
                period=f"2026-W{reader:02}",
                rhythm="weekly",
                repeat=False,
                state="draft",
                scheduled_at=NOW,
                created_at=THEN,
                content={},
                subject="",
                fallback_subject="",
                html="",
                text="",
                preflight=[],
                hash="h",
            )
            self.put(
                c, tables.exclusions, issue_id=excluded, subscriber_id=reader, reason="had it all"
            )
            remark = {"at": NOW, "actor": "Maya", "reason": f"asked by {address.upper()} on Monday"}
            self.put(c, tables.issue_transitions, issue_id=excluded, after="draft", **remark)
            self.put(
                c,
                tables.runs,
                what="readers add",
                parameters={},
                actor="Maya",
                started_at=NOW,
                outcome="partial",
                counts={},
                reason=f"550 <{address}> unknown",
            )
            self.put(
                c,
                tables.suppressions,
                address_key=key,
                reason=f"complained: <{address}>",
                origin="web",
                at=THEN,
            )

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table."""
        with self.store.read() as c:
            return {
                table.name: [row._asdict() for row in c.execute(select(table))]
                for table in tables.metadata.sorted_tables
            }


@pytest.fixture
def held(any_store: Store) -> Holdings:
    return Holdings(any_store)


@pytest.fixture
def held_in_file(store: Store) -> Holdings:
    """The same, in a file that can be looked into."""
    return Holdings(store)
