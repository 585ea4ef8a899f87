"""What the desk asks of threads: so many to a page, of a channel or of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, or_, select

from digest.model import DeliveryState
from digest.store.publications import UNDERWAY
from digest.store.social import threads_of_ids
from digest.store.tables import publications, threads

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

    from digest.store.social import ThreadRow

S = DeliveryState


class Kind(StrEnum):
    """What threads may be looked for by."""

    TO_COME = "to come"
    UNCERTAIN = "uncertain"
    HELD = "held"
    TROUBLE = "in trouble"
    TAKEN_DOWN = "taken down"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which threads; empty is every one."""

    channel: str = ""
    kind: Kind | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        mine = [threads.c.channel == self.channel] if self.channel else []
        return mine + ([_of_kind(self.kind)] if self.kind else [])


def _of_kind(kind: Kind) -> ColumnElement[bool]:
    t, p = threads.c, publications.c

    def has(*which: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists(select(p.id).where(p.thread_id == t.id, *which))

    undecided = and_(p.state == S.UNCERTAIN, p.settled.is_(None))
    stays = t.undo_at.is_(None)
    kinds = {
        Kind.TO_COME: and_(stays, has(p.state.in_(UNDERWAY))),
        Kind.UNCERTAIN: has(undecided),
        Kind.HELD: t.held_at.is_not(None),
        Kind.TROUBLE: or_(t.differs.is_not(None), and_(stays, has(p.state.in_(_LOST)))),
        Kind.TAKEN_DOWN: t.undo_at.is_not(None),
        Kind.OUT: and_(stays, has(p.state == S.SUBMITTED), ~has(p.state.in_(UNDERWAY))),
    }
    return kinds[kind]


_LOST = (S.REFUSED, S.FAILED, S.CANCELLED)


def count_threads(c: Connection, which: Filter) -> int:
    return int(c.scalar(select(func.count()).select_from(threads).where(*which.clauses())) or 0)


def page_of_threads(c: Connection, which: Filter, *, most: int, skip: int) -> list[ThreadRow]:
    """So many threads after so many, newest first."""
    query = select(threads.c.id).where(*which.clauses()).order_by(threads.c.id.desc())
    found = threads_of_ids(c, list(c.scalars(query.limit(most).offset(skip))))
    return sorted(found, key=lambda thread: -thread.thread_id)


def channels_of_threads(c: Connection) -> list[str]:
    """Every channel that has a thread, whether config names it still or not."""
    return list(c.scalars(select(threads.c.channel).distinct()))
