"""What every mailer promises, held against every mailer; and each way in which a relay can fail."""

from __future__ import annotations

import resource
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from digest.config_mailers import SmtpMailer
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers.file import MaildirMailer
from digest.mail.mailers.smtp import RelayMailer
from digest.model import Envelope, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from digest.ports import Mailer, Outcome

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
ENVELOPE = Envelope("bounces@example.org", "reader@example.org", "<one@example.org>")
MESSAGE = b"Subject: hello\r\n\r\n.\r\n..two\r\nline = caf=C3=A9\r\n\r\n"

USER, PASSWORD = "digest", "correct horse"
DROP, HANG = "drop", "hang"


def clock() -> datetime:
    return NOW


@dataclass
class Bench:
    """A mailer, and what lies at the other side of it."""

    mailer: Mailer
    arrived: Callable[[], list[bytes]]


def relay(port: int, **changes) -> RelayMailer:
    """A relay on loopback, in clear; time-outs shorter than an operator may set."""
    settings = SmtpMailer(kind="smtp", host="127.0.0.1", port=port, security="none")
    return RelayMailer(settings.model_copy(update={"timeout_seconds": 5} | changes), clock)


def secure_relay(port: int, **changes) -> RelayMailer:
    secret = SmtpMailer(kind="smtp", host="x", password=PASSWORD).password
    asked = {"security": "starttls", "username": USER, "password": secret}
    return relay(port, **(asked | changes))


def answer_of(mailer: Mailer, envelope: Envelope = ENVELOPE, message: bytes = MESSAGE) -> Outcome:
    """What the mailer says to one message, after which it is closed."""
    try:
        return mailer.submit(envelope, message)
    finally:
        mailer.close()


@pytest.fixture(params=["file", "smtp in clear", "smtp with TLS and login"])
def bench(request, tmp_path) -> Iterator[Bench]:
    if request.param == "file":
        new = tmp_path / "new"
        mailer: Mailer = MaildirMailer(tmp_path, clock)
        yield Bench(mailer, lambda: [path.read_bytes() for path in new.glob("*")])
    elif request.param == "smtp in clear":
        server = request.getfixturevalue("scripted")()
        mailer = relay(server.port)
        undot = lambda body: body.replace(b"\r\n..", b"\r\n.")  # noqa: E731
        yield Bench(mailer, lambda: [undot(body) for body in server.accepted])
    else:
        request.getfixturevalue("trusted")
        server = request.getfixturevalue("real_server")
        mailer = secure_relay(server.port)
        yield Bench(mailer, lambda: [message for _, _, message in server.inbox.mails])
    mailer.close()


# --- every mailer ------------------------------------------------------------------------------


def test_an_accepted_message_arrives_to_the_byte(bench: Bench) -> None:
    receipt = bench.mailer.submit(ENVELOPE, MESSAGE)
    assert isinstance(receipt, Receipt)
    assert receipt.at == NOW
    assert receipt.remote_id
    assert bench.arrived() == [MESSAGE]


def test_twice_the_same_is_one_mail_where_the_mailer_can_tell(bench: Bench) -> None:
    first, second = (bench.mailer.submit(ENVELOPE, MESSAGE) for _ in range(2))
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert len(bench.arrived()) == (1 if bench.mailer.can_find else 2)


def test_find_proves_presence_and_absence_or_refuses_to_say(bench: Bench) -> None:
    if not bench.mailer.can_find:
        with pytest.raises(NotImplementedError):
            bench.mailer.find(ENVELOPE.message_id)
        return
    assert bench.mailer.find(ENVELOPE.message_id) is None
    receipt = bench.mailer.submit(ENVELOPE, MESSAGE)
    assert bench.mailer.find(ENVELOPE.message_id) == receipt
    assert bench.mailer.find("<other@example.org>") is None


def test_a_closed_mailer_opens_again(bench: Bench) -> None:
    for number in range(3):
        bench.mailer.close()
        envelope = replace(ENVELOPE, message_id=f"<{number}@example.org>")
        assert isinstance(bench.mailer.submit(envelope, MESSAGE), Receipt)
        bench.mailer.close()
    assert len(bench.arrived()) == 3


def test_many_mails_all_arrive(bench: Bench) -> None:
    for number in range(20):
        envelope = replace(ENVELOPE, message_id=f"<{number}@example.org>")
        assert isinstance(bench.mailer.submit(envelope, b"n: %d\r\n\r\n" % number), Receipt)
    assert sorted(bench.arrived()) == sorted(b"n: %d\r\n\r\n" % number for number in range(20))


