"""X: the contract of all channels, and what X alone does."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import requests
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests_oauthlib import OAuth1

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Picture, Place, ReadySnippet, Receipt
from digest.social.channels.x import XChannel
from fakes.contract import AT, NetworkContract, bodies_of, out, png, snippets
from fakes.proxy import proxied
from fakes.x import forbidden, x_server

TROUBLE = Refused | Throttled | Unauthorized | Unavailable | Uncertain
#: After every moment that the contract's snippets bear.
SOON = AT + timedelta(minutes=10)


class Clock:
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        self.now = SOON

    def __call__(self) -> datetime:
        # Two posts never bear the same moment.
        self.now += timedelta(milliseconds=1)
        return self.now

    def on(self, **by) -> None:
        self.now += timedelta(**by)


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@dataclass
class Rig:
    server: object
    proxy: object
    clock: Clock
    slept: list
    creating: str = "POST /2/tweets"

    def __post_init__(self) -> None:
        self.account = self.server.account().model_copy(update={"api_url": self.proxy.url})
        self.channel = self.channel_of(self.account)

    def channel_of(self, account, *, timeout: float = 1.0) -> XChannel:
        return XChannel(account, timeout=timeout, clock=self.clock, sleep=self.slept.append)

    def away(self) -> XChannel:
        return self.channel_of(self.account.model_copy(update={"api_url": nowhere()}))

    def stranger(self) -> XChannel:
        other = type(self.account.access_token_secret)("not-the-secret")
        return self.channel_of(self.account.model_copy(update={"access_token_secret": other}))

    @property
    def secrets(self) -> tuple[str, ...]:
        keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        return tuple(getattr(self.account, key).get_secret_value() for key in keys)

    def count(self) -> int:
        return len(self.server.posts)


@pytest.fixture
def rig():
    clock = Clock()
    with x_server(clock=clock) as server, proxied(server.url) as proxy:
        yield Rig(server, proxy, clock, [])


@pytest.fixture
def channel(rig):
    return rig.channel


class TestContract(NetworkContract):
    """What holds of every network holds of X."""


def said(text: str, *, key: str = "k", at: datetime = AT, **more) -> ReadySnippet:
    return ReadySnippet(key, text, at, **more)


def parent(post) -> Place:
    receipt = Receipt(post.id, post.created_at)
    return Place(receipt, receipt)


# --- what is posted ---------------------------------------------------------------------------


def test_what_is_stored_is_the_request_and_when_it_was_first_tried(channel):
    place = Place(Receipt("11", AT), Receipt("12", AT))
    (body,) = channel.prepare([said("Crèche 🧡")], place)
    assert json.loads(body) == {
        "at": AT.isoformat(),
        "tweet": {"text": "Crèche 🧡", "reply": {"in_reply_to_tweet_id": "12"}},
    }


def test_a_receipt_leads_to_the_post(rig, channel):
    (receipt,) = out(channel, snippets(1))
    assert receipt.remote_id == rig.server.posts[0].id
    assert receipt.url == f"https://x.com/i/status/{receipt.remote_id}"


def test_asking_for_limits_or_preparing_a_text_asks_nothing_of_x(rig, channel):
    channel.limits()
    channel.prepare([said("Nothing to upload")], None)
    assert rig.server.calls == []


def test_posting_is_one_call(rig, channel):
    bodies = bodies_of(channel, [said("Only this")])
    channel.publish(bodies)
    assert rig.server.calls == ["POST /2/tweets"]


def test_a_post_is_not_repeated_where_a_gateway_sends_us_elsewhere():
    with answering(307, "", {"Location": "/2/tweets"}) as (channel, calls):
        assert isinstance(channel.publish(bodies_of(channel, [said("Once")])), Uncertain)
        assert calls == ["POST"]


def test_an_account_whose_token_tells_no_id_is_asked_for_it_once(rig):
    account = rig.server.account("shy", telling=False)
    channel = rig.channel_of(account)
    bodies = bodies_of(channel, [said("Who am I?")])
    assert channel.find(bodies) is None
    channel.publish(bodies)
    rig.clock.on(seconds=1)
    assert len(channel.find(bodies)) == 1
    assert rig.server.calls.count("GET /2/users/me") == 1


# --- pictures ---------------------------------------------------------------------------------


def test_a_picture_is_uploaded_whole_with_its_alt_text(rig, channel):
    # Every byte there is, and more of them than X takes at once.
    content = bytes(range(256)) * 18_000
    alt = "A teal field, 100 % “flat”."
    (receipt,) = out(channel, [said("Look", picture=Picture(content, "image/png", alt, 64, 48))])
    (media,) = rig.server.media.values()
    assert media.content == content
    assert len(media.pieces) == 3
    (seen,) = channel.read([receipt])
    assert seen.text == "Look"
    assert seen.alts == (alt,)


def test_a_picture_without_alt_text_costs_no_call_for_it(rig, channel):
    shown = said("Look", picture=Picture(png(), "image/png", "", 64, 48))
    (receipt,) = out(channel, [shown])
    assert "POST /2/media/metadata/create" not in rig.server.calls
    (seen,) = channel.read([receipt])
    assert seen.alts == ("",)


def test_processing_is_waited_for(rig):
    rig.server.processing_polls = 3
    channel = rig.channel_of(rig.account, timeout=5)
    out(channel, snippets(1))
    assert rig.slept == [1, 1, 1]
    assert rig.count() == 1


def test_processing_that_takes_too_long_leaves_the_snippet_for_later(rig, channel):
    rig.server.processing_polls = 99
    assert isinstance(channel.prepare(snippets(1), None), Unavailable)
    assert sum(rig.slept) <= 1


def test_a_picture_that_x_cannot_read_is_refused(rig, channel):
    rig.server.processing_error = "InvalidMedia"
    answer = channel.prepare(snippets(1), None)
    assert isinstance(answer, Refused)
    assert "InvalidMedia" in answer.reason
    rig.server.processing_error = "InternalError"
    assert isinstance(channel.prepare(snippets(1), None), Unavailable)


def test_a_picture_of_a_kind_that_x_does_not_take_is_refused(channel):
    shown = said("Look", picture=Picture(b"%PDF", "application/pdf", "", 1, 1))
    assert isinstance(channel.prepare([shown], None), Refused)


@pytest.mark.parametrize("step", ["initialize", "append", "finalize", "metadata"])
@pytest.mark.parametrize("fault", ["drop-after", "502-after", "503-before", "cut-after"])
def test_an_upload_that_fails_is_nothing_that_anybody_sees(rig, channel, step, fault):
    rig.proxy.fail(fault, step)
    assert isinstance(channel.prepare(snippets(1), None), Unavailable)
    assert rig.count() == 0
    assert isinstance(channel.prepare(snippets(1), None), tuple)


def test_an_upload_that_x_forgot_is_prepared_anew(rig, channel):
    bodies = bodies_of(channel, snippets(1))
    rig.server.media.clear()
    answer = channel.publish(bodies)
    assert isinstance(answer, Unavailable)
    assert "media" in answer.reason
    out(channel, snippets(1))
    assert rig.count() == 1


# --- what is found and read back --------------------------------------------------------------


def test_a_duplicate_is_in_doubt_and_an_older_identical_post_is_not_ours(rig, channel):
    rig.server.say("Good morning", at=AT - timedelta(hours=5))
    bodies = bodies_of(channel, [said("Good morning")])
    answer = channel.publish(bodies)
    assert isinstance(answer, Uncertain)
    assert answer.code == "duplicate"
    assert channel.find(bodies) is None


def test_a_duplicate_of_what_was_accepted_is_found(rig, channel):
    bodies = bodies_of(channel, [said("Good morning")])
    rig.proxy.fail("drop-after", rig.creating)
    assert isinstance(channel.publish(bodies), Uncertain)
    assert channel.publish(bodies).code == "duplicate"
    (found,) = channel.find(bodies)
    assert found.remote_id == rig.server.posts[0].id
    assert found.at == rig.server.posts[0].created_at.replace(microsecond=found.at.microsecond)
    assert rig.count() == 1


def test_a_link_to_another_post_is_no_picture_of_this_one(channel):
    bodies = bodies_of(channel, [said("Like https://x.com/blog/status/20/photo/1")])
    channel.publish(bodies)
    assert len(channel.find(bodies)) == 1


def test_the_earliest_of_equal_ones_is_found(rig, channel):
    first = rig.server.say("Twice", at=SOON)
    rig.server.say("Twice", at=SOON + timedelta(seconds=5))
    rig.clock.on(minutes=1)
    (found,) = channel.find(bodies_of(channel, [said("Twice")]))
    assert found.remote_id == first.id


def test_equal_words_elsewhere_are_not_it(rig, channel):
    root = rig.server.say("The root")
    rig.server.say("Part two", name="somebody-else")
    rig.server.say("Part two")
    rig.clock.on(seconds=1)
    place = parent(root)
    assert channel.find(bodies_of(channel, [said("Part two")], place)) is None
    answer = rig.server.say("Part two", parent=root.id)
    rig.clock.on(seconds=1)
    (found,) = channel.find(bodies_of(channel, [said("Part two")], place))
    assert found.remote_id == answer.id


TEXTS = [
    "Costs £5 & more: a < b > c, AT&amp;T, &copy; and &lt;b&gt;",
    "Two: https://blog.example.org/a?b=1&c=2#d, and https://blog.example.org/é/\n\n#SocialCare",
    "The same twice https://blog.example.org/ https://blog.example.org/",
    "An accidental care.social domain, and wp.me/p1",
    "(https://blog.example.org/a_(b)) “https://blog.example.org/q”",
    "Cafe\u0301 in NFD, 🧑🏽‍🤝‍🧑🏻 and 介護 https://blog.example.org/介護",
    "  spaces around \n",
    "http://plain.example.org/path over http",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_found_however_x_shows_it(rig, channel, text):
    for picture in (None, Picture(png(), "image/png", "Teal", 64, 48)):
        snippet = said(text + " again" * bool(picture), picture=picture)
        bodies = bodies_of(channel, [snippet])
        (receipt,) = channel.publish(bodies)
        (found,) = channel.find(bodies)
        assert found.remote_id == receipt.remote_id


@pytest.mark.parametrize("text", [*TEXTS[:3], TEXTS[4], TEXTS[7]])
def test_a_text_is_read_as_it_was_said(channel, text):
    (receipt,) = out(channel, [said(text)])
    (seen,) = channel.read([receipt])
    assert seen.text == text


def test_an_accidental_link_is_read_as_the_words_it_was(channel):
    (receipt,) = out(channel, [said("About care.social here")])
    (seen,) = channel.read([receipt])
    assert seen.text == "About care.social here"


def test_a_busy_timeline_is_read_to_its_end(rig, channel):
    first = rig.server.say("The one", at=AT)
    for number in range(230):
        rig.server.say(f"Noise {number}", at=AT + timedelta(seconds=number))
    (found,) = channel.find(bodies_of(channel, [said("The one")]))
    assert found.remote_id == first.id
    assert rig.server.calls.count("GET /2/users/2244994945/tweets") == 3


def test_a_post_that_timelines_do_not_show_yet_is_found_later(rig, channel):
    rig.server.lag = 5
    bodies = bodies_of(channel, [said("Soon")])
    channel.publish(bodies)
    assert channel.find(bodies) is None
    rig.clock.on(seconds=6)
    assert len(channel.find(bodies)) == 1
    assert timedelta(seconds=5) < channel.traits.seen_after


def test_a_clock_as_wrong_as_x_bears_hides_nothing(rig, channel):
    rig.server.say("Skewed", at=SOON)
    for wrong in (timedelta(minutes=5), timedelta(minutes=-5)):
        assert channel.find(bodies_of(channel, [said("Skewed", at=SOON + wrong)]))


def test_a_first_try_in_the_future_is_no_question_for_x(rig, channel):
    bodies = bodies_of(channel, [said("Tomorrow", at=SOON + timedelta(days=1))])
    assert channel.find(bodies) is None


def test_many_posts_are_read_a_hundred_at_a_time(rig, channel):
    posts = [rig.server.say(f"Post {number}") for number in range(150)]
    rig.server.take_down(posts[120].id)
    receipts = [Receipt(post.id, AT) for post in reversed(posts)]
    seen = channel.read(receipts)
    assert [i for i, one in enumerate(seen) if one is None] == [29]
    assert seen[0].text == "Post 149"
    assert rig.server.calls == ["GET /2/tweets"] * 2
    assert channel.read([]) == ()


def test_what_x_says_nothing_about_is_not_taken_for_gone():
    receipt = Receipt("12", AT)
    withheld = {"value": "12", "type": "https://api.twitter.com/2/problems/not-authorized"}
    half = {"data": [None], "meta": {"result_count": 1}}
    for document in ({}, half, {"data": []}, {"errors": [withheld]}, {"data": [{"id": "13"}]}, []):
        with answering(200, json.dumps(document)) as (channel, _):
            assert isinstance(channel.read([receipt]), Unavailable), document
            assert isinstance(channel.find(bodies_of(channel, [said("?")])), Unavailable), document


def test_taking_down_what_x_does_not_know_is_done(rig, channel):
    assert channel.delete(Receipt("12", AT)) is None
    assert rig.server.calls == ["DELETE /2/tweets/12", "GET /2/tweets"]


NOT_DELETED = [(404, ""), (404, "<html>"), (200, '{"data": {"deleted": false}}')]


@pytest.mark.parametrize(("status", "content"), NOT_DELETED)
def test_only_what_x_shows_no_more_was_taken_down(status, content):
    with answering(status, content) as (channel, _):
        assert isinstance(channel.delete(Receipt("12", AT)), Unavailable)


def test_what_others_posted_is_not_ours_to_take_down(rig, channel):
    post = rig.server.say("Theirs", name="somebody-else")
    assert isinstance(channel.delete(Receipt(post.id, AT)), Refused)
    assert rig.count() == 1


# --- limits and money -------------------------------------------------------------------------


def test_a_window_that_is_used_up_is_waited_for(rig, channel):
    rig.server.limits["post"] = 2
    for number in range(2):
        out(channel, [said(f"Post {number}")])
    bodies = bodies_of(channel, [said("Post 3")])
    answer = channel.publish(bodies)
    assert isinstance(answer, Throttled)
    assert answer.window == "post"
    assert timedelta(minutes=14) < answer.retry_after <= timedelta(minutes=15)
    assert rig.count() == 2
    rig.clock.now += answer.retry_after + timedelta(seconds=1)
    assert isinstance(channel.publish(bodies), tuple)


def test_each_kind_of_call_has_a_window_of_its_own(rig, channel):
    rig.server.limits |= {"delete": 0, "media": 0, "read": 0}
    (receipt,) = out(channel, [said("Goes out")])
    answers = {
        "delete": channel.delete(receipt),
        "media": channel.prepare(snippets(1), None),
        "read": channel.read([receipt]),
    }
    for window, answer in answers.items():
        assert isinstance(answer, Throttled)
        assert answer.window == window
    assert channel.find(bodies_of(channel, [said("Goes out")])).window == "read"


def test_a_day_that_is_used_up_is_waited_for(rig, channel):
    rig.server.day_limit = 1
    out(channel, [said("One")])
    answer = channel.publish(bodies_of(channel, [said("Two")]))
    assert timedelta(hours=23) < answer.retry_after <= timedelta(hours=24)


NOW = SOON.timestamp()
HOUR = 3600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-rate-limit-reset": 60}, 60),
        ({"x-rate-limit-reset": 60, "x-rate-limit-remaining": "0"}, 60),
        ({"x-rate-limit-reset": -60}, 1),
        ({}, 900),
        ({"x-rate-limit-reset": "soon"}, 900),
        ({"x-rate-limit-reset": "-5"}, 900),
        ({"x-rate-limit-reset": "9" * 40}, 900),
        ({"x-rate-limit-reset": "1" * 12}, 900),
        (
            {
                "x-rate-limit-reset": 60,
                "x-rate-limit-remaining": "90",
                "x-user-limit-24hour-reset": HOUR,
                "x-user-limit-24hour-remaining": "0",
            },
            HOUR,
        ),
        (
            {
                "x-rate-limit-reset": 60,
                "x-rate-limit-remaining": "0",
                "x-user-limit-24hour-reset": HOUR,
                "x-user-limit-24hour-remaining": "3",
                "x-app-limit-24hour-reset": 2 * HOUR,
                "x-app-limit-24hour-remaining": "0",
            },
            2 * HOUR,
        ),
        (
            {
                "x-rate-limit-reset": 60,
                "x-app-limit-24hour-reset": HOUR,
                "x-app-limit-24hour-remaining": "3",
            },
            60,
        ),
        (
            {
                "x-rate-limit-reset": 600,
                "x-rate-limit-remaining": "90",
                "x-app-limit-24hour-reset": 60,
                "x-app-limit-24hour-remaining": "0",
            },
            60,
        ),
    ],
)
def test_the_reset_that_counts_is_the_one_of_the_limit_that_is_used_up(headers, seconds):
    told = {k: str(int(NOW) + v) if isinstance(v, int) else v for k, v in headers.items()}
    with answering(429, "{}", told) as (channel, _):
        answer = channel.publish(bodies_of(channel, [said("Now?")]))
    assert isinstance(answer, Throttled)
    assert abs(answer.retry_after.total_seconds() - seconds) < 1


def test_no_credits_stop_the_channel(rig, channel):
    bodies = bodies_of(channel, [said("Free of charge")])
    rig.server.credits = Decimal(0)
    answer = channel.publish(bodies)
    assert isinstance(answer, Unauthorized)
    assert answer.code == "402"
    assert "credits" in answer.reason
    assert rig.count() == 0


def test_consent_that_was_taken_back_stops_the_channel(rig, channel):
    bodies = bodies_of(channel, [said("Still me")])
    rig.server.revoke()
    for answer in (channel.publish(bodies), channel.find(bodies), channel.delete(Receipt("1", AT))):
        assert isinstance(answer, Unauthorized)
        assert answer.code == "401"


def test_a_thread_costs_what_the_price_list_says(rig, channel):
    out(channel, snippets(3))
    assert rig.server.spent == Decimal("0.015") * 2 + Decimal("0.200") + Decimal("0.005")


# --- the local X is no easier than the real one -------------------------------------------------


def call_with(server, *, secret: str = "token-secret-of-blog", **parameters) -> int:
    """The status of a call that is signed by hand, for X's own host."""
    keys = {
        key: getattr(server.account(), key).get_secret_value()
        for key in ("consumer_key", "consumer_secret", "access_token")
    }
    auth = OAuth1(
        keys["consumer_key"], keys["consumer_secret"], keys["access_token"], secret, **parameters
    )
    url = "https://api.twitter.com/2/tweets"
    prepared = requests.Request("GET", url, params={"ids": "20,30"}, auth=auth).prepare()
    prepared.url = prepared.url.replace("https://api.twitter.com", server.url)
    prepared.headers["Host"] = "api.twitter.com"
    with requests.Session() as session:
        return session.send(prepared, timeout=2).status_code


