"""What servers say when they want less, as they say it: for whom that holds, and how long."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPAuthenticationError, SMTPConnectError

import pytest

from digest.errors import Refused, Throttled, Unauthorized, Unavailable
from digest.mail.mailers.smtp_replies import (
    Phase,
    failure,
    interjection,
    read_reply,
    rejection,
    verdict,
)
from digest.mail.mailers.smtp_throttling import LONGEST_WAIT, time_named
from digest.model import Receipt
from fakes.mails import NOW

SES = "454 Throttling failure: Maximum sending rate exceeded."
GMAIL_IP = (
    "421-4.7.28 [192.0.2.1] Our system has detected an unusual rate of unsolicited mail"
    " originating from your IP address, which has been temporarily rate limited."
)
GMAIL_USER = (
    "450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents"
    " additional messages from being delivered. Please resend your message at a later time."
)
YAHOO = (
    "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or"
    " user complaints - 4.16.55.1"
)
EXCHANGE = "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)"

# what is said to RCPT or to the end of the body, and how far that reaches
REACHES = [
    (SES, "mailer"),
    ("454 Throttling failure: Daily message quota exceeded.", "mailer"),
    ("454 4.7.0 Temporary authentication failure", "mailer"),
    (GMAIL_IP, "mailer"),
    (YAHOO, "mailer"),
    ("421 4.3.2 All server ports are busy", "mailer"),
    ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "mailer"),
    ("452 4.3.1 Insufficient system storage", "mailer"),
    ("451 4.3.0 Error: queue file write error", "mailer"),
    ("450 4.2.1 Peak SMTP relay limit exceeded for customer.", "mailer"),
    ("550 5.4.5 Daily SMTP relay limit exceeded for customer.", "mailer"),
    ("550 5.1.90 Your message can't be sent because you've reached your daily limit", "mailer"),
    (EXCHANGE, "domain"),
    ("450 4.7.1 Client host rejected: too much mail from 192.0.2.1", "domain"),
    ("450 4.4.1 connect to mx.example.org: Connection timed out", "domain"),
    ("451 too many messages from you, slow down", "domain"),
    ("450 Requested mail action not taken: rate limit for this domain", "domain"),
    ("451 Temporarily deferred. Try again later", "domain"),
    ("452 Too many connections for example.org", "domain"),
    (GMAIL_USER, "item"),
    ("452-4.2.2 The recipient's inbox is out of storage space.", "item"),
    ("450 4.2.0 <recipient>: Recipient address rejected: Greylisted, see a page", "item"),
    ("451 4.7.1 Greylisting in action, please come back in 00:05:00", "item"),
    ("450 4.1.1 <recipient>: unverified address: try again later", "item"),
    ("452 4.5.3 Too many recipients", "item"),
    ("450 mailbox busy", "item"),
    ("451 local error in processing", "item"),
]


def reply_of(said: str):
    return read_reply(int(said[:3]), said[4:])


@pytest.mark.parametrize(("said", "reach"), REACHES, ids=[row[0][:40] for row in REACHES])
def test_an_answer_says_for_whom_it_holds(said: str, reach: str) -> None:
    for outcome in (
        rejection(Phase.RCPT, reply_of(said)),
        verdict(reply_of(said), lambda _, __: Receipt("", NOW)),
    ):
        assert isinstance(outcome, Throttled)
        assert outcome.reach == reach
        assert outcome.code.startswith(said[:3])


@pytest.mark.parametrize("said", [*(row[0] for row in REACHES if row[0][0] == "4")])
def test_before_anybody_was_named_an_answer_holds_for_all(said: str) -> None:
    code, text = int(said[:3]), said[4:].encode()
    outcomes = (
        rejection(Phase.MAIL, reply_of(said)),
        failure(SMTPConnectError(code, text)),
        failure(SMTPAuthenticationError(code, text)),
    )
    assert [type(outcome) for outcome in outcomes] == [Throttled] * 3
    assert {outcome.reach for outcome in outcomes} == {"mailer"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 300 seconds", 300),
        ("Please try again in 300 seconds.", 300),
        ("retry after 5 minutes", 300),
        ("Retry in 5m", 300),
        ("Greylisted for 1 minute", 60),
        ("greylisting in action, please come back in 00:05:30", 330),
        ("Please wait 90 sec before the next", 90),
        ("temporarily deferred for 2 hours", 7200),
        ("come back later: 10 min", 600),
        ("try again in 5 hrs", 18_000),
        ("try again in 99999 hours", LONGEST_WAIT.total_seconds()),
        ("try again in 999999 seconds", LONGEST_WAIT.total_seconds()),
        ("try again in 0 seconds", None),
        ("try again later", None),
        ("Server busy. Please try again later from [192.0.2.1]. (S77719)", None),
        ("limit of 100 mails in 60 seconds exceeded", None),
        ("try again, 300 of us are here", None),
        ("try again in 12345678 seconds", None),
        ("retry 5 mailboxes", None),
        ("again 4.7.1 s", None),
        ("", None),
    ],
)
def test_a_time_said_in_words_is_believed_within_bounds(text: str, seconds: float | None) -> None:
    assert time_named(text) == (None if seconds is None else timedelta(seconds=seconds))
    answer = rejection(Phase.RCPT, read_reply(451, text))
    assert isinstance(answer, Throttled)
    assert answer.retry_after == time_named(text)


def test_a_long_reply_is_read_in_no_time() -> None:
    for text in ("again " * 10_000, "relay " * 10_000 + "x", "a" * 60_000):
        assert isinstance(rejection(Phase.RCPT, read_reply(451, text)), Throttled)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("552 5.3.4 too large", Refused),
        ("451 4.3.0 disk", Throttled),
        ("421 4.4.2 too slow", Throttled),
        ("250 Ok: queued as Q1", Unavailable),
        ("354 go on", Unavailable),
        ("999 what", Unavailable),
    ],
)
def test_what_is_said_before_the_end_is_never_an_acceptance(said: str, outcome: type) -> None:
    assert type(interjection(reply_of(said))) is outcome


def test_a_refusal_that_is_for_good_is_not_waited_out() -> None:
    assert isinstance(rejection(Phase.RCPT, reply_of("550 5.1.1 try again never")), Refused)
    assert isinstance(rejection(Phase.MAIL, reply_of("550 5.7.1 throttled")), Unauthorized)