# --- a relay that misbehaves -------------------------------------------------------------------

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
    mailer.submit(ENVELOPE, b"first\r\n")
    assert isinstance(mailer.submit(ENVELOPE, b"second\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"second\r\n"]


def test_a_connection_lost_within_the_body_is_certainly_no_mail(scripted) -> None:
    server = scripted(answers={"body": DROP})
    answer = answer_of(relay(server.port), ENVELOPE, b"x" * 70 + b"\r\n" + b"y" * 16_000_000)
    assert type(answer) is Unavailable
    assert server.accepted == []


def test_no_server_is_unavailable(scripted) -> None:
    server = scripted()
    server.stop()
    assert isinstance(answer_of(relay(server.port)), Unavailable)


def test_a_kept_connection_that_died_is_replaced_before_anything_is_lost(scripted) -> None:
    server = scripted()
    mailer = relay(server.port)
    assert isinstance(mailer.submit(ENVELOPE, b"first\r\n"), Receipt)
    server.cut()
    assert isinstance(mailer.submit(ENVELOPE, b"second\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"first\r\n", b"second\r\n"]
    assert server.connections == 2


def test_a_server_that_closes_between_mails_is_asked_once_more(scripted) -> None:
    server = scripted(answers={"MAIL": ["250 Ok", "421 4.3.2 enough for one connection"]})
    mailer = relay(server.port)
    answers = [mailer.submit(ENVELOPE, MESSAGE) for _ in range(2)]
    mailer.close()
    assert [type(answer) for answer in answers] == [Receipt, Receipt]
    assert (server.connections, len(server.accepted)) == (2, 2)


def test_a_refused_recipient_costs_no_connection(scripted) -> None:
    server = scripted(answers={"RCPT": ["550 5.1.1 no such user"]})
    mailer = relay(server.port)
    mailer.submit(ENVELOPE, MESSAGE)
    mailer.submit(ENVELOPE, MESSAGE)
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
        assert isinstance(mailer.submit(ENVELOPE, MESSAGE), Receipt)
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
    assert isinstance(mailer.submit(ENVELOPE, smuggled), Receipt)
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
    answer = answer_of(relay(server.port), replace(ENVELOPE, recipient=recipient))
    assert isinstance(answer, Refused)
    assert not answer.address_fault
    assert server.connections == 0


def test_a_wrong_bounce_address_stops_the_mailer_and_refuses_no_one(scripted) -> None:
    server = scripted()
    answer = answer_of(relay(server.port), replace(ENVELOPE, sender="jörg@example.org"))
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
        mailer.submit(ENVELOPE, MESSAGE)
    assert isinstance(mailer.submit(ENVELOPE, MESSAGE), Receipt)
    mailer.close()
    assert server.connections == 2


# --- a relay that must be trusted, and trust us ------------------------------------------------


@pytest.mark.usefixtures("trusted")
def test_wrong_credentials_stop_the_mailer(real_server) -> None:
    answer = answer_of(secure_relay(real_server.port, username="somebody"))
    assert isinstance(answer, Unauthorized)
    assert answer.code.startswith("535")
    assert real_server.inbox.mails == []


@pytest.mark.usefixtures("trusted")
def test_no_credentials_stop_the_mailer(real_server) -> None:
    answer = answer_of(secure_relay(real_server.port, username=""))
    assert isinstance(answer, Unauthorized)
    assert answer.code.startswith("530")


@pytest.mark.usefixtures("trusted")
def test_the_envelope_goes_as_it_is(real_server) -> None:
    receipt = answer_of(secure_relay(real_server.port))
    assert isinstance(receipt, Receipt)
    assert receipt.remote_id == "AIO1"
    assert real_server.inbox.mails == [("bounces@example.org", ["reader@example.org"], MESSAGE)]


def test_a_certificate_nobody_vouches_for_stops_the_mailer(real_server) -> None:
    answer = answer_of(secure_relay(real_server.port))
    assert isinstance(answer, Unauthorized)
    assert "certificate" in answer.reason
    assert real_server.inbox.mails == []


@pytest.mark.usefixtures("trusted")
def test_another_hosts_certificate_stops_the_mailer(real_server) -> None:
    answer = answer_of(secure_relay(real_server.port, host="localhost"))
    assert isinstance(answer, Unauthorized)
    assert "localhost" in answer.reason


@pytest.mark.parametrize("changes", [{}, {"username": ""}], ids=["with login", "without login"])
def test_clear_text_is_never_fallen_back_to(scripted, changes) -> None:
    server = scripted(extensions=("AUTH PLAIN LOGIN",))
    answer = answer_of(secure_relay(server.port, **changes))
    assert isinstance(answer, Unauthorized)
    assert "STARTTLS" in answer.reason
    assert server.verbs == ["EHLO"]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("454 4.7.0 TLS not available", Throttled),
        ("501 no", Unauthorized),
        (CLOSING, Throttled),
        (DROP, Unavailable),
    ],
)
def test_a_failing_starttls_sends_nothing_in_clear(scripted, said: str, outcome: type) -> None:
    server = scripted(extensions=("STARTTLS",), answers={"STARTTLS": said})
    answer = answer_of(secure_relay(server.port))
    assert type(answer) is outcome
    assert server.verbs == ["EHLO", "STARTTLS"]


@pytest.mark.usefixtures("trusted")
def test_tls_from_the_first_byte(scripted) -> None:
    server = scripted(tls=True)
    mailer = relay(server.port, security="tls")
    assert isinstance(answer_of(mailer, ENVELOPE, b"a\r\n"), Receipt)
    assert server.accepted == [b"a\r\n"]


def test_a_server_in_clear_is_not_taken_for_a_secure_one(scripted) -> None:
    server = scripted()
    answer = answer_of(relay(server.port, security="tls"))
    assert isinstance(answer, Unauthorized)
    assert server.accepted == []


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("535 5.7.8 wrong", Unauthorized),
        ("534 5.7.9 too weak", Unauthorized),
        ("454 4.7.0 try later", Throttled),
        (DROP, Unavailable),
    ],
)
def test_a_login_that_fails_for_now_is_tried_again(scripted, said: str, outcome: type) -> None:
    server = scripted(extensions=("AUTH PLAIN",), answers={"AUTH": said})
    answer = answer_of(secure_relay(server.port, security="none"))
    assert type(answer) is outcome


