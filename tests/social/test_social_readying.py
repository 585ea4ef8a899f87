"""What goes out with a snippet: pictures frozen once, cards, and what it goes without."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.errors import Refused, Throttled, Unavailable, Uncertain
from digest.model import Image
from digest.social.thread import LinkCard
from fakes.scripted import HOUR, MINUTE, Killed, kill

URL = "https://c.org/i.jpg"
PICTURE = Image(URL, "A loom.")
CARD = LinkCard("https://c.org/a", "A title", "About", Image(URL, ""))


@pytest.fixture
def x(house):
    return house.add_channel("x")


def test_a_picture_goes_out_with_its_alt_text(house, x):
    house.plan("a", items=2, pace=0, images={1: PICTURE})
    house.publish()
    assert [x.of(text).alts for text in ("a1", "a2")] == [("A loom.",), ()]
    assert house.row("a1").picture == "0.jpg"
    assert house.row("a1").note is None


def prepared(network) -> list[str]:
    """The bytes of each picture as they were uploaded."""
    seen = []
    prepare = network.prepare

    def note(snippets, place):
        seen.extend(one.picture.content for one in snippets if one.picture)
        return prepare(snippets, place)

    network.prepare = note
    return seen


def test_after_a_crash_the_very_same_picture_goes_out(house, x):
    uploaded = prepared(x)
    house.plan("a", items=1, images={1: PICTURE})
    x.before = kill
    with pytest.raises(Killed):
        house.publish()
    x.before = lambda bodies: None
    for _ in range(2):
        house.later(2 * MINUTE)
        house.publish()
    assert house.states() == ["submitted"]
    assert house.workshop.fetched == [URL]
    assert len(uploaded) == 2
    assert len(set(uploaded)) == 1


def test_it_bears_the_moment_of_its_first_try_as_long_as_that_is_in_doubt(house):
    mastodon = house.add_channel("mastodon")
    moments = []
    prepare = mastodon.prepare

    def note(snippets, place):
        moments.extend(one.at for one in snippets)
        return prepare(snippets, place)

    mastodon.prepare = note
    house.plan("a", items=1, channel="mastodon")
    mastodon.answers = [Unavailable("away"), Uncertain("no answer"), Throttled("slow")]
    begun = house.now
    for _ in range(5):
        house.publish()
        house.later(20 * MINUTE)
    # What was certainly not accepted was no try.
    assert moments[0] == begun
    assert set(moments[1:]) == {begun + 20 * MINUTE}
    assert len(moments) > 3


def test_the_snippets_of_a_whole_thread_bear_rising_moments(house):
    bluesky = house.add_channel("bluesky")
    moments = []
    prepare = bluesky.prepare

    def note(snippets, place):
        moments.extend(one.at for one in snippets)
        return prepare(snippets, place)

    bluesky.prepare = note
    house.plan("a", items=4, channel="bluesky")
    house.publish()
    assert moments == sorted(set(moments))


def test_a_picture_that_is_none_is_left_out_and_that_is_said(house, x):
    house.workshop.fetching[URL] = [Refused("the picture is no picture")]
    house.plan("a", items=1, images={1: PICTURE})
    house.publish()
    assert x.of("a1").alts == ()
    assert house.row("a1").note == "goes without its picture: the picture is no picture"
    house.later(2 * MINUTE)
    # Its own note says so; the reading back misses nothing.
    assert house.publish().notices == ()


def test_a_picture_that_its_network_refuses_is_left_out_and_that_is_said(house, x):
    x.preparing = [Refused("unsupported media")]
    house.plan("a", items=1, images={1: PICTURE})
    house.publish()
    assert x.texts == ["a1"]
    assert x.of("a1").alts == ()
    assert house.row("a1").note == "goes without its picture: unsupported media"


def test_a_text_that_its_network_refuses_is_refused_with_and_without_a_picture(house, x):
    x.preparing = [Refused("too long"), Refused("too long")]
    house.plan("a", items=1, images={1: PICTURE})
    house.publish()
    assert house.states() == ["refused"]
    assert house.row("a1").reason == "too long"


def test_a_picture_that_cannot_be_had_is_waited_for_and_others_are_not(house, x):
    house.workshop.fetching[URL] = [Unavailable("the blog is down")]
    house.plan("a", items=1, images={1: PICTURE})
    house.plan("b", items=1, minutes=-1)
    report = house.publish()
    assert x.texts == ["b1"]
    assert report.faults == {}
    assert ("pending", "the blog is down") in [(one.state, one.reason) for one in report.lines]
    house.later(10 * MINUTE)
    house.publish()
    assert x.of("a1").alts == ("A loom.",)


def test_a_picture_that_cannot_be_had_at_all_is_left_out_in_the_end(house, x):
    house.workshop.fetching[URL] = [Unavailable("the blog is down")] * 99
    house.plan("a", items=1, images={1: PICTURE})
    for _ in range(4):
        assert x.texts == []
        house.publish()
        house.later(10 * MINUTE)
    assert x.texts == ["a1"]
    assert house.row("a1").note == "goes without its picture: the blog is down"


def test_a_card_goes_out_with_its_small_picture(house):
    bluesky = house.add_channel("bluesky")
    house.plan("a", items=2, channel="bluesky", cards={2: CARD})
    house.publish()
    assert bluesky.of("a2").card == {
        "url": "https://c.org/a",
        "title": "A title",
        "thumb": f"{URL}#1",
    }
    assert house.row("a2").card_picture == "0.jpg"


def test_a_card_goes_without_a_picture_that_is_none(house):
    bluesky = house.add_channel("bluesky")
    house.workshop.fetching[URL] = [Refused("the picture is no picture")]
    house.plan("a", items=1, channel="bluesky", cards={1: CARD})
    house.publish()
    assert bluesky.of("a1").card["thumb"] is None
    assert house.row("a1").note == "goes without its picture: the picture is no picture"


def test_a_thread_waits_as_a_whole_for_a_picture(house):
    bluesky = house.add_channel("bluesky")
    house.workshop.fetching[URL] = [Unavailable("the blog is down")]
    house.plan("a", items=3, channel="bluesky", cards={3: CARD})
    house.publish()
    assert bluesky.texts == []
    assert house.states() == ["pending"] * 3
    house.later(10 * MINUTE)
    house.publish()
    assert bluesky.of("a3").card["thumb"]


def test_no_picture_goes_missing_where_nothing_is_known_of_the_account(house):
    """An instance that was never reached yet: it is not published on blindly."""
    account = {"url": "https://m.example", "access_token": "t"}
    mastodon = house.add_channel("mastodon", kind="account", mastodon=account)
    house.plan("a", items=1, channel="mastodon", images={1: PICTURE})
    house.workshop.limits_now = None
    assert house.publish().faults == {"mastodon": "what the account takes cannot be asked now"}
    assert mastodon.texts == []


def test_an_upload_that_is_throttled_keeps_the_channel_until_its_window_opens(house, x):
    x.preparing = [Throttled("media window", retry_after=HOUR, window="media")]
    house.plan("a", items=1, images={1: PICTURE})
    house.publish()
    house.later(HOUR - timedelta(seconds=1))
    assert "media window" in house.publish().faults["x"]
    assert x.calls.count("prepare") == 1
    house.later(timedelta(seconds=1))
    house.publish()
    assert x.texts == ["a1"]
