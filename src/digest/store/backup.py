"""Backup and restore: one file for both databases, taken while others write.

Tables are found by looking at the database, not in `digest.store.tables`, so that an old
schema can be backed up by the digest that is about to migrate it. A restore builds the schema
of the file's own revision, loads it, and migrates it like any other old database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    DateTime,
    MetaData,
    Table,
    exists,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.schema import DropTable

from digest.errors import UsageError
from digest.store.archive import (
    SECRET,
    Manifest,
    damaged,
    members,
    reading,
    replacing,
    table_member,
    verified,
    writing,
)
from digest.store.migrate import (
    SCRIPTS,
    Scripts,
    check_known,
    knows,
    migrating,
    orphan,
    revision_of,
    upgrade,
    version,
)
from digest.store.standing import put_over, set_aside
from digest.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from digest.store.engine import Store

#: Rows held at a time; an issue may be a few hundred kilobytes.
_CHUNK = 100


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds, or what a restore put back: rows by table, and of which revision.

    `kept` is how many suppressions, endings and erasures, newer than the file, a restore let
    stand.
    """

    revision: str
    created: datetime
    rows: dict[str, int]
    with_secret: bool
    kept: int = 0


# --- backup ------------------------------------------------------------------------------------


def backup(store: Store, secret_path: Path, file: Path, now: datetime) -> BackupReport:
    """Write everything to `file` (tar.gz, mode 0600), as it stood at one moment.

    An older file of that name is replaced when the new one is whole. Raises `UsageError` where
    there is no database yet, or the file cannot be written.
    """
    with store.read() as c:
        revision = revision_of(c)
        if revision is None:
            raise UsageError("there is no database to back up yet; digest makes it at first use")
        secret = _secret(secret_path)
        with writing(file, now) as archive:
            rows = {
                table.name: archive.add_table(table.name, _lines(c, table)) for table in _tables(c)
            }
            if secret is not None:
                archive.add_secret(secret)
            archive.finish(revision)
    return BackupReport(revision, now, rows, secret is not None)


def _tables(c: Connection) -> list[Table]:
    """All tables of the database, those that others refer to first."""
    found = MetaData()
    found.reflect(c)
    return [table for table in found.sorted_tables if table.name != version.name]


def _secret(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        # It is made with the first link; before that there is nothing to keep.
        return None


def _lines(c: Connection, table: Table) -> Iterator[bytes]:
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=_CHUNK)
    for row in c.execute(query).mappings():
        said = {name: _portable(value) for name, value in row.items()}
        yield json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _portable(value: Any) -> Any:
    """Times as ISO 8601 in UTC; SQLite gives them without an offset."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    return value


# --- restore -----------------------------------------------------------------------------------


def restore(
    file: Path, store: Store, secret_path: Path, *, force: bool = False, scripts: Scripts = SCRIPTS
) -> BackupReport:
    """Put a backup into an empty database, or with `force` in the place of what is there.

    The file is checked whole before anything is touched, and the database changes in one
    transaction. Raises `UsageError`, with nothing changed, where the file is damaged or not a
    backup, comes from a newer digest, or the database holds rows and `force` is not given.

    No restore makes an address mailable again: a suppression that the file lacks stays, and a
    subscription ended in the database is ended afterwards, unless the file's consent is newer
    than that. A reader erased since the backup is erased again.
    """
    with reading(file) as raw:
        manifest = verified(file, raw)
        if not knows(manifest.revision, scripts):
            raise UsageError(
                f"{file} was made at revision {manifest.revision}, which this digest does not know;"
                " nothing was changed. Restore it with the newer digest that made it"
            )
        before = secret_path.read_bytes() if secret_path.exists() else None
        with migrating(store) as c:
            found = revision_of(c)
            check_known(found, scripts)
            there = _replaceable(c, manifest, force=force)
            if found is not None:
                set_aside(c, {table.name: table for table in there})
            _drop(c, there)
            upgrade(c, scripts, manifest.revision)
            secret = _load(c, file, raw, manifest)
            lost = orphan(c)
            if lost is not None:
                raise damaged(file, lost)
            upgrade(c, scripts)
            kept = 0 if found is None else put_over(c, before, secret or before)
    # After the commit: a kill in between is cured by doing it again, with `force`.
    if secret is not None:
        secret_path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(secret_path) as out:
            out.write(secret)
    rows = {
        name.removeprefix("tables/").removesuffix(".jsonl"): member.rows
        for name, member in manifest.members.items()
        if name != SECRET
    }
    return BackupReport(manifest.revision, manifest.created, rows, secret is not None, kept)


#: What a home folder holds before it did anything: replacing it loses nothing.
_NO_LOSS = ("facts", "runs")


def _replaceable(c: Connection, manifest: Manifest, *, force: bool) -> list[Table]:
    """Digest's own tables, if they are empty or may be replaced; no other's."""
    there = [t for t in _tables(c) if _is_ours(t, manifest)]
    full = [
        t.name
        for t in there
        if t.name not in _NO_LOSS
        and c.execute(select(exists(select(literal(1)).select_from(t)))).scalar()
    ]
    if full and not force:
        raise UsageError(
            f"the database holds {', '.join(full)} already; nothing was changed. "
            "Restore into an empty database, or replace everything with --force"
        )
    return there


def _drop(c: Connection, there: list[Table]) -> None:
    for table in reversed(there):
        table.drop(c)
    c.execute(DropTable(version, if_exists=True))


def _is_ours(table: Table, manifest: Manifest) -> bool:
    return table.name in metadata.tables or table_member(table.name) in manifest.members


def _load(c: Connection, file: Path, raw: IO[bytes], manifest: Manifest) -> bytes | None:
    """Insert every row; returns the signing secret, if the backup has one."""
    tables = {table_member(table.name): table for table in _tables(c)}
    secret = None
    for name, content in members(raw):
        if name == SECRET:
            secret = content.read()
        elif name in tables:
            _load_table(c, file, tables[name], content)
        elif name in manifest.members:
            raise damaged(file, f"revision {manifest.revision} has no table for {name}")
    return secret


def _load_table(c: Connection, file: Path, table: Table, lines: IO[bytes]) -> None:
    aware = c.dialect.name != "sqlite"
    try:
        rows = (_row(table, line, aware=aware) for line in lines)
        while chunk := list(islice(rows, _CHUNK)):
            c.execute(insert(table), chunk)
    except (ValueError, TypeError, IntegrityError, DataError) as error:
        raise damaged(file, f"a row of {table.name} does not fit") from error
    if c.dialect.name != "sqlite":
        _go_on_counting(c, table)


def _row(table: Table, line: bytes, *, aware: bool) -> dict[str, Any]:
    said = json.loads(line)
    if set(said) != set(table.columns.keys()):
        raise ValueError("its columns are others")
    return {
        column.name: _stored(column, said[column.name], aware=aware) for column in table.columns
    }


def _stored(column: Column[Any], value: Any, *, aware: bool) -> Any:
    if value is None or not isinstance(column.type, DateTime):
        return value
    moment = datetime.fromisoformat(value)
    return moment if aware else moment.astimezone(UTC).replace(tzinfo=None)


def _go_on_counting(c: Connection, table: Table) -> None:
    """PostgreSQL counts ids in a sequence of its own, which inserted ids do not move."""
    column = table.autoincrement_column
    if column is None:
        return
    quoted = c.dialect.identifier_preparer.format_table(table)
    sequence = func.pg_get_serial_sequence(quoted, column.name)
    highest = select(func.max(column)).scalar_subquery()
    c.execute(select(func.setval(sequence, highest)).where(highest.is_not(None)))
