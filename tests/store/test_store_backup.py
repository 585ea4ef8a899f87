"""A backup is whole or not there, and comes back on either database as it was."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import timedelta
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, update

from digest.config import StoreSettings
from digest.errors import UsageError
from digest.readers.erasure import erase_address
from digest.readers.tokens import keyed_hash
from digest.store import readers, tables
from digest.store.backup import backup, restore
from digest.store.engine import open_store
from digest.store.migrate import SCRIPTS, ensure_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from digest.store.engine import Store

pytestmark = pytest.mark.long

SECRET = bytes(range(32))


@pytest.fixture
def secret_path(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar.gz"


@pytest.fixture
def filled(any_new_store: Store, fill: Callable[[Store], None]) -> Store:
    """A store with rows in every table, on either database."""
    ensure_schema(any_new_store, backup=None)
    fill(any_new_store)
    return any_new_store


@pytest.fixture
def other_sqlite(tmp_path: Path) -> Iterator[Store]:
    """A second empty database, in another folder."""
    store = open_store(StoreSettings(url="sqlite:///other.db"), tmp_path / "other")
    yield store
    store.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest) -> Store:
    """An empty database to restore into, of either kind whatever the backup is of."""
    if request.param == "sqlite":
        return request.getfixturevalue("other_sqlite")
    return request.getfixturevalue("new_postgres")("template0")


def _rows(store: Store) -> dict[str, list]:
    with store.read() as c:
        return {
            table.name: sorted(map(repr, c.execute(select(table)).all()))
            for table in tables.metadata.sorted_tables
        }


def _names(store: Store) -> list[str]:
    with store.read() as c:
        return list(c.execute(select(tables.facts.c.name)).scalars())


def test_every_row_comes_back_on_either_database(
    *, filled, target, file, secret_path, tmp_path, now, put
):
    made = backup(filled, secret_path, file, now)
    assert made.rows == {name: len(rows) for name, rows in _rows(filled).items()}
    assert all(made.rows.values()), "every table has a row here"

    restored_secret = tmp_path / "elsewhere" / "secret"
    put_back = restore(file, target, restored_secret)
    assert put_back == made
    assert _rows(target) == _rows(filled)
    assert restored_secret.read_bytes() == SECRET
    assert restored_secret.stat().st_mode & 0o777 == 0o600
    # Ids go on after the restored ones, not from the start.
    with target.write() as c:
        assert put(c, tables.posts, guid="three") == 3
    ensure_schema(target, backup=None)


def test_file_is_the_owners_and_says_what_it_holds(filled, file, secret_path, now):
    backup(filled, secret_path, file, now)
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        posts = tar.extractfile("tables/posts.jsonl").read()
    assert (manifest["format"], manifest["revision"]) == ("digest-backup-1", SCRIPTS.head)
    assert manifest["created"] == "2026-11-22T18:00:00Z"
    stated = manifest["members"]["tables/posts.jsonl"]
    assert stated == {"rows": 2, "sha256": hashlib.sha256(posts).hexdigest()}
    assert json.loads(posts.splitlines()[0])["published"] == "2026-11-22T18:00:00.123456+00:00"


def test_backup_without_a_secret_leaves_the_one_there(
    migrated, other_sqlite, file, secret_path, now
):
    made = backup(migrated, secret_path.with_name("none"), file, now)
    assert not made.with_secret
    restore(file, other_sqlite, secret_path)
    assert secret_path.read_bytes() == SECRET


def test_nothing_to_back_up(new_sqlite, secret_path, file, now):
    with pytest.raises(UsageError, match="no database to back up"):
        backup(new_sqlite, secret_path, file, now)
    assert not file.exists()


def test_backup_into_a_folder_that_is_not_there(migrated, secret_path, tmp_path, now):
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        backup(migrated, secret_path, tmp_path / "nowhere" / "b.tar.gz", now)


def test_old_schema_is_backed_up_by_the_digest_that_migrates_it(
    *, filled, target, file, secret_path, now, next_scripts
):
    before = _rows(filled)
    ensure_schema(
        filled, backup=lambda _: backup(filled, secret_path, file, now), scripts=next_scripts
    )
    # Back to the old digest by the backup, or on to the new one.
    assert restore(file, target, secret_path).revision == SCRIPTS.head
    assert _rows(target) == before
    restore(file, target, secret_path, force=True, scripts=next_scripts)
    assert _rows(target) == before
    ensure_schema(target, backup=None, scripts=next_scripts)
    with pytest.raises(UsageError, match="revision 9999"):
        restore(file, target, secret_path, force=True)


# --- while others write ------------------------------------------------------------------------


def test_backup_stands_at_one_moment_while_others_write(
    filled, other_sqlite, file, secret_path, now
):
    """The writer adds a fact and a subscriber at a time: a backup has as many of each."""
    with filled.write() as c:
        c.execute(tables.facts.delete())
        start = c.execute(select(func.count()).select_from(tables.subscribers)).scalar()
    stop, writing = Event(), Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            with filled.write() as c:
                c.execute(insert(tables.facts).values(name=f"{n}", value=""))
                c.execute(insert(tables.subscribers).values(address_key=f"{n}", created_at=now))
            writing.set()

    writer = Thread(target=write)
    writer.start()
    try:
        assert writing.wait(10)
        made = [backup(filled, secret_path, file, now).rows for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    for rows in made:
        assert rows["facts"] == rows["subscribers"] - start
    assert made[0]["facts"] < made[-1]["facts"], "the writer was at work"
    restore(file, other_sqlite, secret_path)
    assert len(_names(other_sqlite)) == made[-1]["facts"]


_BACKUP = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from digest.config import StoreSettings
from digest.store import archive
from digest.store.backup import backup
from digest.store.engine import open_store
class Told(archive.ArchiveWriter):
    def finish(self, revision):
        print("almost", flush=True)
        sys.stdin.read()
archive.ArchiveWriter = Told
store = open_store(StoreSettings(url=sys.argv[1]), Path())
backup(store, Path(sys.argv[2]), Path(sys.argv[3]), datetime.now(UTC))
"""


