"""Postmark's API against a local server: a result for each mail, and nothing is said twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers import postmark as module
from digest.model import Receipt
from fakes.api import Reply, served
from fakes.mails import CONTENT, ENVELOPE, NOW, Written, numbered
from fakes.postmark import TOKEN, PostmarkServer, fault, postmark
from fakes.proxy import proxied


@pytest.fixture
def server():
    with served(PostmarkServer()) as server:
        yield server


@pytest.fixture
def mailer(server):
    mailer = postmark(server.url)
    yield mailer
    mailer.close()


def to(recipient: str) -> Written:
    return Written(envelope=replace(ENVELOPE, recipient=recipient))


def kinds(outcomes) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


# --- what is said ------------------------------------------------------------------------------


def test_a_mail_is_said_in_its_parts_and_tracks_nobody(server, mailer):
    mailer.submit([Written()], "key")
    [email] = server.accepted.values()
    headers = {one["Name"]: one["Value"] for one in email.pop("Headers")}
    assert headers == {**dict(CONTENT.headers), "X-PM-KeepID": "true"}
    assert email == {
        "From": "Common Threads <digest@example.org>",
        "To": "reader@example.org",
        "ReplyTo": "editors@example.org",
        "Subject": CONTENT.subject,
        "HtmlBody": CONTENT.html,
        "TextBody": CONTENT.text,
        "MessageStream": "broadcast",
        "Metadata": {"digest-id": "one", "digest-at": "example.org"},
        "TrackOpens": False,
        "TrackLinks": "None",
    }


def test_a_batch_is_one_request_whose_receipts_are_in_order(server, mailer):
    mails = [numbered(number) for number in range(500)]
    receipts = mailer.submit(mails, "key")
    assert server.calls == ["POST /email/batch"]
    subjects = [server.accepted[receipt.remote_id]["Subject"] for receipt in receipts]
    assert subjects == [mail.content().subject for mail in mails]
    assert {receipt.at for receipt in receipts} == {NOW}


def test_what_does_not_fit_into_a_request_goes_with_the_next(server):
    server.largest = 5000
    mailer = postmark(server.url, largest=5000)
    body = replace(CONTENT, html="é" * 800)
    mails = [replace(numbered(number), parts=body) for number in range(4)]
    outcomes = mailer.submit(mails, "key")
    assert kinds(outcomes) == ["Receipt", "Receipt", "Throttled", "Throttled"]
    assert outcomes[2].reach == "item"
    assert kinds(mailer.submit(mails[2:], "other")) == ["Receipt", "Receipt"]
    assert set(server.copies.values()) == {1}
    mailer.close()


def test_a_mail_that_never_fits_is_refused_and_holds_up_no_other(server):
    mailer = postmark(server.url, largest=5000)
    large = Written(parts=replace(CONTENT, html="x" * 5000))
    assert kinds(mailer.submit([large, numbered(1)], "key")) == ["Refused", "Throttled"]
    assert not server.calls
    assert kinds(mailer.submit([numbered(1), large], "key")) == ["Receipt", "Throttled"]
    mailer.close()


def test_a_request_is_never_larger_than_postmark_takes():
    assert module.LARGEST <= 50 * 1024 * 1024


# --- one for each ------------------------------------------------------------------------------


def test_each_mail_has_a_result_of_its_own(server, mailer):
    server.inactive = {"reader2@example.org"}
    mails = [numbered(1), to("no body@example.org"), numbered(2), numbered(3)]
    outcomes = mailer.submit(mails, "key")
    assert kinds(outcomes) == ["Receipt", "Refused", "Refused", "Receipt"]
    assert [outcome.address_fault for outcome in outcomes[1:3]] == [True, True]
    assert "@" not in outcomes[1].reason + outcomes[2].reason
    subjects = [server.accepted[outcomes[n].remote_id]["Subject"] for n in (0, 3)]
    assert subjects == ["number 1", "number 3"]


def test_a_sender_that_is_not_ours_refuses_nobody(server, mailer):
    server.senders = set()
    assert kinds(mailer.submit([numbered(1), numbered(2)], "key")) == ["Unauthorized"] * 2
    parts = replace(CONTENT, from_address="digest")
    assert kinds(mailer.submit([Written(parts=parts)], "key")) == ["Unauthorized"]


def test_a_stream_that_is_not_there_refuses_nobody(server):
    mailer = postmark(server.url, message_stream="news")
    assert kinds(mailer.submit([numbered(1)], "key")) == ["Unauthorized"]
    mailer.close()


def test_a_fault_that_all_mails_share_refuses_nobody(server, mailer):
    empty = replace(CONTENT, html="", text="")
    mails = [replace(numbered(number), parts=empty) for number in range(3)]
    assert kinds(mailer.submit(mails, "key")) == ["Unauthorized"] * 3
    outcomes = mailer.submit([mails[0], numbered(7)], "key")
    assert kinds(outcomes) == ["Refused", "Receipt"]
    assert not outcomes[0].address_fault


def test_readers_that_are_all_inactive_are_each_refused(server, mailer):
    server.inactive = {"reader1@example.org", "reader2@example.org"}
    assert kinds(mailer.submit([numbered(1), numbered(2)], "key")) == ["Refused"] * 2


CODES = [
    (10, Unauthorized),
    (100, Unavailable),
    (300, Refused),
    (400, Unauthorized),
    (401, Unauthorized),
    (405, Unauthorized),
    (406, Refused),
    (411, Refused),
    (412, Unauthorized),
    (413, Unauthorized),
    (429, Throttled),
    (1235, Unauthorized),
    (99_999, Refused),
]


@pytest.mark.parametrize(("code", "outcome"), CODES)
def test_each_code_of_a_mail(server, mailer, code, outcome):
    taken = {"ErrorCode": 0, "MessageID": "a", "Message": "OK"}
    server.instead = [Reply(200, [taken, {"ErrorCode": code, "Message": "It did not work out."}])]
    outcomes = mailer.submit([numbered(1), numbered(2)], "key")
    assert isinstance(outcomes[0], Receipt)
    assert type(outcomes[1]) is outcome
    assert outcomes[1].reason == "Postmark does not take it: It did not work out"


# --- answers -----------------------------------------------------------------------------------

PAGE = b"<html><h1>It did not work out</h1></html>"
TAKEN = {"ErrorCode": 0, "MessageID": "a"}
ANSWERS = [
    (fault(401, 10, "No token."), Unauthorized),
    (fault(422, 405, "No credits."), Unauthorized),
    (fault(422, 410, "Too many."), Unauthorized),
    (fault(422, 300, "Invalid."), Unauthorized),
    (fault(422, 402, "Invalid JSON."), Unauthorized),
    (fault(503, 100, "Maintenance."), Unavailable),
    (fault(500, 0, "Oh."), Uncertain),
    (Reply(503, PAGE), Uncertain),
    (Reply(502, PAGE), Uncertain),
    (Reply(403, PAGE), Unauthorized),
    (Reply(404, PAGE), Unauthorized),
    (Reply(413, PAGE), Unauthorized),
    (Reply(408, PAGE), Uncertain),
    (Reply(301, b"", {"Location": "/email/batch"}), Unauthorized),
    (Reply(429, PAGE), Throttled),
    (Reply(200, PAGE), Uncertain),
    (Reply(200, {}), Uncertain),
    (Reply(200, []), Uncertain),
    (Reply(200, [TAKEN]), Uncertain),
    (Reply(200, [TAKEN, TAKEN]), Uncertain),
    (Reply(200, [TAKEN, {"ErrorCode": 0}]), Uncertain),
    (Reply(200, [TAKEN, {"ErrorCode": False, "MessageID": "b"}]), Uncertain),
    (Reply(200, [TAKEN, {"ErrorCode": "0", "MessageID": "b"}]), Uncertain),
    (Reply(200, [TAKEN, None]), Uncertain),
    (Reply(200, [TAKEN, {**TAKEN, "MessageID": "b"}, {**TAKEN, "MessageID": "c"}]), Uncertain),
    (Reply(200, b"[" * 200_000), Uncertain),
]


@pytest.mark.parametrize(("reply", "outcome"), ANSWERS)
def test_each_answer_says_whether_the_mails_may_have_gone(server, mailer, reply, outcome):
    server.instead = [reply]
    outcomes = mailer.submit([numbered(1), numbered(2)], "key")
    assert [type(one) for one in outcomes] == [outcome] * 2, outcomes
    assert all(one.reason for one in outcomes)
    assert kinds(mailer.submit([numbered(1), numbered(2)], "other")) == ["Receipt"] * 2


def test_too_much_stops_the_whole_mailer_for_as_long_as_it_says(server, mailer):
    waits = []
    for headers in ({}, {"Retry-After": "60"}):
        server.instead = [Reply(429, b"", headers)]
        [outcome] = mailer.submit([numbered(1)], "key")
        assert outcome.reach == "mailer"
        waits.append(outcome.retry_after)
    assert waits == [timedelta(seconds=10), timedelta(seconds=60)]


def test_a_wrong_token_stops_the_mailer_and_is_told_to_nobody(server):
    for token in ("another", "with\nline", "with é", ""):
        mailer = postmark(server.url, token=token)
        for outcome in (*mailer.submit([numbered(1)], "key"), mailer.find("<a@example.org>")):
            assert isinstance(outcome, Unauthorized)
            assert not token or token not in outcome.reason
        mailer.close()


def test_no_reason_has_an_address_or_the_token(server, mailer):
    words = f"Bad\r\n\x1b[1mreader1@example.org <x@example.org> {TOKEN}"
    for reply in (fault(422, 300, words), Reply(200, [{"ErrorCode": 300, "Message": words}])):
        server.instead = [reply]
        [outcome] = mailer.submit([numbered(1)], "key")
        assert isinstance(outcome, Refused)
        assert "@" not in outcome.reason
        assert TOKEN not in outcome.reason
        assert outcome.reason.isprintable()


# --- the line ----------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["hang-after", "drop-after", "cut-after", "502-after"])
def test_a_lost_answer_leaves_the_whole_request_in_doubt_and_each_mail_can_be_found(
    server, trouble
):
    mails = [numbered(number) for number in range(5)]
    with proxied(server.url) as line:
        line.fail(trouble)
        mailer = postmark(line.url, timeout_seconds=0.3)
        assert kinds(mailer.submit(mails, "key")) == ["Uncertain"] * 5
        found = [mailer.find(mail.envelope.message_id) for mail in mails]
        mailer.close()
    assert [receipt.remote_id for receipt in found] == list(server.accepted)
    assert server.calls.count("POST /email/batch") == 1


def test_where_nobody_listens_nothing_was_said(server):
    with served(PostmarkServer()) as gone:
        url = gone.url
    for where in (url, server.url.replace("http:", "https:"), "http://nowhere.invalid"):
        assert kinds(postmark(where).submit([numbered(1)], "key")) == ["Unavailable"]
    assert not server.calls


def test_each_request_has_a_line_of_its_own(server, mailer):
    for number in range(3):
        mailer.submit([numbered(number)], "key")
    assert server.lines == 3


# --- what was sent is found again --------------------------------------------------------------


def test_only_the_mail_of_that_name_is_found(server, mailer):
    receipts = mailer.submit([numbered(1), numbered(2)], "key")
    assert mailer.find("<2@example.org>") == receipts[1]
    assert mailer.find("<2@elsewhere.example>") is None
    assert mailer.find("<3@example.org>") is None


def test_a_search_that_brings_other_mails_finds_none_of_them(server, mailer):
    mailer.submit([numbered(1)], "key")
    server.instead = [
        Reply(200, {"TotalCount": 9, "Messages": [None, {}, {"MessageID": "a", "Metadata": None}]})
    ]
    assert mailer.find("<1@example.org>") is None


def test_what_is_not_shown_yet_proves_nothing(server, mailer):
    [receipt] = mailer.submit([numbered(1)], "key")
    server.lag = 1
    assert mailer.find("<1@example.org>") is None
    assert not mailer.traits.finds_absence
    server.lag = 0
    assert mailer.find("<1@example.org>") == receipt


def test_mails_of_another_stream_are_looked_for_there(server):
    mailer = postmark(server.url, message_stream="outbound")
    [receipt] = mailer.submit([numbered(1)], "key")
    assert mailer.find("<1@example.org>") == receipt
    mailer.close()


def test_a_domain_of_any_length_fits_into_the_metadata(server, mailer):
    message_id = f"<{'a' * 32}@{'b' * 60}.{'c' * 60}.example.org>"
    mail = Written(envelope=replace(ENVELOPE, message_id=message_id))
    [receipt] = mailer.submit([mail], "key")
    assert mailer.find(message_id) == receipt


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (fault(401, 10, "No token."), Unauthorized),
        (Reply(429, PAGE), Throttled),
        (Reply(200, PAGE), Unavailable),
        (Reply(200, {"Messages": "none"}), Unavailable),
    ],
)
def test_a_search_that_fails_tells_nothing_of_the_mail(server, mailer, reply, outcome):
    server.instead = [reply]
    assert type(mailer.find("<1@example.org>")) is outcome


def test_a_search_without_an_answer_is_no_doubt_about_the_mail():
    with served(PostmarkServer()) as gone:
        url = gone.url
    assert isinstance(postmark(url).find("<1@example.org>"), Unavailable)
