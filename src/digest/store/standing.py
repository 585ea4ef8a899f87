"""What a restore may not take back: that an address is suppressed, that a reader left.

A backup does not know what came after it. What stands in the database is set aside in
temporary tables before its own go, and put over the restored rows, all in the transaction of
the restore. The columns read here have been there since the first revision.

Not covered is a reader erased since the backup: no address is left to find them by in the
file. Whoever restores erases them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    MetaData,
    String,
    Table,
    Text,
    and_,
    exists,
    insert,
    or_,
    select,
    text,
    update,
)

from digest.store.tables import Utc, subscribers, subscriptions, suppressions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

_SUPPRESSION = ("address_key", "reason", "origin", "at")
_LEAVING = ("address_key", "newsletter", "state", "ended_at", "ended_reason")

_temporary = MetaData()

_suppressed = Table(
    "standing_suppressions",
    _temporary,
    Column("address_key", Text, primary_key=True),
    Column("reason", Text),
    Column("origin", Text),
    Column("at", Utc),
    prefixes=["TEMPORARY"],
)

_left = Table(
    "standing_leavings",
    _temporary,
    Column("address_key", Text, primary_key=True),
    Column("newsletter", String, primary_key=True),
    Column("state", String),
    Column("ended_at", Utc),
    Column("ended_reason", Text),
    prefixes=["TEMPORARY"],
)


def set_aside(c: Connection, there: Mapping[str, Table]) -> None:
    """Copy suppressions and leavings out of `there`, the tables by name that are about to go."""
    _lock(c, there)
    _temporary.create_all(c, checkfirst=False)
    if suppressions.name in there:
        rows = there[suppressions.name].c
        query = select(*(rows[name] for name in _SUPPRESSION))
        c.execute(insert(_suppressed).from_select(_SUPPRESSION, query))
    if {subscribers.name, subscriptions.name} <= there.keys():
        _set_leavings_aside(c, there[subscribers.name], there[subscriptions.name])


def _lock(c: Connection, there: Mapping[str, Table]) -> None:
    """Nobody suppresses or leaves between the copy and the drop; on SQLite we alone write."""
    if c.dialect.name == "sqlite":
        return
    quoted = c.dialect.identifier_preparer.format_table
    for table in (subscribers, subscriptions, suppressions):
        if table.name in there:
            c.execute(text(f"LOCK TABLE {quoted(there[table.name])} IN ACCESS EXCLUSIVE MODE"))


def _set_leavings_aside(c: Connection, people: Table, choices: Table) -> None:
    s = choices.c
    query = (
        select(people.c.address_key, s.newsletter, s.state, s.ended_at, s.ended_reason)
        .join_from(choices, people, people.c.id == s.subscriber_id)
        .where(people.c.address_key.is_not(None))
        # Somebody's sign-up leaves it on record that the reader left, until they confirm.
        .where(or_(s.state == "ended", and_(s.state == "pending", s.ended_at.is_not(None))))
    )
    c.execute(insert(_left).from_select(_LEAVING, query))


def put_over(c: Connection) -> int:
    """Put what was set aside over the restored rows, at the newest revision.

    Returns how many suppressions the file lacked and how many of its subscriptions were ended
    by it, together.
    """
    kept = _suppress_again(c) + _end_again(c)
    _temporary.drop_all(c, checkfirst=False)
    return kept


def _suppress_again(c: Connection) -> int:
    known = exists().where(suppressions.c.address_key == _suppressed.c.address_key)
    query = select(*(_suppressed.c[name] for name in _SUPPRESSION)).where(~known)
    # An INSERT forgets how many rows it made unless told not to.
    adding = insert(suppressions).from_select(_SUPPRESSION, query)
    return c.execute(adding.execution_options(preserve_rowcount=True)).rowcount


def _end_again(c: Connection) -> int:
    s = subscriptions.c
    ending = (
        update(subscriptions)
        .where(
            s.subscriber_id == subscribers.c.id,
            subscribers.c.address_key == _left.c.address_key,
            s.newsletter == _left.c.newsletter,
            # A sign-up that waits there may wait again; it is not mailed.
            or_(s.state == "active", and_(s.state == "pending", _left.c.state == "ended")),
            _not_consented_since(),
        )
        .values(state="ended", ended_at=_left.c.ended_at, ended_reason=_left.c.ended_reason)
    )
    return c.execute(ending).rowcount


def _not_consented_since() -> ColumnElement[bool]:
    """Without both times nothing shows that the consent is the newer one."""
    consent, ended = subscriptions.c.consent_at, _left.c.ended_at
    return or_(consent.is_(None), ended.is_(None), consent <= ended)
