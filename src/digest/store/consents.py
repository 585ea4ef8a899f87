"""The history of subscriptions in their readers' own doing. Rows are only ever added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from sqlalchemy import insert

from digest.store.tables import consents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

Event: TypeAlias = Literal["confirmed", "changed", "paused", "went on", "left"]


class Consent(TypedDict):
    """One thing that a reader did, with the interests and rhythm that hold from then on."""

    subscription_id: int
    at: datetime
    event: Event
    #: Where: "sign-up page", "settings page", "link in a mail".
    form: str
    #: The words that were agreed to, or what was changed.
    text: str
    #: The key of them.
    interests: str
    rhythm: str


def add_consents(c: Connection, rows: Sequence[Consent]) -> None:
    """Write what readers did, in the transaction that does it."""
    if rows:
        c.execute(insert(consents), rows)
