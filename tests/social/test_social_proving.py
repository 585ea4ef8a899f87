"""Threads are read back once they are out: whole, in order, as they were said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.errors import Throttled, Unauthorized, Unavailable
from digest.model import Image
from digest.social.hashtags import tags_in
from fakes.scripted import DAY, HOUR, MINUTE

PICTURE = Image("https://c.org/i.jpg", "A loom.")


@pytest.fixture
def x(house):
    return house.add_channel("x", prices={"read": 1})


def proof(house, **options):
    """What is told of a thread once it is out and read back."""
    house.plan("a", minutes=-1, pace=0, **options)
    house.publish()
    house.later(2 * MINUTE)
    return house.publish().notices


def test_a_thread_that_is_as_it_was_said_is_told_of_nobody(house, x):
    texts = ["One #SocialCareFuture", "Two\n\nparagraphs", "Three https://c.org/a"]
    assert proof(house, texts=texts, images={1: PICTURE}, tags=("IPC",)) == ()
    assert house.thread(1).proved_at == house.now
    assert house.thread(1).differs is None
    assert house.spent() == {"read": 3000}
    house.later(HOUR)
    house.publish()
    assert house.spent() == {"read": 3000}


@pytest.mark.parametrize(
    ("text", "values", "told"),
    [
        ("a2", {"deleted": True}, "snippet 2 is there no more"),
        ("a2", {"text": "other"}, "snippet 2 has another text"),
        ("a3", {"parent": "n1"}, "snippet 3 answers another"),
        ("a2", {"parent": None}, "snippet 2 answers another"),
        ("a1 #SocialCareFuture", {"tags": ()}, "snippet 1 lacks the hashtag #SocialCareFuture"),
        ("a1 #SocialCareFuture", {"alts": ("",)}, "snippet 1 lacks its alt text"),
        ("a1 #SocialCareFuture", {"alts": ()}, "snippet 1 lacks its picture"),
    ],
)
def test_what_is_not_as_it_was_said_is_told_once(*, house, x, text, values, told):
    texts = ["a1 #SocialCareFuture", "a2", "a3"]
    thread = house.plan("a", texts=texts, minutes=-1, pace=0, images={1: PICTURE})
    house.publish()
    for name, value in values.items():
        setattr(x.of(text), name, value)
    house.later(2 * MINUTE)
    assert house.publish().notices == (
        f"thread {thread} on x (Post a) is not as it should be: {told}",
    )
    assert house.thread(thread).differs == told
    house.later(HOUR)
    assert house.publish().notices == ()


def test_tags_are_the_same_in_whatever_case(house, x):
    house.plan("a", texts=["Of #SocialCareFuture"])
    house.publish()
    x.of("Of #SocialCareFuture").tags = ("socialcarefuture",)
    house.later(2 * MINUTE)
    assert house.publish().notices == ()


def test_a_hidden_tag_that_was_lost_is_told(house):
    bluesky = house.add_channel("bluesky")
    house.plan("a", channel="bluesky", tags=("IPC",))
    take = bluesky._accept

    def forget(body):
        made = take(body)
        made.tags = tuple(tags_in(made.text))
        return made

    bluesky._accept = forget
    (notice,) = house.publish().notices
    assert notice.endswith("snippet 1 lacks the hashtag #IPC")


def test_what_somebody_deleted_counts_as_deleted(house, x):
    thread = house.plan("a", minutes=-1, pace=0)
    house.publish()
    x.lose("a3")
    house.later(2 * MINUTE)
    house.publish()
    assert len(house.thread(thread).live) == 2


def test_nothing_is_missed_before_the_network_had_time_to_show_it(house, x):
    x.lag = timedelta(seconds=50)
    house.plan("a", items=1)
    house.publish()
    house.later(timedelta(seconds=30))
    assert house.publish().notices == ()
    assert "read" not in x.calls
    house.later(timedelta(seconds=31))
    assert house.publish().notices == ()
    assert house.thread(1).proved_at == house.now


def test_a_thread_that_is_still_going_out_is_not_read_back(house, x):
    house.plan("a")
    house.publish()
    house.later(90 * timedelta(seconds=1))
    house.publish()
    assert "read" not in x.calls


def test_where_the_network_is_away_it_is_read_back_later(house, x):
    x.reading = [Unavailable("away")]
    assert proof(house) == ()
    assert house.thread(1).proved_at is None
    house.later(MINUTE)
    assert house.publish().notices == ()
    assert house.thread(1).proved_at == house.now
    assert house.spent() == {"read": 3000}


def test_one_that_cannot_be_read_keeps_no_other_from_being_read(house, x):
    for name in "ab":
        house.plan(name, items=1)
    house.publish()
    x.reading = [Unavailable("withheld")]
    house.later(2 * MINUTE)
    house.publish()
    assert [house.thread(n).proved_at is None for n in (1, 2)] == [True, False]


def test_one_that_can_never_be_read_is_told_of_in_the_end(house, x):
    x.reading = [Unavailable("withheld")] * 99
    assert proof(house) == ()
    house.later(7 * DAY)
    (notice,) = house.publish().notices
    assert notice.endswith("it could not be read back: withheld")
    calls = len(x.calls)
    house.later(DAY)
    assert house.publish().notices == ()
    assert len(x.calls) == calls


def test_reads_that_are_used_up_wait_for_their_window(house, x):
    x.reading = [Throttled("slow", retry_after=HOUR, window="read")]
    proof(house)
    house.later(30 * MINUTE)
    house.publish()
    assert x.calls.count("read") == 1
    house.later(31 * MINUTE)
    house.publish()
    assert house.thread(1).proved_at == house.now


def test_a_read_that_is_unauthorized_stops_the_channel_and_is_told_once(house, x):
    x.reading = [Unauthorized("token revoked")]
    assert proof(house) == ("x was stopped: token revoked; then: digest social start x",)
    house.later(HOUR)
    assert house.publish().notices == ()
    assert x.calls.count("read") == 1
