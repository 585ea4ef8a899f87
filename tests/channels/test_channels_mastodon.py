"""Mastodon: the contract of all channels, and what only it has."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Limits, Place, ReadySnippet, Receipt
from digest.social.channels.mastodon import MastodonChannel
from digest.social.channels.mastodon_html import words_of
from digest.social.channels.mastodon_reading import folded
from fakes.contract import AT, LINK, NetworkContract, bodies_of, out, picture, said, snippets
from fakes.mastodon import TOKEN, Answer, MastodonServer, mastodon_server
from fakes.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.proxy import Proxy

CREATE = "POST /api/v1/statuses"
#: The contract's snippets were first tried within the two minutes before.
NOW = AT + timedelta(minutes=2)


@dataclass
class MastodonRig:
    server: MastodonServer
    proxy: Proxy
    creating: str = CREATE
    secrets: tuple[str, ...] = (TOKEN,)

    def __post_init__(self) -> None:
        self.channel = self.open(self.proxy.url)

    def open(self, url: str, **changes) -> MastodonChannel:
        account = self.server.account(url=url, **changes)
        return MastodonChannel(account, timeout=1.5, clock=self.server.now)

    def away(self) -> MastodonChannel:
        return self.open(f"http://127.0.0.1:{free_port()}")

    def stranger(self) -> MastodonChannel:
        return self.open(self.proxy.url, access_token="not-taken-any-more")

    def count(self) -> int:
        return len(self.server.statuses)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def server() -> Iterator[MastodonServer]:
    with mastodon_server(now=NOW) as server:
        yield server


@pytest.fixture
def rig(server) -> Iterator[MastodonRig]:
    with proxied(server.url) as proxy:
        yield MastodonRig(server, proxy)


@pytest.fixture
def channel(server) -> MastodonChannel:
    """Without a proxy between."""
    return MastodonChannel(server.account(), timeout=1.5, clock=server.now)


def snippet(text: str = "Hello #IPC", key: str = "k-1", **changes) -> ReadySnippet:
    return ReadySnippet(key, text, AT, **{"language": "en-GB"} | changes)


def publish(channel, one: ReadySnippet, place: Place | None = None):
    """What the channel says to one snippet."""
    return channel.publish(bodies_of(channel, [one], place))


def below(receipt: Receipt) -> Place:
    return Place(receipt, receipt)


class TestContract(NetworkContract):
    @pytest.fixture
    def channel(self, rig):
        return rig.channel


# --- what is said ------------------------------------------------------------------------------


def test_the_root_is_public_and_the_rest_as_the_account_wants_it(server, channel):
    root, *_ = out(channel, snippets(2))
    assert [one.visibility for one in server.statuses.values()] == ["public", "unlisted"]
    loud = MastodonChannel(server.account(replies="public"), timeout=1.5, clock=server.now)
    said(loud, [snippet()], below(root))
    assert [one.visibility for one in server.statuses.values()][-1] == "public"


def test_what_opens_a_post_in_a_standing_thread_is_public_for_its_hashtag(server, channel):
    root, *_ = out(channel, snippets(1))
    said(channel, [replace(snippet(), opens=True)], below(root))
    assert [one.visibility for one in server.statuses.values()] == ["public", "public"]


def test_the_language_is_one_that_instances_know(server, channel):
    publish(channel, snippet(language="en-GB"))
    publish(channel, snippet("Nederlands", "k-2", language="nl"))
    assert [one.language for one in server.statuses.values()] == ["en", "nl"]


def test_nothing_is_ever_scheduled_and_each_snippet_has_a_key_of_its_own(server, channel):
    out(channel, snippets(3))
    assert not [form for form, _ in server.posted if "scheduled_at" in form]
    keys = {headers["Idempotency-Key"] for _, headers in server.posted}
    assert len(keys) == 3
    assert all(len(key) == 64 for key in keys)


def test_hidden_tags_and_cards_are_not_said(server, channel):
    said(channel, [snippets(2)[-1]], None)
    ((form, _),) = server.posted
    assert "IPC" not in str(form)


def test_a_post_is_one_call(server, channel):
    bodies = bodies_of(channel, [snippet()])
    assert server.asked == []
    channel.publish(bodies)
    assert server.asked == [CREATE]


def test_a_post_has_a_line_of_its_own(server, channel):
    """One that was closed while it was idle looks like an answer that was lost."""
    bodies = bodies_of(channel, [snippet()])
    assert channel.find(bodies) is None
    channel.publish(bodies)
    *before, last = server.ports
    assert last not in before


def test_reasons_are_asked_for_in_english(server, channel):
    """Two of them can be told apart by their words alone."""
    publish(channel, snippet())
    ((form, _),) = server.posted
    assert form["lang"] == ["en"]


# --- limits --------------------------------------------------------------------------------------


def test_limits_are_those_of_the_instance(server, channel):
    server.max_characters, server.url_weight = 5000, 30
    limits = channel.limits()
    assert (limits.characters, limits.link_weight) == (5000, 30)
    assert limits.picture_types == ("image/jpeg", "image/png", "image/webp")
    assert (limits.picture_bytes, limits.picture_pixels) == (16_777_216, 33_177_600)
    assert limits.alt_characters == 1500


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"configuration": None},
        {"configuration": {"statuses": {"max_characters": 0}, "media_attachments": []}},
        {"configuration": {"statuses": {"max_characters": "many"}}},
    ],
)
def test_an_instance_that_states_nothing_has_mastodons_own_limits(server, channel, stated):
    server.instead.append(("GET /api/v2/instance", Answer(200, stated)))
    limits = channel.limits()
    assert (limits.characters, limits.link_weight) == (500, 23)
    assert "image/jpeg" in limits.picture_types


def test_an_address_where_no_mastodon_is_stops_the_channel(server, channel):
    page = Answer(404, b"<h1>nothing here</h1>")
    server.instead += [("GET /api/v2/instance", page), ("GET /api/v1/instance", page)]
    assert isinstance(channel.limits(), Unauthorized)


# --- answers ---------------------------------------------------------------------------------------

ANSWERS = [
    (400, Refused, "400"),
    (401, Unauthorized, "401"),
    (402, Unauthorized, "402"),
    (403, Unauthorized, "403"),
    (404, Refused, "taken-down"),
    (408, Uncertain, "408"),
    (409, Uncertain, "409"),
    (413, Refused, "413"),
    (422, Refused, "422"),
    (425, Uncertain, "425"),
    (429, Throttled, "429"),
    (500, Uncertain, "500"),
    (502, Uncertain, "502"),
    (503, Uncertain, "503"),
    (504, Uncertain, "504"),
    (520, Uncertain, "520"),
]


@pytest.mark.parametrize(("status", "kind", "code"), ANSWERS)
def test_what_an_answer_to_a_post_means(server, channel, status, kind, code):
    server.instead.append((CREATE, Answer(status, {"error": "Words of the instance"})))
    answer = publish(channel, snippet())
    assert isinstance(answer, kind)
    assert answer.code == code
    assert "Words of the instance" in answer.reason
    assert server.asked == [CREATE], "sent once"


@pytest.mark.parametrize(("status", "kind", "_code"), ANSWERS)
@pytest.mark.parametrize("call", ["upload", "find", "read", "edit", "delete", "limits"])
def test_only_a_post_is_ever_uncertain(server, channel, call, status, kind, _code):
    body = bodies_of(channel, [snippet()])
    (receipt,) = channel.publish(body)
    calls = {
        "upload": (
            lambda: channel.prepare([snippet(picture=picture())], None),
            "POST /api/v2/media",
        ),
        "find": (lambda: channel.find(body), "GET .*/verify"),
        "read": (lambda: channel.read([receipt]), "GET /api/v1/statuses"),
        "edit": (lambda: channel.edit(receipt, body[0]), "PUT"),
        "delete": (lambda: channel.delete(receipt), "DELETE"),
        "limits": (channel.limits, "GET /api/v2/instance"),
    }
    ask, pattern = calls[call]
    server.instead.append((pattern, Answer(status, {"error": "no"})))
    answer = ask()
    if status == 404:
        assert not isinstance(answer, Uncertain)
    else:
        assert isinstance(answer, Unavailable if kind is Uncertain else kind)


@pytest.mark.parametrize(
    "body",
    [b"<html>ok</html>", b"", {}, [], "ok", 7, None, {"id": None}, {"id": {}}, {"id": "../1"}],
)
def test_an_answer_that_accepts_and_cannot_be_read_is_uncertain(server, channel, body):
    server.instead.append((CREATE, Answer(200, body)))
    assert isinstance(publish(channel, snippet()), Uncertain)


@pytest.mark.parametrize("reset", ["soon", "", "99999999999999999999", "0000-00-00T00:00:00Z"])
def test_a_header_that_cannot_be_read_makes_no_failure_of_a_post_that_is_out(
    server, channel, reset
):
    """Mastodon.py says of such an answer that a rate limit was hit."""
    server.extra_headers = {"X-RateLimit-Reset": reset}
    answer = publish(channel, snippet())
    assert isinstance(answer, Uncertain | tuple)
    assert len(server.statuses) == 1


def test_a_redirect_is_not_followed(server, channel):
    """Followed, a post is repeated, or becomes a question."""
    for status in (301, 302, 307, 308):
        server.instead.append(
            (CREATE, Answer(status, b"", {"Location": f"{server.url}/api/v1/statuses"}))
        )
        assert isinstance(publish(channel, snippet()), Unauthorized)
    assert server.asked == [CREATE] * 4
    assert not server.statuses


@pytest.mark.parametrize("status", [400, 404, 405, 406, 451])
def test_a_page_before_the_instance_refuses_nothing_and_knows_no_parent(server, channel, status):
    server.instead.append((CREATE, Answer(status, b"<h1>not here</h1>")))
    assert isinstance(publish(channel, snippet()), Unavailable)


def test_a_picture_too_large_for_what_stands_before_the_instance_is_refused(server, channel):
    server.instead.append(("POST /api/v2/media", Answer(413, b"<h1>too large</h1>")))
    assert isinstance(channel.prepare([snippet(picture=picture())], None), Refused)


def test_a_parent_that_is_gone_is_told_apart(server, channel):
    root, last = out(channel, snippets(2))
    server.remove(last.remote_id)
    answer = publish(channel, snippet(), Place(root, last))
    assert isinstance(answer, Refused)
    assert answer.code == "parent-gone"


def test_what_was_taken_down_cannot_be_said_again_within_the_hour(server, channel):
    (receipt,) = out(channel, [snippet()])
    assert channel.delete(receipt) is None
    answer = publish(channel, snippet())
    assert isinstance(answer, Refused)
    assert answer.code == "taken-down"
    server.move(timedelta(hours=1))
    assert isinstance(publish(channel, snippet()), tuple)


@pytest.fixture
def untrusted_url() -> Iterator[str]:
    """A server whose certificate nobody here knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def test_an_instance_that_is_not_trusted_heard_nothing(server, channel, untrusted_url):
    secure = MastodonChannel(server.account(url=untrusted_url), timeout=1.5, clock=server.now)
    assert isinstance(secure.publish(bodies_of(channel, [snippet()])), Unavailable)


