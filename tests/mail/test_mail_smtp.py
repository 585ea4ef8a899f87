"""Each way in which a relay can fail, and what is certain of the mail then."""

from __future__ import annotations

import re
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from digest.config_mailers import SmtpMailer
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers import smtp_connection
from digest.mail.mailers.smtp import RelayMailer
from digest.mail.message import Letter
from digest.mail.press import Press
from digest.model import Receipt
from fakes.mails import ENVELOPE, MESSAGE, NOW, answer_of, relay, said

if TYPE_CHECKING:
    from datetime import datetime

DROP, HANG, DRIBBLE, ENDLESS = "drop", "hang", "dribble", "endless"
PIPELINING = {"step by step": (), "pipelined": ("PIPELINING",)}

BUSY = "451 4.3.2 come back later"
CLOSING = "421 4.3.2 closing"
TWO_CODES = "250-2.1.0 Ok\r\n550 5.1.1 no"
NOTICE = Letter(
    subject="Notice",
    html="",
    text="",
    from_name="Common Threads",
    from_address="digest@example.org",
    reply_to="editors@example.org",
    language="en-GB",
    feedback_id=("1", "weekly", "notice", "example.org"),
)


def named(row) -> str:
    return f"{row[0]}: {row[1]}"


# verb, what the server says to it, the outcome, whether the address is at fault
FAILURES = [
    ("connect", "554 5.7.1 you are on a list", Unauthorized, False),
    ("connect", CLOSING, Throttled, False),
    ("connect", DROP, Unavailable, False),
    ("connect", ENDLESS, Unavailable, False),
    ("connect", "gibberish", Unavailable, False),
    ("EHLO", "550 5.7.1 who are you", Unauthorized, False),
    ("EHLO", CLOSING, Throttled, False),
    ("EHLO", DROP, Unavailable, False),
    ("EHLO", ENDLESS, Unavailable, False),
    ("EHLO", "gibberish", Unavailable, False),
    ("MAIL", "550 5.1.8 no such sender", Unauthorized, False),
    ("MAIL", "553 not your sender", Unauthorized, False),
    ("MAIL", "530 5.7.0 authenticate first", Unauthorized, False),
    ("MAIL", "552 5.3.4 too large", Refused, False),
    ("MAIL", "503 5.5.1 out of step", Unavailable, False),
    ("MAIL", BUSY, Throttled, False),
    ("MAIL", CLOSING, Throttled, False),
    ("MAIL", DROP, Unavailable, False),
    ("MAIL", ENDLESS, Unavailable, False),
    ("MAIL", "gibberish", Unavailable, False),
    ("MAIL", TWO_CODES, Unavailable, False),
    ("MAIL", "250 Ok\r\n250 Ok", Unavailable, False),
    ("RCPT", "550 5.1.1 no such user", Refused, True),
    ("RCPT", "550 no such user", Refused, True),
    ("RCPT", "552 5.2.2 full", Refused, True),
    ("RCPT", "530 5.7.0 authenticate first", Unauthorized, False),
    ("RCPT", "450 4.2.1 grey", Throttled, False),
    ("RCPT", "452 4.5.3 too many", Throttled, False),
    ("RCPT", "550 5.4.5 daily quota exceeded", Throttled, False),
    ("RCPT", CLOSING, Throttled, False),
    ("RCPT", DROP, Unavailable, False),
    ("RCPT", ENDLESS, Unavailable, False),
    ("RCPT", "gibberish", Unavailable, False),
    ("RCPT", "354 go on", Unavailable, False),
    ("RCPT", TWO_CODES, Unavailable, False),
    ("DATA", "554 5.5.1 no valid recipients", Refused, False),
    ("DATA", BUSY, Throttled, False),
    ("DATA", CLOSING, Throttled, False),
    ("DATA", DROP, Unavailable, False),
    ("DATA", ENDLESS, Unavailable, False),
    ("DATA", "gibberish", Unavailable, False),
    ("DATA", "250 what", Unavailable, False),
    ("DATA", "354 go on\r\n250 2.0.0 Ok: queued as TOO-EARLY", Unavailable, False),
    ("DATA", "354 go on\r\n552 5.3.4 too large", Refused, False),
    ("DATA", "354 go on\r\n421 4.4.2 too slow", Throttled, False),
    ("end", "554 5.7.1 spam", Refused, False),
    ("end", "552 too large", Refused, False),
    ("end", "503 5.5.1 out of step", Unavailable, False),
    ("end", "452 4.3.1 disk full", Throttled, False),
    ("end", "550 5.4.5 daily quota exceeded", Throttled, False),
    ("end", CLOSING, Throttled, False),
    ("end", DROP, Uncertain, False),
    ("end", ENDLESS, Uncertain, False),
    ("end", "gibberish", Uncertain, False),
    ("end", "354 what", Uncertain, False),
    ("end", "25", Uncertain, False),
    ("end", "2500 bytes are too many", Uncertain, False),
    ("end", TWO_CODES, Uncertain, False),
]
# The same of a server that takes longer than anybody waits.
WAITS = [
    ("connect", HANG, Unavailable, False),
    ("connect", DRIBBLE, Unavailable, False),
    ("EHLO", HANG, Unavailable, False),
    ("EHLO", DRIBBLE, Unavailable, False),
    ("MAIL", HANG, Unavailable, False),
    ("MAIL", DRIBBLE, Unavailable, False),
    ("RCPT", HANG, Unavailable, False),
    ("RCPT", DRIBBLE, Unavailable, False),
    ("DATA", HANG, Unavailable, False),
    ("DATA", DRIBBLE, Unavailable, False),
    ("end", HANG, Uncertain, False),
    ("end", DRIBBLE, Uncertain, False),
]


