"""Each way in which a relay can fail, and what is certain of the mail then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from digest.config_mailers import SmtpMailer
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers.smtp import RelayMailer
from digest.model import Receipt
from fakes.mails import ENVELOPE, MESSAGE, NOW, answer_of, relay, said

if TYPE_CHECKING:
    from datetime import datetime

DROP, HANG = "drop", "hang"

BUSY = "451 4.3.2 come back later"
CLOSING = "421 4.3.2 closing"

# verb, what the server says to it, the outcome, whether the address is at fault
FAILURES = [
    ("connect", "554 5.7.1 you are on a list", Unauthorized, False),
    ("connect", CLOSING, Throttled, False),
    ("connect", DROP, Unavailable, False),
    ("connect", HANG, Unavailable, False),
    ("connect", "gibberish", Unavailable, False),
    ("EHLO", "550 5.7.1 who are you", Unauthorized, False),
    ("EHLO", CLOSING, Throttled, False),
    ("EHLO", DROP, Unavailable, False),
    ("MAIL", "550 5.1.8 no such sender", Unauthorized, False),
    ("MAIL", "553 not your sender", Unauthorized, False),
    ("MAIL", "530 5.7.0 authenticate first", Unauthorized, False),
    ("MAIL", "552 5.3.4 too large", Refused, False),
    ("MAIL", "503 5.5.1 out of step", Unavailable, False),
    ("MAIL", BUSY, Throttled, False),
    ("MAIL", CLOSING, Throttled, False),
    ("MAIL", DROP, Unavailable, False),
    ("MAIL", HANG, Unavailable, False),
    ("RCPT", "550 5.1.1 no such user", Refused, True),
    ("RCPT", "550 no such user", Refused, True),
    ("RCPT", "552 5.2.2 full", Refused, True),
    ("RCPT", "530 5.7.0 authenticate first", Unauthorized, False),
    ("RCPT", "450 4.2.1 grey", Throttled, False),
    ("RCPT", "452 4.5.3 too many", Throttled, False),
    ("RCPT", CLOSING, Throttled, False),
    ("RCPT", DROP, Unavailable, False),
    ("RCPT", "gibberish", Unavailable, False),
    ("DATA", "554 5.5.1 no valid recipients", Refused, False),
    ("DATA", BUSY, Throttled, False),
    ("DATA", CLOSING, Throttled, False),
    ("DATA", DROP, Unavailable, False),
    ("DATA", "250 what", Unavailable, False),
    ("end", "554 5.7.1 spam", Refused, False),
    ("end", "552 too large", Refused, False),
    ("end", "452 4.3.1 disk full", Throttled, False),
    ("end", CLOSING, Throttled, False),
    ("end", DROP, Uncertain, False),
    ("end", HANG, Uncertain, False),
    ("end", "gibberish", Uncertain, False),
    ("end", "354 what", Uncertain, False),
    ("end", "25", Uncertain, False),
]


@pytest.mark.parametrize(
    ("verb", "said", "outcome", "fault"), FAILURES, ids=[f"{row[0]}: {row[1]}" for row in FAILURES]
)
def test_each_failure_says_whether_the_mail_may_have_gone(
    scripted, verb: str, said: str, outcome: type, fault: bool
) -> None:
    server = scripted(answers={verb: said})
    answer = answer_of(relay(server.port, timeout_seconds=0.2))
    assert type(answer) is outcome, answer
    assert answer.reason
    if isinstance(answer, Refused | Throttled):
        assert answer.code == " ".join(word for word in said.split()[:2] if word[0].isdigit())
    assert getattr(answer, "address_fault", False) is fault
    assert server.accepted == []


@pytest.mark.parametrize("row", FAILURES, ids=[f"{row[0]}: {row[1]}" for row in FAILURES])
def test_one_failure_leaves_the_next_mail_unharmed(scripted, row) -> None:
    server = scripted(answers={row[0]: [row[1]]})
    mailer = relay(server.port, timeout_seconds=0.2)
    said(mailer, b"first\r\n")
    assert isinstance(said(mailer, b"second\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"second\r\n"]


def test_a_connection_lost_within_the_body_is_certainly_no_mail(scripted) -> None:
    server = scripted(answers={"body": DROP})
    answer = answer_of(relay(server.port), b"x" * 70 + b"\r\n" + b"y" * 16_000_000)
    assert type(answer) is Unavailable
    assert server.accepted == []


def test_no_server_is_unavailable(scripted) -> None:
    server = scripted()
    server.stop()
    assert isinstance(answer_of(relay(server.port)), Unavailable)


def test_a_kept_connection_that_died_is_replaced_before_anything_is_lost(scripted) -> None:
    server = scripted()
    mailer = relay(server.port)
    assert isinstance(said(mailer, b"first\r\n"), Receipt)
    server.cut()
    assert isinstance(said(mailer, b"second\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"first\r\n", b"second\r\n"]
    assert server.connections == 2


def test_a_server_that_closes_between_mails_is_asked_once_more(scripted) -> None:
    server = scripted(answers={"MAIL": ["250 Ok", "421 4.3.2 enough for one connection"]})
    mailer = relay(server.port)
    answers = [said(mailer) for _ in range(2)]
    mailer.close()
    assert [type(answer) for answer in answers] == [Receipt, Receipt]
    assert (server.connections, len(server.accepted)) == (2, 2)


def test_a_refused_recipient_costs_no_connection(scripted) -> None:
    server = scripted(answers={"RCPT": ["550 5.1.1 no such user"]})
    mailer = relay(server.port)
    said(mailer)
    said(mailer)
    mailer.close()
    assert server.connections == 1
    assert server.verbs == [
        *("EHLO", "MAIL", "RCPT", "RSET"),
        *("MAIL", "RCPT", "DATA", "QUIT"),
    ]


def test_a_connection_is_given_up_after_so_many_messages(scripted) -> None:
    server = scripted()
    mailer = relay(server.port, messages_per_connection=2)
    for _ in range(5):
        assert isinstance(said(mailer), Receipt)
    mailer.close()
    assert server.connections == 3
    assert server.verbs.count("QUIT") == 3


def test_the_size_is_told_to_a_server_that_wants_to_know(scripted) -> None:
    server = scripted(extensions=("SIZE 1000",))
    answer_of(relay(server.port))
    wire = len(server.accepted[0])
    assert f"MAIL FROM:<bounces@example.org> SIZE={wire}" in server.commands


def test_bare_line_ends_cannot_end_a_mail_or_start_a_command(scripted) -> None:
    server = scripted()
    mailer = relay(server.port)
    smuggled = b"a\n.\nMAIL FROM:<x@example.org>\r.\r\r\n.\rb"
    assert isinstance(said(mailer, smuggled), Receipt)
    mailer.close()
    assert server.accepted == [b"a\r\n..\r\nMAIL FROM:<x@example.org>\r\n..\r\n\r\n..\r\nb\r\n"]
    assert server.verbs.count("MAIL") == 1


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "a@example.org> SIZE=1",
        "a@example.org\r\nDATA",
        "jörg@example.org",
        "a b@example.org",
        "<>",
    ],
)
def test_no_address_can_say_a_command(scripted, recipient: str) -> None:
    server = scripted()
    answer = answer_of(relay(server.port), MESSAGE, replace(ENVELOPE, recipient=recipient))
    assert isinstance(answer, Refused)
    assert not answer.address_fault
    assert server.connections == 0


def test_a_wrong_bounce_address_stops_the_mailer_and_refuses_no_one(scripted) -> None:
    server = scripted()
    answer = answer_of(relay(server.port), MESSAGE, replace(ENVELOPE, sender="jörg@example.org"))
    assert isinstance(answer, Unauthorized)


def test_a_reply_names_no_address_and_moves_no_cursor(scripted) -> None:
    said = "550-5.1.1 <Reader@Example.org>:\x1b[2J\x07 no\r\n550 5.1.1 such user " + "x" * 5000
    server = scripted(answers={"RCPT": said})
    answer = answer_of(relay(server.port))
    assert isinstance(answer, Refused)
    assert answer.code == "550 5.1.1"
    assert answer.reason.startswith("<recipient>: [2J no 5.1.1 such user")
    assert len(answer.reason) < 600


@pytest.mark.parametrize(
    ("said", "queue_id"),
    [
        ("250 2.0.0 Ok: queued as 4F2d1", "4F2d1"),
        ("250 OK id=1abc-0002Xy-3Z", "1abc-0002Xy-3Z"),
        ("250 Ok 0102018f3c5a7d2b-11aa22bb-000000", "0102018f3c5a7d2b-11aa22bb-000000"),
        ("250 thanks", ""),
        ("250", ""),
    ],
)
def test_a_receipt_carries_the_servers_own_name_for_the_mail(scripted, said, queue_id) -> None:
    server = scripted(answers={"end": said})
    answer = answer_of(relay(server.port))
    assert isinstance(answer, Receipt)
    assert answer.remote_id == queue_id
    assert answer.response == said


def test_an_interrupt_in_the_middle_leaves_no_half_used_connection(scripted) -> None:
    server = scripted()
    moments = iter([KeyboardInterrupt, None])

    def interrupted() -> datetime:
        if next(moments):
            raise KeyboardInterrupt
        return NOW

    settings = SmtpMailer(kind="smtp", host="127.0.0.1", port=server.port, security="none")
    mailer = RelayMailer(settings, interrupted)
    with pytest.raises(KeyboardInterrupt):
        said(mailer)
    assert isinstance(said(mailer), Receipt)
    mailer.close()
    assert server.connections == 2
