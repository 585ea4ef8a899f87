"""Statements that are carried out thousands of times a second.

To make a statement and work out what it is called in a cache takes SQLAlchemy several times as
long as SQLite needs to carry it out. These are compiled by it once for each kind of database; then
only their values are put in, by the same rules.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ClauseElement
    from sqlalchemy.engine import Connection, Dialect


class Prepared:
    """One statement with named values. No lists among them: `IN` has another text each time."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._known: dict[str, _Compiled] = {}

    def carry_out(
        self, c: Connection, alike: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """Once for each row, with what is alike in all; returns how many rows it changed."""
        compiled = self._for(c.dialect)
        values = compiled.many(alike, rows)
        cursor = driver_cursor(c)
        with as_its_errors(c, compiled.sql):
            cursor.executemany(compiled.sql, values)
        return int(cursor.rowcount)

    def scalar(self, c: Connection, values: Mapping[str, Any]) -> Any:
        """Once; the first column of the first row that it finds, as the driver gives it."""
        compiled = self._for(c.dialect)
        (given,) = compiled.many(values, [{}])
        cursor = driver_cursor(c)
        with as_its_errors(c, compiled.sql):
            cursor.execute(compiled.sql, given)
            row = cursor.fetchone()
        return row[0] if row else None

    def _for(self, dialect: Dialect) -> _Compiled:
        known = self._known.get(dialect.name)
        if known is None:
            known = self._known[dialect.name] = _compiled(self._statement, dialect)
        return known


def driver_cursor(c: Connection) -> Any:
    """The driver's own, in the connection's transaction: SQLAlchemy's takes longer than SQLite."""
    driver = c.connection.driver_connection
    assert driver is not None
    return driver.cursor()


@contextmanager
def as_its_errors(c: Connection, sql: str) -> Iterator[None]:
    """Raise a driver's error as SQLAlchemy does, without the values: they are addresses."""
    base: Any = c.dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        wrapped = DBAPIError.instance(
            sql, None, error, base, hide_parameters=True, dialect=c.dialect
        )
        raise wrapped from error


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    #: The values in their order, how the driver takes them, and what they are where none is given.
    names: tuple[str, ...]
    processors: tuple[Callable[[Any], Any] | None, ...]
    given: tuple[Any, ...]
    #: Whether the driver takes values by their order, not by name.
    in_order: bool

    def many(self, alike: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        base = [
            self._processed(place, alike[name]) if name in alike else self.given[place]
            for place, name in enumerate(self.names)
        ]
        own = [(place, name) for place, name in enumerate(self.names) if rows and name in rows[0]]
        return [self._row(base, own, row) for row in rows]

    def _row(self, base: list[Any], own: list[tuple[int, str]], row: Mapping[str, Any]) -> Any:
        values = base.copy()
        for place, name in own:
            values[place] = self._processed(place, row[name])
        return tuple(values) if self.in_order else dict(zip(self.names, values, strict=True))

    def _processed(self, place: int, value: Any) -> Any:
        process = self.processors[place]
        return process(value) if process else value


def _compiled(statement: ClauseElement, dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect)
    names = tuple(compiled.positiontup or compiled.binds)
    binds = [compiled.binds[name] for name in names]
    processors = tuple(bind.type.dialect_impl(dialect).bind_processor(dialect) for bind in binds)
    # What the statement says itself is the same in every row.
    own = [None if bind.required else bind.effective_value for bind in binds]
    given = tuple(
        process(value) if process and value is not None else value
        for process, value in zip(processors, own, strict=True)
    )
    return _Compiled(str(compiled), names, processors, given, in_order=bool(dialect.positional))
