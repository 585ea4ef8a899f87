"""Publishing what is due through the ledger, a snippet at a time, or a thread where it is atomic.

For each: prepare it, which may fail freely; commit `submitting` with what is about to be said;
say it to the network by one call; commit the answer. Nothing that can fail stands between the
first commit and the second, so a crash leaves at most that one call in doubt.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from digest.errors import Refused, Unavailable, Uncertain
from digest.mail.worker import working
from digest.model import Act, DeliveryState, Place
from digest.social import bars
from digest.social.decisions import LATEST_REST, Decision, decide, given_up
from digest.social.drift import catch_up, is_as_planned
from digest.social.press import LEASE, Line, PublishReport, Turn, line_of, named
from digest.social.proving import prove_all
from digest.social.readying import Readied, bare, ready
from digest.social.settle import look_up, recover
from digest.social.tails import Begin, Later, Stay, place_of
from digest.social.undoing import take_down_all
from digest.store import publications as ledger
from digest.store import social as threads
from digest.store import standstill
from digest.store.publications import Entry, Oldest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.config_social import Channel as DeclaredChannel
    from digest.ports import Bodies, Channel, Receipts, Trouble
    from digest.social.press import Press
    from digest.store.publications import Publication

    _Ending: TypeAlias = tuple[Publication, DeliveryState, str]

log = logging.getLogger(__name__)

S = DeliveryState
#: So long a picture that cannot be had is left alone.
_ANOTHER_TRY = timedelta(minutes=5)
#: Channels that config no longer names: what is late there is given up after so many hours.
_UNNAMED_HOURS = 24


def publish_due(press: Press, *, everywhere: bool = False) -> PublishReport:
    """Do all that is due: look doubts up, take down, publish, read back, follow edited posts.

    What is too late is given up, and so is the rest of a thread that broke off; with
    `everywhere` also on channels that are not (or no longer) among the press's own.
    """
    with working(press.folder, secrets.token_hex(4)) as worker:
        turn = Turn(press, worker)
        recover(press)
        with press.store.write() as c:
            standstill.forget_waits(c, press.clock())
            for slug in press.declared:
                bars.forget_old_cap(c, press, slug, press.clock())
        try:
            for slug in press.declared:
                _serve(turn, slug)
        finally:
            with press.store.write() as c:
                ledger.release(c, worker, press.clock())
        if everywhere:
            _give_up(turn, None)
    return PublishReport(
        tuple(turn.lines),
        turn.faults,
        _undecided(press),
        dry_run=False,
        notices=tuple(turn.notices),
        for_person=bool(turn.for_person),
    )


def foreseen(press: Press, *, everywhere: bool = False) -> PublishReport:
    """What `publish_due` would do now; changes nothing and asks no network."""
    now = press.clock()
    lines: list[Line] = []
    faults: dict[str, str] = {}
    with press.store.read() as c:
        for slug in [*press.declared, *([None] if everywhere else [])]:
            ending = ledger.late(c, slug, _oldest(press, slug, now), besides=_besides(press, slug))
            lines += [line_of(one, *_ending(press, one)) for one in ending]
        for slug in press.declared:
            coming = _coming(c, press, slug, now)
            why = bars.bar(c, press, slug, now)
            paid, over = ([], "") if why else _within_cap(c, press, slug, coming, now)
            lines += [line_of(one, S.PENDING, "its slot has come") for one in paid]
            if coming and (why or over):
                faults[slug] = why or over
    return PublishReport(tuple(lines), faults, _undecided(press), dry_run=True)


def _coming(c: Connection, press: Press, slug: str, now: datetime) -> list[Publication]:
    """What would go out on the channel now, thread by thread, if all goes well."""
    channel = press.declared[slug]
    found: list[Publication] = []
    for first in ledger.due(
        c, slug, now=now, oldest=_oldest(press, slug, now), pace=_pace(channel)
    ):
        if found and first.position == 1 and not _keeps_off(found, first, channel, now):
            continue
        late = now - first.slot
        shift = late if late > ledger.ON_TIME else timedelta(0)
        rest = [one for one in ledger.of_thread(c, first.thread_id) if one.state == S.PENDING]
        found += [
            one
            for one in rest
            if channel.goes_at_once or one.id == first.id or one.slot + shift <= now
        ]
    return found


def _within_cap(
    c: Connection, press: Press, slug: str, coming: Sequence[Publication], now: datetime
) -> tuple[list[Publication], str]:
    """What the month's money does for, thread by thread, and why not for the rest."""
    paid: list[Publication] = []
    for _, found in groupby(coming, key=lambda one: one.thread_id):
        thread = list(found)
        if why := bars.over_cap(c, press, slug, [*thread, *paid], now):
            return paid, why
        paid += thread
    return paid, ""


