"""Reading a thread back once it is out: is it there, whole, in order, as it was said?"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from digest.errors import Throttled, Unauthorized
from digest.model import DeliveryState
from digest.social.bars import charge_calls, mind, must_wait
from digest.social.decisions import LATEST_REST
from digest.social.hashtags import tags_in
from digest.social.press import named
from digest.store import publications as ledger
from digest.store.social import proved, to_prove

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from digest.model import Seen
    from digest.social.press import Turn
    from digest.store.publications import Publication

log = logging.getLogger(__name__)

S = DeliveryState


def prove_all(turn: Turn, slug: str) -> None:
    """Read back every thread of the channel that is through and was not read back yet."""
    press = turn.press
    with press.store.read() as c:
        if must_wait(c, slug, "read", press.clock()):
            return
        # Whatever the network, what was said a moment ago need not be seen yet.
        waiting = to_prove(c, slug, press.clock())
    if not waiting:
        return
    until = press.clock() - press.open(slug).traits.seen_after
    with press.store.read() as c:
        waiting = to_prove(c, slug, until)
    for thread_id in waiting:
        if not _prove(turn, slug, thread_id):
            return


def _prove(turn: Turn, slug: str, thread_id: int) -> bool:
    """Read one thread back; False where the network wants not to be asked now."""
    press = turn.press
    with press.store.read() as c:
        parts = ledger.of_thread(c, thread_id)
    out = [one for one in parts if one.is_live and one.receipt]
    seen = press.open(slug).read([one.receipt for one in out if one.receipt])
    now = press.clock()
    if not isinstance(seen, tuple):
        log.info("thread %s on %s was not read back: %s", thread_id, slug, seen.reason)
        mind(turn, slug, seen, now)
        if max(one.state_at for one in parts) < now - LATEST_REST:
            _conclude(turn, parts, f"it could not be read back: {seen.reason}")
        return not isinstance(seen, Throttled | Unauthorized)
    differs = "; ".join([*_missing(parts), *differences(out, seen)])
    with press.store.write() as c:
        charge_calls(c, press, slug, "read", len(out))
        for one, it in zip(out, seen, strict=True):
            if it is None:
                ledger.deleted(c, one.id, now)
    _conclude(turn, parts, differs)
    return True


def _conclude(turn: Turn, parts: Sequence[Publication], differs: str) -> None:
    with turn.press.store.write() as c:
        told = not proved(c, parts[0].thread_id, differs, turn.press.clock())
    if differs and not told:
        turn.tell(f"{named(parts[0])} is not as it should be: {differs}")


def differences(out: Sequence[Publication], seen: Sequence[Seen | None]) -> Iterator[str]:
    """What is not as it was said, snippet by snippet."""
    for one, it in zip(out, seen, strict=True):
        found = ["is there no more"] if it is None else list(_differs(one, it))
        yield from (f"snippet {one.position} {what}" for what in found)


def _missing(parts: Sequence[Publication]) -> Iterator[str]:
    gone = [one for one in parts if one.state != S.SUBMITTED]
    if gone:
        why = f": snippet {gone[0].position} was {gone[0].state}"
        reason = f", {gone[0].reason}" if gone[0].reason else ""
        yield f"{len(parts) - len(gone)} of {len(parts)} snippets are out{why}{reason}"


def _differs(one: Publication, it: Seen) -> Iterator[str]:
    if _folded(it.text) != _folded(one.text):
        yield "has another text"
    if it.reply_to != one.reply_to:
        yield "answers another"
    shown = {tag.casefold() for tag in it.tags}
    said = (*tags_in(one.text), *(one.tags or ()))
    lost = [tag for tag in dict.fromkeys(said) if tag.casefold() not in shown]
    if lost:
        yield f"lacks the hashtag {', '.join(f'#{tag}' for tag in lost)}"
    if one.picture and not it.alts:
        yield "lacks its picture"
    elif one.picture and one.image_alt and not it.alts[0]:
        yield "lacks its alt text"


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
