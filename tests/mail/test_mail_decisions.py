"""What becomes of a delivery: one row a case, each with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.decisions import LONGEST_PAUSE, MAX_ATTEMPTS, Decision, decide
from digest.model import DeliveryState, Receipt

if TYPE_CHECKING:
    from digest.ports import Outcome

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUBMITTED, PENDING = DeliveryState.SUBMITTED, DeliveryState.PENDING
REFUSED, FAILED, UNCERTAIN = DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.UNCERTAIN


def rcpt(code: str, reason: str = "no") -> Refused:
    return Refused(reason, code, address_fault=True)


def decided(outcome, attempts: int = 0, delivery_id: int = 7) -> Decision:
    return decide(outcome, delivery_id=delivery_id, attempts=attempts, now=NOW)


class Case(NamedTuple):
    """An answer to the first attempt, what must follow, and why."""

    outcome: Outcome
    state: DeliveryState
    attempts: int
    bounced: bool
    suppressed: bool
    stopped: bool
    why: str


# outcome, state, attempts, bounced, suppressed, mailer stopped, why
TABLE = [
    (Receipt("q1", NOW), SUBMITTED, 1, False, False, False, "the server took it"),
    (Throttled("busy", "451 4.7.1"), PENDING, 1, False, False, False, "a definite 4xx comes again"),
    (Unavailable("gone"), PENDING, 1, False, False, False, "certainly not accepted"),
    (
        Uncertain("no answer"),
        UNCERTAIN,
        1,
        False,
        False,
        False,
        "an editor decides, never the machine",
    ),
    (
        Unauthorized("535", "535 5.7.8"),
        PENDING,
        0,
        False,
        False,
        True,
        "nothing to do with this item",
    ),
    (rcpt("550 5.1.1"), REFUSED, 1, True, True, False, "no such mailbox"),
    (rcpt("550 5.1.2"), REFUSED, 1, True, True, False, "no such host"),
    (rcpt("550 5.1.10"), REFUSED, 1, True, True, False, "the domain takes no mail (RFC 7505)"),
    (rcpt("550 5.0.0"), REFUSED, 1, True, True, False, "refused for good, without detail"),
    (rcpt("550"), REFUSED, 1, True, True, False, "no such mailbox, from a plain server"),
    (rcpt("551"), REFUSED, 1, True, True, False, "moved, from a plain server"),
    (rcpt("553"), REFUSED, 1, True, True, False, "not a mailbox name, from a plain server"),
    (rcpt("552 5.2.2"), REFUSED, 1, True, False, False, "full today is not dead"),
    (rcpt("550 5.2.1"), REFUSED, 1, True, False, False, "a disabled mailbox may come back"),
    (rcpt("554 5.3.0"), REFUSED, 1, True, False, False, "the other system's fault"),
    (rcpt("550 5.4.1"), REFUSED, 1, True, False, False, "the network's fault"),
    (rcpt("501 5.5.2"), REFUSED, 1, True, False, False, "a protocol's fault"),
    (rcpt("552"), REFUSED, 1, True, False, False, "full, from a plain server"),
    (rcpt("554"), REFUSED, 1, True, False, False, "says nothing of the address"),
    (rcpt(""), REFUSED, 1, True, False, False, "an adapter without codes suppresses nobody"),
    (rcpt("550 5.7.1"), PENDING, 1, False, False, False, "policy says nothing of the address"),
    (rcpt("550 5.7.515"), PENDING, 1, False, False, False, "our domain fails Outlook's checks"),
    (rcpt("550 5.7.26"), PENDING, 1, False, False, False, "our domain fails Gmail's checks"),
    (rcpt("550 5.1.8"), PENDING, 1, False, False, False, "the sender's address, not the reader's"),
    (rcpt("553 5.1.7"), PENDING, 1, False, False, False, "the sender's address, not the reader's"),
    (
        rcpt("550", "relay not permitted"),
        PENDING,
        1,
        False,
        False,
        False,
        "our login, said without 5.7",
    ),
    (
        rcpt("550", "blocked using a DNSBL"),
        PENDING,
        1,
        False,
        False,
        False,
        "our host, said without 5.7",
    ),
    (
        rcpt("550 5.1.1", "spam trap, no such user"),
        REFUSED,
        1,
        True,
        True,
        False,
        "codes beat words",
    ),
    (
        Refused("too large", "552 5.3.4"),
        REFUSED,
        1,
        False,
        False,
        False,
        "the message, not the address",
    ),
    (Refused("no", "550 5.1.1"), REFUSED, 1, False, False, False, "after DATA the address is kept"),
    (Refused("no", "554"), REFUSED, 1, False, False, False, "after DATA the address is kept"),
    (Refused("no", "550 5.7.1"), PENDING, 1, False, False, False, "policy, after DATA too"),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[-1] for row in TABLE])
def test_each_answer_has_its_consequence(row) -> None:
    case = Case(*row)
    decision = decided(case.outcome)
    assert decision.state is case.state
    assert decision.attempts == case.attempts
    assert decision.events == (("bounced",) if case.bounced else ())
    assert (decision.suppress is not None) is case.suppressed
    assert decision.stop_mailer is case.stopped
    if not isinstance(case.outcome, Receipt):
        assert decision.reason == case.outcome.reason
        assert decision.code == getattr(case.outcome, "code", "")


@pytest.mark.parametrize("outcome", [Throttled("busy"), Unavailable("gone"), rcpt("550 5.7.1")])
def test_attempts_used_up_is_failed_and_says_why(outcome) -> None:
    last = decided(outcome, attempts=MAX_ATTEMPTS - 1)
    assert (last.state, last.attempts, last.not_before) == (FAILED, MAX_ATTEMPTS, None)
    assert last.reason == outcome.reason
    assert last.suppress is None
    assert decided(outcome, attempts=MAX_ATTEMPTS - 2).state is PENDING


POLICY = [
    rcpt("550 5.7.1"),
    rcpt("550 5.7.515"),
    rcpt("553 5.1.7"),
    rcpt("550", "relay not permitted"),
    Refused("no", "550 5.7.1"),
]


@pytest.mark.parametrize("outcome", POLICY)
def test_a_refusal_by_policy_holds_up_its_domain_for_an_hour(outcome) -> None:
    for attempts in range(MAX_ATTEMPTS):
        decision = decided(outcome, attempts)
        assert (decision.by_policy, decision.reach, decision.asked) == (True, "domain", HOUR)
        again = None if attempts == MAX_ATTEMPTS - 1 else NOW + HOUR
        assert decision.not_before == again


@pytest.mark.parametrize("row", TABLE, ids=[row[-1] for row in TABLE])
def test_no_other_answer_is_told_as_a_policy_nor_holds_up_a_domain(row) -> None:
    decision = decided(row[0])
    # Of all refusals, those by policy alone are tried again.
    by_policy = isinstance(row[0], Refused) and decision.state is PENDING
    assert decision.by_policy is by_policy
    assert (decision.reach == "domain") is by_policy


def test_credentials_never_use_up_a_delivery() -> None:
    assert decided(Unauthorized("535"), attempts=500).state is PENDING


def test_pauses_double_from_a_minute_up_to_the_longest_and_outlast_a_night() -> None:
    pauses = [decided(Unavailable("gone"), n).not_before - NOW for n in range(MAX_ATTEMPTS - 1)]
    for n, pause in enumerate(pauses):
        doubled = min(timedelta(minutes=2**n), LONGEST_PAUSE)
        assert doubled <= pause <= doubled * 1.25
    assert sum(pauses, timedelta()) > timedelta(hours=16)


@given(st.integers(1, 2**62), st.integers(0, MAX_ATTEMPTS - 2))
def test_a_pause_is_the_same_each_time_and_never_long(delivery_id: int, attempts: int) -> None:
    first = decided(Unavailable("gone"), attempts, delivery_id)
    assert first == decided(Unavailable("gone"), attempts, delivery_id)
    assert first.not_before is not None
    assert timedelta(minutes=1) <= first.not_before - NOW <= LONGEST_PAUSE * 1.25


def test_deliveries_do_not_come_back_all_at_once() -> None:
    moments = {decided(Throttled("busy"), 3, n).not_before for n in range(200)}
    assert len(moments) > 100


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        (timedelta(seconds=1), timedelta(minutes=1), timedelta(seconds=75)),
        (timedelta(hours=6), timedelta(hours=6), timedelta(hours=6)),
        (timedelta.max, timedelta(days=1), timedelta(days=1)),
        (timedelta(days=-5), timedelta(minutes=1), timedelta(seconds=75)),
    ],
)
def test_a_server_that_names_a_time_is_heard_within_reason(asked, least, most) -> None:
    pause = decided(Throttled("busy", retry_after=asked)).not_before - NOW
    assert least <= pause <= most


@given(st.text(max_size=30), st.text(max_size=30), st.booleans())
def test_no_code_that_a_server_invents_is_a_crash(code: str, reason: str, fault: bool) -> None:
    decision = decided(Refused(reason, code, address_fault=fault))
    assert decision.state in {REFUSED, PENDING}
    assert fault or decision.suppress is None


@pytest.mark.parametrize(("takes_others", "attempts"), [(True, 13), (False, 12)])
def test_a_mailer_that_takes_nothing_uses_up_nobodys_attempts(takes_others, attempts):
    asked = Throttled("maximum rate exceeded", "454", reach="mailer")
    decision = decide(asked, delivery_id=1, attempts=12, now=NOW, takes_others=takes_others)
    assert decision.attempts == attempts
    assert (decision.state is DeliveryState.FAILED) == takes_others
