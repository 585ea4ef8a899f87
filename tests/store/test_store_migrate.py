"""From nothing, from an older schema, from a newer one, and two at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from operator import itemgetter

import pytest
from sqlalchemy import insert, inspect, select, text

from digest.errors import UsageError
from digest.model import DeliveryState
from digest.store import accounts, tables
from digest.store import deliveries as ledger
from digest.store.migrate import SCRIPTS, ensure_schema, migrating, upgrade
from digest.store.tables import issues, metadata, subscribers

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def _columns(store, table):
    with store.read() as c:
        return {column["name"] for column in inspect(c).get_columns(table)}


def _revision(store):
    with store.read() as c:
        return c.execute(text("SELECT version_num FROM alembic_version")).scalar()


def test_new_database_gets_the_schema_and_no_backup(any_new_store):
    asked = []
    ensure_schema(any_new_store, backup=asked.append)
    names = set(inspect(any_new_store.engine).get_table_names())
    assert names == {*metadata.tables, "alembic_version"}
    assert (_revision(any_new_store), asked) == (SCRIPTS.head, [])


def test_older_database_is_backed_up_before_it_changes(any_new_store, next_scripts, fill):
    ensure_schema(any_new_store, backup=None)
    fill(any_new_store)
    seen = []

    def backup(revision: str) -> None:
        seen.append((revision, "shoe_size" in _columns(any_new_store, "subscribers")))

    ensure_schema(any_new_store, backup=backup, scripts=next_scripts)
    assert seen == [(SCRIPTS.head, False)]
    assert "shoe_size" in _columns(any_new_store, "subscribers")
    # Replacing a table that others refer to lost none of its rows, and theirs still hold.
    with any_new_store.read() as c:
        assert c.execute(select(subscribers.c.address)).scalars().all() == ["Ada@example.org"]
        assert c.execute(select(issues.c.approved_hash)).scalars().all() == ["h"]
        checks = {rule["name"] for rule in inspect(c).get_check_constraints("issues")}
    assert checks == {"ck_issues_state", "ck_issues_approved_is_what_goes_out"}
    ensure_schema(any_new_store, backup=backup, scripts=next_scripts)
    assert len(seen) == 1


def test_reservations_of_an_older_database_all_stay(any_new_store, put):
    """The revision that orders them by post."""
    with migrating(any_new_store) as c:
        upgrade(c, revision="0005")
    with any_new_store.write() as c:
        posts = [put(c, tables.posts, guid=str(n)) for n in range(3)]
        readers = [put(c, tables.subscribers, address_key=str(n)) for n in range(3)]
        made = [
            put(c, tables.issues, state="done", hash="h", approved_hash="h", period=str(n))
            for n in range(2)
        ]
        rows = [
            {"subscriber_id": reader, "post_id": post, "repeat": repeat, "issue_id": made[0]}
            for reader in readers
            for post in reversed(posts)
            for repeat in (0, made[1])
            if post <= reader
        ]
        c.execute(insert(tables.reservations), rows)
    ensure_schema(any_new_store, backup=None)
    with any_new_store.read() as c:
        found = [dict(row) for row in c.execute(select(tables.reservations)).mappings()]
    by_key = itemgetter("post_id", "subscriber_id", "repeat")
    assert sorted(found, key=by_key) == sorted(rows, key=by_key)


def test_deliveries_of_an_older_database_all_stay_with_what_came_of_them(any_new_store, put):
    """The revision that gives them requests, and their events a kind, while some are under way."""
    states = list(DeliveryState)
    with migrating(any_new_store) as c:
        upgrade(c, revision="0005")
    with any_new_store.write() as c:
        issue = put(c, tables.issues, state="sending", hash="h", approved_hash="h")
        put(c, tables.variants, issue_id=issue, mask=1)
        for number, state in enumerate(states, start=1):
            reader = put(c, tables.subscribers, address=f"{state}@e.org", address_key=state)
            wish = {"state": "pending", "rhythm": "weekly", "interests": "everything"}
            consent = put(c, tables.subscriptions, subscriber_id=reader, **wish)
            mine = {"subscriber_id": reader, "subscription_id": consent, "address_key": state}
            said = None if state == "pending" else f"<{number}@e.org>"
            held = NOW if state in ("claimed", "submitting") else None
            by = {"worker": "w:1:a", "lease_until": held} if held else {}
            tried = {"state": state, "message_id": said, **by}
            one = put(c, tables.deliveries, issue_id=issue, variant_id=1, **mine, **tried)
            put(c, tables.delivery_events, delivery_id=one, event="bounced", code=state)
    kept = select(tables.deliveries.c.address_key, tables.deliveries.c.state)
    told = select(tables.delivery_events.c.code, tables.delivery_events.c.kind)
    ensure_schema(any_new_store, backup=None)
    with any_new_store.read() as c:
        assert sorted(c.execute(kept)) == sorted((state, state) for state in states)
        assert sorted(c.execute(told)) == sorted((state, None) for state in states)
        found = accounts.account(c, issue)
    assert (found.recipients, found.submitting, found.balanced) == (len(states), 1, True)
    # What was under way then is taken back as ever.
    with any_new_store.write() as c:
        assert ledger.recover(c, issue, lambda *_: True, NOW) == 1
        assert len(ledger.claim(c, issue, "w:2:b", now=NOW, until=NOW, most=9)) == 2


def test_without_its_backup_nothing_is_migrated(any_new_store, next_scripts):
    ensure_schema(any_new_store, backup=None)

    def disk_full(_revision: str) -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  raised just above
        ensure_schema(any_new_store, backup=disk_full, scripts=next_scripts)
    assert _revision(any_new_store) == SCRIPTS.head
    assert "shoe_size" not in _columns(any_new_store, "subscribers")


def test_migration_that_fails_leaves_the_old_schema(any_new_store, broken_scripts, fill):
    ensure_schema(any_new_store, backup=None)
    fill(any_new_store)
    with pytest.raises(Exception, match="no_such_table"):
        ensure_schema(any_new_store, backup=None, scripts=broken_scripts)
    assert _revision(any_new_store) == SCRIPTS.head
    assert "shoe_size" not in _columns(any_new_store, "subscribers")
    with any_new_store.read() as c:
        assert c.execute(select(subscribers.c.address)).scalars().all() == ["Ada@example.org"]


def test_foreign_keys_hold_again_after_a_migration(new_sqlite, next_scripts):
    ensure_schema(new_sqlite, backup=None, scripts=next_scripts)
    with new_sqlite.read() as c:
        assert c.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_newer_database_is_left_alone_with_a_word_what_to_do(any_new_store, next_scripts):
    ensure_schema(any_new_store, backup=None, scripts=next_scripts)
    with pytest.raises(UsageError, match=r"revision 9999.*Run the newer digest"):
        ensure_schema(any_new_store, backup=None)
    assert _revision(any_new_store) == "9999"


_MIGRATE = """
import sys
from pathlib import Path
from digest.config import StoreSettings
from digest.store.engine import open_store
from digest.store.migrate import ensure_schema
sys.stdin.read(1)
ensure_schema(open_store(StoreSettings(url=sys.argv[1]), Path()), backup=None)
"""


def test_two_processes_at_once_agree(any_new_store):
    url = any_new_store.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _MIGRATE, url]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
    for process in both:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait(30) for process in both] == [0, 0]
    for process in both:
        process.stdin.close()
    assert _revision(any_new_store) == SCRIPTS.head


def test_usual_way_waits_for_no_writer(migrated):
    with migrated.write():
        ensure_schema(migrated, backup=None)


def test_usual_way_does_not_import_alembic(migrated):
    code = _MIGRATE.replace("sys.stdin.read(1)", "") + "\nassert 'alembic' not in sys.modules"
    url = migrated.engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", code, url], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