def test_a_text_that_cannot_be_written_down_was_never_sent(server, channel):
    assert isinstance(publish(channel, snippet("half a pair: \ud83e")), Unavailable)
    assert server.asked == []


def test_a_host_that_does_not_exist_heard_nothing(channel, server, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    bodies = bodies_of(channel, [snippet()])
    nowhere = MastodonChannel(
        server.account(url="https://mastodon.invalid"), timeout=1.5, clock=server.now
    )
    # No test asks a name server.
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = nowhere.publish(bodies)
    assert isinstance(answer, Unavailable)
    assert answer.code == "unreachable"


def test_what_our_caller_was_handling_proves_nothing(rig):
    """The refusal that a caller is just dealing with must not pass for one of this call."""
    bodies = bodies_of(rig.channel, [snippet()])
    rig.proxy.fail("drop-after", CREATE)
    try:
        socket.create_connection(("127.0.0.1", free_port()), timeout=1)
    except OSError:
        assert isinstance(rig.channel.publish(bodies), Uncertain)


@pytest.mark.parametrize("token", ["two words", "line\nend", "crème", " "])
def test_a_token_that_is_none_is_not_spelled_out(server, token, caplog):
    caplog.set_level("DEBUG")
    account = server.account()
    account = account.model_copy(update={"access_token": type(account.access_token)(token)})
    channel = MastodonChannel(account, timeout=1.5, clock=server.now)
    answer = publish(channel, snippet())
    assert isinstance(answer, Unauthorized)
    assert token.strip() == "" or token not in repr(answer) + caplog.text


def test_an_instance_that_repeats_the_token_is_not_repeated(server, channel):
    server.instead.append((CREATE, Answer(401, {"error": f"Bearer {TOKEN} is invalid"})))
    assert TOKEN not in publish(channel, snippet()).reason


def test_a_token_that_is_the_name_of_a_file_is_still_the_token(server, tmp_path, monkeypatch):
    (tmp_path / TOKEN).write_text("something else\n")
    monkeypatch.chdir(tmp_path)
    channel = MastodonChannel(server.account(), timeout=1.5, clock=server.now)
    assert isinstance(publish(channel, snippet()), tuple)


# --- windows ---------------------------------------------------------------------------------------


def test_each_window_is_named_with_the_time_until_it_opens(server, channel):
    receipts = [out(channel, [snippet(f"Text {n}", f"w-{n}")])[0] for n in range(3)]
    server.windows |= {
        name: (0, time) for name, (_, time) in server.windows.items() if name != "all"
    }
    answers = {
        "media": channel.prepare([snippet(picture=picture())], None),
        "post": publish(channel, snippet()),
        "delete": channel.delete(receipts[0]),
    }
    server.windows["all"] = (0, timedelta(minutes=5))
    answers["read"] = channel.read(receipts)
    for window, answer in answers.items():
        assert isinstance(answer, Throttled), window
        assert answer.window == window
        longest = server.windows["all" if window == "read" else window][1]
        assert timedelta(0) < answer.retry_after <= longest


def test_a_window_that_opened_takes_again(server, channel):
    server.windows["post"] = (1, timedelta(hours=3))
    publish(channel, snippet())
    answer = publish(channel, snippet("Another", "k-2"))
    assert isinstance(answer, Throttled)
    server.move(answer.retry_after)
    assert isinstance(publish(channel, snippet("Another", "k-2")), tuple)


def test_the_time_to_wait_is_that_of_the_instances_clock(server):
    server.windows["post"] = (0, timedelta(minutes=5))
    slow = MastodonChannel(
        server.account(), timeout=1.5, clock=lambda: server.now() - timedelta(hours=3)
    )
    assert timedelta(0) < publish(slow, snippet()).retry_after <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"X-RateLimit-Reset": "soon"}, 300),
        ({"X-RateLimit-Reset": "2020-01-01T00:00:00.000000Z"}, 300),
        ({"X-RateLimit-Reset": "9999-01-01T00:00:00Z"}, 300),
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "9" * 30}, 300),
        ({"X-RateLimit-Reset": str(int((NOW + timedelta(hours=2)).timestamp()))}, 7200),
    ],
)
def test_where_no_header_tells_the_shortest_window_is_waited_for(server, channel, headers, seconds):
    server.instead.append((CREATE, Answer(429, {"error": "Too many requests"}, headers)))
    wait = publish(channel, snippet()).retry_after
    assert abs(wait.total_seconds() - seconds) < 5


