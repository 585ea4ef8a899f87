"""What servers do, good and bad, and what comes of it."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from digest.feeds.fetch import MAX_BODY, FetchStatus, Validators, retry_time
from digest.feeds.network import Sessions, private_kinds_of

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


@pytest.fixture
def get(fetcher):
    def get(url, **kwargs):
        return fetcher.fetch(url, **{"allow_private": True, "timeout_seconds": 2} | kwargs)

    return get


def test_a_feed_is_read_and_its_validators_kept(web, get):
    url = web.put("/feed", "<rss/>", ETag='W/"a"', Last_Modified="Sun, 22 Nov 2026 10:00:00 GMT")
    found = get(url)
    assert (found.status, found.body, found.url) == (FetchStatus.OK, b"<rss/>", url)
    assert found.validators == Validators('W/"a"', "Sun, 22 Nov 2026 10:00:00 GMT")
    assert found.content_type.startswith("application/rss+xml")


def test_validators_are_sent_and_304_is_heard(web, get):
    url = web.put("/feed", status=304)
    found = get(url, validators=Validators('"a"', "Sun, 22 Nov 2026 10:00:00 GMT"))
    assert found.status is FetchStatus.NOT_MODIFIED
    assert web.headers[0]["if-none-match"] == '"a"'
    assert web.headers[0]["if-modified-since"] == "Sun, 22 Nov 2026 10:00:00 GMT"


def test_304_that_was_not_asked_for_is_a_failure(web, get):
    assert get(web.put("/feed", status=304)).status is FetchStatus.FAILED


def test_we_say_who_we_are_and_remember_no_cookie(web, get):
    url = web.put("/feed", "x", Set_Cookie="a=b; Path=/")
    get(url)
    get(url)
    assert web.headers[1]["user-agent"].startswith("digest/")
    assert "(+https://blog.example/contact)" in web.headers[1]["user-agent"]
    assert web.headers[1]["accept-encoding"] == "gzip"
    assert "cookie" not in web.headers[1]


def test_one_connection_serves_one_host(web, get):
    for number in range(4):
        get(web.put(f"/{number}", "x"))
    assert len(web.connections) == 1


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (404, FetchStatus.MISSING),
        (410, FetchStatus.GONE),
        (500, FetchStatus.FAILED),
        (503, FetchStatus.FAILED),
        (204, FetchStatus.FAILED),
        (418, FetchStatus.FAILED),
        (599, FetchStatus.FAILED),
    ],
)
def test_each_status_has_its_word(web, get, status, word):
    found = get(web.put("/feed", status=status))
    assert found.status is word
    assert str(status) in found.reason


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttling_server_is_heard(web, get, status):
    found = get(web.put("/feed", status=status, Retry_After="120"))
    assert found.status is FetchStatus.THROTTLED
    assert found.retry_at == NOW + timedelta(seconds=120)


def test_429_without_a_time_waits_a_while(web, get):
    found = get(web.put("/feed", status=429))
    assert found.status is FetchStatus.THROTTLED
    assert found.retry_at is not None
    assert NOW < found.retry_at <= NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", NOW),
        ("90", NOW + timedelta(seconds=90)),
        ("Sun, 22 Nov 2026 18:05:00 GMT", NOW + timedelta(minutes=5)),
        ("Sun, 22 Nov 2026 10:00:00 GMT", NOW),
        ("99999999999999999", NOW + timedelta(days=30)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOW + timedelta(days=30)),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Nov 2026 18:05:00 GMT", None),
        ("\u0661\u0662", None),
    ],
)
def test_retry_after_in_every_form(value, expected):
    assert retry_time(value, NOW) == expected


def test_gzip_is_opened(web, get):
    url = web.put("/feed", gzip.compress(b"<rss/>"), Content_Encoding="gzip")
    assert get(url).body == b"<rss/>"


def test_a_gzip_bomb_is_stopped_at_the_cap(web, get):
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000, 9), 9)
    url = web.put("/feed", bomb, Content_Encoding="gzip, gzip")
    found = get(url, timeout_seconds=20)
    assert found.status is FetchStatus.FAILED
    assert "15 MB" in found.reason
    assert found.lasting


def test_a_body_of_40_mb_is_stopped_at_the_cap(web, get):
    found = get(web.put("/feed", b"x" * 40_000_000))
    assert (found.status, found.body) == (FetchStatus.FAILED, b"")
    assert "15 MB" in found.reason
    assert found.lasting
    assert get(web.put("/feed", b"x" * MAX_BODY)).status is FetchStatus.OK


def test_broken_compression_is_a_failure(web, get):
    found = get(web.put("/feed", b"no gzip at all", Content_Encoding="gzip"))
    assert found.status is FetchStatus.FAILED


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nhalf",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 70 + b".example/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: javascript:alert(1)\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /feed\r\n\r\n",
    ],
)
def test_nothing_a_server_says_is_raised(web, get, make_reply, raw):
    web.replies["/feed"] = make_reply(raw=raw)
    found = get(web.url + "/feed")
    assert found.status is FetchStatus.FAILED
    assert found.reason


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Drip: y\r\n" * 90 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
        b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"a" * 1000,
    ],
    ids=["headers", "body", "gzip header"],
)
def test_a_dripping_server_cannot_hold_us(web, get, make_reply, raw):
    start = raw.index(b"\r\n")
    web.replies["/feed"] = make_reply(raw=raw[start - 15 :], drip=0.005)
    web.put("/other", "x")
    began = monotonic()
    found = get(web.url + "/feed", timeout_seconds=0.2)
    assert found.status is FetchStatus.FAILED
    assert "within 0.4 seconds" in found.reason
    assert monotonic() - began < 2
    assert get(web.url + "/other").status is FetchStatus.OK


def test_nobody_listens(get):
    found = get("http://127.0.0.1:1/feed")
    assert found.status is FetchStatus.FAILED
    assert found.silent
    assert not found.lasting


def test_redirects_are_followed_and_told(web, get):
    url = web.put("/old", status=301, Location="/feed")
    web.put("/feed", "x")
    found = get(url)
    assert (found.status, found.url) == (FetchStatus.OK, web.url + "/feed")


@pytest.mark.parametrize("circle", [["/a"], ["/a", "/b"], ["/a", "/b", "/c"]])
def test_redirects_in_a_circle_are_told(web, get, circle):
    for here, there in zip(circle, [*circle[1:], circle[0]], strict=True):
        web.put(here, status=302, Location=there)
    found = get(web.url + "/a")
    assert (found.status, found.reason) == (FetchStatus.FAILED, "redirects in a circle")
    assert web.asked == circle


def test_a_redirect_without_a_target_leads_nowhere(web, get):
    assert "leads nowhere" in get(web.put("/a", status=302)).reason


def test_redirects_end(web, get):
    for number in range(10):
        web.put(f"/{number}", status=302, Location=f"/{number + 1}")
    found = get(web.url + "/0")
    assert found.status is FetchStatus.FAILED
    assert len(web.asked) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://[fe80::1]/",
    ],
)
def test_a_loopback_feed_may_not_lead_into_other_private_nets(web, get, target):
    found = get(web.put("/feed", status=302, Location=target))
    assert found.status is FetchStatus.FAILED
    assert "private" in found.reason


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001"])
def test_without_leave_nothing_private_is_read(web, get, host, caplog):
    port = web.url.rsplit(":", 1)[1]
    web.put("/feed", "secret")
    found = get(f"http://{host}:{port}/feed", allow_private=False)
    assert found.status is FetchStatus.FAILED
    assert "private" in found.reason
    assert found.lasting
    assert web.asked == []
    assert caplog.records == []


def test_a_public_feed_never_gets_the_plain_session():
    sessions = Sessions("test")
    own = private_kinds_of("http://93.184.216.34/feed")
    assert own == frozenset()
    assert sessions.for_url("http://127.0.0.1/", own) is sessions.hardened
    loopback = private_kinds_of("http://127.0.0.1/feed")
    assert sessions.for_url("http://127.0.0.1/next", loopback) is sessions.plain
    assert sessions.for_url("http://10.0.0.1/", loopback) is sessions.hardened
    assert sessions.for_url("http://93.184.216.34/", loopback) is sessions.hardened


def test_a_validator_that_cannot_be_sent_back_is_not_kept(web, get, make_reply):
    raw = b'HTTP/1.1 200 OK\r\nETag: "a\x01b"\r\nLast-Modified: \xff\r\nContent-Length: 1\r\n\r\nx'
    web.replies["/feed"] = make_reply(raw=raw)
    found = get(web.url + "/feed")
    assert found.status is FetchStatus.OK
    assert found.validators == Validators()


def test_the_head_alone_can_be_asked_for(web, get):
    found = get(web.put("/page", b"x" * 40_000_000), with_body=False)
    assert (found.status, found.body) == (FetchStatus.OK, b"")