def test_the_local_x_takes_no_signature_that_x_would_not(rig):
    now = int(time.time())
    assert call_with(rig.server) == 200
    assert call_with(rig.server, secret="another") == 401
    assert call_with(rig.server, timestamp=str(now - 360)) == 401
    assert call_with(rig.server, timestamp=str(now + 360)) == 401
    assert call_with(rig.server, timestamp=str(now - 200), nonce="once") == 200
    assert call_with(rig.server, timestamp=str(now - 200), nonce="once") == 401


def test_a_limit_of_x_is_280_by_weight(rig, channel):
    fits = "介" * 128 + " " + "https://blog.example.org/" + "long/" * 60
    assert isinstance(channel.publish(bodies_of(channel, [said(fits)])), tuple)
    assert isinstance(channel.publish(bodies_of(channel, [said("介" * 3 + fits)])), Refused)
    assert rig.count() == 1


def test_an_answer_to_a_post_that_is_gone_waits(rig, channel):
    gone = rig.server.say("The root")
    rig.server.take_down(gone.id)
    answer = channel.publish(bodies_of(channel, [said("Part two")], parent(gone)))
    assert isinstance(answer, Unavailable)
    assert answer.code == "parent"


def test_an_answer_to_somebody_else_is_refused(rig, channel):
    theirs = rig.server.say("Theirs", name="somebody-else")
    answer = channel.publish(bodies_of(channel, [said("Well, actually")], parent(theirs)))
    assert isinstance(answer, Refused)


