"""Standing threads: instalments in order across weeks, each behind the last that is alive."""

from __future__ import annotations

import pytest

from digest.errors import Refused, Throttled, Unavailable, Uncertain
from digest.model import Act
from digest.social.press import Turn
from digest.social.publish import foreseen
from digest.social.undoing import undo
from digest.store.publications import of_thread, put_off
from digest.store.social import compared, hold, release_thread
from fakes.scripted import DAY, HOUR, MINUTE, Lost

WEEK = 7 * DAY


class Serial:
    """A standing thread on a channel; instalments of two snippets, a week apart."""

    def __init__(self, house, slug, **config):
        self.house, self.slug = house, slug
        self.network = house.add_channel(slug, **config)
        self.last = None

    def plan(self, name, **options):
        options = {"items": 2, "pace": 0, **options}
        self.last = self.house.instalment(name, after=self.last, channel=self.slug, **options)
        return self.last

    def bring(self, name, **options):
        """A week later its next instalment comes out."""
        thread = self.plan(name, **options)
        report = self.house.publish()
        self.house.later(2 * MINUTE)
        notices = (*report.notices, *self.house.publish().notices)
        self.house.later(WEEK)
        return thread, notices


@pytest.fixture(params=["x", "mastodon", "bluesky"])
def serial(house, request):
    return Serial(house, request.param)


@pytest.fixture
def x(house):
    return Serial(house, "x")


def test_each_instalment_goes_on_from_the_one_before_and_the_root_is_kept(serial):
    for name in "abc":
        _, notices = serial.bring(name)
        assert notices == ()
    assert serial.network.parents == {
        "a1": None,
        "a2": "a1",
        "b1": "a2",
        "b2": "b1",
        "c1": "b2",
        "c2": "c1",
    }
    assert set(serial.network.roots.values()) == {"a1"}


def test_an_instalment_waits_until_the_one_before_is_through(house, x):
    x.plan("a")
    x.plan("b")
    x.network.answers = [None, Throttled("slow", retry_after=HOUR)]
    house.publish()
    assert x.network.texts == ["a1"]
    house.later(HOUR)
    house.publish()
    house.publish()
    assert x.network.texts == ["a1", "a2", "b1", "b2"]
    assert x.network.parents["b1"] == "a2"


def test_an_instalment_does_not_overtake_one_two_before_it(house, x):
    """The one between was cancelled; what it went on from is in doubt still."""
    x.plan("a")
    x.plan("b", minutes=-25 * 60)
    x.plan("c")
    x.network.answers = [None, Uncertain("no answer")]
    x.network.finding = [Unavailable("away")]
    house.publish()
    assert house.states("b") == ["pending", "pending"]
    with house.store.write() as c:
        hold(c, 2, "for a test", house.now)
    take_down(house, 2)
    house.later(MINUTE)
    house.publish()
    assert x.network.texts == ["a1"]
    house.later(MINUTE)
    house.publish()
    house.later(MINUTE)
    house.publish()
    assert x.network.texts == ["a1", "a2", "c1", "c2"]
    assert x.network.parents["c1"] == "a2"


def test_what_waits_for_an_older_instalment_is_not_late_by_itself(house, x):
    """Its editor takes weeks over the older one: nothing of the series is lost meanwhile."""
    first = x.plan("a")
    with house.store.write() as c:
        hold(c, first, "its post was edited", house.now)
    x.plan("b")
    for _ in range(20):
        house.later(DAY)
        assert foreseen(house.press).lines == house.publish().lines == ()
    assert house.states() == ["pending"] * 4
    with house.store.write() as c:
        release_thread(c, first)
        put_off(c, of_thread(c, first)[0], house.now)
    house.publish()
    assert x.network.texts == ["a1", "a2", "b1", "b2"]


def test_standing_threads_of_two_series_do_not_wait_for_each_other(house, x):
    x.plan("a")
    x.network.answers = [Uncertain("no answer")]
    house.publish()
    house.instalment("z", items=1, scope="series:z")
    house.instalment("y", after=2, items=1, scope="series:z")
    house.publish()
    house.publish()
    assert x.network.texts == ["z1", "y1"]


def test_after_a_cancelled_instalment_the_next_goes_on_from_what_is_out(serial):
    serial.bring("a")
    serial.plan("b", minutes=-25 * 60)
    serial.bring("c")
    assert serial.house.states("b") == ["cancelled", "cancelled"]
    assert serial.network.parents["c1"] == "a2"
    assert serial.network.roots["c1"] == "a1"


def take_down(house, thread):
    return undo(Turn(house.press, ""), thread, Act("Maya", house.now, "a mistake"))


@pytest.mark.parametrize("policy", ["last-alive", "new", "stop"])
def test_after_an_instalment_that_was_taken_down_on_purpose_it_goes_on(*, serial, policy):
    serial.house.configure(serial.slug, tail_gone=policy)
    serial.bring("a")
    second, _ = serial.bring("b")
    take_down(serial.house, second)
    _, notices = serial.bring("c")
    assert notices == ()
    assert serial.network.parents["c1"] == "a2"
    assert serial.network.texts == ["a1", "a2", "c1", "c2"]


def test_nothing_is_attached_to_what_is_still_being_taken_down(serial):
    serial.bring("a")
    second, _ = serial.bring("b")
    serial.network.deleting = [Throttled("slow", retry_after=DAY, window="delete")]
    take_down(serial.house, second)
    serial.house.later(-WEEK)
    serial.bring("c")
    assert serial.network.parents["c1"] == "a2"


