"""Where the next snippet is attached: behind the one before it, or behind a standing thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.model import Place
from digest.social.bars import charge_calls
from digest.store import publications as ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.model import Receipt
    from digest.ports import Channel, Trouble
    from digest.social.press import Press
    from digest.store.publications import Publication

#: So many of the newest snippets are looked at for one that is alive.
LOOKED_AT = 25


@dataclass(frozen=True, slots=True)
class Begin:
    """Nothing to answer: it begins a thread."""


@dataclass(frozen=True, slots=True)
class Stay:
    """It must wait for an editor, and why."""

    why: str


def place_of(press: Press, channel: Channel, first: Publication) -> Place | Begin | Stay | Trouble:
    """Where `first` is attached; a network is asked whether the end of a standing thread lives."""
    with press.store.read() as c:
        own = ledger.of_thread(c, first.thread_id)[: first.position - 1]
        older = ledger.chain(c, first.thread_id) if first.form == "standing" else []
    before = [one for one in reversed(own) if one.receipt] + older
    if not before:
        return Begin()
    root = before[-1]
    if own:
        # What was published a moment ago by this very thread is not asked for.
        return _place(root, before[0])
    return _behind(press, channel, first, older)


def _behind(
    press: Press, channel: Channel, first: Publication, older: Sequence[Publication]
) -> Place | Begin | Stay | Trouble:
    looked = older[:LOOKED_AT]
    seen = channel.read([_receipt(one) for one in looked])
    if not isinstance(seen, tuple):
        return seen
    charge_calls(press, first.channel, "read", len(looked))
    dead = [one for one, it in zip(looked, seen, strict=True) if it is None]
    with press.store.write() as c:
        for one in dead:
            ledger.deleted(c, one.id, press.clock())
    alive = [one for one, it in zip(looked, seen, strict=True) if it is not None]
    policy = press.declared[first.channel].tail_gone
    if seen[0] is not None or (alive and policy == "last-alive"):
        return _place(older[-1], alive[0])
    if policy == "stop":
        return Stay("the end of its standing thread was deleted on the network")
    return Begin()


def _place(root: Publication, parent: Publication) -> Place:
    return Place(_receipt(root), _receipt(parent))


def _receipt(one: Publication) -> Receipt:
    assert one.receipt is not None
    return one.receipt
