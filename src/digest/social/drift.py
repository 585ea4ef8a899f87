"""Posts that are edited or withdrawn: before their threads go out, and after."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import Refused
from digest.model import Act, DeliveryState, Place
from digest.social.bars import BY_NETWORK, fault, mind
from digest.social.decisions import Decision
from digest.social.press import named
from digest.social.readying import ready
from digest.social.tails import place_behind
from digest.social.thread import Thread, Unthreadable
from digest.social.undoing import take_down
from digest.store import publications as ledger
from digest.store import social as threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from digest.config_social import Channel
    from digest.errors import Unavailable
    from digest.ports import Trouble
    from digest.social.press import Turn
    from digest.social.thread import Snippet
    from digest.store.publications import Publication
    from digest.store.social import PublicationRow, ThreadRow

log = logging.getLogger(__name__)

S = DeliveryState
_IS_GONE = "its post is gone"
_WAS_EDITED = "its post was edited"


# --- before ------------------------------------------------------------------------------------


def is_as_planned(turn: Turn, batch: Sequence[Publication]) -> bool:
    """Whether a thread that is about to begin may; else what its channel's policy says is done.

    What was claimed is then given back, ended or replaced by what is made of the post now.
    """
    press, slug = turn.press, batch[0].channel
    with press.store.read() as c:
        thread = threads.load_thread(c, batch[0].thread_id)
    assert thread is not None
    policy = press.declared[slug]
    if thread.gone_at is not None or press.workshop.is_gone(thread):
        _dispose(turn, batch, policy.gone_before, _IS_GONE)
        return False
    network = press.workshop.network(slug)
    fits = all(network.fits(one.text) for one in batch)
    if fits and thread.content_hash == thread.post_hash:
        return True
    made = press.workshop.remake(thread)
    if not isinstance(made, Thread):
        why = made.reason if made else "its post left the series or theme"
        _dispose(turn, batch, "cancel", why)
        return False
    if fits and _is_same(thread, made):
        with press.store.write() as c:
            threads.compared(c, thread.thread_id, thread.content_hash)
        return True
    why = _WAS_EDITED if fits else "the account takes less than when it was planned"
    if policy.edited_before != "render" and fits:
        _dispose(turn, batch, policy.edited_before, why)
        return False
    _remake(turn, batch, thread, made, why)
    return False


def _dispose(turn: Turn, batch: Sequence[Publication], policy: str, why: str) -> None:
    """Hold a thread for an editor, or end it."""
    now = turn.press.clock()
    with turn.press.store.write() as c:
        if policy == "hold":
            threads.hold(c, batch[0].thread_id, why, now)
            ledger.unclaim(c, batch, turn.worker, now)
        else:
            ended = Decision(S.CANCELLED, batch[0].attempts, why)
            ledger.end(c, batch, turn.worker, ended, now)
            for one in ledger.of_thread(c, batch[0].thread_id):
                ledger.give_up(c, one.id, S.CANCELLED, why, now)
    if policy == "hold":
        one = batch[0]
        turn.tell(f"{named(one)} is held: {why}; then: digest social release {one.thread_id}")
    turn.add(batch[0], "held" if policy == "hold" else S.CANCELLED, why)


def _remake(
    turn: Turn, batch: Sequence[Publication], thread: ThreadRow, made: Thread, why: str
) -> None:
    press, now = turn.press, turn.press.clock()
    begin = thread.publications[0].slot
    channel = press.declared[thread.channel]
    snippets = planned_anew(made, channel, begin, batch[0].language)
    with press.store.write() as c:
        if not threads.remake_thread(c, thread, snippets, thread.content_hash, now):
            ledger.unclaim(c, batch, turn.worker, now)
            return
    log.info("thread %s on %s was made anew: %s", thread.thread_id, thread.channel, why)
    turn.notices.append(f"{named(thread)} was made anew: {why}")


def planned_anew(
    made: Thread, channel: Channel, begin: datetime, language: str
) -> list[threads.PlannedSnippet]:
    """The snippets of a thread made anew, the first in this slot, as paced as its channel is."""
    pace = timedelta(minutes=0 if channel.goes_at_once else channel.slots.pace_minutes)
    return [
        threads.PlannedSnippet(
            one.text,
            one.measured,
            one.image,
            begin + pace * index,
            one.card,
            one.tags,
            language,
        )
        for index, one in enumerate(made.snippets)
    ]


def _is_same(thread: ThreadRow, made: Thread) -> bool:
    before = [(*_said(one), one.image_url, one.image_alt) for one in thread.publications]
    after = [(*_says(one), *_picture(one)) for one in made.snippets]
    return before == after


def _said(one: Publication | PublicationRow) -> tuple[object, ...]:
    """What an edit can change."""
    return one.text, one.card, tuple(one.tags or ())


def _says(one: Snippet) -> tuple[object, ...]:
    return one.text, threads.card_of(one.card), one.tags


def _picture(one: Snippet) -> tuple[str | None, str | None]:
    return (one.image.url, one.image.alt) if one.image else (None, None)


# --- after -------------------------------------------------------------------------------------


def catch_up(turn: Turn, slug: str) -> None:
    """Do what the channel's policy says about posts that changed since their threads went out."""
    press = turn.press
    with press.store.read() as c:
        found = [threads.load_thread(c, thread_id) for thread_id in threads.drifted(c, slug)]
    for thread in found:
        assert thread is not None
        if thread.gone_at is not None:
            _after_gone(turn, thread)
        elif not _after_edit(turn, thread):
            return