@pytest.mark.kill
def test_kill_in_the_middle_leaves_the_old_file(migrated, other_sqlite, secret_path, file, now):
    with migrated.write() as c:
        c.execute(insert(tables.facts).values(name="old", value=""))
    backup(migrated, secret_path, file, now)
    with migrated.write() as c:
        c.execute(insert(tables.facts).values(name="new", value=""))

    url = migrated.engine.url.render_as_string()
    command = [sys.executable, "-c", _BACKUP, url, str(secret_path), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"almost\n"
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    restore(file, other_sqlite, secret_path)
    assert _names(other_sqlite) == ["old"]


# --- what is refused ---------------------------------------------------------------------------


def test_rows_are_never_replaced_unasked(filled, file, secret_path, now):
    backup(filled, secret_path, file, now)
    with filled.write() as c:
        c.execute(insert(tables.facts).values(name="later", value=""))
    before = _rows(filled)
    with pytest.raises(UsageError, match=r"holds .*posts.*--force"):
        restore(file, filled, secret_path)
    assert _rows(filled) == before

    restore(file, filled, secret_path, force=True)
    assert "later" not in _names(filled)
    assert {name: len(rows) for name, rows in _rows(filled).items()} == {
        name: len(rows) - (name == "facts") for name, rows in before.items()
    }


def _repacked(file: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The same archive with members changed behind its manifest's back."""
    with tarfile.open(file) as tar:
        found = {info.name: tar.extractfile(info).read() for info in tar}
    change(found)
    with tarfile.open(file, "w:gz") as tar:
        for name, content in found.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _cut(part: float) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, int(file.stat().st_size * part))


def _flip(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.write_bytes(raw)


def _without(name: str) -> Callable[[Path], None]:
    return lambda file: _repacked(file, lambda found: found.pop(name))


def _manifest(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def rewrite(found: dict[str, bytes]) -> None:
        manifest = json.loads(found["manifest.json"])
        change(manifest)
        found["manifest.json"] = json.dumps(manifest).encode()

    return lambda file: _repacked(file, rewrite)


def _honestly(name: str, content: bytes) -> Callable[[Path], None]:
    """A member replaced, and its hash with it: whole, but not a backup of ours."""

    def rewrite(found: dict[str, bytes]) -> None:
        found.pop(name, None)
        manifest = json.loads(found.pop("manifest.json"))
        manifest["members"][name] = {"rows": 1, "sha256": hashlib.sha256(content).hexdigest()}
        found[name] = content
        found["manifest.json"] = json.dumps(manifest).encode()

    return lambda file: _repacked(file, rewrite)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_text("hello"), id="not an archive"),
        pytest.param(lambda file: file.write_bytes(gzip.compress(b"hello")), id="not a tar"),
        pytest.param(_cut(0.1), id="cut at the start"),
        pytest.param(_cut(0.5), id="cut in the middle"),
        pytest.param(_cut(0.99), id="cut near the end"),
        pytest.param(_flip, id="one byte changed"),
        pytest.param(_without("manifest.json"), id="no manifest"),
        pytest.param(_without("tables/posts.jsonl"), id="table missing"),
        pytest.param(_without("secret"), id="secret missing"),
        pytest.param(
            lambda file: _repacked(file, lambda found: found.update({"secret": b"forged"})),
            id="secret changed",
        ),
        pytest.param(
            lambda file: _repacked(file, lambda found: found.update({"../../evil": b"x"})),
            id="member too many",
        ),
        pytest.param(_manifest(lambda m: m.update(format="zip")), id="foreign format"),
        pytest.param(_manifest(lambda m: m.pop("members")), id="manifest without members"),
        pytest.param(_manifest(lambda m: m.update(revision="9999")), id="newer revision"),
    ],
)  # fmt: skip
def test_damaged_file_changes_nothing(*, migrated, fill, file, secret_path, now, spoil):
    fill(migrated)
    _restore_is_refused(migrated, file, secret_path, now, spoil)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_honestly("tables/facts.jsonl", b'{"name":"x"}\n'), id="column missing"),
        pytest.param(_honestly("tables/facts.jsonl", b"[1]\n"), id="rows that are none"),
        pytest.param(
            _honestly("tables/facts.jsonl", b'{"name":null,"value":"x"}\n'), id="NULL where none may"
        ),
        pytest.param(_honestly("tables/evil.jsonl", b"{}\n"), id="table nobody knows"),
        pytest.param(
            _honestly("tables/newsletters.jsonl", b'{"slug":"x","began_at":"soon"}\n'), id="no date"
        ),
        pytest.param(
            _honestly("tables/memberships.jsonl", b'{"kind":"series","slug":"x","post_id":9,"why":""}\n'),
            id="row that refers to nothing",
        ),
    ],
)  # fmt: skip
def test_whole_file_that_does_not_fit_changes_nothing(*, filled, file, secret_path, now, spoil):
    _restore_is_refused(filled, file, secret_path, now, spoil)


