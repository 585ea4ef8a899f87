"""A house whose networks are in memory, on either database."""

from __future__ import annotations

import pytest

from fakes.scripted import House


@pytest.fixture
def moment(now):
    return [now]


@pytest.fixture
def house(store, tmp_path, moment):
    return House(store, tmp_path / "run", moment)


@pytest.fixture
def any_house(any_store, tmp_path, moment):
    """The same, once on SQLite and once on PostgreSQL."""
    return House(any_store, tmp_path / "run", moment)