def _keeps_off(
    found: Sequence[Publication], first: Publication, channel: DeclaredChannel, now: datetime
) -> bool:
    """Whether a thread may begin in the same moment as what comes before it."""
    is_whole = channel.goes_at_once or found[-1].position == found[-1].of
    return is_whole and (not _pace(channel) or now - first.slot < ledger.ON_TIME)


def _undecided(press: Press) -> int:
    with press.store.read() as c:
        return sum(len(ledger.uncertain(c, slug)) for slug in press.declared)


def _serve(turn: Turn, slug: str) -> None:
    """Everything that is to be done on one channel."""
    look_up(turn.press, slug, turn)
    _give_up(turn, slug)
    take_down_all(turn, slug)
    while batch := _claim(turn, slug):
        if not _publish(turn, batch):
            break
    _tell_bar(turn, slug)
    prove_all(turn, slug)
    catch_up(turn, slug)


def _tell_bar(turn: Turn, slug: str) -> None:
    """Say what keeps what is due from going out; quiet hours are no fault."""
    press, now = turn.press, turn.press.clock()
    oldest, pace = _oldest(press, slug, now), _pace(press.declared[slug])
    with press.store.read() as c:
        why = bars.fault(c, slug, now)
        if why and ledger.due(c, slug, now=now, oldest=oldest, pace=pace):
            turn.faults.setdefault(slug, why)


def _claim(turn: Turn, slug: str) -> list[Publication]:
    """What is to go out next on the channel; nothing where something bars it."""
    press, now = turn.press, turn.press.clock()
    channel = press.declared[slug]
    with press.store.write() as c:
        if bars.bar(c, press, slug, now):
            return []
        batch = ledger.claim(
            c,
            slug,
            turn.worker,
            now=now,
            oldest=_oldest(press, slug, now),
            until=now + LEASE,
            pace=_pace(channel),
            whole=channel.goes_at_once,
        )
        why = bars.over_cap(c, press, slug, batch, now) if batch else ""
        if why:
            # Before anything is uploaded for it, at a price.
            ledger.unclaim(c, batch, turn.worker, now)
            bars.tell_cap(c, turn, slug, why, now)
            turn.faults[slug] = why
        return [] if why else batch


def _publish(turn: Turn, batch: Sequence[Publication]) -> bool:
    """Take what was claimed through the ledger; False where the channel's turn is over."""
    press, first = turn.press, batch[0]
    if first.position == 1 and first.tried_at is None and not is_as_planned(turn, batch):
        return True
    channel = press.open(first.channel)
    prepared = _prepare(turn, channel, batch)
    if isinstance(prepared, Stay):
        _hold(turn, batch, prepared.why)
        return True
    if isinstance(prepared, Later):
        _put_off(turn, batch, prepared)
        return True
    if not isinstance(prepared, tuple):
        return _back(turn, batch, prepared)
    readied, bodies, place = prepared
    now = press.clock()
    word = _begin(turn, readied, bodies, place, now)
    if word != "go":
        _give_up(turn, first.channel)
        return word != "barred"
    outcome = channel.publish(bodies)
    return _finish(turn, batch, outcome, begun=now)


def _prepare(
    turn: Turn, channel: Channel, batch: Sequence[Publication]
) -> tuple[Sequence[Readied], Bodies, Place | None] | Stay | Later | Trouble:
    """What is said, and where."""
    press, first = turn.press, batch[0]
    place = place_of(press, channel, first)
    if not isinstance(place, Place | Begin):
        return place
    at = place if isinstance(place, Place) else None
    limits, now = press.workshop.limits(first.channel), press.clock()
    is_account = press.declared[first.channel].kind == "account"
    if limits is None and is_account and any(one.shows_picture for one in batch):
        return Unavailable("what the account takes cannot be asked now")
    readied = ready(batch, press.workshop, limits, now)
    if not isinstance(readied, list):
        return Later(readied.reason, now + _ANOTHER_TRY, attempts=1)
    bodies = channel.prepare([one.snippet for one in readied], at)
    if isinstance(bodies, Refused) and any(one.has_picture for one in readied):
        # Whatever is wrong, it may be the picture: better without it than not at all.
        readied = [bare(one, bodies.reason) for one in readied]
        bodies = channel.prepare([one.snippet for one in readied], at)
    return (readied, bodies, at) if isinstance(bodies, tuple) else bodies


