"""Since when a newsletter mails each post by itself, and which posts had no such mail yet."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import String, cast, exists, literal, select, update

from digest.model import Rhythm
from digest.store.dialect import insert_ignore
from digest.store.tables import facts, issues, posts, subscriptions

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def began(c: Connection, newsletter: str, now: datetime) -> datetime:
    """When the newsletter began to mail each post; the first time anybody asks it begins."""
    name = _fact(newsletter)
    c.execute(insert_ignore(c, facts).values(name=name, value=now.isoformat()))
    return datetime.fromisoformat(
        c.scalars(select(facts.c.value).where(facts.c.name == name)).one()
    )


def begin_anew(c: Connection, newsletter: str, now: datetime) -> None:
    """Leave out what came before: nobody asked for it."""
    mine = facts.c.name == _fact(newsletter)
    c.execute(update(facts).where(mine).values(value=now.isoformat()))


def unmailed(c: Connection, newsletter: str, since: datetime, until: datetime) -> list[int]:
    """Posts that arrived in between and have no issue of their own, whatever became of it."""
    own = exists().where(
        issues.c.newsletter == newsletter,
        issues.c.scope == "all",
        issues.c.period == literal("post:").concat(cast(posts.c.id, String)),
    )
    arrived = (posts.c.arrived >= since, posts.c.arrived <= until)
    query = select(posts.c.id).where(*arrived, posts.c.gone_at.is_(None), ~own)
    return list(c.scalars(query.order_by(posts.c.arrived, posts.c.id)))


def has_readers(c: Connection, newsletter: str) -> bool:
    """Whether anybody takes each post by itself."""
    s = subscriptions.c
    query = select(s.id).where(
        s.newsletter == newsletter, s.state == "active", s.rhythm == Rhythm.EACH_POST
    )
    return c.execute(query.limit(1)).first() is not None


def _fact(newsletter: str) -> str:
    return f"each post of {newsletter} since"