def _restore_is_refused(filled, file, secret_path, now, spoil):
    backup(filled, secret_path, file, now)
    spoil(file)
    before = _rows(filled)
    secret_path.write_bytes(b"the secret of today, 32 bytes ..")
    with pytest.raises(UsageError, match=r"backup\.tar\.gz .*nothing was changed"):
        restore(file, filled, secret_path, force=True)
    assert _rows(filled) == before
    assert secret_path.read_bytes() == b"the secret of today, 32 bytes .."


def test_missing_file_is_a_clear_error(migrated, file, secret_path):
    with pytest.raises(UsageError, match="No such file"):
        restore(file, migrated, secret_path)


# --- what a restore may not take back ----------------------------------------------------------

_HOUR = timedelta(hours=1)


def _suppress(store: Store, key: str, reason: str, at: datetime) -> None:
    with store.write() as c:
        row = {"address_key": key, "reason": reason, "origin": "reader", "at": at}
        c.execute(insert(tables.suppressions).values(row))


def _subscription(store: Store, **values: object) -> None:
    """Change Ada's one subscription."""
    with store.write() as c:
        c.execute(update(tables.subscriptions).values(**values))


def _stands(store: Store) -> tuple[str, datetime | None, str | None]:
    s = tables.subscriptions.c
    with store.read() as c:
        return tuple(c.execute(select(s.state, s.ended_at, s.ended_reason)).one())


