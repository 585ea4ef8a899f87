"""Opening the store: one URL, SQLite or PostgreSQL, and how transactions begin.

SQLite runs in WAL. With `synchronous=NORMAL` a commit survives kill -9 of the
process and may be taken back only by a power cut; FULL survives that too
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url

from digest.errors import UsageError
from digest.locks import is_held
from digest.store.prepared import as_its_errors, driver_cursor
from digest.up.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL, Connection, Engine

    from digest.config import StoreSettings

#: In place of a URL: the PostgreSQL that `digest up` runs.
EMBEDDED = "embedded"

#: So long may a transaction do nothing on PostgreSQL. Freezing renders within one.
IDLE_SECONDS = 600

#: How long a writer waits for another one, in seconds.
BUSY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Store:
    """The database. Steps open a transaction here and hand its connection to the queries."""

    engine: Engine
    #: Threads of this process write one after the other: SQLite would have them look again and
    #: again whether it is their turn, at ever longer intervals.
    _turn: Lock = field(default_factory=Lock, compare=False, repr=False)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the data; writes in it are rolled back."""
        connection = self.engine.connect().execution_options(digest_read=True, **self._read_level())
        with connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end.

        On SQLite it holds the write lock from its start, so that what it reads cannot have
        changed by the time it writes.
        """
        turn = self._turn if self.is_sqlite else nullcontext()
        with turn, self.engine.connect() as connection, connection.begin():
            yield connection

    def _read_level(self) -> dict[str, Any]:
        return {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}


def open_store(settings: StoreSettings, home: Path, url: str | None = None) -> Store:
    """Open the store; `url` overrides the settings. A relative SQLite path starts at `home`."""
    named = url or settings.url
    target = make_url(embedded_url(home) if named == EMBEDDED else named)
    if target.get_backend_name() == "sqlite":
        return Store(_sqlite(target, home, settings.synchronous))
    # A process that is frozen within a transaction, with its machine say, holds up all others.
    options = {"options": f"-c idle_in_transaction_session_timeout={IDLE_SECONDS * 1000}"}
    return Store(
        _engine(
            target.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=options
        )
    )


def embedded_url(home: Path) -> str:
    """Where the PostgreSQL of `digest up` is reached. Raises UsageError while it does not run."""
    place = Place(home)
    if not is_held(place.lock("postgres")) or not place.postgres_url.exists():
        raise UsageError(
            f"[store] url is {EMBEDDED!r}: that PostgreSQL runs while `digest up` does; start "
            "`digest up`, or name another database in DIGEST_DATABASE_URL"
        )
    return place.postgres_url.read_text(encoding="utf-8").strip()


def _engine(url: URL, **options: Any) -> Engine:
    # What a statement was given are addresses, and no fault may tell them.
    return create_engine(url, hide_parameters=True, **options)


def _sqlite(url: URL, home: Path, synchronous: str) -> Engine:
    if url.database and url.database != ":memory:":
        path = home / url.database
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds addresses: nobody but its owner reads it. SQLite gives its WAL the same mode.
        path.touch(mode=0o600, exist_ok=True)
        url = url.set(database=str(path))
    engine = _engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # The driver's own idea of when a transaction begins is too late: see `_begin`.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        # What is deleted is overwritten: an erased address must not stand in a free page.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("digest_read", False)
        begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
        with as_its_errors(connection, begin):
            driver_cursor(connection).execute(begin)

    return engine
