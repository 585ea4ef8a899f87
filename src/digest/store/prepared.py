"""Statements that are carried out thousands of times a second.

To make a statement and work out what it is called in a cache takes SQLAlchemy several times as
long as SQLite needs to carry it out. These are compiled by it once for each kind of database; then
only their values are put in, by the same rules. SQLite is told of one row after the other;
PostgreSQL of all rows at once, for each telling costs it more than the row.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, bindparam, column, func
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ClauseElement, ColumnElement
    from sqlalchemy.engine import Connection, Dialect
    from sqlalchemy.types import TypeEngine


class Prepared:
    """A change of many rows by one statement with named values.

    `each` names what is a row's own, with its type; `make` is given a column for each of them, and
    makes the statement. No lists among the values: `IN` has another text each time.
    """

    def __init__(
        self,
        each: Mapping[str, TypeEngine[Any]],
        make: Callable[[Mapping[str, ColumnElement[Any]]], ClauseElement],
    ) -> None:
        self._each = each
        self._make = make
        self._known: dict[str, _Compiled] = {}

    def carry_out(
        self, c: Connection, alike: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """Once for each row, with what is alike in all; returns how many rows it changed."""
        compiled = self._for(c.dialect)
        cursor = driver_cursor(c)
        with as_its_errors(c, compiled.sql):
            if _tells_all(c.dialect):
                columns = {name: [row[name] for row in rows] for name in self._each}
                (given,) = compiled.many(alike, [columns])
                cursor.execute(compiled.sql, given)
            else:
                cursor.executemany(compiled.sql, compiled.many(alike, rows))
        return int(cursor.rowcount)

    def _for(self, dialect: Dialect) -> _Compiled:
        known = self._known.get(dialect.name)
        if known is None:
            statement = self._make(self._rows(dialect))
            known = self._known[dialect.name] = _compiled(statement, dialect)
        return known

    def _rows(self, dialect: Dialect) -> Mapping[str, ColumnElement[Any]]:
        if not _tells_all(dialect):
            return {name: bindparam(name, type_=kind) for name, kind in self._each.items()}
        lists = [bindparam(name, type_=ARRAY(kind)) for name, kind in self._each.items()]
        columns = [column(name, kind) for name, kind in self._each.items()]
        told = func.unnest(*lists).table_valued(*columns).render_derived()
        return {name: told.c[name] for name in self._each}


class PreparedQuery:
    """A query with named values that is asked for one value."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._known: dict[str, _Compiled] = {}

    def scalar(self, c: Connection, values: Mapping[str, Any]) -> Any:
        """Once; the first column of the first row that it finds, as the driver gives it."""
        compiled = self._known.get(c.dialect.name)
        if compiled is None:
            compiled = self._known[c.dialect.name] = _compiled(self._statement, c.dialect)
        (given,) = compiled.many(values, [{}])
        cursor = driver_cursor(c)
        with as_its_errors(c, compiled.sql):
            cursor.execute(compiled.sql, given)
            row = cursor.fetchone()
        return row[0] if row else None


def _tells_all(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"


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
