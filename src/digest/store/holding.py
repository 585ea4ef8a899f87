"""Names that one process at a time may hold, as long as it lives."""

from __future__ import annotations

import os
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from digest import locks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from digest.store.engine import Store

#: The first key of PostgreSQL's two-key advisory locks; freezing and migrating use one key.
_HOLDING = 0x486F6C64


@contextmanager
def holding(store: Store, folder: Path, name: str) -> Iterator[bool]:
    """Hold a name for the length of the block; yields False, at once, where another holds it.

    On SQLite by a lock file in `folder`, for everyone is on this machine; on PostgreSQL by an
    advisory lock of a connection's own, for workers may be on several.
    """
    if store.is_sqlite:
        with _by_file(folder / f"{name}.lock") as mine:
            yield mine
    else:
        with _by_connection(store, name) as mine:
            yield mine


@contextmanager
def _by_file(path: Path) -> Iterator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = locks.take(path)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def _by_connection(store: Store, name: str) -> Iterator[bool]:
    keys = (_HOLDING, zlib.crc32(name.encode()) - 2**31)
    engine = store.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        mine = bool(connection.scalar(select(func.pg_try_advisory_lock(*keys))))
        try:
            yield mine
        finally:
            if mine:
                connection.execute(select(func.pg_advisory_unlock(*keys)))
