"""Stores before any schema, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from digest.config import StoreSettings
from digest.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def new_sqlite(tmp_path: Path) -> Iterator[Store]:
    store = open_store(StoreSettings(url="sqlite:///new.db"), tmp_path)
    yield store
    store.engine.dispose()


@pytest.fixture
def any_new_store(any_store: Store, request: pytest.FixtureRequest) -> Store:
    """A database with nothing in it, of the same kind as `any_store`."""
    if any_store.is_sqlite:
        return request.getfixturevalue("new_sqlite")
    create: Callable[[str], Store] = request.getfixturevalue("new_postgres")
    return create("template0")