def test_suppressions_since_the_backup_stay(filled, file, secret_path, now):
    _suppress(filled, "old@example.org", "bounced", now)
    backup(filled, secret_path, file, now)
    later = now + _HOUR
    with filled.write() as c:
        c.execute(update(tables.suppressions).values(reason="changed since"))
    _suppress(filled, "new@example.org", "complained", later)

    assert restore(file, filled, secret_path, force=True).kept == 1
    with filled.read() as c:
        found = {row.address_key: row for row in c.execute(select(tables.suppressions))}
    assert len(found) == 3
    assert found["old@example.org"].reason == "bounced", "the file's own"
    assert tuple(found["new@example.org"]) == ("new@example.org", "complained", "reader", later)
    assert restore(file, filled, secret_path, force=True).kept == 1, "nor by a second restore"


@pytest.mark.parametrize(
    ("in_file", "there", "ends"),
    [
        pytest.param({}, {}, True, id="active, then left"),
        pytest.param({"state": "pending", "consent_at": None}, {}, True, id="pending, then left"),
        pytest.param({}, {"state": "pending"}, True, id="left, then signed up by anyone"),
        pytest.param(
            {"state": "pending", "consent_at": None},
            {"state": "pending"},
            False,
            id="a sign-up waits in both",
        ),
        pytest.param({}, {"ended_at": None}, True, id="left, nobody knows when"),
        pytest.param({"consent_at": _HOUR}, {}, True, id="consent as old as the leaving"),
        pytest.param({"consent_at": 2 * _HOUR}, {}, False, id="consent newer than the leaving"),
        pytest.param({}, {"newsletter": "another"}, False, id="left another newsletter"),
    ],
)
def test_reader_who_left_since_the_backup_stays_away(
    *, filled, file, secret_path, now, in_file, there, ends
):
    after = in_file.get("consent_at", -_HOUR)
    _subscription(filled, **(in_file | {"consent_at": None if after is None else now + after}))
    backup(filled, secret_path, file, now)
    before = _stands(filled)
    left = {"state": "ended", "ended_at": now + _HOUR, "ended_reason": "unsubscribed"} | there
    _subscription(filled, **left)

    assert restore(file, filled, secret_path, force=True).kept == ends
    expected = ("ended", left["ended_at"], "unsubscribed") if ends else before
    assert _stands(filled) == expected


def _told(store: Store, word: str) -> list[str]:
    """The rows that hold the word, in any case."""
    with store.read() as c:
        return [
            f"{table.name}: {row}"
            for table in tables.metadata.sorted_tables
            for row in c.execute(select(table))
            if word in str(row).lower()
        ]


def test_reader_erased_since_the_backup_is_erased_again(*, filled, file, secret_path, now):
    _suppress(filled, "ada@example.org", "complained", now - _HOUR)
    backup(filled, secret_path, file, now)
    assert _told(filled, "ada@example.org")
    later = now + _HOUR
    assert erase_address(filled, SECRET, "Ada@example.org", later).outcome == "erased"

    for _ in range(2):
        assert restore(file, filled, secret_path, force=True).kept == 1
        assert _told(filled, "ada@example.org") == []
        with filled.read() as c:
            [erased] = c.execute(
                select(tables.erasures).where(
                    tables.erasures.c.address_hash == keyed_hash(SECRET, "ada@example.org")
                )
            )
        assert (erased.at, erased.suppressed_reason) == (later, "complained")


