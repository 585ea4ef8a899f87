"""Publishing what is due, one snippet at a time, through the ledger.

For each: commit `submitting`, say it to the network once, commit the answer. Nothing that can
fail stands between the first commit and the second, so a crash leaves at most the one snippet
in doubt that was being said.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.mail.worker import death_certificate, working
from digest.model import DeliveryState, ReadySnippet, Receipt
from digest.social.decisions import LATEST, decide, given_up, key_of
from digest.social.preview import refresh_preview
from digest.store import publications as ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from digest.bootstrap import App
    from digest.ports import Channel, Clock
    from digest.social.decisions import Decision
    from digest.store.engine import Store
    from digest.store.publications import Publication

log = logging.getLogger(__name__)

#: Longer than one call of the slowest network; counts only for workers on other machines.
LEASE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one publication, or would; `state` as in the ledger."""

    channel: str
    title: str
    position: int
    of: int
    state: str
    reason: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What one call did, or in a dry run would do."""

    lines: tuple[Line, ...]
    #: By channel, why it ended its turn before everything due was out.
    faults: Mapping[str, str]
    #: Publications that wait for somebody's decision, on these channels.
    uncertain: int
    dry_run: bool
    #: Something came up here that only a person can put right.
    for_person: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many snippets came to which state."""
        return dict(Counter(str(line.state) for line in self.lines))


@dataclass(frozen=True, slots=True)
class Press:
    """What publishing works with; several may do so at once."""

    store: Store
    channels: Mapping[str, Channel]
    #: Where workers hold the locks by which they are known to be alive.
    folder: Path
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Turn:
    press: Press
    worker: str
    lines: list[Line] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    for_operator: set[str] = field(default_factory=set)


def press_of(app: App, channel: str | None) -> Press:
    """What the home folder publishes with: all its channels, or the one named.

    UsageError for a channel that is not in config.
    """
    declared = app.config.channels
    if channel is not None and channel not in declared:
        raise UsageError(f"no channel {channel!r}; there are: {', '.join(sorted(declared))}")
    slugs = declared if channel is None else [channel]
    channels = {slug: app.channel(slug) for slug in slugs}
    return Press(app.store, channels, app.var / "run", app.clock)


def publish(app: App, *, channel: str | None = None, dry_run: bool = False) -> PublishReport:
    """Publish what is due on every channel, or the one named, and bring the local page up to date.

    What is late on a channel that config no longer names is given up with the rest.
    """
    press = press_of(app, channel)
    if dry_run:
        return foreseen(press, everywhere=channel is None)
    try:
        return publish_due(press, everywhere=channel is None)
    finally:
        refresh_preview(app)


def publish_due(press: Press, *, everywhere: bool = False) -> PublishReport:
    """Publish every snippet whose slot has come, in the order of slots and chains.

    What is more than `LATEST` late is given up, and so is the rest of a thread that broke off;
    with `everywhere` also on channels that are not (or no longer) among the press's own.
    """
    with working(press.folder, secrets.token_hex(4)) as worker:
        turn = _Turn(press, worker)
        known = _undecided(press)
        recover(press)
        for slug in press.channels:
            look_up(press, slug)
        for scope in [None] if everywhere else press.channels:
            _give_up(turn, scope)
        try:
            for slug in press.channels:
                _serve(turn, slug)
        finally:
            with press.store.write() as c:
                ledger.release(c, worker, press.clock())
    doubts = _undecided(press)
    person = bool(turn.for_operator) or doubts > known
    return PublishReport(tuple(turn.lines), turn.faults, doubts, dry_run=False, for_person=person)


def recover(press: Press) -> None:
    """Take back what dead workers held; what they were saying is in doubt."""
    now = press.clock()
    with press.store.write() as c:
        doubts = ledger.recover(c, death_certificate(press.folder, "", now), now)
    if doubts:
        log.warning("%s publications are uncertain after a crash", doubts)


def look_up(press: Press, slug: str) -> int:
    """Decide the channel's uncertain publications where it can prove them; returns how many."""
    channel = press.channels[slug]
    if not channel.can_find:
        return 0
    with press.store.read() as c:
        doubtful = ledger.uncertain(c, slug)
    for publication in doubtful:
        receipt = channel.find(key_of(publication.id, publication.text))
        after = DeliveryState.SUBMITTED if receipt else DeliveryState.PENDING
        how, now = f"looked up on {slug}", press.clock()
        with press.store.write() as c:
            ledger.settle(c, publication.id, after, how=how, now=now, receipt=receipt)
        log.info("publication %s: %s, %s", publication.id, after, how)
    return len(doubtful)


