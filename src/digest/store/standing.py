"""What a restore may not take back: a suppression, that a reader left, that one was erased.

A backup does not know what came after it. What stands in the database is set aside in
temporary tables before its own go, and put over the restored rows, all in the transaction of
the restore. The columns read here have been there since the first revision of their table.

Of a reader erased since the backup no address is left; the file's addresses are hashed to find
them, and they are erased again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    union,
    update,
)

from digest.readers.tokens import keyed_hash
from digest.store.dialect import insert_ignore
from digest.store.erasing import Known, subscriber_of, wipe
from digest.store.readers import Suppression, suppress
from digest.store.tables import (
    Utc,
    erasures,
    notices,
    sign_ups,
    subscribers,
    subscriptions,
    suppressions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

_SUPPRESSION = ("address_key", "reason", "origin", "at")
_ERASURE = ("address_hash", "at", "suppressed_reason", "suppressed_origin", "suppressed_at")
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

_erased = Table(
    "standing_erasures",
    _temporary,
    Column("address_hash", String, primary_key=True),
    Column("at", Utc),
    Column("suppressed_reason", Text),
    Column("suppressed_origin", Text),
    Column("suppressed_at", Utc),
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
    """Copy what must stand out of `there`, the tables by name that are about to go."""
    _lock(c, there)
    _temporary.create_all(c, checkfirst=False)
    _copy(c, there.get(suppressions.name), _suppressed, _SUPPRESSION)
    _copy(c, there.get(erasures.name), _erased, _ERASURE)
    if {subscribers.name, subscriptions.name} <= there.keys():
        _set_leavings_aside(c, there[subscribers.name], there[subscriptions.name])


def _copy(c: Connection, table: Table | None, aside: Table, names: tuple[str, ...]) -> None:
    if table is not None:
        query = select(*(table.c[name] for name in names))
        c.execute(insert(aside).from_select(names, query))


def _lock(c: Connection, there: Mapping[str, Table]) -> None:
    """Nothing of this changes between the copy and the drop; on SQLite we alone write."""
    if c.dialect.name == "sqlite":
        return
    quoted = c.dialect.identifier_preparer.format_table
    for table in (subscribers, subscriptions, suppressions, erasures):
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


def put_over(c: Connection, before: bytes | None, after: bytes | None) -> int:
    """Put what was set aside over the restored rows, at the newest revision.

    `before` and `after` are the signing secrets of what was replaced and of what is restored.
    Returns how many suppressions the file lacked, how many of its subscriptions were ended by it
    and how many of its readers erased, together.
    """
    kept = _erase_again(c, before, after) + _suppress_again(c) + _end_again(c)
    _temporary.drop_all(c, checkfirst=False)
    return kept


def _erase_again(c: Connection, before: bytes | None, after: bytes | None) -> int:
    standing = {row.address_hash: row for row in c.execute(select(_erased))}
    count = 0
    if standing and before is not None and after is not None:
        for key in _address_keys(c):
            row = standing.pop(keyed_hash(before, key), None)
            if row is not None:
                known = Known(subscriber_of(c, key), key, keyed_hash(after, key))
                wipe(c, known, row.at)
                _suppress_behind(c, known.address_hash, row)
                count += 1
    for address_hash, row in standing.items():
        c.execute(insert_ignore(c, erasures).values(address_hash=address_hash, at=row.at))
        _suppress_behind(c, address_hash, row)
    return count


def _address_keys(c: Connection) -> list[str]:
    """Every address that the restored rows know, each once."""
    known = [
        select(table.c.address_key) for table in (subscribers, sign_ups, notices, suppressions)
    ]
    return [key for key in c.scalars(union(*known)) if key is not None and "@" in key]


def _suppress_behind(c: Connection, address_hash: str, row: Row[Any]) -> None:
    if row.suppressed_reason is not None:
        found = Suppression(row.suppressed_reason, row.suppressed_origin, row.suppressed_at)
        suppress(c, address_hash, found)


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
