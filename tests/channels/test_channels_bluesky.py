"""Bluesky, on the PDS of its makers: the contract of all channels, and what Bluesky alone does."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from digest.config_social import BlueskyAccount
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Card, Place, ReadySnippet
from digest.social.channels.bluesky import BlueskyChannel
from fakes.contract import AT, LINK, NetworkContract, bodies_of, out, picture, png, snippets
from fakes.proxy import proxied

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bluesky

CREATING = "POST /xrpc/com.atproto.repo.applyWrites"
LOGIN = "POST /xrpc/com.atproto.server.createSession"
REFRESH = "POST /xrpc/com.atproto.server.refreshSession"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Rig:
    owner: object
    proxy: object
    folder: Path
    creating: str = CREATING

    def __post_init__(self) -> None:
        self.account = BlueskyAccount(
            identifier=self.owner.handle, app_password=self.owner.password, service=self.proxy.url
        )
        self.channel = self.channel_of(self.account)

    def channel_of(
        self, account, *, file: str = "session.json", timeout: float = 2.0
    ) -> BlueskyChannel:
        session_file = self.folder / file
        return BlueskyChannel(account, session_file=session_file, timeout=timeout, clock=now)

    def restarted(self) -> BlueskyChannel:
        """As another process has it: nothing kept but the file."""
        return self.channel_of(self.account)

    def away(self) -> BlueskyChannel:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        account = self.account.model_copy(update={"service": url})
        return self.channel_of(account, file="away.json")

    def stranger(self) -> BlueskyChannel:
        other = type(self.account.app_password)("not-the-password")
        account = self.account.model_copy(update={"app_password": other})
        return self.channel_of(account, file="stranger.json")

    @property
    def secrets(self) -> tuple[str, ...]:
        session = self.kept()["session"].split(":::") if self.file.exists() else []
        return (self.owner.password, "not-the-password", *session[2:4])

    @property
    def file(self) -> Path:
        return self.folder / "session.json"

    def kept(self) -> dict:
        return json.loads(self.file.read_text())

    def spoil(self, *, access: str | None = None, refresh: str | None = None) -> None:
        """Put other tokens into the kept session."""
        kept = self.kept()
        parts = kept["session"].split(":::")
        parts[2:4] = [access or parts[2], refresh or parts[3]]
        self.file.write_text(json.dumps({**kept, "session": ":::".join(parts)}))

    def count(self) -> int:
        return len(self.owner.posts())

    def passed(self, line: str) -> int:
        return sum(one.startswith(line) for one in self.proxy.passed)


@pytest.fixture(scope="module")
def pds():
    # Late: only who runs these tests has what it imports.
    from fakes.pds import running_pds

    with running_pds() as running:
        yield running


@pytest.fixture
def rig(pds, tmp_path):
    with proxied(pds.url) as proxy:
        yield Rig(pds.account(), proxy, tmp_path)


@pytest.fixture
def channel(rig):
    return rig.channel


class TestContract(NetworkContract):
    """What holds of every network holds of Bluesky."""


def nine() -> list[ReadySnippet]:
    first, *rest = snippets(9, run="nine")
    tagged = f"Ein Wörtchen 🧡 zu #IPC, 介護 und {LINK}?"
    return [first, ReadySnippet("nine-2", tagged, rest[0].at, language="de"), *rest[1:]]


def expired(token: str, *, by: timedelta = timedelta(hours=1)) -> str:
    """The token as it would be some time later; the signature no longer fits."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["exp"] = int(time.time() - by.total_seconds())
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


# --- threads ----------------------------------------------------------------------------------


def test_a_thread_of_nine_is_one_write_of_records_whose_cids_were_known(rig, channel):
    bodies = bodies_of(channel, nine())
    receipts = channel.publish(bodies)
    assert rig.passed(CREATING) == 1
    posts = rig.owner.posts()
    assert [post["uri"] for post in posts] == [r.remote_id for r in receipts]
    assert [post["cid"] for post in posts] == [json.loads(body)["cid"] for body in bodies]
    assert [post["cid"] for post in posts] == [r.version for r in receipts]
    assert [post["value"] for post in posts] == [json.loads(body)["record"] for body in bodies]
    root = {"uri": posts[0]["uri"], "cid": posts[0]["cid"]}
    for before, post in pairwise(posts):
        parent = {"uri": before["uri"], "cid": before["cid"]}
        assert post["value"]["reply"] == {"root": root, "parent": parent}
    assert receipts[0].url == (
        f"https://bsky.app/profile/{rig.owner.did}/post/{receipts[0].remote_id.split('/')[-1]}"
    )


