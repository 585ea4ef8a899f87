"""Statements that are carried out thousands of times a second.

To make a statement and work out what it is called in a cache takes SQLAlchemy several times as
long as SQLite needs to carry it out. These are compiled by it once for each kind of database; then
only their values are put in, by the same rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ClauseElement
    from sqlalchemy.engine import Connection, Dialect
    from sqlalchemy.engine.cursor import CursorResult

    #: A value by its name, how the driver takes it, and what it is where none is given.
    Slot = tuple[str, Callable[[Any], Any] | None, Any]


class Prepared:
    """One statement with named values. No lists among them: `IN` has another text each time."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._known: dict[str, tuple[str, tuple[Slot, ...], bool]] = {}

    def carry_out(self, c: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Once for each row; returns how many rows of the database it changed."""
        sql, slots, by_name = self._for(c.dialect)
        values = [_by_name(slots, row) if by_name else _in_order(slots, row) for row in rows]
        return c.exec_driver_sql(sql, values).rowcount

    def run(self, c: Connection, row: Mapping[str, Any]) -> CursorResult[Any]:
        """Once. What it finds is as the driver gives it."""
        sql, slots, by_name = self._for(c.dialect)
        return c.exec_driver_sql(sql, _by_name(slots, row) if by_name else _in_order(slots, row))

    def _for(self, dialect: Dialect) -> tuple[str, tuple[Slot, ...], bool]:
        known = self._known.get(dialect.name)
        if known is None:
            known = self._known[dialect.name] = _compiled(self._statement, dialect)
        return known


def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, tuple[Slot, ...], bool]:
    compiled: Any = statement.compile(dialect=dialect)
    slots = []
    for name in compiled.positiontup or compiled.binds:
        bind = compiled.binds[name]
        process = bind.type.dialect_impl(dialect).bind_processor(dialect)
        # What the statement says itself is the same in every row.
        given = None if bind.required else bind.effective_value
        slots.append((name, process, process(given) if process and given is not None else given))
    return str(compiled), tuple(slots), not dialect.positional


def _in_order(slots: tuple[Slot, ...], row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        (process(row[name]) if process else row[name]) if name in row else given
        for name, process, given in slots
    )


def _by_name(slots: tuple[Slot, ...], row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip((slot[0] for slot in slots), _in_order(slots, row), strict=True))