# --- pictures ----------------------------------------------------------------------------------------


def test_a_picture_that_is_worked_on_is_waited_for(server, channel):
    server.processing = 2
    (receipt,) = out(channel, [snippet(picture=picture("A teal field."))])
    assert channel.read([receipt])[0].alts == ("A teal field.",)
    assert sum("GET /api/v1/media" in line for line in server.asked) == 3


def test_a_picture_that_is_never_done_comes_later(server, channel):
    server.processing = 1000
    answer = channel.prepare([snippet(picture=picture())], None)
    assert isinstance(answer, Unavailable)
    assert not server.statuses


def test_a_picture_that_the_instance_cannot_read_is_refused(server, channel):
    server.processing, server.breaks_media = 1, True
    assert isinstance(channel.prepare([snippet(picture=picture())], None), Refused)


def test_a_post_whose_picture_is_not_ready_after_all_comes_later(server, channel):
    bodies = bodies_of(channel, [snippet(picture=picture())])
    for medium in server.media.values():
        medium.pending = 5
    assert isinstance(channel.publish(bodies), Unavailable)
    server.media.clear()
    assert isinstance(channel.publish(bodies), Unavailable), "unused uploads go after a day"
    assert not server.statuses


def test_a_picture_is_uploaded_with_its_alt_text_and_nothing_is_asked_besides(server, channel):
    bodies_of(channel, [snippet(picture=picture("Crèche & “co”"))])
    (medium,) = server.media.values()
    assert medium.description == "Crèche & “co”"
    assert medium.media_type == "image/png"
    assert medium.content == picture().content
    assert server.asked == ["POST /api/v2/media"]


