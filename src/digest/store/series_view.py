"""Queries behind the desk's page of series: where posts went, and who follows what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, select

from digest.issues.scope import issue_name
from digest.model import DeliveryState, Interests, IssueState
from digest.store.publications import UNDERWAY
from digest.store.tables import issues, picks, publications, subscriptions, threads

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.engine import Connection

S = DeliveryState

_TO_COME = (*UNDERWAY, S.UNCERTAIN)

#: In these an issue went out, or is about to as it is.
_MAILED = (IssueState.FROZEN, IssueState.SENDING, IssueState.PAUSED, IssueState.DONE)


@dataclass(frozen=True, slots=True)
class InIssue:
    """An issue that a post stands in."""

    id: int
    newsletter: str
    scope: str
    period: str
    state: str

    @property
    def name(self) -> str:
        """How people call it: "weekly 2026-W47"."""
        return issue_name(self.newsletter, self.scope, self.period)

    @property
    def mailed(self) -> bool:
        return self.state in _MAILED


@dataclass(frozen=True, slots=True)
class InThread:
    """A thread that a post went out in, or is to."""

    id: int
    channel: str
    held: bool
    withdrawn: bool
    snippets: int
    out: int
    #: To go out, or perhaps out.
    to_come: int

    @property
    def alive(self) -> bool:
        return bool(self.out or self.to_come)

    @property
    def standing(self) -> str:
        """How it stands, shortly: "3 of 4 out", "planned"."""
        if self.held:
            return "held"
        if self.withdrawn:
            return f"{self.out} still out" if self.out else "taken down"
        if self.to_come == self.snippets:
            return "planned"
        return "out" if self.out == self.snippets else f"{self.out} of {self.snippets} out"


@dataclass(frozen=True, slots=True)
class Followers:
    """Active subscriptions, by what they are about."""

    everything: int
    #: "series:ipc" to those that chose it, with other things or without.
    chosen: Mapping[str, int]


def issues_of(c: Connection, post_ids: Collection[int]) -> dict[int, list[InIssue]]:
    """The issues that picked each of these posts, oldest first."""
    i = issues.c
    query = (
        select(picks.c.post_id, i.id, i.newsletter, i.scope, i.period, i.state)
        .join(issues, i.id == picks.c.issue_id)
        .where(picks.c.is_in, picks.c.post_id.in_(list(post_ids)))
        .order_by(i.id)
    )
    found: dict[int, list[InIssue]] = {}
    for post_id, *values in c.execute(query):
        found.setdefault(post_id, []).append(InIssue(*values))
    return found


def threads_of(c: Connection, post_ids: Collection[int]) -> dict[int, list[InThread]]:
    """The threads of each of these posts, oldest first."""
    t, p = threads.c, publications.c
    is_out = and_(p.state == S.SUBMITTED, p.deleted_at.is_(None))
    query = (
        select(
            *(t.post_id, t.id, t.channel, t.held_at.is_not(None), t.undo_at.is_not(None)),
            func.count(),
            func.sum(case((is_out, 1), else_=0)),
            func.sum(case((p.state.in_(_TO_COME), 1), else_=0)),
        )
        .join(publications, p.thread_id == t.id)
        .where(t.post_id.in_(list(post_ids)))
        .group_by(t.post_id, t.id, t.channel, t.held_at, t.undo_at)
        .order_by(t.id)
    )
    found: dict[int, list[InThread]] = {}
    for post_id, number, channel, held, withdrawn, *counts in c.execute(query):
        one = InThread(number, channel, bool(held), bool(withdrawn), *map(int, counts))
        found.setdefault(post_id, []).append(one)
    return found


def followers(c: Connection) -> Followers:
    """Who follows what now."""
    s = subscriptions.c
    query = select(s.interests, func.count()).where(s.state == "active").group_by(s.interests)
    everything, chosen = 0, dict[str, int]()
    for key, count in c.execute(query):
        interests = Interests.from_key(key)
        everything += count if interests.everything else 0
        for group in set(interests.chosen):
            chosen[group] = chosen.get(group, 0) + count
    return Followers(everything, chosen)