def test_the_picture_the_card_and_the_facets_of_a_thread_are_out(rig, channel):
    out(channel, nine())
    posts = [post["value"] for post in rig.owner.posts()]
    (image,) = posts[0]["embed"]["images"]
    assert image["alt"] == "A teal field."
    assert image["aspectRatio"] == {"width": 64, "height": 48}
    assert image["image"]["size"] == len(png())
    card = posts[8]["embed"]["external"]
    assert (card["uri"], card["title"]) == (LINK, "A long way to go")
    assert card["thumb"]["mimeType"] == "image/png"
    assert posts[8]["tags"] == ["IPC"]
    text = posts[1]["text"].encode()
    cut = {
        text[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode(): f["features"][0]
        for f in posts[1]["facets"]
    }
    assert cut["#IPC"]["tag"] == "IPC"
    assert cut[LINK]["uri"] == LINK
    assert posts[1]["langs"] == ["de"]


def test_a_thread_whose_fifth_item_is_invalid_posts_nothing_and_names_it(rig, channel):
    bodies = list(bodies_of(channel, nine()))
    fifth = json.loads(bodies[4])
    fifth["record"]["text"] = "x" * 301
    bodies[4] = json.dumps(fifth)
    answer = channel.publish(bodies)
    assert isinstance(answer, Refused)
    assert "snippet 5" in answer.reason, answer
    assert rig.count() == 0
    assert channel.find(bodies) is None


def test_a_thread_with_an_item_that_is_too_long_is_refused_before_anything_is_said(rig, channel):
    items = nine()
    items[4] = ReadySnippet("nine-5", "x" * 301, items[4].at)
    answer = channel.prepare(items, None)
    assert answer == Refused("snippet 5: 301 characters in 301 bytes are too long")
    assert rig.proxy.passed == []


def test_a_third_thread_hangs_on_the_second_which_hangs_on_the_first(rig, channel):
    first = out(channel, snippets(2, run="c"))
    second = out(channel, snippets(2, run="d"), Place(first[0], first[-1]))
    out(channel, snippets(1, run="e"), Place(first[0], second[-1]))
    replies = [post["value"].get("reply") for post in rig.owner.posts()]
    assert [one and one["root"]["uri"] for one in replies[1:]] == [first[0].remote_id] * 4
    assert replies[4]["parent"] == {"uri": second[-1].remote_id, "cid": second[-1].version}


def test_the_same_bodies_said_again_after_a_lost_answer_make_nothing_twice(rig, channel):
    bodies = bodies_of(channel, nine())
    rig.proxy.fail("hang-after", CREATING)
    assert isinstance(channel.publish(bodies), Uncertain)
    assert isinstance(rig.restarted().publish(bodies), Uncertain)
    assert rig.count() == 9
    found = channel.find(bodies)
    assert [r.version for r in found] == [json.loads(body)["cid"] for body in bodies]


def test_a_thread_of_which_one_was_deleted_is_still_found_as_accepted(rig, channel):
    bodies = bodies_of(channel, snippets(3, run="del"))
    receipts = channel.publish(bodies)
    channel.delete(receipts[1])
    assert [r.remote_id for r in channel.find(bodies)] == [r.remote_id for r in receipts]
    assert [one is None for one in channel.read(receipts)] == [False, True, False]


def test_something_else_under_the_name_of_a_snippet_is_not_taken_for_it(rig, channel):
    (body,) = bodies_of(channel, snippets(1, run="t"))
    (receipt,) = channel.publish([body])
    other = ReadySnippet("t-1", "Other words", AT)
    channel.edit(receipt, bodies_of(channel, [other])[0])
    assert channel.find([body]) == Uncertain(
        f"another record stands at {receipt.remote_id}", "taken"
    )


def test_a_version_that_was_mispredicted_is_corrected_and_loudly_told(rig, channel, caplog):
    (body,) = bodies_of(channel, snippets(1, run="mis"))
    wrong = json.dumps({**json.loads(body), "cid": json.loads(body)["cid"][:-1] + "a"})
    (receipt,) = channel.publish([wrong])
    assert receipt.version == json.loads(body)["cid"]
    assert [record.levelname for record in caplog.records if "CID" in record.message] == ["ERROR"]
    assert channel.find([wrong])[0].version == receipt.version


def test_a_picture_of_two_megabytes_is_taken_and_a_larger_one_refused(rig, channel):
    # What follows a PNG's end is of no account to anybody.
    padded = png() + bytes(2_000_000 - len(png()))
    largest = picture().__class__(padded, "image/png", "", 64, 48)
    out(channel, [ReadySnippet("big", "A large picture", AT, picture=largest)])
    larger = picture().__class__(padded + b"\0", "image/png", "", 64, 48)
    answer = channel.prepare([ReadySnippet("big2", "Too large", AT, picture=larger)], None)
    assert isinstance(answer, Refused)


def test_a_card_without_a_picture_and_a_picture_without_measures_are_taken(rig, channel):
    bare = Card("https://blog.example.org/ü?a=1&b=<2>", "", "")
    unmeasured = picture().__class__(png(), "image/png", "", 0, 0)
    out(channel, [ReadySnippet("k1", "One", AT, card=bare)])
    out(channel, [ReadySnippet("k2", "Two", AT, picture=unmeasured)])
    assert rig.count() == 2


# --- edits and deletions ----------------------------------------------------------------------


def test_an_edit_changes_the_version_and_keeps_the_place_in_the_thread(rig, channel):
    items = snippets(3, run="ed")
    receipts = out(channel, items)
    place = Place(receipts[0], receipts[0])
    new = ReadySnippet(items[1].key, "Better words", items[1].at)
    (body,) = bodies_of(channel, [new], place)
    (edited,) = channel.edit(receipts[1], body)
    assert edited.version == json.loads(body)["cid"] != receipts[1].version
    assert (edited.remote_id, edited.url) == (receipts[1].remote_id, receipts[1].url)
    seen = channel.read(receipts)
    assert seen[1].text == "Better words"
    assert [one.reply_to for one in seen] == [None, *(r.remote_id for r in receipts[:-1])]


def test_an_edit_whose_answer_was_lost_is_done_by_asking_again(rig, channel):
    items = snippets(1, run="lost")
    (receipt,) = out(channel, items)
    (body,) = bodies_of(channel, [ReadySnippet(items[0].key, "Better words", items[0].at)])
    rig.proxy.fail("drop-after", "putRecord")
    assert isinstance(channel.edit(receipt, body), Uncertain)
    (edited,) = channel.edit(receipt, body)
    assert edited.version == json.loads(body)["cid"]


def test_an_edit_overwrites_nothing_but_the_version_it_is_for(rig, channel):
    items = snippets(1, run="sw")
    (receipt,) = out(channel, items)
    bodies = [
        bodies_of(channel, [ReadySnippet(items[0].key, text, items[0].at)])[0] for text in "ab"
    ]
    channel.edit(receipt, bodies[0])
    answer = channel.edit(receipt, bodies[1])
    assert isinstance(answer, Refused)
    assert answer.code == "InvalidSwap"
    channel.delete(receipt)
    assert isinstance(channel.edit(receipt, bodies[1]), Refused)
    assert rig.count() == 0


# --- sessions ---------------------------------------------------------------------------------


def test_a_session_is_kept_over_restarts_in_a_file_of_the_owner_alone(rig):
    for run in "abc":
        out(rig.restarted(), snippets(2, run=run))
    assert rig.passed(LOGIN) == 1
    assert os.stat(rig.file).st_mode & 0o777 == 0o600  # noqa: PTH116
    assert rig.count() == 6


def test_an_expired_access_token_is_refreshed_and_the_new_session_kept(rig):
    out(rig.channel, snippets(1, run="a"))
    access = rig.kept()["session"].split(":::")[2]
    rig.spoil(access=expired(access))
    out(rig.restarted(), snippets(1, run="b"))
    out(rig.restarted(), snippets(1, run="c"))
    assert (rig.passed(LOGIN), rig.passed(REFRESH)) == (1, 1)
    assert rig.count() == 3


def test_an_access_token_that_the_server_alone_finds_bad_is_replaced_before_a_write(rig, channel):
    out(channel, snippets(1, run="a"))
    bodies = bodies_of(channel, snippets(1, run="b"))
    access = rig.kept()["session"].split(":::")[2]
    rig.spoil(access=access[:-4] + "AAAA")
    restarted = rig.restarted()
    assert len(restarted.publish(bodies)) == 1
    assert (rig.passed(LOGIN), rig.passed(CREATING)) == (2, 2)
    assert rig.count() == 2


def test_a_token_that_dies_between_two_writes_is_replaced_and_the_write_said_once_more(
    rig, channel
):
    out(channel, snippets(1, run="a"))
    bodies = bodies_of(channel, snippets(1, run="b"))
    client = channel._opened._client
    client._session.access_jwt = client._session.access_jwt[:-4] + "AAAA"
    assert len(channel.publish(bodies)) == 1
    assert rig.passed(LOGIN) == 2
    assert rig.count() == 2


def test_a_refresh_whose_answer_was_lost_costs_no_login(rig):
    out(rig.channel, snippets(1, run="a"))
    access = rig.kept()["session"].split(":::")[2]
    rig.spoil(access=expired(access))
    rig.proxy.fail("drop-after", "refreshSession")
    assert isinstance(rig.restarted().prepare(snippets(1, run="b"), None), Unavailable)
    out(rig.restarted(), snippets(1, run="b"))
    assert (rig.passed(LOGIN), rig.passed(REFRESH)) == (1, 2)


def test_a_dead_session_leads_to_one_new_login(rig):
    out(rig.channel, snippets(1, run="a"))
    session = rig.kept()["session"].split(":::")
    rig.spoil(access=expired(session[2]), refresh=expired(session[3]))
    out(rig.restarted(), snippets(1, run="b"))
    assert rig.passed(LOGIN) == 2
    assert rig.count() == 2


def test_a_session_of_another_identifier_is_not_used(rig, pds):
    out(rig.channel, snippets(1, run="a"))
    other = pds.account()
    account = rig.account.model_copy(
        update={
            "identifier": other.handle,
            "app_password": type(rig.account.app_password)(other.password),
        }
    )
    out(rig.channel_of(account), snippets(1, run="b"))
    assert (rig.count(), len(other.posts())) == (1, 1)


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"service": 1}', None])
def test_a_spoilt_session_file_is_replaced(rig, content):
    whole = {"service": rig.account.service, "identifier": rig.account.identifier}
    rig.file.write_text(json.dumps({**whole, "session": "a:::b"}) if content is None else content)
    out(rig.channel, snippets(1))
    assert rig.passed(LOGIN) == 1
    assert rig.kept()["identifier"] == rig.owner.handle


