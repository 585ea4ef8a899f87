"""Where the next snippet is attached: behind the one before it, or behind a standing thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.model import Place
from digest.social.bars import charge_calls, wait_for
from digest.store import publications as ledger
from digest.store.social import load_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from digest.model import Receipt
    from digest.ports import Channel, Trouble
    from digest.social.press import Press
    from digest.store.publications import Publication

#: So many of the newest snippets are looked at for one that is alive.
LOOKED_AT = 25
_TAIL_GONE = "the end of its standing thread was deleted on the network"


@dataclass(frozen=True, slots=True)
class Begin:
    """Nothing to answer: it begins a thread."""


@dataclass(frozen=True, slots=True)
class Stay:
    """It must wait for an editor, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """It alone must wait, and why; the channel goes on."""

    why: str
    until: datetime
    #: So many attempts count against it.
    attempts: int = 0


def place_of(
    press: Press, channel: Channel, first: Publication
) -> Place | Begin | Stay | Later | Trouble:
    """Where `first` is attached; a network is asked whether the end of a standing thread lives."""
    with press.store.read() as c:
        line = ledger.chain(c, first.thread_id)
        wait = wait_for(c, first.channel, ("read",), press.clock())
    if line and line[0].thread_id == first.thread_id:
        # What was published a moment ago by this very thread is not asked for.
        return place_behind(line, line[0])
    # What an editor took down, or has taken down now, is no end to attach to.
    older = [one for one in line if one.undo_at is None]
    if not older:
        return Begin()
    # What was said a moment ago need not be seen yet.
    if older[0].is_live and older[0].state_at > press.clock() - channel.traits.seen_after:
        return place_behind(line, older[0])
    looked = [one for one in older if one.is_live][:LOOKED_AT]
    if looked and wait:
        return Later(wait.reason, wait.until)
    alive = _alive(press, channel, looked)
    if not isinstance(alive, list):
        return alive
    return _behind(press, first, line, older[0], alive)


def place_behind(line: Sequence[Publication], parent: Publication) -> Place:
    """The place of what answers `parent`; `line` is what is or was out of the whole thread.

    The root is where the answers lead back to, deleted or not: every later snippet names it.
    """
    by_id = {one.remote_id: one for one in line}
    root = parent
    for _ in line:
        root = by_id.get(root.reply_to, root) if root.reply_to else root
    return Place(_receipt(root), _receipt(parent))


def _alive(
    press: Press, channel: Channel, looked: Sequence[Publication]
) -> list[Publication] | Trouble:
    """Those that are out still; what is there no more is recorded so."""
    if not looked:
        return []
    seen = channel.read([_receipt(one) for one in looked])
    if not isinstance(seen, tuple):
        return seen
    with press.store.write() as c:
        charge_calls(c, press, looked[0].channel, "read", len(looked))
        for one, it in zip(looked, seen, strict=True):
            if it is None:
                ledger.deleted(c, one.id, press.clock())
    return [one for one, it in zip(looked, seen, strict=True) if it is not None]


def _behind(
    press: Press,
    first: Publication,
    line: Sequence[Publication],
    tail: Publication,
    alive: Sequence[Publication],
) -> Place | Begin | Stay:
    policy = press.declared[first.channel].tail_gone
    is_gone = not alive or alive[0].id != tail.id
    if is_gone and policy == "new":
        return Begin()
    if is_gone and policy == "stop" and not _was_released(press, first):
        return Stay(_TAIL_GONE)
    return place_behind(line, alive[0]) if alive else Begin()


def _was_released(press: Press, first: Publication) -> bool:
    """An editor knows of it, and lets the thread go on."""
    with press.store.read() as c:
        thread = load_thread(c, first.thread_id)
    return thread is not None and thread.held_why == _TAIL_GONE


def _receipt(one: Publication) -> Receipt:
    assert one.receipt is not None
    return one.receipt