def test_whatever_x_forbids_is_told_in_its_words(rig, channel):
    rig.server.fault = forbidden("Posts may contain a maximum of one cashtag.")
    answer = channel.publish(bodies_of(channel, [said("$A $B")]))
    assert answer == Refused("Posts may contain a maximum of one cashtag", "403")


def test_many_clients_at_once_lose_nothing(rig):
    def work(number: int) -> None:
        channel = rig.channel_of(rig.server.account())
        for one in range(5):
            out(channel, [said(f"Client {number}, post {one}")])

    clients = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert rig.count() == 30
    assert len({post.id for post in rig.server.posts}) == 30


def test_no_log_names_a_secret_whatever_is_asked(rig, channel, caplog):
    caplog.set_level("DEBUG")
    bodies = bodies_of(channel, snippets(1))
    (receipt,) = channel.publish(bodies)
    rig.server.fault = forbidden("No more.")
    answers = [
        channel.find(bodies),
        channel.read([receipt]),
        channel.delete(receipt),
        channel.prepare(snippets(1), None),
    ]
    for secret in rig.secrets:
        assert secret not in caplog.text
        assert secret not in repr(answers)
        assert secret not in repr(vars(channel))
    assert "oauth_" not in caplog.text


# --- every answer in our words ----------------------------------------------------------------


