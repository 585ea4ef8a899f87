"""Threads and channels as they stand, and what an editor decides about them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import (
    PARTIAL,
    By,
    DryRun,
    Home,
    Json,
    finish,
    opened,
    recorded,
    say,
    show,
    when,
    who,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from digest.bootstrap import App
    from digest.social.undoing import Undone
    from digest.store.social import PublicationRow, ThreadRow
    from digest.threads import ChannelStanding

Channel = Annotated[str | None, typer.Option("--channel", help="Only this channel.")]
ThreadId = Annotated[
    int, typer.Argument(metavar="THREAD", min=1, max=2**31 - 1, help="The thread's number.")
]
Stopped = Annotated[
    str | None, typer.Argument(metavar="[CHANNEL]", help="A channel of config. Default: all.")
]
#: Threads that are over and shown without being asked for; the newest.
_OVER = 10


# --- status ------------------------------------------------------------------------------------


def status(
    thread: Annotated[
        int | None,
        typer.Argument(metavar="[THREAD]", min=1, max=2**31 - 1, help="One thread, in full."),
    ] = None,
    channel: Channel = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the threads that are long over.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show how channels and threads stand: what is out, what waits and for what.

    Example: digest social status --channel mastodon
    """
    from digest.errors import UsageError
    from digest.social.plan import thread_status
    from digest.threads import channels_standing, thread_of

    with opened(home) as app:
        known = app.config.channels
        if channel and channel not in known:
            raise UsageError(f"no channel {channel!r}; there are: {', '.join(sorted(known))}")
        if thread is not None:
            _tell_one(app, thread_of(app, thread), as_json=as_json)
            return
        threads = thread_status(app.store, channel=channel)
        standings = channels_standing(app, channel)
        if as_json:
            channels = [asdict(one) for one in standings]
            show({"channels": channels, "threads": [_thread_json(one) for one in threads]})
            return
        for standing in standings:
            _tell_channel(app, standing)
        _tell_threads(app, threads, everything=everything)


def _thread_json(thread: ThreadRow) -> dict[str, object]:
    from digest.social.telling import form_of, marks, standing

    words = {"standing": standing(thread), "form_words": form_of(thread), "marks": marks(thread)}
    return {**asdict(thread), **words, "live": len(thread.live), "of": len(thread.publications)}


def _tell_channel(app: App, one: ChannelStanding) -> None:
    from digest.social.money import dollars

    where = "shown on the local page" if one.kind == "preview" else "published for real"
    say(f"{one.slug}: {where}")
    for stop in one.stops:
        what = "everything was" if stop.channel != one.slug else "was"
        lift = "digest social start" + (f" {one.slug}" if stop.channel == one.slug else "")
        since = when(stop.at, app.config)
        say(f"  {what} stopped by {stop.actor} on {since}: {stop.reason}; {lift}")
    for wait in one.waits:
        say(f"  waits with {_WAITS[wait.what]} until {when(wait.until, app.config)}: {wait.reason}")
    if one.spent or one.cap is not None:
        cap = f" of {dollars(one.cap)}" if one.cap is not None else ""
        say(f"  {dollars(one.spent)}{cap} spent in {one.month}")
    if one.uncertain:
        say(f"  {one.uncertain} uncertain: looked up at the next publishing")


_WAITS = {
    "post": "publishing",
    "media": "pictures",
    "delete": "taking down",
    "read": "reading back",
    "money": "publishing",
}


def _tell_threads(app: App, threads: list[ThreadRow], *, everything: bool) -> None:
    from digest.social.telling import is_over

    over = [one.thread_id for one in threads if is_over(one)]
    hidden = set() if everything else set(over[:-_OVER])
    for thread in threads:
        if thread.thread_id not in hidden:
            say()
            _tell_thread(app, thread)
    say()
    say(f"{len(threads)} {'thread' if len(threads) == 1 else 'threads'}.")
    if hidden:
        say(f"{len(hidden)} of them are over and not shown: digest social status --all")