def _put_off(turn: Turn, batch: Sequence[Publication], later: Later) -> None:
    """Let a thread wait, and the channel go on with others."""
    now, attempts = turn.press.clock(), later.attempts
    with turn.press.store.write() as c:
        ledger.unclaim(
            c,
            batch,
            turn.worker,
            now,
            reason=later.why,
            attempts=attempts,
            not_before=later.until,
        )
    turn.add(batch[0], S.PENDING, later.why)


def _hold(turn: Turn, batch: Sequence[Publication], why: str) -> None:
    first, now = batch[0], turn.press.clock()
    with turn.press.store.write() as c:
        threads.hold(c, first.thread_id, why, now)
        ledger.unclaim(c, batch, turn.worker, now)
    turn.tell(f"{named(first)} is held: {why}; then: digest social release {first.thread_id}")
    turn.add(first, "held", why)


def _back(turn: Turn, batch: Sequence[Publication], trouble: Trouble) -> bool:
    """Give back, or end, what could not even be prepared; False where the turn is over."""
    press, first, now = turn.press, batch[0], turn.press.clock()
    if isinstance(trouble, Uncertain):
        # Nothing was published yet that could be in doubt.
        trouble = Unavailable(trouble.reason, trouble.code)
    decision = decide(trouble, attempts=first.attempts, now=now)
    with press.store.write() as c:
        if decision.state is S.REFUSED:
            ledger.end(c, batch, turn.worker, decision, now)
        else:
            more = decision.attempts - first.attempts
            ledger.unclaim(c, batch, turn.worker, now, reason=decision.reason, attempts=more)
        bars.heed(c, turn, first.channel, decision, now)
    turn.add(first, decision.state, decision.reason)
    if decision.state is S.REFUSED:
        _refused(turn, first, decision)
    return not decision.stop


def _begin(
    turn: Turn, readied: Sequence[Readied], bodies: Bodies, place: Place | None, now: datetime
) -> str:
    """Commit what is about to be said, and what it costs: "go"; else why it may not be said.

    That is "barred", where nothing may on this channel, or a word of the ledger.
    """
    press, batch = turn.press, [one.publication for one in readied]
    slug = batch[0].channel
    entries = [
        Entry(
            one.publication,
            body,
            # Within a batch each answers the one before it, whose id nobody knows yet.
            place.parent.remote_id if place and not index else None,
            one.snippet.at,
            one.picture,
            one.card_picture,
            one.note,
        )
        for index, (one, body) in enumerate(zip(readied, bodies, strict=True))
    ]
    with press.store.write() as c:
        ledger.lock(c, slug)
        bars.charge_media(c, press, slug, readied, now)
        if bars.bar(c, press, slug, now):
            word = "barred"
        elif why := bars.over_cap(c, press, slug, batch, now):
            # Another worker spent it meanwhile.
            word = "barred"
            bars.tell_cap(c, turn, slug, why, now)
            turn.faults[slug] = why
        else:
            word = ledger.begin(c, entries, turn.worker, now, until=now + LEASE)
        if word == "go":
            bars.charge(c, press, slug, batch, now)
            return word
        _let_go(c, turn, batch, word, now)
    log.info("thread %s: not published, %s", batch[0].thread_id, word)
    return word


def _let_go(
    c: Connection, turn: Turn, batch: Sequence[Publication], word: str, now: datetime
) -> None:
    if word in {"gone", "undone"}:
        why = "its post is gone" if word == "gone" else "its thread was taken down"
        ended = Decision(S.CANCELLED, batch[0].attempts, why)
        ledger.end(c, batch, turn.worker, ended, now)
        turn.add(batch[0], S.CANCELLED, why)
    else:
        ledger.unclaim(c, batch, turn.worker, now)