def problem(status: int, detail: str, **more) -> tuple[int, dict]:
    return status, {
        "detail": detail,
        "type": "about:blank",
        "title": "Nope",
        "status": status,
        **more,
    }


POSTING = [
    (problem(400, "Your Tweet text is too long."), Refused, "400"),
    (
        problem(400, "Invalid", errors=[{"message": "Your media IDs are invalid."}]),
        Unavailable,
        "400",
    ),
    (problem(401, "Unauthorized"), Unauthorized, "401"),
    (problem(402, "Your account does not have any credits."), Unauthorized, "402"),
    (
        problem(403, "You are not allowed to create a Tweet with duplicate content."),
        Uncertain,
        "duplicate",
    ),
    (
        (403, {"errors": [{"code": 187, "message": "Status is a duplicate."}]}),
        Uncertain,
        "duplicate",
    ),
    (
        problem(403, "Your account is suspended and is not permitted to access this feature."),
        Unauthorized,
        "403",
    ),
    (problem(403, "To protect our users your account is temporarily locked."), Unauthorized, "403"),
    (
        problem(
            403,
            "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.",
        ),
        Unauthorized,
        "403",
    ),
    (problem(403, "Read-only application cannot POST."), Unauthorized, "403"),
    (
        problem(403, "You must use keys of a Project.", reason="client-not-enrolled"),
        Unauthorized,
        "403",
    ),
    (problem(403, "Reply to this conversation is not allowed because ..."), Refused, "403"),
    (problem(403, "Posts may contain a maximum of one cashtag."), Refused, "403"),
    (problem(403, "The Tweet contains an invalid URL."), Refused, "403"),
    (
        problem(403, "You attempted to reply to a Tweet that is deleted or not visible to you."),
        Unavailable,
        "parent",
    ),
    (problem(403, "You have reached your daily limit for sending Tweets."), Throttled, "403"),
    ((403, "<html>Attention required</html>"), Unavailable, "403"),
    ((400, "<html>Bad request</html>"), Unavailable, "400"),
    ((404, ""), Unavailable, "404"),
    ((405, "<html>"), Unavailable, "405"),
    (problem(404, "Not Found"), Refused, "404"),
    (problem(408, "Timeout"), Uncertain, "408"),
    (problem(409, "Conflict"), Uncertain, "409"),
    (problem(413, "Too large"), Refused, "413"),
    (problem(425, "Too early"), Uncertain, "425"),
    (problem(429, "Too Many Requests"), Throttled, "429"),
    (
        problem(429, "Usage cap exceeded: Monthly product cap", type=".../usage-capped"),
        Throttled,
        "429",
    ),
    (problem(500, "Something is broken"), Uncertain, "500"),
    ((502, "<html>"), Uncertain, "502"),
    (problem(503, "Service Unavailable"), Uncertain, "503"),
    ((201, {}), Uncertain, ""),
    ((201, "OK"), Uncertain, ""),
    ((201, {"data": {"id": "../../etc"}}), Uncertain, ""),
    ((200, {"errors": [{"message": "Partly"}]}), Uncertain, ""),
    ((302, ""), Uncertain, "302"),
]


