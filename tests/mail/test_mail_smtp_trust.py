"""A relay that must be trusted, and trust us: certificates, STARTTLS, logins."""

from __future__ import annotations

import pytest

from digest.errors import Throttled, Unauthorized, Unavailable
from digest.model import Receipt
from fakes.mails import MESSAGE, PASSWORD, answer_of, relay, secure_relay

DROP = "drop"
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
