"""Resend's API against a local server: one bad mail spoils no other, and nothing goes twice."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from time import monotonic, sleep

import pytest
import trustme

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Receipt
from fakes.api import Reply, served
from fakes.mails import CONTENT, ENVELOPE, NOW, Written, numbered
from fakes.proxy import proxied
from fakes.resend import KEY, ResendServer, resend


@pytest.fixture
def server():
    with served(ResendServer()) as server:
        yield server


@pytest.fixture
def mailer(server):
    mailer = resend(server.url)
    yield mailer
    mailer.close()


def to(recipient: str) -> Written:
    return Written(envelope=replace(ENVELOPE, recipient=recipient))


@contextmanager
def crawling(before: float):
    """A server that thinks for so many seconds, and then says its answer a byte at a time."""
    body = b'{"data": [{"id": "a"}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    listener = socket.create_server(("127.0.0.1", 0))

    def crawl():
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.recv(65536)
            sleep(before)
            client.sendall(head)
            for place in range(len(body)):
                client.sendall(body[place : place + 1])
                sleep(0.05)

    thread = threading.Thread(target=crawl)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.join()
    listener.close()


@contextmanager
def answering(head: bytes, more: int = 0):
    """A server that answers with this, and with so many megabytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    said = [0]

    def answer():
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.recv(65536)
            client.sendall(head)
            for _ in range(more):
                client.sendall(bytes(1_000_000))
                said[0] += 1

    thread = threading.Thread(target=answer)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", said
    thread.join()
    listener.close()


def kinds(outcomes) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


# --- what is said ------------------------------------------------------------------------------


def test_a_mail_is_said_in_its_parts(server, mailer):
    mailer.submit([Written()], "key")
    [email] = server.accepted.values()
    assert email["from"] == "Common Threads <digest@example.org>"
    assert email["to"] == ["reader@example.org"]
    assert email["reply_to"] == "editors@example.org"
    assert (email["subject"], email["text"], email["html"]) == (
        CONTENT.subject,
        CONTENT.text,
        CONTENT.html,
    )
    assert email["headers"] == dict(CONTENT.headers)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "digest@example.org"),
        ("Integrated Care, weekly", '"Integrated Care, weekly" <digest@example.org>'),
        ('The "best" \\ of', r'"The \"best\" \\ of" <digest@example.org>'),
        ("Café Näher 日本", "Café Näher 日本 <digest@example.org>"),
        ("a <b@c.example>", '"a <b@c.example>" <digest@example.org>'),
    ],
)
def test_any_name_of_a_sender_is_one_name(server, mailer, name, shown):
    mailer.submit([Written(parts=replace(CONTENT, from_name=name))], "key")
    [email] = server.accepted.values()
    assert email["from"] == shown


def test_a_batch_is_one_request_whose_receipts_are_in_order(server, mailer):
    mails = [numbered(number) for number in range(100)]
    receipts = mailer.submit(mails, "key")
    assert server.calls == ["POST /emails/batch"]
    subjects = [server.accepted[receipt.remote_id]["subject"] for receipt in receipts]
    assert subjects == [mail.content().subject for mail in mails]
    assert {receipt.at for receipt in receipts} == {NOW}


# --- one for each ------------------------------------------------------------------------------


def test_one_bad_address_spoils_no_other(server, mailer):
    mails = [numbered(1), to("nobody"), numbered(2)]
    outcomes = mailer.submit(mails, "key")
    assert kinds(outcomes) == ["Receipt", "Refused", "Receipt"]
    assert outcomes[1].address_fault
    subjects = [server.accepted[outcomes[n].remote_id]["subject"] for n in (0, 2)]
    assert subjects == ["number 1", "number 2"]


def test_bad_addresses_alone_are_each_refused(mailer):
    outcomes = mailer.submit([to("nobody"), to("no body@example.org")], "key")
    assert kinds(outcomes) == ["Refused", "Refused"]