def _after_gone(turn: Turn, thread: ThreadRow) -> None:
    press, policy = turn.press, turn.press.declared[thread.channel].gone_after
    now = press.clock()
    with press.store.write() as c:
        threads.compared(c, thread.thread_id, threads.GONE)
        if policy == "undo":
            threads.ask_undo(c, thread.thread_id, Act(BY_NETWORK, now, _IS_GONE))
    if policy == "undo":
        undone = take_down(turn, thread.thread_id)
        for one in undone.removed:
            turn.add(one, "deleted", _IS_GONE)
        turn.notices.append(f"{named(thread)} is taken down: {_IS_GONE}")
    elif policy == "tell":
        turn.tell(f"{named(thread)} is out, and {_IS_GONE}: digest social undo {thread.thread_id}")


def _after_edit(turn: Turn, thread: ThreadRow) -> bool:
    """Follow an edit; False where the network cannot be asked now."""
    press, policy = turn.press, turn.press.declared[thread.channel].edited_after
    made = press.workshop.remake(thread)
    told = ""
    if policy != "leave" and isinstance(made, Thread) and not _is_same(thread, made):
        if policy == "edit":
            answer = _edit(turn, thread, made)
            if answer is None:
                return False
            told = answer
        else:
            told = "what is out says what the post said before"
    elif policy != "leave" and not isinstance(made, Thread):
        why = made.reason if isinstance(made, Unthreadable) else "it left the series or theme"
        told = f"of what it is now there is no thread: {why}"
    with press.store.write() as c:
        threads.compared(c, thread.thread_id, thread.content_hash)
    if told:
        turn.tell(f"{named(thread)} is out, and {_WAS_EDITED}: {told}")
    return True


def _edit(turn: Turn, thread: ThreadRow, made: Thread) -> str | None:
    """Let what is out say what is made now; what could not be, in words. None: not now."""
    press = turn.press
    channel = press.open(thread.channel)
    if not channel.traits.can_edit:
        return "this network lets nobody edit"
    if len(made.snippets) != len(thread.live) or len(thread.live) != len(thread.publications):
        return f"it would have {len(made.snippets)} snippets now, and cannot be edited"
    with press.store.read() as c:
        parts = ledger.of_thread(c, thread.thread_id)
        line = ledger.chain(c, thread.thread_id)
        if fault(c, thread.channel, press.clock()):
            return None
    for one, new in zip(parts, made.snippets, strict=True):
        if _said(one) == _says(new):
            continue
        trouble = _edit_one(turn, line, one, new)
        if isinstance(trouble, Refused):
            return f"snippet {one.position} could not be edited: {trouble.reason}"
        if trouble is not None:
            turn.faults.setdefault(thread.channel, trouble.reason)
            mind(turn, thread.channel, trouble, press.clock())
            return None
        turn.add(one, "edited", _WAS_EDITED)
    if any(
        (one.image_url, one.image_alt) != _picture(new)
        for one, new in zip(parts, made.snippets, strict=True)
    ):
        return "its picture is another now, and what is out shows the one from before"
    return ""


def _edit_one(
    turn: Turn, line: Sequence[Publication], one: Publication, new: Snippet
) -> Trouble | Unavailable | None:
    """Edit one snippet; doing it again does no harm, so a crash within loses nothing."""
    press = turn.press
    channel, limits = press.open(one.channel), press.workshop.limits(one.channel)
    card, tags = threads.card_of(new.card), list(new.tags)
    changed = replace(one, text=new.text, card=card, tags=tags)
    readied = ready([changed], press.workshop, limits, press.clock())
    if not isinstance(readied, list):
        return readied
    place = _place(line, one)
    if isinstance(place, Refused):
        return place
    bodies = channel.prepare([readied[0].snippet], place)
    if not isinstance(bodies, tuple):
        return bodies
    assert one.receipt is not None
    answer = channel.edit(one.receipt, bodies[0])
    if not isinstance(answer, tuple):
        return answer
    with press.store.write() as c:
        says = {"text": new.text, "measured": new.measured, "card": card, "tags": tags}
        ledger.edited(c, one.id, {**says, "body": bodies[0]}, answer[0])
    return None


def _place(line: Sequence[Publication], one: Publication) -> Place | Refused | None:
    """Where it stands: what it answered when it went out."""
    if one.reply_to is None:
        return None
    parent = next((it for it in line if it.remote_id == one.reply_to), None)
    return place_behind(line, parent) if parent else Refused("what it answers is not known")