def test_what_was_prepared_for_another_account_is_not_written_into_this_one(rig, pds):
    bodies = bodies_of(rig.channel, snippets(1))
    other = pds.account()
    account = rig.account.model_copy(
        update={
            "identifier": other.handle,
            "app_password": type(rig.account.app_password)(other.password),
        }
    )
    answer = rig.channel_of(account).publish(bodies)
    assert isinstance(answer, Unauthorized | Refused)
    assert (rig.count(), other.posts()) == (0, [])


# --- limits -----------------------------------------------------------------------------------


def test_who_writes_too_much_is_told_until_when_to_wait(rig):
    """5000 points an hour, three for each record; a write that goes over it is not done."""
    channel, sizes = rig.channel_of(rig.account, timeout=30), [180] * 9
    answers = []
    for number, size in enumerate(sizes):
        at = AT + timedelta(seconds=number)
        many = [
            ReadySnippet(f"{number}-{n}", "x", at + timedelta(milliseconds=n)) for n in range(size)
        ]
        answers.append(channel.publish(bodies_of(channel, many)))
    before = rig.count()
    answer = channel.publish(bodies_of(channel, nine() * 6))
    assert all(isinstance(one, tuple) for one in answers)
    assert isinstance(answer, Throttled), answer
    assert timedelta(minutes=50) < answer.retry_after <= timedelta(hours=1)
    assert answer.window == "post"
    assert rig.count() == before == sum(sizes)


def test_who_logs_in_too_often_is_told_until_when_to_wait(rig):
    answers = [rig.stranger().prepare(snippets(1), None) for _ in range(31)]
    assert all(isinstance(answer, Unauthorized) for answer in answers[:30])
    assert isinstance(answers[30], Throttled)
    assert timedelta(0) < answers[30].retry_after <= timedelta(minutes=5)