@pytest.mark.parametrize("extensions", [(), ("AUTH GSSAPI",)])
def test_a_server_without_a_login_we_know_stops_the_mailer(scripted, extensions) -> None:
    server = scripted(extensions=extensions)
    answer = answer_of(secure_relay(server.port, security="none"))
    assert isinstance(answer, Unauthorized)


def test_a_password_that_smtplib_cannot_send_stops_the_mailer(scripted) -> None:
    server = scripted(extensions=("AUTH PLAIN",))
    answer = answer_of(secure_relay(server.port, security="none", username="jörg"))
    assert isinstance(answer, Unauthorized)
    assert PASSWORD not in answer.reason


# --- the local mailbox -------------------------------------------------------------------------


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A disk that is full after 100 bytes; the system refuses the 101st with an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, clock)
    answer = mailer.submit(ENVELOPE, b"x" * 5000)
    assert isinstance(answer, Unavailable)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert mailer.find(ENVELOPE.message_id) is None


def test_a_mailbox_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    tmp_path.joinpath("mail").write_text("a file in its way")
    answer = MaildirMailer(tmp_path / "mail", clock).submit(ENVELOPE, MESSAGE)
    assert isinstance(answer, Unavailable)


def test_a_mail_that_was_read_elsewhere_is_still_found(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, clock)
    receipt = mailer.submit(ENVELOPE, MESSAGE)
    assert isinstance(receipt, Receipt)
    seen = tmp_path / "cur" / f"{receipt.remote_id}:2,S"
    (tmp_path / "new" / receipt.remote_id).rename(seen)
    found = mailer.find(ENVELOPE.message_id)
    assert found is not None
    assert (found.remote_id, found.at) == (receipt.remote_id, receipt.at)
    assert mailer.submit(ENVELOPE, MESSAGE) == found
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_kill_left_half_written_is_not_found(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, clock)
    receipt = mailer.submit(ENVELOPE, MESSAGE)
    assert isinstance(receipt, Receipt)
    (tmp_path / "new" / receipt.remote_id).rename(tmp_path / "tmp" / receipt.remote_id)
    assert mailer.find(ENVELOPE.message_id) is None


def test_two_at_once_make_one_file(tmp_path: Path) -> None:
    gate = threading.Barrier(8)

    def submit() -> None:
        gate.wait()
        MaildirMailer(tmp_path, clock).submit(ENVELOPE, MESSAGE)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [MESSAGE]
    assert list((tmp_path / "tmp").iterdir()) == []
