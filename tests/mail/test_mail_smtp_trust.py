"""A relay that must be trusted, and trust us: certificates, STARTTLS, logins."""

from __future__ import annotations

from time import monotonic

import pytest

from digest.errors import Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Receipt
from fakes.mails import MESSAGE, PASSWORD, answer_of, relay, said, secure_relay

DROP, HANG, DRIBBLE, ENDLESS = "drop", "hang", "dribble", "endless"
CLOSING = "421 4.3.2 closing"


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
    assert isinstance(answer_of(mailer, b"a\r\n"), Receipt)
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
        ("432 4.7.12 transition needed", Throttled),
        ("421 4.3.2 closing", Throttled),
        (DROP, Unavailable),
        (ENDLESS, Unavailable),
        ("gibberish", Unavailable),
        ("334 a", Unavailable),
    ],
)
def test_a_login_that_fails_for_now_is_tried_again(scripted, said: str, outcome: type) -> None:
    server = scripted(extensions=("AUTH PLAIN",), answers={"AUTH": said})
    answer = answer_of(secure_relay(server.port, security="none"))
    assert type(answer) is outcome, answer
    assert getattr(answer, "reach", "mailer") == "mailer"
    assert server.verbs.count("MAIL") == 0


@pytest.mark.parametrize("what", [HANG, DRIBBLE])
@pytest.mark.parametrize("verb", ["STARTTLS", "AUTH"])
def test_nobody_waits_long_to_be_let_in(scripted, verb: str, what: str) -> None:
    server = scripted(extensions=("STARTTLS", "AUTH PLAIN"), answers={verb: what})
    security = "starttls" if verb == "STARTTLS" else "none"
    mailer = secure_relay(server.port, security=security, timeout_seconds=0.2)
    started = monotonic()
    assert type(answer_of(mailer)) is Unavailable
    assert monotonic() - started < 2


def test_a_handshake_that_hangs_is_given_up(scripted) -> None:
    server = scripted(answers={"connect": HANG})
    answer = answer_of(relay(server.port, security="tls", timeout_seconds=0.2))
    assert type(answer) is Unavailable


@pytest.mark.usefixtures("trusted")
def test_words_in_clear_are_not_taken_for_words_under_tls(scripted) -> None:
    injected = "220 go on\r\n250-scripted\r\n250 AUTH PLAIN"
    server = scripted(extensions=("STARTTLS",), answers={"STARTTLS": injected})
    answer = answer_of(secure_relay(server.port))
    assert isinstance(answer, Unauthorized)
    assert "clear" in answer.reason
    assert server.verbs == ["EHLO", "STARTTLS"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("what", "outcome"), [(DROP, Uncertain), (HANG, Uncertain)])
def test_what_is_certain_is_as_certain_under_tls(scripted, what: str, outcome: type) -> None:
    server = scripted(tls=True, extensions=("PIPELINING",), answers={"end": ["250 Ok", what]})
    mailer = relay(server.port, security="tls", timeout_seconds=1)
    assert isinstance(said(mailer, b"first\r\n"), Receipt)
    assert type(said(mailer, b"second\r\n")) is outcome
    assert isinstance(said(mailer, b"third\r\n"), Receipt)
    mailer.close()
    assert server.accepted == [b"first\r\n", b"third\r\n"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("what", [DROP, HANG])
def test_a_body_that_cannot_be_sent_under_tls_is_certainly_no_mail(scripted, what: str) -> None:
    server = scripted(tls=True, answers={"body": what})
    mailer = relay(server.port, security="tls", timeout_seconds=1)
    assert type(answer_of(mailer, b"y" * 16_000_000)) is Unavailable
    assert server.accepted == []


@pytest.mark.usefixtures("trusted")
def test_a_connection_under_tls_is_kept(scripted) -> None:
    server = scripted(tls=True, extensions=("PIPELINING",))
    mailer = relay(server.port, security="tls")
    for _ in range(5):
        assert isinstance(said(mailer), Receipt)
    mailer.close()
    assert (server.connections, len(server.accepted)) == (1, 5)


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
