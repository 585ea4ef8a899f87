"""What every channel must do, whatever its network: one suite, run by the tests of each.

A test module makes a class of `NetworkContract` (or `ChannelContract`, where there is no server)
and gives it a fixture `rig`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import pytest
from PIL import Image as Pillow

from digest.errors import Refused, Unauthorized, Unavailable, Uncertain
from digest.model import Card, Limits, Picture, Place, ReadySnippet, Receipt

if TYPE_CHECKING:
    from digest.ports import Channel
    from fakes.proxy import Proxy

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LINK = "https://blog.example.org/2026/11/a-long-way-to-go/"


class Rig(Protocol):
    """A channel on a server of this machine, behind a proxy."""

    channel: Channel
    #: Stands between the two; `proxy.fail("hang-after", rig.creating)` and so on.
    proxy: Proxy
    #: A pattern of the one call that publishes: "POST /2/tweets".
    creating: str

    def away(self) -> Channel:
        """The same account, on a port where nobody listens."""
        ...

    def stranger(self) -> Channel:
        """The same server, with credentials that it does not take."""
        ...

    #: What must stand in no log and no answer: keys, passwords, tokens of this channel.
    secrets: tuple[str, ...]

    def count(self) -> int:
        """How many posts are out, as the server itself knows."""
        ...


def png(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    """A small picture."""
    out = BytesIO()
    Pillow.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def picture(alt: str = "A teal field.") -> Picture:
    return Picture(png(), "image/png", alt, 64, 48)


def snippets(count: int = 3, *, run: str = "a") -> list[ReadySnippet]:
    """A thread as it is given to a channel; `run` makes its keys, texts and times its own."""
    offset = timedelta(seconds=sum(map(ord, run)))
    middle = [
        ReadySnippet(
            f"{run}-{n}",
            f"Sentence {n} of {run}: “Crèche” costs £5 & more 🧡 介護.\n\n{n}/{count}",
            AT + offset + timedelta(milliseconds=n),
            language="en-GB",
        )
        for n in range(2, count)
    ]
    root = ReadySnippet(
        f"{run}-1",
        f"A long way to go {run}\n\n1/{count}\n\n#SocialCareFuture",
        AT + offset + timedelta(milliseconds=1),
        language="en-GB",
        picture=picture(),
    )
    last = ReadySnippet(
        f"{run}-{count}",
        f"The end of {run}.\n\nRead the whole post: {LINK}\n\n{count}/{count}",
        AT + offset + timedelta(milliseconds=count),
        language="en-GB",
        card=Card(LINK, "A long way to go", "How far it is.", picture("")),
        tags=("IPC",),
    )
    return [root, *middle, last][:count] if count > 1 else [root]


def out(channel: Channel, items: list[ReadySnippet], place: Place | None = None) -> list[Receipt]:
    """Publish a thread the way the core does: at once where the channel is atomic, else one by one."""
    if channel.traits.atomic:
        return list(said(channel, items, place))
    receipts: list[Receipt] = []
    for item in items:
        receipts += said(channel, [item], place)
        place = Place(place.root if place else receipts[0], receipts[-1])
    return receipts


def said(channel: Channel, items: list[ReadySnippet], place: Place | None) -> tuple[Receipt, ...]:
    receipts = channel.publish(bodies_of(channel, items, place))
    assert isinstance(receipts, tuple), receipts
    assert len(receipts) == len(items)
    return receipts


def bodies_of(channel, items, place=None) -> tuple[str, ...]:
    bodies = channel.prepare(items, place)
    assert isinstance(bodies, tuple), bodies
    assert all(isinstance(body, str) for body in bodies)
    return bodies


class ChannelContract:
    """What holds of every channel, the local preview included."""

    @pytest.fixture
    def channel(self, rig: Rig) -> Channel:
        return rig.channel

    def test_a_thread_is_out_in_order_each_answering_the_one_before(self, rig, channel):
        items = snippets(4)
        receipts = out(channel, items)
        assert rig.count() == 4
        assert len({receipt.remote_id for receipt in receipts}) == 4
        assert all(receipt.url.startswith("http") for receipt in receipts)
        seen = channel.read(receipts)
        assert [one.reply_to for one in seen] == [None, *(r.remote_id for r in receipts[:-1])]
        assert [one.text for one in seen] == [item.text for item in items]

    def test_tags_and_alt_texts_are_read_back(self, channel):
        receipts = out(channel, snippets(2, run="b"))
        root, last = channel.read(receipts)
        assert "SocialCareFuture" in root.tags
        assert root.alts == ("A teal field.",)
        assert last.alts == ()

    def test_a_later_thread_answers_where_it_is_told_to(self, channel):
        first = out(channel, snippets(2, run="c"))
        later = out(channel, snippets(2, run="d"), Place(first[0], first[-1]))
        seen = channel.read(later)
        assert [one.reply_to for one in seen] == [first[-1].remote_id, later[0].remote_id]

    def test_a_single_snippet_with_a_picture_is_out(self, rig, channel):
        (receipt,) = out(channel, snippets(1, run="e"))
        assert rig.count() == 1
        (seen,) = channel.read([receipt])
        assert seen.reply_to is None

    def test_what_was_accepted_is_found_and_nothing_else(self, rig, channel):
        if not channel.traits.can_find:
            pytest.fail("every channel of ours can look up what was accepted")
        bodies = bodies_of(channel, snippets(1, run="f"))
        assert channel.find(bodies) is None
        receipts = channel.publish(bodies)
        found = channel.find(bodies)
        assert [r.remote_id for r in found] == [r.remote_id for r in receipts]
        assert [r.version for r in found] == [r.version for r in receipts]
        assert channel.find(bodies_of(channel, snippets(1, run="g"))) is None
        assert rig.count() == 1

    def test_a_snippet_that_is_too_long_is_refused_and_nothing_is_out(self, rig, channel):
        limits = channel.limits()
        assert isinstance(limits, Limits)
        text = "word " * (limits.characters // 5 + 20)
        bodies = channel.prepare([ReadySnippet("o-1", text.strip(), AT)], None)
        answer = channel.publish(bodies) if isinstance(bodies, tuple) else bodies
        assert isinstance(answer, Refused)
        assert rig.count() == 0

    def test_what_is_taken_down_is_gone_and_may_be_taken_down_again(self, rig, channel):
        receipts = out(channel, snippets(2, run="p"))
        assert channel.delete(receipts[1]) is None
        assert channel.delete(receipts[1]) is None
        assert rig.count() == 1
        root, last = channel.read(receipts)
        assert root is not None
        assert last is None

    def test_what_can_be_edited_says_the_new_words(self, rig, channel):
        if not channel.traits.can_edit:
            return
        items = snippets(1, run="q")
        (receipt,) = out(channel, items)
        new = ReadySnippet(items[0].key, "Other words #SocialCareFuture", items[0].at)
        (edited,) = channel.edit(receipt, bodies_of(channel, [new])[0])
        assert edited.remote_id == receipt.remote_id
        (seen,) = channel.read([edited])
        assert seen.text == "Other words #SocialCareFuture"
        assert rig.count() == 1

    def test_the_same_snippets_prepared_again_publish_once_where_the_network_says_so(
        self, rig, channel
    ):
        if channel.traits.same_for is None:
            return
        items = snippets(1, run="r")
        first = channel.publish(bodies_of(channel, items))
        again = channel.publish(bodies_of(channel, items))
        assert rig.count() == 1
        if isinstance(again, tuple):
            assert again[0].remote_id == first[0].remote_id


class NetworkContract(ChannelContract):
    """What holds of every channel that speaks to a server; `rig.channel` gives up after about 2 s."""

    def test_a_lost_answer_is_uncertain_and_found(self, rig, channel):
        for fault, run in (("drop-after", "h"), ("502-after", "i"), ("cut-after", "j")):
            bodies = bodies_of(channel, snippets(1, run=run))
            rig.proxy.fail(fault, rig.creating)
            assert isinstance(channel.publish(bodies), Uncertain), fault
            assert len(channel.find(bodies)) == 1, fault
        assert rig.count() == 3

    def test_an_answer_that_never_comes_is_uncertain_after_the_timeout(self, rig, channel):
        bodies = bodies_of(channel, snippets(1, run="k"))
        rig.proxy.fail("hang-after", rig.creating)
        assert isinstance(channel.publish(bodies), Uncertain)
        assert len(channel.find(bodies)) == 1
        assert rig.count() == 1

    def test_an_answer_of_a_gateway_may_hide_anything(self, rig, channel):
        """Nobody can tell whether the server behind it heard of it."""
        bodies = bodies_of(channel, snippets(1, run="l"))
        rig.proxy.fail("503-before", rig.creating)
        assert isinstance(channel.publish(bodies), Uncertain)
        assert channel.find(bodies) is None
        assert rig.count() == 0

    def test_a_server_that_is_away_certainly_took_nothing(self, rig):
        away = rig.away()
        prepared = away.prepare(snippets(1, run="m"), None)
        assert isinstance(prepared, Unavailable)
        bodies = bodies_of(rig.channel, snippets(1, run="m"))
        assert isinstance(away.publish(bodies), Unavailable)

    def test_credentials_that_are_not_taken_stop_the_channel(self, rig):
        bodies = bodies_of(rig.channel, snippets(1, run="n"))
        stranger = rig.stranger()
        answer = stranger.publish(bodies)
        assert isinstance(answer, Unauthorized)
        assert answer.reason
        assert rig.count() == 0

    def test_no_answer_and_no_log_names_a_secret(self, rig, caplog):
        caplog.set_level("DEBUG")
        bodies = bodies_of(rig.channel, snippets(1, run="s"))
        answers = [rig.stranger().publish(bodies), rig.channel.publish(bodies)]
        assert rig.secrets
        for secret in rig.secrets:
            assert secret not in caplog.text
            assert all(secret not in repr(answer) for answer in answers)
