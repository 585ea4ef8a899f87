"""Fixtures that every room shares: a home folder, a store, a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from digest.config import StoreSettings
from digest.store.engine import Store, open_store
from digest.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A Sunday evening in the week that most tests play in.
NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(StoreSettings(url="sqlite:///test.db"), tmp_path)
    metadata.create_all(store.engine)
    yield store
    store.engine.dispose()
