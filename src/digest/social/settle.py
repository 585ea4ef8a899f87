"""Deciding publications that may be out: looked up on their network, else by an editor."""

from __future__ import annotations

import logging
from itertools import groupby
from typing import TYPE_CHECKING

from digest.mail.worker import death_certificate
from digest.model import DeliveryState
from digest.ports import Trouble
from digest.social.bars import bar, charge_calls, mind, must_wait
from digest.social.decisions import Decision, Verdict, verdict
from digest.social.press import LEASE, Turn
from digest.store import publications as ledger
from digest.store import standstill
from digest.store.social import load_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.model import Act
    from digest.ports import Channel, Receipts
    from digest.social.press import Press
    from digest.store.publications import Publication

log = logging.getLogger(__name__)

S = DeliveryState


def undecided(press: Press) -> list[Publication]:
    """The uncertain publications of the press's channels that nobody has decided on."""
    with press.store.read() as c:
        return [one for slug in press.declared for one in ledger.uncertain(c, slug)]


def look(press: Press) -> int:
    """Look the uncertain publications up on every channel; returns how many were decided."""
    recover(press)
    return sum(look_up(press, slug) for slug in press.declared)


def recover(press: Press) -> None:
    """Take back what dead workers held; what they were saying is in doubt."""
    now = press.clock()
    with press.store.write() as c:
        doubts = ledger.recover(c, death_certificate(press.folder, "", now), now)
    if doubts:
        log.warning("%s publications are uncertain after a crash", doubts)


def look_up(press: Press, slug: str, turn: Turn | None = None) -> int:
    """Decide the channel's uncertain publications where it can tell; returns how many.

    `turn` is told of a channel that its network's answer stops; where it is a worker's, what
    cannot be looked up is said once more where the network makes one of two.
    """
    with press.store.read() as c:
        doubtful = ledger.uncertain(c, slug)
        if not doubtful or must_wait(c, slug, "read", press.clock()):
            return 0
    channel = press.open(slug)
    if not channel.traits.can_find:
        return 0
    turn = turn or Turn(press, "")
    count = 0
    for batch in _said_together(doubtful, channel):
        found = channel.find([one.body for one in batch if one.body is not None])
        if isinstance(found, Trouble):
            mind(turn, slug, found, press.clock())
        count += _decide(turn, channel, batch, found)
        with press.store.read() as c:
            if must_wait(c, slug, "read", press.clock()):
                break
    return count


def _said_together(
    doubtful: Sequence[Publication], channel: Channel
) -> Iterator[list[Publication]]:
    """What was said by one call; what is from before bodies were kept is left to an editor."""
    known = [one for one in doubtful if one.body is not None]
    if not channel.traits.atomic:
        yield from ([one] for one in known)
        return
    for _, group in groupby(known, key=lambda one: (one.thread_id, one.begun_at)):
        yield list(group)


def _decide(
    turn: Turn,
    channel: Channel,
    batch: Sequence[Publication],
    found: Receipts | Trouble | None,
) -> int:
    press, first, now = turn.press, batch[0], turn.press.clock()
    slug = first.channel
    assert first.tried_at is not None
    assert first.begun_at is not None
    with press.store.write() as c:
        if not isinstance(found, Trouble):
            charge_calls(c, press, slug, "read", len(batch))
        if isinstance(found, tuple) and _is_anothers(c, slug, found):
            found = None
        decided = verdict(
            found,
            code=first.code,
            tried_at=first.tried_at,
            begun_at=first.begun_at,
            # A call that hung may have been heard at its very end.
            ended_at=first.state_at,
            traits=channel.traits,
            now=now,
        )
        if decided is None:
            return 0
        if decided.state is not S.SUBMITTING:
            return _write(c, turn, batch, _for_thread(c, first, decided), found)
        if not _takes_again(c, turn, batch, now):
            return 0
    return _say_again(turn, channel, batch)