def test_a_picture_without_alt_text_has_none(server, channel):
    (receipt,) = out(channel, [snippet(picture=picture(""))])
    assert server.media.popitem()[1].description is None
    assert receipt.url


# --- twice and once --------------------------------------------------------------------------------


def test_within_the_hour_the_same_is_one_and_after_it_another(server, channel):
    (first,) = publish(channel, snippet(picture=picture()))
    server.move(timedelta(minutes=59))
    (again,) = publish(channel, snippet(picture=picture()))
    assert again.remote_id == first.remote_id
    server.move(timedelta(minutes=2))
    publish(channel, snippet(picture=picture()))
    assert len(server.statuses) == 2


def test_many_who_say_the_same_at_once_say_it_once(server):
    def say() -> None:
        channel = MastodonChannel(server.account(), timeout=30, clock=server.now)
        answers.append(publish(channel, snippet()))

    answers: list = []
    threads = [threading.Thread(target=say) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer[0].remote_id for answer in answers} == set(server.statuses)
    assert len(server.statuses) == 1


def test_what_came_of_a_lost_answer_is_found_without_the_key(server):
    """Some servers read keys over: nothing but reading keeps a snippet from coming twice."""
    server.ignores_keys = True
    with proxied(server.url) as proxy:
        rig = MastodonRig(server, proxy)
        bodies = bodies_of(rig.channel, [snippet()])
        proxy.fail("hang-after", CREATE)
        assert isinstance(rig.channel.publish(bodies), Uncertain)
        (found,) = rig.channel.find(bodies)
    assert [found.remote_id] == list(server.statuses)


