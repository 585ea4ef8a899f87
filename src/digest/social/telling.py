"""How a thread stands, in words: for the command line, the runs and the preview page."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from digest.model import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    return "; ".join([progress(thread), *troubles(thread)])


def progress(thread: ThreadRow) -> str:
    """How far it is: "planned", or "8 of 9 out"."""
    parts = thread.publications
    gone = sum(one.deleted_at is not None for one in parts)
    if not any(one.state != S.PENDING or one.attempts for one in parts):
        return "planned"
    out = f"{len(thread.live)} of {len(parts)} out"
    return f"{out}, {gone} taken down" if gone else out


def troubles(thread: ThreadRow) -> Iterator[str]:
    """What is neither out nor simply waiting for its slot, one after the other alike as one."""
    for why, group in groupby(thread.publications, key=_trouble):
        if why:
            yield f"{_numbers(group)} {why}"


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