def foreseen(press: Press, *, everywhere: bool = False) -> PublishReport:
    """What `publish_due` would do now; changes nothing."""
    now = press.clock()
    with press.store.read() as c:
        scopes = [None] if everywhere else press.channels
        late = [one for scope in scopes for one in ledger.late(c, scope, now - LATEST)]
        coming = [
            one
            for slug in press.channels
            for one in ledger.due(c, slug, now=now, limit=now - LATEST)
        ]
    lines = [_line(one, *given_up(one.attempts, one.reason)) for one in late]
    lines += [_line(one, DeliveryState.PENDING, "its slot has come") for one in coming]
    return PublishReport(tuple(lines), {}, _undecided(press), dry_run=True)


def _undecided(press: Press) -> int:
    with press.store.read() as c:
        return sum(len(ledger.uncertain(c, slug)) for slug in press.channels)


def _give_up(turn: _Turn, slug: str | None) -> None:
    """End what is too late, then what waits for a snippet that will never be out."""
    now = turn.press.clock()
    with turn.press.store.write() as c:
        ended = [
            (one, *given_up(one.attempts, one.reason)) for one in ledger.late(c, slug, now - LATEST)
        ]
        for one, state, reason in ended:
            ledger.give_up(c, one.id, state, reason, now)
        why = "an earlier snippet of its thread did not go out"
        rest = [(one, DeliveryState.CANCELLED, why) for one in ledger.broken(c, slug)]
        for one, state, reason in rest:
            ledger.give_up(c, one.id, state, reason, now)
    for one, state, reason in [*ended, *rest]:
        log.info("publication %s on %s: %s, %s", one.id, one.channel, state, reason)
        turn.lines.append(_line(one, state, reason))


def _serve(turn: _Turn, slug: str) -> None:
    for publication in _claims(turn, slug):
        decision = _publish_one(turn, publication)
        if decision and decision.for_operator:
            turn.for_operator.add(slug)
        if decision and decision.stop:
            turn.faults[slug] = decision.stop
            return


def _claims(turn: _Turn, slug: str) -> Iterator[Publication]:
    """What can go out on the channel, each asked for when the one before it is through."""
    while True:
        now = turn.press.clock()
        times = {"now": now, "limit": now - LATEST, "until": now + LEASE}
        with turn.press.store.write() as c:
            claimed = ledger.claim(c, slug, turn.worker, **times)
        if claimed is None:
            return
        yield claimed


def _publish_one(turn: _Turn, publication: Publication) -> Decision | None:
    """Take one publication through the ledger; what was decided, if it was said at all."""
    press, now = turn.press, turn.press.clock()
    snippet = ReadySnippet(
        key_of(publication.id, publication.text), publication.text, publication.image
    )
    with press.store.write() as c:
        reply_to = ledger.before(c, publication)
        begun = ledger.begin(c, publication, turn.worker, now)
    if begun != "go":
        log.info("publication %s: not published, %s", publication.id, begun)
        if begun == "gone":
            turn.lines.append(_line(publication, DeliveryState.CANCELLED, "its post is gone"))
            _give_up(turn, publication.channel)
        return None
    outcome = press.channels[publication.channel].publish(snippet, reply_to)
    now = press.clock()
    decision = decide(outcome, attempts=publication.attempts, now=now)
    receipt = outcome if isinstance(outcome, Receipt) else None
    with press.store.write() as c:
        ledger.finish(c, publication, turn.worker, decision, receipt=receipt, now=now)
    log.info("publication %s on %s: %s", publication.id, publication.channel, decision.state)
    url = receipt.url if receipt else ""
    turn.lines.append(_line(publication, decision.state, decision.reason, url))
    if decision.state is DeliveryState.REFUSED:
        _give_up(turn, publication.channel)
    return decision


def _line(one: Publication, state: DeliveryState, reason: str = "", url: str = "") -> Line:
    return Line(one.channel, one.title, one.position, one.of, state, reason, url)