# --- finding -----------------------------------------------------------------------------------------


def test_what_lies_under_many_newer_statuses_is_found(server, channel):
    bodies = bodies_of(channel, [snippet("Long ago 1/3")])
    (receipt,) = channel.publish(bodies)
    for n in range(130):
        server.add(f"Something else {n}")
    assert channel.find(bodies)[0].remote_id == receipt.remote_id


def test_reading_stops_where_it_can_no_longer_be(server, channel):
    for n in range(200):
        server.add(f"Old {n}", created_at=AT - timedelta(hours=1, minutes=n))
    assert channel.find(bodies_of(channel, [snippet()])) is None
    assert sum("/statuses?" in line for line in server.asked) == 1


def test_an_older_one_that_says_the_same_is_not_this_one(server, channel):
    server.add("Evergreen #IPC", created_at=AT - timedelta(days=30))
    bodies = bodies_of(channel, [snippet("Evergreen #IPC")])
    assert channel.find(bodies) is None
    (receipt,) = channel.publish(bodies)
    assert channel.find(bodies)[0].remote_id == receipt.remote_id


def test_two_of_a_thread_are_never_taken_for_each_other(server, channel):
    root, second, third = out(
        channel, [snippet(f"The same words {n}/3", f"t-{n}") for n in (1, 2, 3)]
    )
    for n, receipt, place in (
        (1, root, None),
        (2, second, below(root)),
        (3, third, Place(root, second)),
    ):
        bodies = bodies_of(channel, [snippet(f"The same words {n}/3", f"t-{n}")], place)
        assert channel.find(bodies)[0].remote_id == receipt.remote_id
    assert (
        channel.find(bodies_of(channel, [snippet("The same words 4/3", "t-4")], below(third)))
        is None
    )
    assert (
        channel.find(bodies_of(channel, [snippet("The same words 2/3", "t-2")], below(third)))
        is None
    )
    assert channel.find(bodies_of(channel, [snippet("The same words 2/3", "t-2")])) is None