def _tell_thread(app: App, thread: ThreadRow) -> None:
    from digest.cli.snippets import slot_words, wrapped
    from digest.social.telling import form_of, marks, standing

    say(wrapped(f"Thread {thread.thread_id} on {thread.channel}: {thread.title}", "", "  "))
    say(f"  {thread.scope}, {form_of(thread)}")
    say(wrapped(standing(thread), "  ", "    "))
    for mark in marks(thread):
        say(wrapped(mark, "  ", "    "))
    waiting = [one for one in thread.publications if one.state == "pending"]
    if waiting:
        say(f"  next: {slot_words(waiting[0].slot, _zone(app, thread))}")
    if thread.live and thread.live[0].url:
        say(f"  {thread.live[0].url}")


def _tell_one(app: App, thread: ThreadRow, *, as_json: bool) -> None:
    from digest.cli.snippets import wrapped

    if as_json:
        show(_thread_json(thread))
        return
    _tell_thread(app, thread)
    say(wrapped(f"why: {thread.reason}", "  ", "       "))
    if thread.proved_at:
        how = "as it was said" if not thread.differs else "not as it was said"
        say(f"  read back on {when(thread.proved_at, app.config)}: {how}")
    for one in thread.publications:
        _tell_publication(app, thread, one)


def _tell_publication(app: App, thread: ThreadRow, one: PublicationRow) -> None:
    from digest.cli.snippets import extra, say_text, slot_words, wrapped

    at = slot_words(one.slot, _zone(app, thread))
    state = "taken down" if one.deleted_at else one.state
    why = f": {one.reason}" if one.reason else ""
    say()
    say(wrapped(f"{one.position}/{len(thread.publications)}  {at}  {state}{why}", "  ", "       "))
    if one.url:
        say(f"       {one.url}")
    say_text(one.text)
    if one.image_url:
        extra(f"picture: {one.image_alt or 'without alt text'}")
    if one.note:
        extra(one.note)
    if one.settled:
        extra(f"decided: {one.settled}")


def _zone(app: App, thread: ThreadRow) -> ZoneInfo:
    from digest.social.slots import zone_of

    declared = app.config.channels.get(thread.channel)
    return zone_of(declared, app.config) if declared else app.config.site.zone


# --- decisions ---------------------------------------------------------------------------------


