"""What an editor decides about threads and channels: taken down, released, stopped, started."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.mail.worker import working
from digest.model import DeliveryState
from digest.social import settle, undoing
from digest.social.drift import planned_anew
from digest.social.money import from_micros, month_of
from digest.social.press import Turn
from digest.social.preview import refresh_preview
from digest.social.thread import Thread
from digest.social.workshop import press_of
from digest.store import publications as ledger
from digest.store import social as store
from digest.store import standstill

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.model import Act
    from digest.social.press import Press
    from digest.social.undoing import Undone
    from digest.store.social import ThreadRow
    from digest.store.standstill import Stop, Wait

S = DeliveryState


@dataclass(frozen=True, slots=True)
class ChannelStanding:
    """A channel as it stands: what keeps it from publishing, and what it spent."""

    slug: str
    network: str
    kind: str
    stops: tuple[Stop, ...]
    waits: tuple[Wait, ...]
    #: In US dollars, this calendar month in UTC; the cap is None where there is none.
    spent: Decimal
    cap: Decimal | None
    month: str
    #: Publications that nobody knows of whether they are out.
    uncertain: int


@dataclass(frozen=True, slots=True)
class Released:
    """A thread that goes on, from when, and why it was held."""

    thread: ThreadRow
    slot: datetime | None
    why: str


def thread_of(app: App, thread_id: int) -> ThreadRow:
    """The thread of that number; UsageError where there is none."""
    with app.store.read() as c:
        found = store.load_thread(c, thread_id)
    if found is None:
        raise UsageError(f"no thread {thread_id}: `digest social status` lists them")
    return found


def channels_standing(app: App, channel: str | None = None) -> list[ChannelStanding]:
    """Every channel of config, or the one named, as it stands now."""
    now = app.clock()
    slugs = [channel] if channel else list(app.config.channels)
    with app.store.read() as c:
        return [_standing(c, app, slug, now) for slug in slugs]


def _standing(c: Connection, app: App, slug: str, now: datetime) -> ChannelStanding:
    declared, month = app.config.channels[slug], month_of(now)
    return ChannelStanding(
        slug=slug,
        network=declared.network,
        kind=declared.kind,
        stops=tuple(standstill.stops_of(c, slug)),
        waits=tuple(standstill.waits_of(c, now, slug)),
        spent=from_micros(standstill.spent(c, slug, month.begins)),
        cap=declared.monthly_cap,
        month=str(month),
        uncertain=len(ledger.uncertain(c, slug)),
    )


def undo_thread(app: App, thread_id: int, act: Act) -> Undone:
    """Take a thread down, as far as the network lets us; later publishings go on with it.

    What is in doubt is looked up first, so that what proves to be out is taken down too.
    UsageError where there is no such thread on a channel of config.
    """
    press = _press(app, thread_id)
    (slug,) = press.declared
    with working(press.folder, secrets.token_hex(4)) as worker:
        settle.recover(press)
        settle.look_up(press, slug)
        undone = undoing.undo(Turn(press, worker), thread_id, act)
    refresh_preview(app)
    return undone


def release_thread(app: App, thread_id: int, act: Act, *, anew: bool = False) -> Released:
    """Let a held thread go on as it was planned, from now where its slot is too old.

    With `anew` it is made of its post as that is now; only before anything of it was tried.
    UsageError where it is not held, its post is gone, or no thread can be made of it.
    """
    press, thread = _press(app, thread_id), thread_of(app, thread_id)
    (channel,) = press.declared.values()
    if thread.held_at is None:
        raise UsageError(f"thread {thread_id} is not held")
    if thread.gone_at is not None:
        raise UsageError(
            f"the post of thread {thread_id} is gone: digest ingest --whole if it is back,"
            f" or digest social undo {thread_id}"
        )
    made = _made(press, thread) if anew else None
    with app.store.write() as c:
        if made:
            parts = ledger.of_thread(c, thread_id)
            snippets = planned_anew(made, channel, parts[0].slot, parts[0].language)
            store.remake_thread(c, thread, snippets, thread.content_hash, act.at)
        store.release_thread(c, thread_id)
        # What it was held for is decided: it is not compared with this version again.
        store.compared(c, thread_id, thread.content_hash)
        waiting = (one for one in ledger.of_thread(c, thread_id) if one.state == S.PENDING)
        first = next(waiting, None)
        if first and first.slot <= act.at - timedelta(hours=channel.max_late_hours):
            ledger.put_off(c, first, act.at)
    refresh_preview(app)
    slot = max(first.slot, act.at) if first else None
    return Released(thread_of(app, thread_id), slot, thread.held_why or "")


def _made(press: Press, thread: ThreadRow) -> Thread:
    if any(one.state != S.PENDING or one.attempts for one in thread.publications):
        raise UsageError(f"thread {thread.thread_id} has begun: it can only go on as planned")
    made = press.workshop.remake(thread)
    if isinstance(made, Thread):
        return made
    why = made.reason if made else "its post left the series or theme"
    raise UsageError(f"thread {thread.thread_id} cannot be made anew: {why}")


def _press(app: App, thread_id: int) -> Press:
    slug = thread_of(app, thread_id).channel
    if slug not in app.config.channels:
        raise UsageError(f"thread {thread_id} is on {slug}, which config does not name any more")
    return press_of(app, slug)


def stop(app: App, channel: str | None, act: Act) -> Stop | None:
    """Stop a channel, or every one; the stop that was there already, if there was."""
    slug = _named(app, channel)
    with app.store.write() as c:
        before = next((one for one in standstill.stops_of(c) if one.channel == slug), None)
        standstill.stop(c, slug, at=act.at, actor=act.actor, reason=act.reason)
    return before


def start(app: App, channel: str | None) -> bool:
    """Lift the stop of a channel, or the one of all; False where there is none."""
    slug = _named(app, channel)
    with app.store.write() as c:
        return standstill.start(c, slug)


def _named(app: App, channel: str | None) -> str:
    if channel is None:
        return standstill.ALL
    if channel not in app.config.channels:
        known = ", ".join(sorted(app.config.channels))
        raise UsageError(f"no channel {channel!r}; there are: {known}")
    return channel
