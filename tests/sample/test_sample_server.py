"""The sample blog over HTTP: routes, validators, compression, withdrawals and edits."""

import gzip
import http.client
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit

import pytest

from digest.sample.blog import load_posts, path_of
from digest.sample.server import SampleServer

ANCHOR = datetime(2026, 11, 22, 18, 0, 30, 123456, tzinfo=UTC)
NEWEST = load_posts()[-1]
OLD = load_posts()[3]
PICTURE = "/wp-content/uploads/weave.png"


class Clock:
    """A time that stands still until a test moves it."""

    def __init__(self):
        self.now = ANCHOR

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def blog(clock):
    with SampleServer(anchor=ANCHOR, now=clock) as server:
        yield server


@pytest.fixture
def ask(blog):
    """One request; the answer with its `body` read."""

    def ask(target, method="GET", **headers):
        connection = http.client.HTTPConnection(urlsplit(blog.url).netloc, timeout=5)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, headers=named)
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    return ask


@pytest.mark.parametrize(
    ("target", "status", "kind"),
    [
        ("/", 200, "text/html; charset=UTF-8"),
        ("/feed/", 200, "application/rss+xml; charset=UTF-8"),
        ("/feed/?paged=4", 200, "application/rss+xml; charset=UTF-8"),
        ("/?feed=rss2", 200, "application/rss+xml; charset=UTF-8"),
        ("/?feed=rss2&paged=2", 200, "application/rss+xml; charset=UTF-8"),
        ("/feed/?paged=nonsense", 200, "application/rss+xml; charset=UTF-8"),
        (path_of(OLD, ANCHOR), 200, "text/html; charset=UTF-8"),
        (path_of(OLD, ANCHOR) + "?share=email", 200, "text/html; charset=UTF-8"),
        (PICTURE, 200, "image/png"),
        ("/feed/?paged=5", 404, "text/html; charset=UTF-8"),
        ("/2026/01/01/no-such-post/", 404, "text/html; charset=UTF-8"),
        ("/wp-content/uploads/../scenes.py", 404, "text/html; charset=UTF-8"),
        ("//[", 404, "text/html; charset=UTF-8"),
    ],
)
def test_routes(ask, target, status, kind):
    answer = ask(target)
    assert (answer.status, answer.headers["Content-Type"]) == (status, kind)
    assert answer.headers["X-Digest-Sample"] == "common-threads"
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize(
    ("target", "to"),
    [
        (f"/?p={OLD.id}", path_of(OLD, ANCHOR)),
        (path_of(OLD, ANCHOR).rstrip("/"), path_of(OLD, ANCHOR)),
        ("/feed", "/feed/"),
    ],
)
def test_short_addresses_lead_to_the_full_ones(ask, blog, target, to):
    answer = ask(target)
    assert (answer.status, answer.headers["Location"]) == (301, blog.url + to)


def test_every_address_in_the_feed_answers(ask, blog):
    found = set()
    for number in (1, 2, 3, 4):
        body = ask(f"/feed/?paged={number}").body.decode()
        found |= set(re.findall(rf'(?:<link>|src="){blog.url}([^<"]*)', body))
    assert len(found) > 45
    assert {ask(target, "HEAD").status for target in found if target} == {200}


def test_a_method_unknown_here_is_refused_with_the_mark(ask):
    answer = ask("/", "POST")
    assert (answer.status, answer.headers["X-Digest-Sample"]) == (501, "common-threads")


@pytest.mark.parametrize("target", ["/", "/feed/", path_of(OLD, ANCHOR), PICTURE])
def test_an_unchanged_page_is_not_sent_twice(ask, target):
    first = ask(target)
    by_tag = ask(target, If_None_Match=first.headers["ETag"])
    by_date = ask(target, If_Modified_Since=first.headers["Last-Modified"])
    for again in (by_tag, by_date):
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["X-Digest-Sample"] == "common-threads"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": '"other"'}, 200),
        ({"If_None_Match": "*"}, 304),
        ({"If_Modified_Since": "Thu, 01 Jan 2015 00:00:00 GMT"}, 200),
        ({"If_Modified_Since": "no date"}, 200),
        (
            {"If_None_Match": '"other"', "If_Modified_Since": format_datetime(ANCHOR, usegmt=True)},
            200,
        ),
    ],
)
def test_validators(ask, headers, status):
    assert ask("/feed/", **headers).status == status


def test_a_missing_page_has_no_validators(ask):
    answer = ask("/feed/?paged=9", If_None_Match="*")
    assert answer.status == 404
    assert answer.headers["ETag"] is None


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, deflate", "gzip"), ("br;q=1, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("br", None)],
)
def test_gzip_is_sent_to_those_who_take_it(ask, accepted, coding):
    plain, answer = ask("/feed/"), ask("/feed/", Accept_Encoding=accepted)
    body = gzip.decompress(answer.body) if coding else answer.body
    assert answer.headers["Content-Encoding"] == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert body == plain.body


