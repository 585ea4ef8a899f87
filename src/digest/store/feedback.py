"""Queries on what came back about mails: stored first, worked on later, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.store.dialect import insert_ignore
from digest.store.tables import feedback as table

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.mail.feedback import Feedback


def take_in(c: Connection, source: str, event_id: str, feedback: Feedback, now: datetime) -> bool:
    """Store what came back; False where it is here already, worked on or not.

    `source` is "inbox:SLUG" or "hook:SLUG"; `event_id` the other side's own name for the event,
    or a hash of what it said: the same each time that it says the same. Nothing is done about it
    yet. Once this is committed, whoever told it may be told that we have it.
    """
    row = {
        "source": source,
        "event_id": event_id,
        "received_at": now,
        "body": feedback.to_json(),
    }
    # Not by `rowcount`, which an INSERT leaves at -1 on PostgreSQL.
    added = insert_ignore(c, table).returning(table.c.id)
    return c.execute(added, row).first() is not None
