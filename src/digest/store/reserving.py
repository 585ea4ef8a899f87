"""Reservations: which post is whose, from the freeze that promised it until it is given back.

They are kept by post and then by reader, without any other index. So they are looked for by
post: those of an issue by the posts that it picked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, literal, select

from digest.store.dialect import insert_ignore
from digest.store.freezing import has, won
from digest.store.tables import Id, picks, reservations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.engine import Connection

    from digest.store.freezing import Drawing

_COLUMNS = ["post_id", "subscriber_id", "repeat", "issue_id"]


def reserve(c: Connection, drawing: Drawing, bits: Mapping[int, int]) -> None:
    """Rule 3: what readers won is theirs.

    Nobody won what they hold already; were it otherwise, the table's key would let nothing be
    frozen. What an issue repeats on purpose is reserved for ordinary issues too, or the next of
    those would bring it once more.
    """
    # In the order of the key, so that each row goes to the end of what is there.
    for post_id, bit in sorted(bits.items()):
        _reserve_post(c, drawing, post_id, bit)


def _reserve_post(c: Connection, drawing: Drawing, post_id: int, bit: int) -> None:
    def winners(repeat: int) -> Select[tuple[int, int, int, int]]:
        post, times, issue = (literal(n, Id) for n in (post_id, repeat, drawing.issue.id))
        rows = select(post, won.c.subscriber_id, times, issue).where(has(won.c.mask, bit))
        return rows.order_by(won.c.subscriber_id)

    c.execute(insert(reservations).from_select(_COLUMNS, winners(drawing.repeat)))
    if drawing.repeat:
        c.execute(insert_ignore(c, reservations).from_select(_COLUMNS, winners(0)))


def release_posts(
    c: Connection, issue_id: int, subscribers: Sequence[int] | Select[tuple[int]]
) -> None:
    """Give back what an issue holds for some readers."""
    r = reservations.c
    picked = select(picks.c.post_id).where(picks.c.issue_id == issue_id, picks.c.is_in)
    c.execute(
        delete(reservations).where(
            r.post_id.in_(picked), r.subscriber_id.in_(subscribers), r.issue_id == issue_id
        )
    )