def test_a_fault_that_all_mails_share_refuses_nobody(server, mailer):
    shared = replace(CONTENT, headers=(("X-Fault", "a\nb"),))
    mails = [replace(numbered(number), parts=shared) for number in range(3)]
    outcomes = mailer.submit(mails, "key")
    assert kinds(outcomes) == ["Unauthorized"] * 3
    assert "headers" in outcomes[0].reason


def test_a_sender_that_resend_cannot_read_refuses_nobody(mailer):
    parts = replace(CONTENT, from_address="digest")
    [outcome] = mailer.submit([Written(parts=parts)], "key")
    assert isinstance(outcome, Unauthorized)


# --- never twice -------------------------------------------------------------------------------


def test_the_same_request_said_again_is_carried_out_once(server, mailer):
    mails = [numbered(1), to("nobody"), numbered(2)]
    assert mailer.submit(mails, "key") == mailer.submit(mails, "key")
    assert set(server.copies.values()) == {1}


@pytest.mark.parametrize("fault", ["hang-after", "drop-after", "cut-after", "502-after"])
def test_a_lost_answer_settles_itself_when_it_is_said_again(server, fault):
    mails = [numbered(number) for number in range(5)]
    with proxied(server.url) as line:
        line.fail(fault)
        mailer = resend(line.url, timeout_seconds=0.3)
        assert kinds(mailer.submit(mails, "key")) == ["Uncertain"] * 5
        assert len(server.accepted) == 5
        again = mailer.submit(mails, "key")
        mailer.close()
    assert [receipt.remote_id for receipt in again] == list(server.accepted)
    assert set(server.copies.values()) == {1}


def test_a_request_that_was_never_heard_of_is_in_doubt_all_the_same(server):
    with proxied(server.url) as line:
        line.fail("drop-before")
        mailer = resend(line.url)
        assert kinds(mailer.submit([numbered(1)], "key")) == ["Uncertain"]
        assert kinds(mailer.submit([numbered(1)], "key")) == ["Receipt"]
        mailer.close()


def test_a_key_that_meant_something_else_proves_nothing(server, mailer):
    mailer.submit([numbered(1)], "key")
    [outcome] = mailer.submit([numbered(2)], "key")
    assert isinstance(outcome, Uncertain)
    assert len(server.accepted) == 1


def test_a_request_that_is_not_over_is_uncertain(server, mailer):
    server.under_way = {"key"}
    assert kinds(mailer.submit([numbered(1)], "key")) == ["Uncertain"]


def test_resend_forgets_keys_later_than_we_trust_them_for(mailer):
    assert mailer.traits.same_for < timedelta(hours=24)


# --- answers -----------------------------------------------------------------------------------


def error(status: int, name: str = "application_error", **headers: str) -> Reply:
    document = {"statusCode": status, "name": name, "message": "It did not work out."}
    return Reply(status, document, {k.replace("_", "-"): v for k, v in headers.items()})


PAGE = b"<html><h1>It did not work out</h1></html>"
ANSWERS = [
    (error(400, "invalid_idempotency_key"), Unauthorized),
    (error(401, "missing_api_key"), Unauthorized),
    (error(401, "restricted_api_key"), Unauthorized),
    (error(403, "invalid_api_key"), Unauthorized),
    (error(403, "validation_error"), Unauthorized),
    (error(404, "not_found"), Unauthorized),
    (error(405, "method_not_allowed"), Unauthorized),
    (error(409, "invalid_idempotent_request"), Uncertain),
    (error(409, "concurrent_idempotent_requests"), Uncertain),
    (error(422, "missing_required_field"), Unauthorized),
    (error(451, "security_error"), Unauthorized),
    (error(429, "rate_limit_exceeded"), Throttled),
    (error(429, "daily_quota_exceeded"), Throttled),
    (error(500), Uncertain),
    (error(503), Uncertain),
    (Reply(502, PAGE), Uncertain),
    (Reply(403, PAGE), Unauthorized),
    (Reply(408, PAGE), Uncertain),
    (Reply(307, b"", {"Location": "/emails/batch"}), Unauthorized),
    (Reply(200, PAGE), Uncertain),
    (Reply(200, b""), Uncertain),
    (Reply(200, []), Uncertain),
    (Reply(200, {"data": [{"id": "a"}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}, {"id": "a"}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}, {"id": ""}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}, {"id": 7}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}, None]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}], "errors": [{"index": 2, "message": "no"}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}], "errors": [{"index": True, "message": "no"}]}), Uncertain),
    (Reply(200, {"data": [{"id": "a"}], "errors": "no"}), Uncertain),
    (Reply(200, b"[" * 200_000), Uncertain),
    (Reply(200, b" " * 5_000_000), Uncertain),
]


