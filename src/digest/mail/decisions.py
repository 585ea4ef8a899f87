"""What becomes of a delivery after an attempt: pure rules, no clock, no store.

| answer | next state | the address | the mailer |
|---|---|---|---|
| receipt | submitted | | |
| throttled, all of the mailer | pending, later; not counted if it took none | kept | waits |
| throttled, the domain | pending, later; failed once attempts are used up | kept | in part waits |
| throttled, unavailable | pending, later; failed once attempts are used up | kept | goes on |
| refused at RCPT: no such mailbox | refused, bounced | suppressed | goes on |
| refused at RCPT: full, or any other reason | refused, bounced | kept | goes on |
| refused after DATA | refused | kept | goes on |
| refused by policy | pending, later; failed once attempts are used up | kept | in part waits |
| uncertain | uncertain | kept | goes on |
| unauthorized | pending, as if never tried | kept | stopped |
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import DeliveryState, Receipt

if TYPE_CHECKING:
    from datetime import datetime

    from digest.mail.feedback import BounceKind
    from digest.model import Reach
    from digest.ports import Outcome

#: After this many attempts, most of a day, a delivery is failed, and an editor may take it up
#: again: long enough for a relay that is down overnight.
MAX_ATTEMPTS = 13

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=4)
#: A policy is not changed within minutes: somebody has to see to it.
POLICY_PAUSE = timedelta(hours=1)
#: A server that names a later time than this is not believed, or the mail would be lost.
LONGEST_RETRY_AFTER = timedelta(days=1)

#: Anymail's word for an address that a server refused.
BOUNCED = "bounced"

_Fault: TypeAlias = Literal["policy", "address", "mailbox", "message"]

_KINDS: dict[_Fault, BounceKind] = {
    "policy": "policy",
    "address": "hard",
    "mailbox": "soft",
    "message": "soft",
}

_CODE = re.compile(r"(?P<basic>[245]\d\d)?\s*(?P<enhanced>[245]\.\d{1,3}\.\d{1,3})?")
# RFC 3463, 3.2: X.1.7 and X.1.8 speak of the sender's address, X.7.* of security and policy;
# among the latter is Outlook's 5.7.515, for a domain that does not authenticate its mail.
_POLICY = re.compile(r"5\.(7\.\d+|1\.[78])")
_NO_SUCH_ADDRESS = re.compile(r"5\.(1\.\d+|0\.0)")
_PLAIN_NO_SUCH_ADDRESS = frozenset({"550", "551", "553"})
# Servers without enhanced codes answer 550 for these as well, and to every recipient: taken for
# dead addresses they would suppress all readers at once.
_POLICY_WORDS = re.compile(
    r"\brelay|authenticat|\bspam|\bblock ?list|\bblack ?list|\bblocked using|\bdnsbl|\brbl\b"
    r"|\bpolicy|\breputation",
    re.IGNORECASE,
)
# Nor is a mailbox dead that is full, or its owner's account on hold.
_FULL_WORDS = re.compile(
    r"\bquota|\bfull\b|\bstorage|exceed|\btemporar|\btry again|\bsuspended", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write about one delivery, and whether its mailer goes on."""

    state: DeliveryState
    #: How many attempts now stand against the delivery.
    attempts: int
    reason: str = ""
    #: SMTP reply code and enhanced status, e.g. "550 5.1.1"; empty where there is none.
    code: str = ""
    #: Aware, in UTC; None for a state that is not tried again, or at once.
    not_before: datetime | None = None
    #: In Anymail's words.
    events: tuple[str, ...] = ()
    #: Of a bounce: "hard" where the address is dead, else "soft".
    kind: BounceKind | None = None
    #: For how much more than this delivery the mailer asked for time, or was not there.
    reach: Reach = "item"
    #: How long it asked for.
    asked: timedelta | None = None
    #: Why the address must never be mailed again; None keeps it.
    suppress: str | None = None
    #: Stop this mailer and tell the operator: other deliveries would fare no better.
    stop_mailer: bool = False
    #: Its server wants none of our mail, whoever it is for: an operator has to be told.
    by_policy: bool = False