def test_suppression_behind_an_erasure_of_nobody_in_the_file_stays(
    *, filled, file, secret_path, now
):
    backup(filled, secret_path, file, now)
    _suppress(filled, "new@example.org", "complained", now)
    erase_address(filled, SECRET, "new@example.org", now)
    assert restore(file, filled, secret_path, force=True).kept == 0
    with filled.read() as c:
        bar = readers.barred(c, "new@example.org", partial(keyed_hash, SECRET))
    assert bar is not None
    assert bar.reason == "complained"


def test_erased_by_one_secret_and_restored_with_another(*, filled, file, secret_path, now):
    backup(filled, secret_path, file, now)
    other = bytes(32)
    secret_path.write_bytes(other)
    erase_address(filled, other, "ada@example.org", now + _HOUR)
    assert restore(file, filled, secret_path, force=True).kept == 1
    assert _told(filled, "ada@example.org") == []
    with filled.read() as c:
        assert readers.erasures_of(c, ["ada@example.org"], partial(keyed_hash, SECRET))


def test_reader_is_known_by_address_not_by_number(*, filled, target, file, secret_path, now, put):
    """The database replaced need not be the one the backup is of."""
    backup(filled, secret_path, file, now)
    ensure_schema(target, backup=None)
    with target.write() as c:
        put(c, tables.subscribers, address="bob@example.org", address_key="bob@example.org")
        put(c, tables.subscribers, address="ADA@example.org", address_key="ada@example.org")
        for number, reason in ((1, "Bob left"), (2, "Ada left")):
            put(
                c,
                tables.subscriptions,
                subscriber_id=number,
                rhythm="weekly",
                state="ended",
                ended_at=now + _HOUR,
                ended_reason=reason,
            )
    assert restore(file, target, secret_path, force=True).kept == 1
    assert _stands(target) == ("ended", now + _HOUR, "Ada left")


def test_old_database_keeps_them_through_a_migration(
    *, filled, file, secret_path, now, next_scripts
):
    backup(filled, secret_path, file, now)
    _suppress(filled, "new@example.org", "complained", now)
    _subscription(filled, state="ended", ended_at=now + _HOUR, ended_reason="unsubscribed")
    assert restore(file, filled, secret_path, force=True, scripts=next_scripts).kept == 2
    assert restore(file, filled, secret_path, force=True, scripts=next_scripts).kept == 2
    assert _stands(filled) == ("ended", now + _HOUR, "unsubscribed")


def test_suppression_while_a_restore_runs_is_kept_or_comes_after(filled, file, secret_path, now):
    backup(filled, secret_path, file, now)
    asked, stop = [], Event()

    def go_on() -> None:
        while not stop.is_set():
            key = f"{len(asked)}@example.org"
            _suppress(filled, key, "complained", now)
            asked.append(key)

    writer = Thread(target=go_on)
    writer.start()
    try:
        for _ in range(3):
            restore(file, filled, secret_path, force=True)
    finally:
        stop.set()
        writer.join()
    with filled.read() as c:
        found = set(c.execute(select(tables.suppressions.c.address_key)).scalars())
    assert asked
    assert found >= set(asked)


# --- size --------------------------------------------------------------------------------------


def _add_facts(store: Store, start: int, rows: int) -> None:
    added = [{"name": f"{n}", "value": "v" * 200} for n in range(start, start + rows)]
    with store.write() as c:
        c.execute(insert(tables.facts), added)


def test_fifty_thousand_rows(migrated, other_sqlite, file, secret_path, now):
    _add_facts(migrated, 0, 50_000)
    assert backup(migrated, secret_path, file, now).rows["facts"] == 50_000
    restore(file, other_sqlite, secret_path)
    assert len(set(_names(other_sqlite))) == 50_000


def test_memory_does_not_grow_with_the_rows(migrated, other_sqlite, file, secret_path, now):
    def peak() -> int:
        tracemalloc.start()
        backup(migrated, secret_path, file, now)
        restore(file, other_sqlite, secret_path, force=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    _add_facts(migrated, 0, 500)
    peak()
    small = peak()
    _add_facts(migrated, 500, 5000)
    assert peak() < small * 1.2
