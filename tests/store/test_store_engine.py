"""How the store keeps times, and what its transactions see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from threading import Thread

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import StatementError

from digest.store.tables import facts, newsletters


def _began(store, slug="weekly"):
    with store.read() as c:
        return c.execute(select(newsletters.c.began_at).where(newsletters.c.slug == slug)).scalar()


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 22, 18, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1970, 1, 1, tzinfo=UTC),
    ],
)
def test_times_come_back_as_the_same_moment_in_utc(any_store, moment):
    with any_store.write() as c:
        c.execute(insert(newsletters).values(slug="weekly", began_at=moment))
    found = _began(any_store)
    assert (found, found.tzinfo) == (moment, UTC)


def test_naive_time_is_refused(any_store):
    with pytest.raises(StatementError, match="naive datetime"), any_store.write() as c:
        c.execute(insert(newsletters).values(slug="weekly", began_at=datetime(2026, 11, 22)))  # noqa: DTZ001
    assert _began(any_store) is None


def test_sqlite_runs_in_wal_with_foreign_keys(store):
    with store.read() as c:
        asked = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        assert [c.execute(text(f"PRAGMA {name}")).scalar() for name in asked] == [
            "wal", 1, 1, 60_000,
        ]  # fmt: skip


def _count(c):
    return c.execute(select(func.count()).select_from(facts)).scalar()


def _add(store, name):
    with store.write() as c:
        c.execute(insert(facts).values(name=name, value=""))


def test_read_sees_one_moment_while_others_write(any_store):
    _add(any_store, "before")
    with any_store.read() as c:
        assert _count(c) == 1
        _add(any_store, "meanwhile")
        assert _count(c) == 1
    with any_store.read() as c:
        assert _count(c) == 2


def test_what_a_read_writes_is_gone(any_store):
    with any_store.read() as c:
        c.execute(insert(facts).values(name="x", value=""))
    with any_store.read() as c:
        assert _count(c) == 0


def _add_and_fail(store):
    with store.write() as c:
        c.execute(insert(facts).values(name="x", value=""))
        raise ZeroDivisionError


def test_failed_write_leaves_nothing(any_store):
    with pytest.raises(ZeroDivisionError):
        _add_and_fail(any_store)
    with any_store.read() as c:
        assert _count(c) == 0


def test_sqlite_writers_wait_for_each_other_and_lose_no_count(store):
    _add(store, "n")

    def count():
        for _ in range(20):
            with store.write() as c:
                now = len(c.execute(select(facts.c.value)).scalar())
                c.execute(facts.update().values(value="x" * (now + 1)))

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as c:
        assert len(c.execute(select(facts.c.value)).scalar()) == 80