def decide(
    outcome: Outcome,
    *,
    delivery_id: int,
    attempts: int,
    now: datetime,
    takes_others: bool = True,
) -> Decision:
    """Return what follows from a mailer's answer.

    `attempts` counts those before the one that `outcome` answers. `takes_others` tells whether
    the mailer took other mails meanwhile.
    """
    match outcome:
        case Receipt():
            return Decision(DeliveryState.SUBMITTED, attempts + 1)
        case Uncertain():
            return Decision(DeliveryState.UNCERTAIN, attempts + 1, outcome.reason)
        case Unauthorized():
            return Decision(
                DeliveryState.PENDING, attempts, outcome.reason, outcome.code, stop_mailer=True
            )
        case Throttled():
            # What is said of the whole mailer is no fault of the mail that met with it; but said
            # to one mail alone, again and again, it would hold up the others for ever.
            counts = outcome.reach != "mailer" or takes_others
            pause = _pause(outcome, delivery_id, attempts + 1)
            later = _later(outcome, attempts + counts, now + pause)
            return replace(later, reach=outcome.reach, asked=outcome.retry_after)
        case Unavailable():
            return _later(outcome, attempts + 1, now + _pause(outcome, delivery_id, attempts + 1))
        case Refused():
            return _refused(outcome, attempts + 1, now)
        case _:
            assert_never(outcome)


def _later(
    outcome: Throttled | Unavailable | Refused,
    attempts: int,
    not_before: datetime,
) -> Decision:
    used_up = attempts >= MAX_ATTEMPTS
    return Decision(
        DeliveryState.FAILED if used_up else DeliveryState.PENDING,
        attempts,
        outcome.reason,
        outcome.code,
        not_before=None if used_up else not_before,
    )


def bounce_kind(code: str, said: str) -> BounceKind:
    """What is wrong where a server would not take a mail for this address; see `Refused.code`."""
    return _KINDS[_fault(Refused(said, code, address_fault=True))]


def _refused(refused: Refused, attempts: int, now: datetime) -> Decision:
    fault = _fault(refused)
    if fault == "policy":
        later = _later(refused, attempts, now + POLICY_PAUSE)
        return replace(later, reach="domain", asked=POLICY_PAUSE, by_policy=True)
    return Decision(
        DeliveryState.REFUSED,
        attempts,
        refused.reason,
        refused.code,
        events=() if fault == "message" else (BOUNCED,),
        kind=None if fault == "message" else _KINDS[fault],
        suppress=f"no such address: {refused.code or refused.reason}"
        if fault == "address"
        else None,
    )


def _fault(refused: Refused) -> _Fault:
    """Whose fault a refusal is: ours (policy), a dead address, a living mailbox, the message."""
    code = _CODE.match(refused.code)
    basic, enhanced = code.group("basic", "enhanced") if code else (None, None)
    if _POLICY.fullmatch(enhanced or ""):
        return "policy"
    if not refused.address_fault:
        return "message"
    if enhanced:
        return "address" if _NO_SUCH_ADDRESS.fullmatch(enhanced) else "mailbox"
    if _POLICY_WORDS.search(refused.reason):
        return "policy"
    if _FULL_WORDS.search(refused.reason):
        return "mailbox"
    return "address" if basic in _PLAIN_NO_SUCH_ADDRESS else "mailbox"


def _pause(outcome: Throttled | Unavailable, delivery_id: int, attempts: int) -> timedelta:
    """Double with each attempt, and spread deliveries by up to a quarter, each always alike."""
    pause = min(FIRST_PAUSE * (1 << min(attempts - 1, MAX_ATTEMPTS)), LONGEST_PAUSE)
    digest = hashlib.sha256(f"{delivery_id}:{attempts}".encode()).digest()
    pause += pause * digest[0] / (4 * 255)
    asked = outcome.retry_after if isinstance(outcome, Throttled) else None
    return max(pause, min(asked, LONGEST_RETRY_AFTER)) if asked else pause
