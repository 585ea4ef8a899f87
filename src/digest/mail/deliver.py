"""Carries out deliveries, one at a time over one mailer, through the ledger.

For each: commit `submitting`, say it to the server once, commit the answer.
Nothing that can fail stands between the first commit and the second, so a crash
leaves at most the one delivery in doubt that was being said.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import Throttled, Unavailable, Uncertain
from digest.mail.decisions import decide
from digest.mail.policy import MessageError
from digest.model import DeliveryState, Receipt
from digest.store import accounts
from digest.store import deliveries as ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.mail.letters import Letters
    from digest.ports import Clock, Mailer, Outcome
    from digest.store.accounts import StoredVariant
    from digest.store.deliveries import Claimed
    from digest.store.engine import Store

log = logging.getLogger(__name__)

#: How many deliveries one claim leases.
BATCH = 50
#: So many deliveries in a row for which the mailer was not there, or gave no answer, end the
#: shift: the rest would only use up their attempts, or be in doubt as well.
UNREACHABLE = 3
#: Longer than a batch takes at a mailer's slowest; counts only for workers on other machines.
LEASE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Report:
    """What one call did."""

    tried: int
    #: Why the mailer was stopped and an operator is needed; or empty.
    mailer_fault: str = ""
    #: Why the mailer could not be reached; it is worth trying later. Or empty.
    unreachable: str = ""
    #: It gave no answer to some of what it was told at the end: those are uncertain.
    in_doubt: bool = False
    #: `most` were tried, and there may be more.
    more: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """One worker at one mailer."""

    store: Store
    mailer: Mailer
    #: Names the mailer and its place; see `store.deliveries.Submission`.
    mailer_key: str
    letters: Letters
    worker: str
    clock: Clock
    #: Asked between two deliveries, e.g. whether Ctrl-C was pressed.
    should_stop: Callable[[], bool]
    #: Told of each delivery tried.
    progress: Callable[[], None]


def deliver(shift: Shift, issue_id: int, *, most: int | None = None) -> Report:
    """Submit every delivery of the issue that is due, until none is left or something stops it.

    With `most` it ends after so many. The caller has recovered what dead workers held. Several
    workers may do this at once.
    """
    look_up(shift.store, shift.mailer, shift.mailer_key, issue_id, shift.clock)
    with shift.store.read() as c:
        variants = accounts.load_variants(c, issue_id)
    tried = missed = 0
    unreachable, in_doubt = "", False
    try:
        while batch := _claim(shift, issue_id, BATCH if most is None else most - tried):
            for claimed in batch:
                step = _deliver_one(shift, claimed, variants[claimed.variant_id])
                if step.stopped:
                    return Report(tried)
                tried += 1
                shift.progress()
                unreachable = step.unreachable
                missed = missed + 1 if unreachable else 0
                in_doubt = step.in_doubt or (in_doubt and missed > 0)
                if step.fault or missed == UNREACHABLE or shift.should_stop():
                    return Report(tried, step.fault, step.unreachable, in_doubt)
            if tried == most:
                return Report(tried, more=True)
        # The last of all were told to nobody either.
        return Report(tried, unreachable=unreachable, in_doubt=in_doubt)
    finally:
        with shift.store.write() as c:
            ledger.release(c, shift.worker, shift.clock())
        shift.mailer.close()


def look_up(store: Store, mailer: Mailer, mailer_key: str, issue_id: int, clock: Clock) -> int:
    """Decide the uncertain deliveries that were said to this very mailer, where it can prove them.

    Returns how many: submitted, or pending again.
    """
    if not mailer.traits.can_find:
        return 0
    with store.read() as c:
        doubtful = ledger.uncertain_ids(c, issue_id, mailer=mailer_key)
    for delivery_id, message_id in doubtful:
        receipt = mailer.find(message_id)
        if receipt is not None and not isinstance(receipt, Receipt):
            break
        after = DeliveryState.SUBMITTED if receipt else DeliveryState.PENDING
        with store.write() as c:
            ledger.settle(c, delivery_id, after, how=f"looked up in {mailer_key}", now=clock())
    return len(doubtful)


@dataclass(frozen=True, slots=True)
class _Step:
    """How one delivery ended, as far as the next one is concerned."""

    #: The issue is not being sent any more.
    stopped: bool = False
    fault: str = ""
    unreachable: str = ""
    in_doubt: bool = False


def _claim(shift: Shift, issue_id: int, most: int) -> list[Claimed]:
    now, most = shift.clock(), min(most, BATCH)
    with shift.store.write() as c:
        return ledger.claim(c, issue_id, shift.worker, now=now, until=now + LEASE, most=most)


def _deliver_one(shift: Shift, claimed: Claimed, variant: StoredVariant) -> _Step:
    # Built first: a message that cannot be built must not leave a delivery in doubt.
    try:
        mail = shift.letters.make(claimed, variant)
    except MessageError as error:
        with shift.store.write() as c:
            ledger.fail(c, claimed, shift.worker, str(error), shift.clock())
        log.error("delivery %s: failed, its message cannot be made", claimed.id)  # noqa: TRY400
        return _Step()
    now = shift.clock()
    submission = ledger.Submission(mail.envelope.message_id, shift.mailer_key, now, now + LEASE)
    with shift.store.write() as c:
        begun = ledger.begin(c, claimed, shift.worker, submission)
    if begun != "go":
        log.info("delivery %s: not submitted, %s", claimed.id, begun)
        return _Step(stopped=begun == "stopped")
    (outcome,) = shift.mailer.submit([mail], mail.envelope.message_id)
    return _write_down(shift, claimed, outcome)


def _write_down(shift: Shift, claimed: Claimed, outcome: Outcome) -> _Step:
    now = shift.clock()
    decision = decide(outcome, delivery_id=claimed.id, attempts=claimed.attempts, now=now)
    remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
    with shift.store.write() as c:
        ledger.finish(c, claimed, shift.worker, decision, remote_id=remote_id, now=now)
    # The ledger has every delivery; a line for each would bury the others.
    level = logging.DEBUG if decision.state is DeliveryState.SUBMITTED else logging.INFO
    log.log(level, "delivery %s: %s %s", claimed.id, decision.state, decision.code)
    return _Step(
        fault=decision.reason or "mailer stopped" if decision.stop_mailer else "",
        unreachable=_not_there(outcome),
        in_doubt=isinstance(outcome, Uncertain),
    )


def _not_there(outcome: Outcome) -> str:
    """Why the mailer itself, not this message, seems to be at fault; or empty.

    421 closes the whole connection (RFC 5321, 3.8).
    """
    match outcome:
        case Unavailable(reason=reason) | Uncertain(reason=reason):
            return reason
        case Throttled(reason=reason, code=code) if code.startswith("421"):
            return reason
        case _:
            return ""