@pytest.mark.parametrize(("answered", "outcome", "code"), POSTING)
def test_an_answer_to_a_post_means(answered, outcome, code):
    status, document = answered
    content = document if isinstance(document, str) else json.dumps(document)
    with answering(status, content) as (channel, calls):
        answer = channel.publish(bodies_of(channel, [said("Hello")]))
        assert calls == ["POST"]
    assert type(answer) is outcome, answer
    assert answer.code == code
    assert answer.reason
    if isinstance(document, dict) and document.get("detail", "Invalid") != "Invalid":
        assert document["detail"].rstrip(".") in answer.reason


ELSEWHERE = [
    (problem(400, "What?"), Unavailable),
    (problem(404, "Not Found"), Unavailable),
    (problem(408, "Timeout"), Unavailable),
    (problem(500, "Something is broken"), Unavailable),
    ((502, "<html>"), Unavailable),
    ((200, "no JSON"), Unavailable),
    (problem(403, "Your account is suspended"), Unauthorized),
]


@pytest.mark.parametrize(("answered", "outcome"), ELSEWHERE)
def test_a_question_that_fails_is_never_in_doubt_nor_refused_for_ever(answered, outcome):
    status, document = answered
    content = document if isinstance(document, str) else json.dumps(document)
    with answering(status, content) as (channel, _):
        assert type(channel.find(bodies_of(channel, [said("Hello")]))) is outcome
        assert type(channel.read([Receipt("12", AT)])) is outcome