def _takes_again(c: Connection, turn: Turn, batch: Sequence[Publication], now: datetime) -> bool:
    """Whether these may be said once more, by this worker alone."""
    press, first = turn.press, batch[0]
    thread = load_thread(c, first.thread_id)
    is_wanted = thread is not None and thread.undo_at is None and thread.gone_at is None
    if not turn.worker or not is_wanted or bar(c, press, first.channel, now):
        return False
    return ledger.begin_again(c, batch, turn.worker, now, until=now + LEASE)


def _say_again(turn: Turn, channel: Channel, batch: Sequence[Publication]) -> int:
    """Say what is in doubt once more, to the byte; only an acceptance tells what became of it."""
    first = batch[0]
    outcome = channel.publish([one.body for one in batch if one.body is not None])
    now = turn.press.clock()
    tried = first.attempts + 1
    if isinstance(outcome, Trouble):
        mind(turn, first.channel, outcome, now)
        decision = Decision(S.UNCERTAIN, tried, outcome.reason, outcome.code)
    else:
        decision = Decision(S.SUBMITTED, tried)
    receipts = outcome if isinstance(outcome, tuple) else (None,) * len(batch)
    with turn.press.store.write() as c:
        ledger.finish_all(c, batch, turn.worker, decision, receipts=receipts, now=now)
    for one, receipt in zip(batch, receipts, strict=True):
        if receipt:
            turn.add(one, decision.state, "was uncertain; said again as the very same", receipt.url)
    log.info("publication %s on %s: said again, %s", first.id, first.channel, decision.state)
    return len(batch) if decision.state is S.SUBMITTED else 0


def _is_anothers(c: Connection, slug: str, found: Receipts) -> bool:
    """What was found is an equal one of before, and stands for that."""
    return any(ledger.is_known(c, slug, receipt.remote_id) for receipt in found)


def _for_thread(c: Connection, one: Publication, decided: Verdict) -> Verdict:
    """What is to be taken down does not go out again."""
    thread = load_thread(c, one.thread_id)
    if decided.state is S.PENDING and thread is not None and thread.undo_at is not None:
        return Verdict(S.CANCELLED, f"its thread was taken down; {decided.how}")
    return decided


def _write(
    c: Connection,
    turn: Turn,
    batch: Sequence[Publication],
    decided: Verdict,
    found: Receipts | Trouble | None,
) -> int:
    now = turn.press.clock()
    receipts = found if isinstance(found, tuple) and decided.state is S.SUBMITTED else None
    count = 0
    for index, one in enumerate(batch):
        receipt = receipts[index] if receipts else None
        if not ledger.settle(c, one, decided.state, how=decided.how, now=now, receipt=receipt):
            # Another worker decided it meanwhile, and may have tried it again.
            continue
        count += 1
        if receipts and index:
            ledger.answers(c, one.id, receipts[index - 1].remote_id)
        if not receipts and one.begun_at is not None:
            standstill.uncharge(c, [one.id], one.begun_at)
        url = receipt.url if receipt else ""
        turn.add(one, decided.state, f"was uncertain; {decided.how}", url)
        log.info("publication %s on %s: %s, %s", one.id, one.channel, decided.state, decided.how)
    return count


def settle(press: Press, act: Act, *, resend: bool) -> int:
    """Decide every uncertain publication: leave it be, or publish it again. Returns how many.

    Left, the rest of its thread has nothing to answer to, and is cancelled by the next
    publishing. Published again, its thread goes on from now, as paced as it was planned.
    """
    recover(press)
    how = f"{'resend' if resend else 'leave'}, by {act.actor}"
    wanted = Verdict(S.PENDING if resend else S.UNCERTAIN, how)
    count = 0
    for one in undecided(press):
        with press.store.write() as c:
            decided = _for_thread(c, one, wanted)
            settled = ledger.settle(c, one, decided.state, how=decided.how, now=act.at)
            if settled and decided.state is S.PENDING:
                ledger.put_off(c, one, act.at)
        log.info("publication %s on %s: %s", one.id, one.channel, how)
        count += settled
    return count
