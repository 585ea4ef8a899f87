"""Bluesky on a server of no good will: what it must not learn, and whatever it may answer."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.config_social import BlueskyAccount
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Picture, ReadySnippet, Receipt
from digest.social.channels.bluesky import BlueskyChannel

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
CID = "bafkreig7lcmapfkic7huvtuca27jarcjq7btsoozbsn6xvc2qvgqupwxpm"
TROUBLE = Refused | Throttled | Unauthorized | Unavailable | Uncertain
PASSWORD = "no-word-for-strangers"

WORDS = ReadySnippet("k", "Hello", AT)
SHOWN = ReadySnippet("k", "Hello", AT, picture=Picture(b"GIF89a", "image/png", "Alt", 1, 1))
RECEIPT = Receipt(f"at://{DID}/app.bsky.feed.post/3n2wt5ad222fu", AT, version=CID)


def token() -> str:
    claims = {"exp": int((datetime.now(UTC) + timedelta(hours=2)).timestamp()), "sub": DID}
    parts = ({"typ": "JWT", "alg": "none"}, claims, {"signature": "none"})
    raw = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in raw)


def session(**more) -> dict:
    return {"accessJwt": token(), "refreshJwt": token(), "handle": "a.test", "did": DID, **more}


@dataclass
class Stranger:
    """Gives each method the answer that stands here: status, headers, JSON or bytes."""

    answers: dict = field(default_factory=lambda: {"createSession": (200, {}, session())})
    #: The methods that were called, and everything that was sent.
    calls: list[str] = field(default_factory=list)
    heard: bytes = b""
    url: str = ""


@contextmanager
def stranger():
    told = Stranger()

    class Handler(BaseHTTPRequestHandler):
        def _exchange(self):
            method = self.path.partition("?")[0].rpartition(".")[2]
            told.calls.append(method)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.heard += bytes(self.headers) + body
            status, headers, document = told.answers.get(method, (501, {}, {}))
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response_only(status)
            fixed = {"Content-Type": "application/json", "Content-Length": str(len(content))}
            for name, value in {**fixed, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _exchange  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server():
    with stranger() as told:
        yield told


@pytest.fixture
def other():
    with stranger() as told:
        yield told


def channel_at(url: str, folder) -> BlueskyChannel:
    account = BlueskyAccount(identifier="a.test", app_password=PASSWORD, service=url)
    return BlueskyChannel(
        account, session_file=folder / "session.json", timeout=2, clock=lambda: datetime.now(UTC)
    )


@pytest.fixture
def channel(server, tmp_path):
    return channel_at(server.url, tmp_path)


def to(other: Stranger, method: str) -> tuple:
    return 307, {"Location": f"{other.url}/xrpc/com.atproto.{method}"}, {}


# --- what it must not learn -------------------------------------------------------------------


def test_a_password_is_not_sent_on_to_where_a_server_leads(server, other, channel):
    server.answers["createSession"] = to(other, "server.createSession")
    assert isinstance(channel.prepare([WORDS], None), Unavailable)
    assert other.calls == []


def test_a_thread_is_not_said_again_to_where_a_server_leads(server, other, channel):
    bodies = channel.prepare([WORDS], None)
    server.answers["applyWrites"] = to(other, "repo.applyWrites")
    assert isinstance(channel.publish(bodies), Uncertain)
    assert other.calls == []


def test_no_token_travels_where_all_can_read_it(server, tmp_path):
    """The PDS stands in the DID document, which is public, and written by others."""
    endpoint = {
        "id": "#atproto_pds",
        "type": "AtprotoPersonalDataServer",
        "serviceEndpoint": "http://pds.example.test",
    }
    document = {"id": DID, "service": [endpoint], "@context": [], "alsoKnownAs": []}
    server.answers["createSession"] = (200, {}, session(didDoc=document))
    channel = channel_at(server.url, tmp_path)
    bodies = channel.prepare([WORDS], None)
    for answer in (
        channel.publish(bodies),
        channel_at(server.url, tmp_path).prepare([WORDS], None),
    ):
        assert isinstance(answer, Unauthorized)
        assert "https" in answer.reason


# --- whatever it may answer -------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 405, 418])
def test_a_page_that_is_none_of_a_pds_refuses_nothing_for_ever(server, channel, status):
    bodies = channel.prepare([WORDS], None)
    server.answers["applyWrites"] = (status, {"Content-Type": "text/html"}, b"<html>No</html>")
    assert isinstance(channel.publish(bodies), Unavailable)


def test_what_a_server_says_is_one_short_line(server, channel):
    said = {"error": "InvalidRequest", "message": "Alas\n2026 ERROR " + "x" * 5000}
    server.answers["applyWrites"] = (400, {}, said)
    answer = channel.publish(channel.prepare([WORDS], None))
    assert "\n" not in answer.reason
    assert len(answer.reason) < 300


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1e300"},
        {"RateLimit-Reset": "99999999999999999999"},
        {"RateLimit-Reset": "999999999999"},
    ],
)
def test_a_time_that_is_none_is_waited_for_as_if_none_were_named(server, channel, headers):
    server.answers["applyWrites"] = (429, headers, {"error": "RateLimitExceeded"})
    answer = channel.publish(channel.prepare([WORDS], None))
    assert isinstance(answer, Throttled)
    assert answer.retry_after is None


KEYS = ["uri", "cid", "value", "text", "createdAt", "reply", "parent", "embed", "images", "alt",
        "facets", "features", "tag", "tags", "results", "blob", "ref", "$link", "mimeType", "size",
        "error", "message", "did", "handle", "active", "didDoc"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(CID),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
#: As a PDS answers, with something else somewhere in it.
NEARLY = (
    st.builds(lambda value: {"uri": "at://", "cid": CID, "value": value}, JSON)
    | st.builds(lambda embed: {"cid": CID, "value": {"embed": {"images": embed}}}, JSON)
    | st.builds(lambda facets: {"cid": CID, "value": {"facets": facets}}, JSON)
    | st.builds(lambda tags: {"cid": CID, "value": {"tags": tags}}, JSON)
    | st.builds(lambda results: {"results": [results]}, JSON)
    | st.builds(lambda blob: {"blob": blob}, JSON)
    | st.builds(lambda ref: {"blob": {"ref": ref, "mimeType": "image/png", "size": 6}}, JSON)
)


@pytest.fixture(scope="module")
def babbler(tmp_path_factory):
    with stranger() as told:
        channel = channel_at(told.url, tmp_path_factory.mktemp("babbler"))
        yield told, channel, channel.prepare([WORDS], None)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    status=st.sampled_from([200, 200, 200, 204, 304, 400, 403, 404, 409, 413, 429, 500, 502]),
    document=JSON | NEARLY | st.binary(max_size=20),
)
def test_whatever_a_server_answers_is_answered_in_our_words(babbler, status, document):
    told, channel, bodies = babbler
    for method in ("getRecord", "applyWrites", "putRecord", "deleteRecord", "uploadBlob"):
        told.answers[method] = (status, {}, b"" if status in {204, 304} else document)
    published = channel.publish(bodies)
    assert isinstance(published, tuple | TROUBLE)
    for answer in (channel.prepare([SHOWN], None), channel.read([RECEIPT])):
        assert isinstance(answer, tuple | TROUBLE)
        assert not isinstance(answer, Uncertain)
    found = channel.find(bodies)
    assert found is None or isinstance(found, tuple | TROUBLE)
    assert isinstance(channel.edit(RECEIPT, bodies[0]), tuple | TROUBLE)
    gone = channel.delete(RECEIPT)
    assert gone is None or isinstance(gone, TROUBLE)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(more=st.dictionaries(st.sampled_from(["accessJwt", "refreshJwt", *KEYS]), JSON, max_size=3))
def test_whatever_a_login_is_answered_is_answered_in_our_words(babbler, tmp_path_factory, more):
    told, *_ = babbler
    told.answers["createSession"] = (200, {}, session() | more)
    channel = channel_at(told.url, tmp_path_factory.mktemp("login"))
    assert isinstance(channel.prepare([WORDS], None), tuple | TROUBLE)