@pytest.mark.parametrize(
    "fault", ["drop-after", "drop-before", "502-after", "503-before", "cut-after"]
)
def test_a_lost_answer_elsewhere_is_for_later(rig, channel, fault):
    (receipt,) = out(channel, [said("There")])
    bodies = bodies_of(channel, [said("There")])
    for ask in (
        lambda: channel.find(bodies),
        lambda: channel.read([receipt]),
        lambda: channel.delete(receipt),
    ):
        rig.proxy.fail(fault)
        assert isinstance(ask(), Unavailable)
    assert channel.delete(receipt) is None


def test_every_call_gives_up_after_its_timeout(rig):
    channel = rig.channel_of(rig.account, timeout=0.2)
    bodies = bodies_of(channel, [said("Hello?")])
    receipt = Receipt("12", AT)
    asks = (
        lambda: channel.publish(bodies),
        lambda: channel.find(bodies),
        lambda: channel.read([receipt]),
        lambda: channel.delete(receipt),
        lambda: channel.prepare(snippets(1), None),
    )
    rig.proxy.fail("hang-after", times=len(asks))
    began = time.monotonic()
    assert [type(ask()) for ask in asks] == [Uncertain, *[Unavailable] * 4]
    assert time.monotonic() - began < 10


def test_a_connection_that_never_comes_about_is_certain(rig):
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Whoever comes after these is not even turned away.
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        account = rig.account.model_copy(update={"api_url": url})
        bodies = bodies_of(rig.channel, [said("Anyone?")])
        answer = rig.channel_of(account, timeout=0.3).publish(bodies)
    assert isinstance(answer, Unavailable)


