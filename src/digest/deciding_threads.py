"""What an editor decides at the desk about threads and channels, by the steps of the commands.

Each is kept as a run, under the name of the account. A decision that does not fit changes
nothing and raises UsageError.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from digest import threads
from digest.errors import UsageError
from digest.model import Act, DeliveryState
from digest.recording import recorded
from digest.settling import settle_publications

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.recording import RunRecord
    from digest.store.social import ThreadRow


class Decision(StrEnum):
    """What may be decided."""

    STOP = "stop"
    START = "start"
    RELEASE = "release"
    ANEW = "anew"
    UNDO = "undo"
    LOOK = "look"
    LEAVE = "leave"
    RESEND = "resend"


#: Not to be taken back: they are asked about once more.
GRAVE = (Decision.UNDO, Decision.RESEND)

#: About a thread; the others are about a channel, or every one.
OF_A_THREAD = (Decision.RELEASE, Decision.ANEW, Decision.UNDO)

_RUNS = {
    **dict.fromkeys((Decision.RELEASE, Decision.ANEW), "social release"),
    **dict.fromkeys((Decision.LOOK, Decision.LEAVE, Decision.RESEND), "social settle"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """What an editor said, as the form had it."""

    decision: Decision
    thread: int | None = None
    #: None: every channel.
    channel: str | None = None
    reason: str = ""


def choices(thread: ThreadRow) -> tuple[Decision, ...]:
    """What may be decided about a thread as it stands."""
    begun = any(one.state != DeliveryState.PENDING or one.attempts for one in thread.publications)
    found: list[Decision] = []
    if thread.held_at is not None and thread.gone_at is None and thread.undo_at is None:
        found += [Decision.RELEASE] if begun else [Decision.RELEASE, Decision.ANEW]
    if thread.undo_at is None or thread.live:
        found.append(Decision.UNDO)
    return tuple(found)


def decide(app: App, word: Word, actor: str) -> str:
    """Do what was decided. Returns in words what was done and what happens next."""
    what = _RUNS.get(word.decision, f"social {word.decision}")
    about = {"thread": word.thread} if word.thread else {"channel": word.channel}
    with recorded(app, what, actor, {**about, "decision": str(word.decision)}) as run:
        act = Act(actor, app.clock(), word.reason or f"{what}, at the desk")
        if word.thread is not None:
            return _of_thread(app, run, word.thread, word, act)
        return _of_channel(app, run, word, act)


def _of_thread(app: App, run: RunRecord, thread_id: int, word: Word, act: Act) -> str:
    if word.decision is Decision.UNDO:
        return _undo(app, run, thread_id, act)
    released = threads.release_thread(app, thread_id, act, anew=word.decision is Decision.ANEW)
    run.reason = f"was held: {released.why}"
    if released.slot is None:
        return "It is held no more. Nothing of it is to come."
    slot = released.slot.astimezone(app.config.site.zone)
    when = f"{slot:%a} {slot.day} {slot:%b, %H:%M}"
    return f"It goes on: its next snippet goes out by the first publishing after {when}."


def _undo(app: App, run: RunRecord, thread_id: int, act: Act) -> str:
    undone = threads.undo_thread(app, thread_id, act)
    run.counts = {"removed": len(undone.removed), "left": len(undone.left)}
    removed = f"{len(undone.removed)} taken down" if undone.removed else "Nothing was out"
    if not undone.left:
        return f"{removed}; what had not gone out never will."
    run.outcome, run.reason = "partial", undone.left[0][1]
    return f"{removed}; {len(undone.left)} left: {run.reason}. Later publishings go on with it."


def _of_channel(app: App, run: RunRecord, word: Word, act: Act) -> str:
    name = word.channel or "every channel"
    if word.decision is Decision.STOP:
        before = threads.stop(app, word.channel, act)
        run.outcome, run.reason = "nothing" if before else "done", act.reason
        return f"{name} was stopped already, by {before.actor}." if before else f"Stopped: {name}."
    if word.decision is Decision.START:
        lifted = threads.start(app, word.channel)
        run.outcome = "done" if lifted else "nothing"
        run.reason = "" if lifted else "nothing was stopped"
        return f"Lifted: {name} goes on." if lifted else f"There was no stop of {name}."
    return _settle(app, run, word, act)


def _settle(app: App, run: RunRecord, word: Word, act: Act) -> str:
    if word.channel is not None and word.channel not in app.config.channels:
        raise UsageError(f"no channel {word.channel!r} in config")
    count = settle_publications(app, str(word.decision), act, channel=word.channel)
    run.counts, run.outcome = {"settled": count}, "done" if count else "nothing"
    run.reason = "" if count else "nothing was uncertain, or could be looked up"
    if not count:
        return "Nothing could be decided: their network does not tell, or nothing was uncertain."
    again = " They go out again by the next publishing." * (word.decision is Decision.RESEND)
    return f"{count} uncertain {'snippet' if count == 1 else 'snippets'} decided.{again}"
