"""An issue's states and who may go where: the whole of it, in one table."""

from __future__ import annotations

from digest.errors import StateError
from digest.model import IssueState as S

#: Every transition there is. What is not here cannot happen.
TRANSITIONS: dict[S, frozenset[S]] = {
    # Skipped: nobody decided in time, or its run came too late, and its posts wait.
    S.DRAFT: frozenset({S.APPROVED, S.HELD, S.REJECTED, S.CANCELLED, S.DRAFT, S.SKIPPED}),
    S.APPROVED: frozenset({S.FROZEN, S.HELD, S.REJECTED, S.CANCELLED}),
    S.FROZEN: frozenset({S.SENDING, S.PAUSED, S.CANCELLED}),
    S.SENDING: frozenset({S.PAUSED, S.DONE, S.CANCELLED}),
    S.PAUSED: frozenset({S.SENDING, S.CANCELLED}),
    # An editor's retry or settling opens a finished issue again.
    S.DONE: frozenset({S.SENDING}),
    # A later run of the same period may find enough posts.
    S.SKIPPED: frozenset({S.DRAFT, S.SKIPPED}),
    S.HELD: frozenset({S.DRAFT, S.REJECTED, S.CANCELLED}),
    S.REJECTED: frozenset(),
    S.CANCELLED: frozenset(),
}

#: The issue's posts are spoken for: no later issue of the same newsletter takes them.
TAKING = (S.DRAFT, S.APPROVED, S.FROZEN, S.SENDING, S.PAUSED, S.DONE, S.HELD)

#: Nothing is frozen yet: the issue can still be made anew from its posts.
BEFORE_FREEZE = (S.DRAFT, S.APPROVED, S.HELD)


def check_transition(issue_id: int, before: S, after: S) -> None:
    """Raise StateError, in words for an editor, where the step is not in the table."""
    if after not in TRANSITIONS[before]:
        raise StateError(f"issue {issue_id} is {before}; it cannot become {after}")