def test_a_proxy_that_is_away_is_told_nothing(rig, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", nowhere())
    monkeypatch.setenv("NO_PROXY", "")
    account = rig.account.model_copy(update={"api_url": "https://api.twitter.com"})
    answer = rig.channel_of(account).publish(bodies_of(rig.channel, [said("Through you?")]))
    assert isinstance(answer, Unavailable)


def test_a_proxy_is_asked_for_x_itself_and_not_for_what_stands_in_for_it(rig, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, nowhere())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert isinstance(rig.channel.publish(bodies_of(rig.channel, [said("Direct")])), tuple)


def test_what_a_proxy_heard_before_it_hung_up_is_in_doubt(rig, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", rig.proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    account = rig.account.model_copy(update={"api_url": rig.server.url})
    rig.proxy.fail("drop-before")
    answer = rig.channel_of(account).publish(bodies_of(rig.channel, [said("Through you?")]))
    assert isinstance(answer, Uncertain)


def test_a_forged_certificate_is_told_nothing():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with answering(201, '{"data": {"id": "1"}}', tls=context) as (channel, calls):
        assert isinstance(channel.publish(bodies_of(channel, [said("Psst")])), Unavailable)
        assert calls == []


# --- nothing else comes across ----------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["data", "errors", "id", "detail", "title", "type", "message", "meta", "result_count",
             "next_token", "text", "entities", "urls", "url", "expanded_url", "created_at",
             "processing_info", "state", "check_after_secs", "referenced_tweets", "attachments",
             "media_keys", "includes", "media", "deleted", "resource_id"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
GARBAGE = st.binary(max_size=40) | JSON.map(lambda document: json.dumps(document).encode())


@pytest.fixture(scope="module")
def babbler():
    with answering(200, "") as (channel, _):
        yield channel


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    status=st.sampled_from(
        [200, 201, 204, 304, 400, 401, 402, 403, 404, 408, 409, 413, 418, 425, 429, 500, 502, 599]
    ),
    content=GARBAGE,
    reset=st.sampled_from([None, "", "x", "0", "-1", "1e9", "99999999999999999999"]),
)
def test_whatever_x_answers_is_answered_in_our_words(babbler, status, content, reset):
    babbler.answer.status, babbler.answer.content = status, content
    babbler.answer.headers = {} if reset is None else {"x-rate-limit-reset": reset}
    receipt = Receipt("12", AT)
    (body,) = babbler.prepare([said("Hello")], None)
    published = babbler.publish([body])
    assert isinstance(published, tuple | TROUBLE)
    assert not isinstance(published, tuple) or 200 <= status < 300
    for answer in (
        babbler.find([body]),
        babbler.read([receipt]),
        babbler.prepare(snippets(1), None),
    ):
        assert answer is None or isinstance(answer, tuple | TROUBLE)
        assert not isinstance(answer, Uncertain)
    assert not isinstance(babbler.delete(receipt), Uncertain)


def test_deep_nesting_is_only_garbage():
    with answering(403, "[" * 100_000) as (channel, _):
        assert isinstance(channel.publish(bodies_of(channel, [said("Deep")])), Unavailable)


@contextmanager
def answering(status: int, content: str, headers=None, tls=None):
    """A channel on a server that gives every call the same answer, and the calls it got."""
    answer = SimpleNamespace(status=status, content=content.encode(), headers=headers or {})
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _exchange(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            calls.append(self.command)
            self.send_response_only(answer.status)
            content = b"" if answer.status in {204, 304} else answer.content
            for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _exchange  # noqa: N815

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """A client that hangs up is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with x_server() as keys:
        account = keys.account()
    scheme = "http" if tls is None else "https"
    url = f"{scheme}://localhost:{server.server_port}"
    clock = Clock()
    channel = XChannel(
        account.model_copy(update={"api_url": url}), timeout=1.0, clock=clock, sleep=lambda _: None
    )
    channel.answer = answer
    try:
        yield channel, calls
    finally:
        server.shutdown()
        server.server_close()
