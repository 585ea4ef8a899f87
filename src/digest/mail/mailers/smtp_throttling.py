"""How far an SMTP server's "not now" reaches, and for how long: pure rules.

The first row that fits counts.

| reply | in answer to | reaches | because |
|---|---|---|---|
| any 4xx | connect, EHLO, STARTTLS, AUTH, MAIL | mailer | no recipient was named yet |
| 421 | anything | mailer | the server closes the connection (RFC 5321, 3.8) |
| 454 | anything | mailer | RFC 4954, 6; RFC 3207, 4; Amazon SES when we send too fast [1] |
| 4.3.x | anything | mailer | the state of the mail system (RFC 3463, 3.4): full, not accepting |
| our limit, quota | anything | mailer | Gmail: 450 4.2.1, 550 5.4.5 [2]; Exchange: 550 5.1.90 [3] |
| greylisting | anything | item | this sender and recipient only (RFC 6647, 2.3) |
| 4.1.x, 4.2.x, 4.5.x | anything | item | address, mailbox, command (RFC 3463, 3.2, 3.3, 3.6) |
| 4.4.x | anything | domain | the way there (RFC 3463, 3.5) |
| 4.7.x | anything | domain | policy there (RFC 3463, 3.8): 451 4.7.500 of Exchange Online [3] |
| words of rate | anything | domain | the same, of servers without enhanced codes |
| else | anything | item | |

[1] https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
[2] https://support.google.com/a/answer/3726730
[3] https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digest.model import Reach

#: A server that names a longer time is believed so far.
LONGEST_WAIT = timedelta(days=1)

#: 421: RFC 5321, 3.8. 454: see above.
_OURS = frozenset({421, 454})
#: 5xx that speak of a day's limit: over tomorrow, and no fault of the mail.
_OUR_LIMIT_STATUS = frozenset({"5.4.5", "5.1.90"})
_OUR_LIMIT = re.compile(
    r"\b(?:relay|sending|submission)\b[^.;]{0,30}\b(?:limit|quota)", re.IGNORECASE
)
_GREYLISTING = re.compile(r"gr[ae]y[ -]?list", re.IGNORECASE)
_RATE = re.compile(
    r"\btoo (?:many|much|fast|quickly)\b|\brates?\b|\brate-?limit|throttl"
    r"|\btry (?:again )?later\b|\btemporarily deferred\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?:again|back|later|retry|wait|listed|listing|deferred|delayed)\b\D{0,40}?\b"
    r"(?:(?P<clock>\d{1,2}:\d\d:\d\d)|(?P<count>\d{1,6}) ?(?P<unit>s|m|h)"
    r"(?:ec(?:ond)?s?|in(?:ute)?s?|(?:ou)?rs?)?)\b",
    re.IGNORECASE,
)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def is_our_limit(status: str) -> bool:
    """Whether a refusal for good only says that we sent enough for today."""
    return status in _OUR_LIMIT_STATUS


def reach_of(number: int, status: str, text: str, *, recipient_known: bool) -> Reach:
    """Return for whom the reply holds; `status` is empty where the server gave none."""
    if not recipient_known or number in _OURS or status.startswith("4.3."):
        return "mailer"
    if is_our_limit(status) or _OUR_LIMIT.search(text):
        return "mailer"
    if _GREYLISTING.search(text) or status.startswith(("4.1.", "4.2.", "4.5.")):
        return "item"
    if status.startswith(("4.4.", "4.7.")) or _RATE.search(text):
        return "domain"
    return "item"


def time_named(text: str) -> timedelta | None:
    """Return how long the server asks to wait, if it says so: at least a second."""
    found = _TIME.search(text)
    if found is None:
        return None
    if found["clock"]:
        hours, minutes, seconds = (int(part) for part in found["clock"].split(":"))
    else:
        hours, minutes, seconds = 0, 0, int(found["count"]) * _SECONDS[found["unit"].lower()]
    wait = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return min(wait, LONGEST_WAIT) if wait else None