@pytest.mark.parametrize(("reply", "outcome"), ANSWERS)
def test_each_answer_says_whether_the_mails_may_have_gone(server, mailer, reply, outcome):
    server.instead = [reply]
    outcomes = mailer.submit([numbered(1), numbered(2)], "key")
    assert [type(one) for one in outcomes] == [outcome] * 2, outcomes
    assert all(one.reason for one in outcomes)
    assert kinds(mailer.submit([numbered(1), numbered(2)], "other")) == ["Receipt"] * 2


ANSWERED = b"HTTP/1.1 %s\r\nContent-Length: %s\r\nConnection: close\r\n%s\r\n"


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        # It had the request all the same.
        (ANSWERED % (b"200 OK", b"2, 3", b""), "Uncertain"),
        (ANSWERED % (b"200 OK", b"2\r\nContent-Length: 3", b""), "Uncertain"),
        (ANSWERED % (b"101 Switching Protocols", b"0", b""), "Uncertain"),
        (ANSWERED % (b"799 Whatever", b"0", b""), "Uncertain"),
        (ANSWERED % (b"302 Found", b"0", b"Location: http://[::1\r\n"), "Unauthorized"),
        (ANSWERED % (b"302 Found", b"0", b"Location: http://\r\n"), "Unauthorized"),
    ],
)
def test_an_answer_that_is_none_is_no_proof_that_nothing_was_taken(head, outcome):
    with answering(head) as (url, _):
        mailer = resend(url)
        assert kinds(mailer.submit([numbered(1)], "key")) == [outcome]
        mailer.close()


def test_of_a_redirect_no_more_is_read_than_of_other_answers():
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"
    with answering(head, more=40) as (url, said):
        mailer = resend(url)
        assert kinds(mailer.submit([numbered(1)], "key")) == ["Unauthorized"]
        mailer.close()
    assert said[0] < 40


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (error(429, "rate_limit_exceeded"), timedelta(seconds=1)),
        (error(429, "rate_limit_exceeded", retry_after="7"), timedelta(seconds=7)),
        (error(429, "rate_limit_exceeded", ratelimit_reset="3"), timedelta(seconds=3)),
        (error(429, "rate_limit_exceeded", retry_after="soon"), timedelta(seconds=1)),
        (error(429, "rate_limit_exceeded", retry_after="-5"), timedelta(seconds=1)),
        (Reply(429, PAGE, {"Retry-After": "20"}), timedelta(seconds=20)),
        (error(429, "daily_quota_exceeded", retry_after="1"), timedelta(hours=24)),
        (error(429, "monthly_quota_exceeded"), timedelta(hours=24)),
    ],
)
def test_too_much_stops_the_whole_mailer_for_as_long_as_it_says(server, mailer, reply, wait):
    server.instead = [reply]
    [outcome] = mailer.submit([numbered(1)], "key")
    assert isinstance(outcome, Throttled)
    assert (outcome.reach, outcome.retry_after) == ("mailer", wait)


def test_a_quota_takes_none_of_the_batch_that_passes_it(server, mailer):
    server.quota = 2
    assert kinds(mailer.submit([numbered(n) for n in range(3)], "key")) == ["Throttled"] * 3
    assert not server.accepted


