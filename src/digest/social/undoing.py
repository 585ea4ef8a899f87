"""Taking a thread down: the last snippet first, within what the network lets us delete."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from digest.errors import Refused, UsageError
from digest.model import DeliveryState
from digest.social.bars import charge_calls, mind, must_wait
from digest.social.press import named
from digest.store import publications as ledger
from digest.store.social import ask_undo, load_thread, to_undo

if TYPE_CHECKING:
    from digest.model import Act
    from digest.ports import Trouble
    from digest.social.press import Turn
    from digest.store.publications import Publication

log = logging.getLogger(__name__)

S = DeliveryState


@dataclass(slots=True)
class Undone:
    """What became of a thread that was to be taken down."""

    thread_id: int
    removed: list[Publication] = field(default_factory=list)
    #: What is out still or may be, and why.
    left: list[tuple[Publication, str]] = field(default_factory=list)


def undo(turn: Turn, thread_id: int, act: Act) -> Undone:
    """Take a whole thread down, as far as the network lets us now; later runs go on with it.

    What the network refused to delete before is tried again. UsageError where there is no such
    thread on the channels of this press.
    """
    with turn.press.store.write() as c:
        thread = load_thread(c, thread_id)
        if thread is None or thread.channel not in turn.press.declared:
            raise UsageError(f"no thread {thread_id}; `digest social status` lists them")
        ask_undo(c, thread_id, act)
        ledger.keep_no_more(c, thread_id)
    return take_down(turn, thread_id)


def take_down_all(turn: Turn, slug: str) -> None:
    """Go on with everything on the channel that is to be taken down."""
    with turn.press.store.read() as c:
        waiting = to_undo(c, slug)
    for thread_id in waiting:
        undone = take_down(turn, thread_id)
        for one in undone.removed:
            turn.add(one, "deleted", "its thread is taken down")
        for _, why in undone.left[:1]:
            turn.faults.setdefault(slug, why)


def take_down(turn: Turn, thread_id: int) -> Undone:
    """Delete what is out of a thread, in reverse, until the network says to wait."""
    press, undone = turn.press, Undone(thread_id)
    with press.store.read() as c:
        parts = ledger.of_thread(c, thread_id)
        slug = parts[0].channel
        why_not = must_wait(c, slug, "delete", press.clock())
    for one in reversed(parts):
        if one.state in {S.UNCERTAIN, S.SUBMITTING, S.CLAIMED}:
            undone.left.append((one, "may be out: it is looked up first"))
        if not one.is_live:
            continue
        if one.code == ledger.KEPT:
            undone.left.append((one, one.reason or ""))
            continue
        if why_not:
            undone.left.append((one, why_not))
            continue
        trouble = _delete(turn, one)
        if trouble is None:
            undone.removed.append(one)
            continue
        undone.left.append((one, trouble.reason))
        if not isinstance(trouble, Refused):
            why_not = trouble.reason
    return undone


def _delete(turn: Turn, one: Publication) -> Trouble | None:
    press = turn.press
    assert one.receipt is not None
    trouble = press.open(one.channel).delete(one.receipt)
    now = press.clock()
    if trouble is None:
        with press.store.write() as c:
            if ledger.deleted(c, one.id, now):
                charge_calls(c, press, one.channel, "delete", 1)
        log.info("publication %s on %s: deleted", one.id, one.channel)
        return None
    mind(turn, one.channel, trouble, now)
    if isinstance(trouble, Refused):
        with press.store.write() as c:
            is_new = ledger.keep(c, one.id, trouble.reason)
        if is_new:
            which = f"snippet {one.position} of {named(one)}"
            turn.tell(f"{which} cannot be taken down: {trouble.reason}")
    return trouble
