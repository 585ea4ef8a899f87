"""How a thread stands, in words: for the command line, the runs and the preview page."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from digest.model import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from digest.store.social import PublicationRow, ThreadRow

S = DeliveryState

_FORMS = {"thread": "thread", "standing": "part of a standing thread", "snippet": "single snippet"}


def form_of(thread: ThreadRow) -> str:
    """What kind of thread it is, and what it goes on from."""
    words = _FORMS.get(thread.form, thread.form)
    if thread.evergreen:
        return f"{words}, brought back by rotation"
    if thread.repeat:
        return f"{words}, brought back by an editor"
    if thread.after_id is not None:
        return f"{words}, goes on from thread {thread.after_id}"
    return f"{words}, its beginning" if thread.form == "standing" else words


def standing(thread: ThreadRow) -> str:
    """Such as "8 of 9 out; snippet 5 uncertain: it is looked up at the next publishing"."""
    parts = thread.publications
    out, gone = len(thread.live), sum(one.deleted_at is not None for one in parts)
    words = [f"{out} of {len(parts)} out"] if out or _began(parts) else ["planned"]
    if gone:
        words.append(f"{gone} taken down")
    return "; ".join([*words, *_troubles(parts)])


def marks(thread: ThreadRow) -> list[str]:
    """What else an editor must know: held, to be taken down, not as it should be."""
    found = []
    if thread.held_at is not None:
        found.append(f"held: {thread.held_why}; digest social release {thread.thread_id}")
    if thread.undo_at is not None:
        doubts = sum(one.state == S.UNCERTAIN and not one.settled for one in thread.publications)
        left = [f"{len(thread.live)} still out"] * bool(thread.live)
        left += [f"{doubts} may be out"] * bool(doubts)
        done = f"to be taken down, {', '.join(left)}" if left else "taken down"
        found.append(f"{done}, by {thread.undo_by}: {thread.undo_why}")
    if thread.differs:
        found.append(f"not as it should be: {thread.differs}")
    if thread.gone_at is not None:
        found.append("its post is gone")
    return found


def is_over(thread: ThreadRow) -> bool:
    """Nothing of it is to come, in doubt, or left for an editor to decide."""
    open_states = {S.PENDING, S.CLAIMED, S.SUBMITTING}
    if thread.undo_at is not None and thread.live:
        return False
    return not any(
        one.state in open_states or (one.state == S.UNCERTAIN and not one.settled)
        for one in thread.publications
    )


def states_of(thread: ThreadRow) -> str:
    """Such as "submitted", or "1 submitted, 2 pending"."""
    states = Counter(_state(one) for one in thread.publications)
    if len(states) == 1:
        return next(iter(states))
    return ", ".join(f"{number} {state}" for state, number in states.items())


def _state(one: PublicationRow) -> str:
    return "taken down" if one.deleted_at is not None else str(one.state)


def _began(parts: Sequence[PublicationRow]) -> bool:
    return any(one.state != S.PENDING or one.attempts for one in parts)


def _troubles(parts: Sequence[PublicationRow]) -> Iterator[str]:
    """What is neither out nor simply waiting for its slot, one after the other alike as one."""
    for why, group in groupby(parts, key=_trouble):
        if why:
            yield f"{_numbers(group)} {why}"


def _trouble(one: PublicationRow) -> str:
    if one.state == S.UNCERTAIN:
        if one.settled:
            return f"may be out ({one.settled})"
        return "uncertain: looked up at the next publishing"
    if one.state in {S.CLAIMED, S.SUBMITTING}:
        return "being published now"
    if one.state == S.PENDING:
        return _because(f"tried {_times(one.attempts)}", one) if one.attempts else ""
    return _because(str(one.state), one) if one.state != S.SUBMITTED else ""


def _because(words: str, one: PublicationRow) -> str:
    return f"{words}: {one.reason}" if one.reason else words


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _numbers(group: Iterable[PublicationRow]) -> str:
    found = [one.position for one in group]
    if len(found) == 1:
        return f"snippet {found[0]}"
    joint = "and" if len(found) == 2 else "to"  # noqa: PLR2004  a pair is no range
    return f"snippets {found[0]} {joint} {found[-1]}"