def test_an_answer_is_found_whose_parent_was_taken_down_since(server, channel):
    (root,) = out(channel, [snippet("Root", "o-1")])
    bodies = bodies_of(channel, [snippet("Answer", "o-2")], below(root))
    (receipt,) = channel.publish(bodies)
    server.remove(root.remote_id)
    assert channel.find(bodies)[0].remote_id == receipt.remote_id


def test_one_that_somebody_edited_since_is_found(rig):
    bodies = bodies_of(rig.channel, [snippet("Wrods")])
    (receipt,) = rig.channel.publish(bodies)
    rig.channel.edit(receipt, bodies_of(rig.channel, [snippet("Words")])[0])
    assert rig.channel.find(bodies)[0].remote_id == receipt.remote_id


def test_one_that_mentions_somebody_is_found(server, channel):
    """The HTML shows half of a handle."""
    server.people.add("anna@far.example")
    bodies = bodies_of(channel, [snippet("Thanks @anna@far.example, and @ben@far.example!")])
    (receipt,) = channel.publish(bodies)
    assert channel.find(bodies)[0].remote_id == receipt.remote_id
    assert channel.read([receipt])[0].text == "Thanks @anna@far.example, and @ben@far.example!"


def test_clocks_need_not_agree_to_the_second(server, channel):
    """This instance is some minutes behind us."""
    bodies = bodies_of(channel, [replace(snippet(), at=server.now() + timedelta(minutes=8))])
    channel.publish(bodies)
    assert channel.find(bodies) is not None


def test_a_server_that_knows_no_pages_is_not_asked_for_ever(server, channel):
    bodies = bodies_of(channel, [snippet("Not there")])
    for n in range(60):
        server.add(f"Text {n}")
    listed = [server._shown(one) for one in list(server.statuses.values())[:40]]
    server.instead += [("GET .*/accounts/.*/statuses", Answer(200, listed))] * 4
    assert channel.find(bodies) is None
    assert sum("/statuses?" in line for line in server.asked) == 2


@pytest.mark.parametrize("body", [b"<html>", {}, [{}], [{"id": "1", "created_at": "x"}], [7], None])
def test_a_timeline_that_cannot_be_read_tells_nothing(server, channel, body):
    bodies = bodies_of(channel, [snippet()])
    channel.publish(bodies)
    server.instead.append(("GET .*/accounts/.*/statuses", Answer(200, body)))
    assert isinstance(channel.find(bodies), Unavailable)


# --- reading, editing, taking down -----------------------------------------------------------------


def test_tags_are_read_as_they_were_written(server, channel):
    (receipt,) = out(channel, [snippet("#SocialCareFuture and #Crèche, not #1 or a#b")])
    assert (
        server._shown(server.statuses[receipt.remote_id])["tags"][0]["name"] == "socialcarefuture"
    )
    assert channel.read([receipt])[0].tags == ("SocialCareFuture", "Crèche")


def test_gone_is_said_only_by_an_instance_that_knows_the_account(server, channel):
    (receipt,) = out(channel, [snippet()])
    page = Answer(404, b"<h1>domain for sale</h1>")
    server.instead += [("GET", page), ("GET", page)]
    assert isinstance(channel.read([receipt]), Unauthorized)
    assert channel.read([receipt])[0] is not None


def test_an_edit_keeps_the_picture(server, channel):
    (receipt,) = out(channel, [snippet("Old", picture=picture("A teal field."))])
    (edited,) = channel.edit(receipt, bodies_of(channel, [snippet("New")])[0])
    (seen,) = channel.read([edited])
    assert (seen.text, seen.alts) == ("New", ("A teal field.",))


def test_an_edit_may_bring_another_picture(channel):
    (receipt,) = out(channel, [snippet("Old", picture=picture("Old alt."))])
    (edited,) = channel.edit(
        receipt, bodies_of(channel, [snippet("New", picture=picture("New alt."))])[0]
    )
    assert channel.read([edited])[0].alts == ("New alt.",)


