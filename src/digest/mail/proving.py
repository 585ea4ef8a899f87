"""Decides deliveries in doubt where their mailer can tell what became of them.

Either it shows what it accepted, or it carries out the same request once: said again, the request
has the answer that was lost.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.errors import Refused
from digest.mail.decisions import Decision, decide
from digest.mail.leases import LEASE
from digest.mail.letters import variants_in
from digest.mail.policy import MessageError
from digest.mail.requests import begun_at
from digest.model import DeliveryState, Receipt
from digest.store import deliveries as ledger
from digest.store import doubts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digest.mail.letters import Letters
    from digest.ports import Clock, Mail, Mailer, Outcome
    from digest.store.accounts import StoredVariant
    from digest.store.deliveries import Claimed
    from digest.store.engine import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Who asks which mailer about which issue."""

    store: Store
    mailer: Mailer
    #: Only what was said to this very mailer is asked about.
    mailer_key: str
    letters: Letters
    issue_id: int
    worker: str
    clock: Clock


def prove(inquiry: Inquiry) -> int:
    """Decide what is uncertain and can be proved.

    Returns how many: submitted or refused, or, where the mailer can tell that it never had them,
    pending again.
    """
    traits = inquiry.mailer.traits
    found = _look_up(inquiry) if traits.can_find else 0
    return found + (_say_again(inquiry) if traits.same_for else 0)


def _look_up(inquiry: Inquiry) -> int:
    store, mailer = inquiry.store, inquiry.mailer
    with store.read() as c:
        doubtful = ledger.uncertain_ids(c, inquiry.issue_id, mailer=inquiry.mailer_key)
    decided = 0
    for delivery_id, message_id in doubtful:
        found = mailer.find(message_id)
        if found is not None and not isinstance(found, Receipt):
            log.warning("issue %s: nothing can be looked up: %s", inquiry.issue_id, found.reason)
            break
        if found is None and not mailer.traits.finds_absence:
            continue
        after = DeliveryState.SUBMITTED if found else DeliveryState.PENDING
        how, now = f"looked up in {inquiry.mailer_key}", inquiry.clock()
        remote_id = found.remote_id if found else None
        with store.write() as c:
            ledger.settle(c, delivery_id, after, how=how, now=now, remote_id=remote_id)
        decided += 1
    return decided


# --- the same request again --------------------------------------------------------------------


def _say_again(inquiry: Inquiry) -> int:
    with inquiry.store.read() as c:
        requests = doubts.whole_requests(c, inquiry.issue_id, inquiry.mailer_key)
    decided = 0
    variant = variants_in(inquiry.store)
    for request in requests:
        if not _is_remembered(inquiry, request):
            continue
        begun = _begin(inquiry, request)
        mails = _mails(inquiry, begun, variant)
        if mails is None:
            _leave(inquiry, begun)
        elif mails:
            outcomes = inquiry.mailer.submit(mails, request)
            decided += _write_down(inquiry, begun, outcomes)
    return decided


def _is_remembered(inquiry: Inquiry, request: str) -> bool:
    """Whether the mailer still knows the key, and so does not take this for a new request."""
    same_for = inquiry.mailer.traits.same_for
    return same_for is not None and inquiry.clock() - begun_at(request) < same_for


def _begin(inquiry: Inquiry, request: str) -> Sequence[Claimed]:
    now = inquiry.clock()
    submission = ledger.Submission(inquiry.mailer_key, now, now + LEASE)
    with inquiry.store.write() as c:
        return doubts.begin_again(c, inquiry.issue_id, request, inquiry.worker, submission)


def _mails(
    inquiry: Inquiry, begun: Sequence[Claimed], variant: Callable[[int], StoredVariant]
) -> list[Mail] | None:
    """The mails as they were; None where they can no longer be made."""
    try:
        return [inquiry.letters.make(one, variant(one.variant_id)) for one in begun]
    except MessageError:
        return None


def _leave(inquiry: Inquiry, begun: Sequence[Claimed]) -> None:
    """Nothing was said again: they are in doubt as before."""
    why = "its request cannot be made again"
    answers = [
        ledger.Answer(one, Decision(DeliveryState.UNCERTAIN, one.attempts, why)) for one in begun
    ]
    with inquiry.store.write() as c:
        ledger.finish_all(c, answers, inquiry.worker, inquiry.clock())


def _write_down(inquiry: Inquiry, begun: Sequence[Claimed], outcomes: Sequence[Outcome]) -> int:
    now = inquiry.clock()
    answers = [_answer(one, outcome, inquiry) for one, outcome in zip(begun, outcomes, strict=True)]
    known = [
        answer.claimed.id
        for answer in answers
        if answer.decision.state is not DeliveryState.UNCERTAIN
    ]
    with inquiry.store.write() as c:
        ledger.finish_all(c, answers, inquiry.worker, now)
        doubts.say_how(c, known, f"the same request again to {inquiry.mailer_key}", now)
    return len(known)


def _answer(one: Claimed, outcome: Outcome, inquiry: Inquiry) -> ledger.Answer:
    """What the answer tells of the first time.

    That it was not taken up now proves nothing: it may have been then. A fault of the mail may be
    one of config, and new.
    """
    of_address = isinstance(outcome, Refused) and outcome.address_fault
    if not isinstance(outcome, Receipt) and not of_address:
        return ledger.Answer(one, Decision(DeliveryState.UNCERTAIN, one.attempts, outcome.reason))
    decision = decide(
        outcome, delivery_id=one.id, attempts=max(one.attempts - 1, 0), now=inquiry.clock()
    )
    if decision.state is DeliveryState.PENDING:
        return ledger.Answer(one, Decision(DeliveryState.UNCERTAIN, one.attempts, decision.reason))
    remote_id = outcome.remote_id if isinstance(outcome, Receipt) else None
    return ledger.Answer(one, decision, remote_id)