def test_a_domain_that_is_not_verified_stops_the_mailer(server, mailer):
    server.domains = set()
    [outcome] = mailer.submit([numbered(1)], "key")
    assert isinstance(outcome, Unauthorized)
    assert "not verified" in outcome.reason


def test_a_wrong_key_stops_the_mailer_and_is_told_to_nobody(server):
    for key in ("re_another", "re_with\nline", "re_with_é", ""):
        mailer = resend(server.url, key=key)
        [outcome] = mailer.submit([numbered(1)], "key")
        mailer.close()
        assert isinstance(outcome, Unauthorized)
        assert not key or key not in outcome.reason


def test_no_reason_has_an_address_or_the_key(server, mailer):
    words = f"Bad\r\n\x1b[1mreader1@example.org <x@example.org> {KEY} `reader1@example.org`"
    for status in (400, 403, 409, 422, 429, 500):
        document = {"name": words, "message": words}
        server.instead = [Reply(status, document)]
        [outcome] = mailer.submit([numbered(1)], "key")
        assert "@" not in outcome.reason, outcome
        assert KEY not in outcome.reason
        assert outcome.reason.isprintable()
    server.instead = [Reply(200, {"data": [], "errors": [{"index": 0, "message": words}]})]
    [outcome] = mailer.submit([numbered(1)], "key")
    assert isinstance(outcome, Refused)
    assert "@" not in outcome.reason


# --- the line ----------------------------------------------------------------------------------


def test_where_nobody_listens_nothing_was_said(server):
    with served(ResendServer()) as gone:
        url = gone.url
    [outcome] = resend(url).submit([numbered(1)], "key")
    assert isinstance(outcome, Unavailable)
    # No TLS there: it is found out before anything is said.
    [outcome] = resend(server.url.replace("http:", "https:")).submit([numbered(1)], "key")
    assert isinstance(outcome, Unavailable)
    [outcome] = resend("http://nowhere.invalid").submit([numbered(1)], "key")
    assert isinstance(outcome, Unavailable)
    assert not server.calls


def test_only_a_certificate_that_can_be_verified_is_trusted(monkeypatch, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with served(ResendServer(), context) as server:
        mailer = resend(server.url)
        assert kinds(mailer.submit([numbered(1)], "key")) == ["Unavailable"]
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        assert kinds(mailer.submit([numbered(1)], "key")) == ["Receipt"]
        mailer.close()


def test_one_line_is_kept_open_and_a_dead_one_is_replaced(server, mailer):
    for number in range(3):
        mailer.submit([numbered(number)], f"request {number}")
    assert server.lines == 1
    mailer.close()
    assert kinds(mailer.submit([numbered(4)], "request 4")) == ["Receipt"]
    assert server.lines == 2


def test_a_password_that_the_user_keeps_for_that_host_is_not_used(mailer, monkeypatch, tmp_path):
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(path))
    assert kinds(mailer.submit([numbered(1)], "key")) == ["Receipt"]


def test_requests_keep_to_so_many_a_second(server):
    slept, now = [], [100.0]

    def sleep(seconds):
        slept.append(round(seconds, 3))
        now[0] += seconds

    mailer = resend(server.url, sleep=sleep, monotonic=lambda: now[0])
    for number in range(3):
        mailer.submit([numbered(number)], f"{number}")
        now[0] += 0.1
    now[0] += 5
    mailer.submit([numbered(9)], "9")
    mailer.close()
    assert slept == [0.4, 0.4]


def test_a_receipt_is_a_value(mailer):
    [receipt] = mailer.submit([numbered(1)], "key")
    assert receipt == Receipt(receipt.remote_id, NOW)


def test_an_answer_at_a_crawl_is_not_waited_for_beyond_its_time():
    with crawling(before=0.15) as url:
        mailer = resend(url, timeout_seconds=0.2)
        began = monotonic()
        assert kinds(mailer.submit([numbered(1)], "key")) == ["Uncertain"]
        # Slow to begin is no fault; slow to end is.
        assert 0.3 < monotonic() - began < 0.9
        mailer.close()