def test_what_is_gone_cannot_be_edited(server, channel):
    (receipt,) = out(channel, [snippet()])
    server.remove(receipt.remote_id)
    answer = channel.edit(receipt, bodies_of(channel, [snippet("New")])[0])
    assert isinstance(answer, Refused)
    assert answer.code == "gone"


# --- another server of the fediverse ---------------------------------------------------------------


@pytest.fixture
def plain(server) -> MastodonChannel:
    """One that knows neither keys nor sources, as snac does."""
    server.is_plain = server.ignores_keys = True
    return MastodonChannel(server.account(), timeout=1.5, clock=server.now)


def test_a_plain_server_states_its_limit_where_it_can(server, plain):
    server.max_characters = 100_000
    limits = plain.limits()
    assert isinstance(limits, Limits)
    assert (limits.characters, limits.link_weight) == (100_000, 23)


def test_a_plain_server_takes_a_thread_that_is_found_and_read(plain):
    items = snippets(3)
    receipts = out(plain, items)
    assert [seen.text for seen in plain.read(receipts)] == [item.text for item in items]
    bodies = bodies_of(plain, items[1:2], below(receipts[0]))
    assert plain.find(bodies)[0].remote_id == receipts[1].remote_id


def test_what_a_server_cannot_do_does_not_pass_for_done(server, plain):
    (receipt,) = out(plain, [snippet()])
    new = bodies_of(plain, [snippet("New")])[0]
    assert plain.delete(receipt).code == "unsupported"
    assert plain.edit(receipt, new).code == "unsupported"
    server.remove(receipt.remote_id)
    assert plain.delete(receipt) is None
    assert plain.edit(receipt, new).code == "gone"


# --- text and HTML ---------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "care",
        "a & b",
        "<b>bold</b>",
        "&amp;",
        "“Crèche”",
        "it's",
        "🧑🏽‍🤝‍🧑🏻",
        "🧡",
        "介護",
        "العربية",
        "#SocialCareFuture",
        "#Crèche",
        "#1",
        "(#IPC)",
        LINK,
        f"({LINK}).",
        "https://www.example.org/a?b=1&c=2#d",
        "http://example.org",
        "https://example.org/wiki/A_(b)",
        "https://example.org/" + "long-" * 20,
        "care.social",
        "@ben@far.example",
        "3/9",
        "  ",
    ]
)
BREAKS = st.sampled_from([" ", " ", "\n", "\n\n", ", "])
TEXTS = st.lists(st.tuples(WORDS, BREAKS), min_size=1, max_size=8).map(
    lambda pairs: "".join(word + after for word, after in pairs).strip()
)
INSTANCE = MastodonServer(NOW, url="https://mastodon.example")


@settings(deadline=None)
@given(TEXTS)
def test_a_text_comes_back_out_of_its_html(text):
    words = words_of(INSTANCE.rendered(text))
    assert folded(words.text) == folded(text)
    assert [tag.lower() for tag in words.tags] or not INSTANCE._tags(text)


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text(st.sampled_from("ab \n<&#@/:"))
)
def test_any_text_at_all_comes_back_out_of_its_html(free, marks):
    text = f"{free}{marks}"
    assert folded(words_of(INSTANCE.rendered(text)).text) == folded(text)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_texts_that_differ_stay_different(one, other):
    same = folded(words_of(INSTANCE.rendered(one)).text) == folded(other)
    assert same == (folded(one) == folded(other))


@pytest.mark.parametrize("shown", ["blog.example.org/2026/11/a-l…", "blog.example.org", "here"])
def test_a_link_is_what_it_leads_to_however_it_is_shown(shown):
    """Other servers shorten the text itself."""
    html = f'<p>Read <a href="{LINK}" rel="nofollow">{shown}</a>.</p>'
    assert words_of(html).text == f"Read {LINK}."


def test_paragraphs_and_breaks_come_back_exactly():
    text = f"One\ntwo\n\nthree {LINK}\n\n3/9 #IPC"
    assert words_of(INSTANCE.rendered(text)).text == text