def _finish(
    turn: Turn, batch: Sequence[Publication], outcome: Receipts | Trouble, *, begun: datetime
) -> bool:
    press, first = turn.press, batch[0]
    slug, now = first.channel, turn.press.clock()
    decision = decide(outcome, attempts=first.attempts, now=now)
    receipts = outcome if isinstance(outcome, tuple) else (None,) * len(batch)
    with press.store.write() as c:
        ledger.finish_all(c, batch, turn.worker, decision, receipts=receipts, now=now)
        if decision.state is S.SUBMITTED:
            if not press.declared[slug].goes_at_once and now - first.slot > ledger.ON_TIME:
                ledger.shift(c, batch[-1], now)
        elif decision.state is not S.UNCERTAIN:
            standstill.uncharge(c, [one.id for one in batch], begun)
        bars.heed(c, turn, slug, decision, now)
    for one, receipt in zip(batch, receipts, strict=True):
        turn.add(one, decision.state, decision.reason, receipt.url if receipt else "")
        log.info("publication %s on %s: %s", one.id, slug, decision.state)
    if decision.state is S.REFUSED:
        _refused(turn, first, decision)
    return not decision.stop


def _refused(turn: Turn, first: Publication, decision: Decision) -> None:
    """End the rest of a thread; of one that has begun the reading back tells."""
    if first.position == 1:
        turn.tell(f"{named(first)} was refused: {decision.reason}")
    _give_up(turn, first.channel)
    take_down_all(turn, first.channel)


def _give_up(turn: Turn, slug: str | None) -> None:
    """End what is too late, then what waits for a snippet that will never be out."""
    press, now = turn.press, turn.press.clock()
    with press.store.write() as c:
        for one in ledger.kept_waiting(c, slug, now) if slug else ():
            # It is not late by itself: it is due once the instalment before it is through.
            ledger.put_off(c, one, now)
        late = ledger.late(c, slug, _oldest(press, slug, now), besides=_besides(press, slug))
        ended = _end(c, [(one, *_ending(press, one)) for one in late], now)
        why = "its thread was taken down"
        ended += _end(c, [(one, S.CANCELLED, why) for one in ledger.withdrawn(c, slug)], now)
        why = "an earlier snippet of its thread did not go out"
        ended += _end(c, [(one, S.CANCELLED, why) for one in ledger.broken(c, slug)], now)
        _roll_back(c, turn, slug, now)
    for one, state, reason in ended:
        log.info("publication %s on %s: %s, %s", one.id, one.channel, state, reason)
        turn.add(one, state, reason)


def _end(c: Connection, ending: Sequence[_Ending], now: datetime) -> list[_Ending]:
    """What of this was ended, and not by another worker at the same moment."""
    return [
        (one, state, reason)
        for one, state, reason in ending
        if ledger.give_up(c, one.id, state, reason, now)
    ]


def _roll_back(c: Connection, turn: Turn, slug: str | None, now: datetime) -> None:
    """Have threads that broke off taken down, where their channel asks for it."""
    if slug is None or turn.press.declared[slug].half_posted != "roll-back":
        return
    for thread_id in threads.broken_off(c, slug):
        thread = threads.load_thread(c, thread_id)
        assert thread is not None
        why = f"it broke off after {len(thread.live)} of {len(thread.publications)} snippets"
        threads.ask_undo(c, thread_id, Act(bars.BY_NETWORK, now, why))
        turn.tell(f"{named(thread)} is taken down: {why}")


def _ending(press: Press, one: Publication) -> tuple[DeliveryState, str]:
    hours = _hours(press, one.channel)
    return given_up(one.attempts, one.reason, hours=hours, begun=one.position > 1)


def _oldest(press: Press, slug: str | None, now: datetime) -> Oldest:
    late = timedelta(hours=_hours(press, slug))
    return Oldest(now - late, now - max(late, LATEST_REST))


def _besides(press: Press, slug: str | None) -> Sequence[str]:
    """Channels with a lateness of their own, where all others are looked at."""
    return () if slug else tuple(press.declared)


def _pace(channel: DeclaredChannel) -> timedelta:
    return timedelta(minutes=channel.slots.pace_minutes)


def _hours(press: Press, slug: str | None) -> int:
    channel = press.declared.get(slug) if slug else None
    return channel.max_late_hours if channel else _UNNAMED_HOURS
