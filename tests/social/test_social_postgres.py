"""What must hold on PostgreSQL too: memberships and plans made at the same time."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, update

from digest.config import Config
from digest.social.making import Maker
from digest.social.plan import plan_threads, thread_status
from digest.store.memberships import ensure_memberships, load_memberships
from digest.store.tables import memberships, posts, publications

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.postgres

TEMPLATES = Path(__file__).parents[2] / "templates"
NUMBERS = range(1, 9)


def a_config(category="ipc") -> Config:
    site = {"name": "Common Threads", "url": "https://c.org/", "contact": "c@c.org",
            "postal_address": "1 Road", "links_url": "https://c.org/"}  # fmt: skip
    series = {"ipc": {"title": "IPC", "hashtag": "IPC", "match": {"categories": [category]}}}
    channels = {"x": {"network": "x", "max_items": 2}}
    return Config.model_validate(
        {
            "site": site, "mailers": {}, "feeds": {}, "newsletters": {},
            "series": series, "channels": channels,
        }
    )  # fmt: skip


@pytest.fixture
def store(new_postgres, now):
    store = new_postgres("digest")
    with store.write() as c:
        c.execute(
            insert(posts),
            [
                {
                    "id": n, "guid": f"g{n}", "url": f"https://c.org/{n}/", "title": f"Post {n}",
                    "author": "A", "published": now - timedelta(hours=n), "first_seen": now,
                    "arrived": now - timedelta(hours=n), "categories": ["ipc"], "html": "",
                    "text": "Nobody is paid to look after the joins between two services.",
                    "excerpt": "", "reading_minutes": 1, "content_hash": str(n),
                }
                for n in NUMBERS
            ],
        )  # fmt: skip
    return store


def at_once(step: Callable[[], object]) -> list[object]:
    barrier, results = threading.Barrier(3), []

    def run():
        barrier.wait()
        results.append(step())

    workers = [threading.Thread(target=run) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def test_plans_at_once_give_one_thread_each_and_share_no_slot(store, now):
    reports = at_once(lambda: plan_threads(store, Maker(a_config(), TEMPLATES, {}), now))
    assert len(reports) == 3
    assert sorted(one.post_id for report in reports for one in report.threads) == list(NUMBERS)
    slots = [row.slot for thread in thread_status(store) for row in thread.publications]
    assert len(set(slots)) == len(slots)
    with store.read() as c:
        assert c.scalar(select(func.count()).select_from(publications)) == len(slots)


def test_memberships_found_at_once_are_found_once(store):
    def ensure() -> int:
        with store.write() as c:
            return ensure_memberships(c, a_config())

    assert sorted(at_once(ensure)) == [0, 0, len(NUMBERS)]
    with store.read() as c:
        assert len(load_memberships(c, a_config())) == len(NUMBERS)


def test_changed_posts_and_rules_are_read_again(store):
    with store.write() as c:
        ensure_memberships(c, a_config())
        c.execute(update(posts).where(posts.c.id == 1).values(categories=[], content_hash="new"))
        assert ensure_memberships(c, a_config()) == 1
        assert 1 not in load_memberships(c, a_config())
        assert ensure_memberships(c, a_config("other")) == len(NUMBERS)
        assert c.scalar(select(func.count()).select_from(memberships)) == 0