@pytest.fixture(params=PIPELINING.values(), ids=PIPELINING)
def extensions(request):
    """Whether the server takes commands together."""
    return request.param


@pytest.mark.parametrize("row", FAILURES + WAITS, ids=named)
def test_each_failure_says_whether_the_mail_may_have_gone(scripted, extensions, row) -> None:
    verb, what, outcome, fault = row
    server = scripted(answers={verb: what}, extensions=extensions)
    answer = answer_of(relay(server.port, timeout_seconds=0.2 if row in WAITS else 5))
    assert type(answer) is outcome, answer
    assert answer.reason
    if isinstance(answer, Refused | Throttled):
        refusal = next(line for line in what.split("\r\n") if line[0] in "45")
        assert answer.code == " ".join(word for word in refusal.split()[:2] if word[0].isdigit())
    assert getattr(answer, "address_fault", False) is fault
    assert server.accepted == []


@pytest.mark.parametrize("row", FAILURES, ids=named)
def test_one_failure_leaves_the_next_mail_unharmed(scripted, extensions, row) -> None:
    server = scripted(answers={row[0]: [row[1]]}, extensions=extensions)
    mailer = relay(server.port)
    said(mailer, b"first\r\n")
    assert isinstance(said(mailer, b"second\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"second\r\n"]
    assert server.orphans == []


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_a_server_that_wants_the_body_of_a_refused_mail_gets_none(scripted, verb: str) -> None:
    server = scripted(
        answers={verb: ["550 5.1.1 no"], "DATA": ["354 go on all the same"]},
        extensions=("PIPELINING",),
    )
    mailer = relay(server.port)
    assert not isinstance(said(mailer, b"first\r\n"), Receipt)
    assert isinstance(said(mailer, b"second\r\n"), Receipt)
    mailer.close()
    assert (server.accepted, server.orphans) == ([b"second\r\n"], [b""])
    assert server.connections == 1


def test_a_refused_sender_with_a_recipient_taken_is_not_told_the_end_of_anything(scripted) -> None:
    server = scripted(
        answers={"MAIL": ["550 5.1.8 no"], "RCPT": ["250 Ok"], "DATA": ["354 go on"]},
        extensions=("PIPELINING",),
    )
    mailer = relay(server.port)
    assert isinstance(said(mailer, b"first\r\n"), Unauthorized)
    assert isinstance(said(mailer, b"second\r\n"), Receipt)
    mailer.close()
    assert (server.accepted, server.orphans) == ([b"second\r\n"], [])
    assert server.connections == 2


def test_a_mail_is_said_in_two_rounds_where_the_server_takes_commands_together(scripted) -> None:
    server = scripted(extensions=("PIPELINING",), answers={"MAIL": HANG})
    answer_of(relay(server.port, timeout_seconds=0.2))
    assert server.verbs == ["EHLO", "MAIL"]
    assert server.unread.splitlines() == [b"RCPT TO:<reader@example.org>", b"DATA"]


def test_a_server_that_stops_reading_holds_the_connection_for_a_time_out(scripted) -> None:
    server = scripted(answers={"body": HANG})
    started = monotonic()
    answer = answer_of(relay(server.port, timeout_seconds=0.2), b"y" * 16_000_000)
    assert type(answer) is Unavailable
    assert monotonic() - started < 2
    assert server.accepted == []


def test_a_connection_lost_within_the_body_is_certainly_no_mail(scripted) -> None:
    server = scripted(answers={"body": DROP})
    answer = answer_of(relay(server.port), b"x" * 70 + b"\r\n" + b"y" * 16_000_000)
    assert type(answer) is Unavailable
    assert server.accepted == []


@pytest.mark.parametrize(
    "raw",
    [
        b"..\r\n",
        b".\r\n.\r\n",
        b"a\r\n.b\r\n\r\n..c\r\n",
        b"a\r\n\r\n.\r\n",
        b"a.\r\n",
        b".." + b"x" * 70_000 + b"\r\n.\r\n",
    ],
)
def test_a_body_arrives_as_it_is(scripted, extensions, raw: bytes) -> None:
    server = scripted(extensions=extensions)
    mailer = relay(server.port)
    assert [type(said(mailer, body)) for body in (raw, b"next\r\n")] == [Receipt, Receipt]
    mailer.close()
    arrived = [body[1:] if body[:1] == b"." else body for body in server.accepted[0].split(b"\r\n")]
    assert b"\r\n".join(arrived) == raw
    assert server.accepted[1:] == [b"next\r\n"]


def test_no_server_is_unavailable(scripted) -> None:
    server = scripted()
    server.stop()
    assert isinstance(answer_of(relay(server.port)), Unavailable)


@pytest.mark.parametrize("goodbye", [b"", b"421 4.4.2 idle for too long\r\n"])
def test_a_kept_connection_that_died_is_replaced_before_anything_is_lost(
    scripted, extensions, goodbye: bytes
) -> None:
    server = scripted(extensions=extensions)
    mailer = relay(server.port)
    assert isinstance(said(mailer, b"first\r\n"), Receipt)
    server.cut(goodbye=goodbye)
    assert isinstance(said(mailer, b"second\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"first\r\n", b"second\r\n"]
    assert server.connections == 2


@pytest.mark.parametrize("what", ["421 4.3.2 enough for one connection", DROP, HANG, DRIBBLE])
def test_a_server_that_ends_between_mails_is_asked_once_more(
    scripted, extensions, what: str
) -> None:
    server = scripted(answers={"MAIL": ["250 Ok", what]}, extensions=extensions)
    mailer = relay(server.port, timeout_seconds=0.2)
    answers = [said(mailer) for _ in range(2)]
    mailer.close()
    assert [type(answer) for answer in answers] == [Receipt, Receipt]
    assert (server.connections, len(server.accepted)) == (2, 2)


def test_a_server_that_says_yes_twice_is_not_believed_the_second_time(scripted, extensions) -> None:
    server = scripted(answers={"end": ["250 Ok\r\n250 Ok"]}, extensions=extensions)
    mailer = relay(server.port)
    answers = [said(mailer, body) for body in (b"first\r\n", b"second\r\n")]
    mailer.close()
    assert [type(answer) for answer in answers] == [Receipt, Receipt]
    assert (server.connections, server.accepted) == (2, [b"first\r\n", b"second\r\n"])


def test_a_server_that_is_gone_for_good_is_not_asked_a_third_time(scripted, extensions) -> None:
    server = scripted(answers={"MAIL": ["250 Ok", DROP, DROP]}, extensions=extensions)
    mailer = relay(server.port)
    assert isinstance(said(mailer), Receipt)
    assert type(said(mailer)) is Unavailable
    mailer.close()
    assert server.connections == 2


def test_a_goodbye_is_not_waited_for(scripted, monkeypatch) -> None:
    monkeypatch.setattr(smtp_connection, "GOODBYE_SECONDS", 0.1)
    server = scripted(answers={"QUIT": HANG})
    mailer = relay(server.port, timeout_seconds=60)
    assert isinstance(said(mailer), Receipt)
    started = monotonic()
    mailer.close()
    assert monotonic() - started < 2


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


def test_a_refused_recipient_costs_no_connection_where_all_is_said_at_once(scripted) -> None:
    server = scripted(answers={"RCPT": ["550 5.1.1 no such user"]}, extensions=("PIPELINING",))
    mailer = relay(server.port)
    answers = [said(mailer), said(mailer)]
    mailer.close()
    assert [type(answer) for answer in answers] == [Refused, Receipt]
    assert server.connections == 1
    assert server.verbs == [
        *("EHLO", "MAIL", "RCPT", "DATA", "RSET"),
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
    smuggled = "a\n.\nMAIL FROM:<x@example.org>\r.\r\r\n.\rb"
    mail = Press(replace(NOTICE, text=smuggled, html=smuggled)).mail(ENVELOPE, None, NOW)
    assert [type(one) for one in mailer.submit([mail], "key")] == [Receipt]
    mailer.close()
    [body] = server.accepted
    assert re.findall(rb"[^\r\n]*(?:\r(?!\n)|(?<!\r)\n)", body) == []
    assert body.count(b"a\r\n=2E\r\nMAIL FROM:<x@example.org>\r\n=2E\r\n\r\n=2E\r\nb\r\n") == 2
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