def undo(
    thread: ThreadId,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with it.")] = "",
    dry_run: DryRun = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take a whole thread down, the last snippet first; what has not gone out never will.

    What the network does not let us delete now, later publishings go on with. Exit code 3
    where something is left.

    Example: digest social undo 12 --reason "wrong figures"
    """
    from digest.model import Act
    from digest.threads import thread_of, undo_thread

    with opened(home) as app:
        shown = thread_of(app, thread)
        if dry_run:
            _dry_undo(app, shown, as_json=as_json)
            return
        with recorded(app, "social undo", by, thread=thread) as run:
            act = Act(who(by), app.clock(), reason or "digest social undo")
            undone = undo_thread(app, thread, act)
            run.counts = {"removed": len(undone.removed), "left": len(undone.left)}
            run.outcome = "partial" if undone.left else "done"
            run.reason = undone.left[0][1] if undone.left else ""
        _tell_undone(thread_of(app, thread), undone, as_json=as_json)
    if undone.left:
        finish(PARTIAL)


def _dry_undo(app: App, thread: ThreadRow, *, as_json: bool) -> None:
    from digest.social.money import dollars

    ended = [one for one in thread.publications if one.state == "pending"]
    doubts = [one for one in thread.publications if one.state == "uncertain"]
    declared = app.config.channels.get(thread.channel)
    price = declared.price_list.delete * len(thread.live) if declared else None
    if as_json:
        removed = [_place(one) for one in thread.live]
        left = [_place(one) for one in doubts]
        show({"thread": thread.thread_id, "removed": removed, "left": left, "dry_run": True})
        return
    say(f"Thread {thread.thread_id} on {thread.channel} ({thread.title}):")
    for one in reversed(thread.live):
        say(f"  would take down {one.position} of {len(thread.publications)}: {one.url or ''}")
    if doubts:
        say(f"  would look up {len(doubts)} first that may be out")
    if ended:
        say(f"  {len(ended)} still to go out never would")
    if price:
        say(f"  about {dollars(price)}")
    say("Nothing was changed: this is what would be done.")


def _place(one: PublicationRow) -> dict[str, object]:
    return {"position": one.position, "url": one.url, "reason": one.reason}


def _tell_undone(thread: ThreadRow, undone: Undone, *, as_json: bool) -> None:
    cancelled = sum(one.state == "cancelled" for one in thread.publications)
    if as_json:
        removed = [{"position": one.position, "url": one.url} for one in undone.removed]
        left = [{"position": o.position, "url": o.url, "reason": why} for o, why in undone.left]
        counted = {"removed": removed, "left": left, "cancelled": cancelled, "dry_run": False}
        show({"thread": thread.thread_id, **counted})
        return
    words = [f"{len(undone.removed)} taken down"] if undone.removed else ["nothing was out"]
    words += [f"{cancelled} never went out"] * bool(cancelled)
    words += [f"{len(undone.left)} left"] * bool(undone.left)
    say(f"Thread {thread.thread_id} on {thread.channel} ({thread.title}): {', '.join(words)}.")
    for one, why in undone.left:
        say(f"  {one.position} of {one.of} is left: {why}; {one.url or 'its address is not known'}")
    if undone.left:
        say("Later publishings go on with it.")


def release(
    thread: ThreadId,
    anew: Annotated[
        bool, typer.Option("--anew", help="Make it anew from its post as that is now.")
    ] = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a held thread go on as it was planned; from now, where its slot is too old.

    Example: digest social release 12
    """
    from digest.cli.snippets import slot_words
    from digest.model import Act
    from digest.threads import release_thread

    with opened(home) as app, recorded(app, "social release", by, thread=thread, anew=anew) as run:
        act = Act(who(by), app.clock(), "digest social release")
        released = release_thread(app, thread, act, anew=anew)
        run.reason = f"was held: {released.why}"
        shown = released.thread
        if as_json:
            show({"thread": thread, "slot": released.slot, "was_held": released.why})
            return
        say(f"Thread {thread} on {shown.channel} ({shown.title}) goes on; it was held:")
        say(f"  {released.why}")
        if released.slot:
            slot = slot_words(released.slot, _zone(app, shown))
            say(f"  its next snippet goes out by the first publishing after {slot}")


def stop(
    channel: Stopped = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown where it is asked.")] = "",
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Stop a channel, or all: nothing goes out there until it is started again.

    Plans go on; what is too late when it starts again is given up, and floods nobody.

    Example: digest social stop mastodon --reason "election week"
    """
    from digest.model import Act
    from digest.threads import stop as stop_channel

    with opened(home) as app, recorded(app, "social stop", by, channel=channel) as run:
        act = Act(who(by), app.clock(), reason or "digest social stop")
        before = stop_channel(app, channel, act)
        run.outcome, run.reason = "nothing" if before else "done", act.reason
        if as_json:
            show({"channel": channel or "all", "stopped": True, "changed": before is None})
            return
        name = channel or "Every channel"
        if before:
            since = when(before.at, app.config)
            say(f"{name} is stopped since {since}, by {before.actor}: {before.reason}.")
            return
        lift = f"digest social start{f' {channel}' if channel else ''}"
        say(f"{name} is stopped. Let it go on with: {lift}")


def start(
    channel: Stopped = None,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a stopped channel go on, or lift the stop of all.

    What a network asked us to wait for, or a month's cap, is no stop: that passes by itself,
    or when the cap is raised.

    Example: digest social start mastodon
    """
    from digest.threads import channels_standing
    from digest.threads import start as start_channel

    with opened(home) as app, recorded(app, "social start", by, channel=channel) as run:
        lifted = start_channel(app, channel)
        run.outcome = "done" if lifted else "nothing"
        run.reason = "" if lifted else "nothing was stopped"
        standings = channels_standing(app, channel)
        if as_json:
            left = {one.slug: [asdict(s) for s in one.stops] for one in standings if one.stops}
            show({"channel": channel or "all", "changed": lifted, "stops": left})
            return
        name = channel or "Publishing"
        say(f"{name} goes on." if lifted else f"{name} was not stopped.")
        for one in standings:
            if one.stops or one.waits:
                _tell_channel(app, one)


def add_to(app: typer.Typer) -> None:
    for command in (status, undo, release, stop, start):
        app.command()(command)