def test_a_compressed_answers_tag_is_known_again(ask):
    tag = ask("/feed/", Accept_Encoding="gzip").headers["ETag"]
    assert tag.startswith('W/"')
    assert ask("/feed/", Accept_Encoding="gzip", If_None_Match=tag).status == 304


def test_pictures_are_not_compressed_and_may_be_kept(ask):
    answer = ask(PICTURE, Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert answer.body.startswith(b"\x89PNG")


def test_head_tells_the_same_without_the_body(ask):
    head, full = ask("/feed/", "HEAD"), ask("/feed/")
    assert head.body == b""
    assert head.headers["Content-Length"] == full.headers["Content-Length"]
    assert head.headers["ETag"] == full.headers["ETag"]


def test_a_withdrawn_post_is_gone_from_everywhere(ask, blog):
    path = path_of(NEWEST, ANCHOR)
    feed = ask("/feed/")
    blog.withdrawn.add(NEWEST.id)
    assert ask(path).status == 410
    assert ask(f"/?p={NEWEST.id}").status == 410
    assert path.encode() not in ask("/").body
    for headers in (
        {"If_None_Match": feed.headers["ETag"]},
        {"If_Modified_Since": feed.headers["Last-Modified"]},
    ):
        again = ask("/feed/", **headers)
        assert again.status == 200
        assert path.encode() not in again.body


def test_an_override_is_served_from_now_on(ask, blog):
    path = path_of(OLD, ANCHOR)
    first = ask(path)
    for words in (b"Said once", b"Said twice"):  # at one and the same time of the clock
        blog.overrides[OLD.id] = replace(OLD, body=f"<p>{words.decode()}</p>")
        again = ask(path, If_Modified_Since=first.headers["Last-Modified"])
        assert again.status == 200
        assert words in again.body
        first = again
    assert b"Said twice" in ask("/feed/?paged=4").body


def test_an_override_of_the_corrected_post_is_served_to_the_letter(ask, blog, clock):
    post = next(post for post in blog.posts if post.edit)
    blog.overrides[post.id] = replace(post, title="Mine", body="<p>Mine</p>")
    clock.now = ANCHOR + timedelta(days=2)
    assert b"<p>Mine</p>" in ask(path_of(post, ANCHOR)).body


def test_the_correction_comes_with_time(ask, blog, clock):
    post = next(post for post in blog.posts if post.edit)
    before = ask(path_of(post, ANCHOR))
    clock.now = ANCHOR + timedelta(days=1, minutes=1)
    after = ask(path_of(post, ANCHOR), If_None_Match=before.headers["ETag"])
    assert b"with a correction" not in before.body
    assert b"with a correction" in after.body


def test_a_post_to_come_is_not_found(ask, clock):
    clock.now = ANCHOR - timedelta(days=30)
    assert ask(path_of(NEWEST, ANCHOR)).status == 404


def test_a_page_shows_its_post_to_people_and_machines(ask, blog):
    page = ask(path_of(NEWEST, ANCHOR)).body.decode()
    assert f"<title>{NEWEST.title} \u2013 Common Threads</title>" in page
    assert f'<meta property="og:title" content="{NEWEST.title}">' in page
    picture = f"{blog.url}/wp-content/uploads/{NEWEST.image}"
    assert f'<meta property="og:image" content="{picture}">' in page
    assert page.count(f'src="{picture}"') == 1
    assert '<meta name="description" content="' in page
    assert 'rel="prev"' in page
    assert 'rel="next"' not in page
    assert not re.search(r"\{\{|\[caption|Advertisements|Share this", page)


def test_the_home_page_lists_every_post(ask, blog):
    page = ask("/").body.decode()
    assert all(f"{blog.url}{path_of(post, ANCHOR)}" in page for post in blog.posts)


def test_requests_are_logged(ask, blog):
    ask("/feed/?paged=2")
    ask("/", "HEAD")
    assert blog.requests == ["GET /feed/?paged=2", "HEAD /"]


def test_nothing_is_printed(ask, capfd):
    ask("/")
    ask("/nowhere/")
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_this_machine_alone(blog):
    assert blog.url.startswith("http://127.0.0.1:")
    with socket.create_connection(("127.0.0.1", int(blog.url.rsplit(":", 1)[1])), timeout=5):
        pass


def test_after_the_context_it_is_served_no_more(blog):
    port = int(blog.url.rsplit(":", 1)[1])
    blog.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with pytest.raises(RuntimeError, match="not being served"):
        _ = blog.url