# --- the end was deleted on the network ---------------------------------------------------------


def test_it_answers_the_last_one_alive(serial):
    serial.bring("a")
    serial.bring("b")
    for text in ("a2", "b1", "b2"):
        serial.network.lose(text)
    serial.bring("c")
    assert serial.network.parents["c1"] == "a1"
    assert all(serial.house.row(text).deleted_at for text in ("a2", "b1", "b2"))
    serial.bring("d")
    assert serial.network.parents["d1"] == "c2"


def test_where_the_root_was_deleted_the_others_still_name_it(serial):
    serial.bring("a")
    serial.network.lose("a1")
    serial.bring("b")
    serial.bring("c")
    assert serial.network.parents["b1"] == "a2"
    assert serial.network.roots["c2"] == "a1"


def test_where_nothing_is_alive_it_begins_anew(serial):
    serial.bring("a")
    serial.network.lose("a1")
    serial.network.lose("a2")
    serial.bring("b")
    assert serial.network.parents["b1"] is None
    serial.bring("c")
    assert (serial.network.parents["c1"], serial.network.roots["c1"]) == ("b2", "b1")


def test_as_configured_it_begins_anew_and_later_ones_go_on_from_there(serial):
    serial.house.configure(serial.slug, tail_gone="new")
    serial.bring("a")
    serial.bring("b")
    serial.network.lose("b2")
    serial.bring("c")
    assert serial.network.parents["c1"] is None
    serial.bring("d")
    assert serial.network.parents["d1"] == "c2"
    assert [serial.network.roots[text] for text in ("c2", "d1", "d2")] == ["c1"] * 3


def test_it_begins_anew_also_where_the_first_try_fails(house, serial):
    house.configure(serial.slug, tail_gone="new")
    serial.bring("a")
    serial.network.lose("a2")
    serial.plan("b")
    serial.network.preparing = [Unavailable("away")]
    house.publish()
    house.later(MINUTE)
    house.publish()
    assert serial.network.parents["b1"] is None


def test_what_the_reading_back_found_deleted_counts_for_the_policy_too(house, serial):
    house.configure(serial.slug, tail_gone="new")
    serial.plan("a")
    serial.network.reading = [Unavailable("away")]
    house.publish()
    serial.network.reading = []
    serial.network.lose("a2")
    house.later(2 * MINUTE)
    (notice,) = house.publish().notices
    assert "snippet 2 is there no more" in notice
    house.later(WEEK)
    serial.bring("b")
    assert serial.network.parents["b1"] is None


def test_stopped_it_waits_for_an_editor_and_then_goes_on(house, serial):
    house.configure(serial.slug, tail_gone="stop")
    serial.bring("a")
    serial.network.lose("a2")
    thread, notices = serial.bring("b")
    (notice,) = notices
    why = "the end of its standing thread was deleted on the network"
    assert f"thread {thread} on {serial.slug} (Post b) is held: {why}" in notice
    assert f"digest social release {thread}" in notice
    assert serial.network.texts == ["a1"]
    assert house.states("b") == ["pending", "pending"]
    assert house.publish().notices == ()
    with house.store.write() as c:
        release_thread(c, thread)
        compared(c, thread, "h")
    house.configure(serial.slug, max_late_hours=24 * 14)
    house.publish()
    house.publish()
    assert serial.network.parents["b1"] == "a1"
    serial.last = thread
    _, notices = serial.bring("c")
    assert notices == ()
    assert serial.network.parents["c1"] == "b2"


# --- the network cannot be asked ----------------------------------------------------------------


def test_where_reads_are_used_up_only_the_instalment_waits(house, x):
    x.bring("a")
    x.plan("b")
    house.plan("other", items=1, minutes=1)
    x.network.reading = [Throttled("slow", retry_after=HOUR, window="read")]
    house.publish()
    house.later(MINUTE)
    report = house.publish()
    assert x.network.texts == ["a1", "a2", "other1"]
    assert report.faults == {}
    reads = x.network.calls.count("read")
    house.later(30 * MINUTE)
    house.publish()
    assert x.network.calls.count("read") == reads
    house.later(30 * MINUTE)
    house.publish()
    assert x.network.texts[-2:] == ["b1", "b2"]


def test_where_the_network_is_away_it_is_asked_by_the_next_run(house, serial):
    serial.bring("a")
    serial.plan("b")
    serial.network.reading = [Unavailable("away")]
    assert house.publish().faults == {serial.slug: "away"}
    house.publish()
    assert serial.network.parents["b1"] == "a2"


@pytest.mark.parametrize("accepted", [True, False])
def test_a_first_snippet_in_doubt_is_in_its_place_in_the_end(*, house, serial, accepted):
    serial.bring("a")
    serial.plan("b")
    doubt = Uncertain("no answer")
    serial.network.answers = [Lost(doubt) if accepted else doubt]
    for _ in range(4):
        house.publish()
        house.later(2 * MINUTE)
    assert serial.network.texts == ["a1", "a2", "b1", "b2"]
    assert serial.network.parents["b1"] == "a2"


def test_an_instalment_that_is_refused_keeps_no_later_one(serial):
    serial.bring("a")
    serial.network.answers = [Refused("too rude")]
    serial.bring("b")
    serial.bring("c")
    assert serial.network.parents["c1"] == "a2"


def test_reading_for_the_end_costs_what_it_costs(house):
    serial = Serial(house, "x", prices={"read": 1})
    serial.bring("a")
    proof = house.spent()["read"]
    serial.bring("b")
    assert house.spent()["read"] == proof + 2000 + 2000
