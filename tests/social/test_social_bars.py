"""What keeps a channel from publishing: stops, waits, quiet hours, money."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Image
from digest.store import standstill
from digest.store.tables import waits
from fakes.scripted import DAY, HOUR, MINUTE, Lost

PICTURE = Image("https://c.org/i.jpg", "A loom.")


@pytest.fixture
def x(house):
    return house.add_channel("x")


def stop(house, slug):
    with house.store.write() as c:
        standstill.stop(c, slug, at=house.now, actor="Maya", reason="checking")


def start(house, slug):
    with house.store.write() as c:
        standstill.start(c, slug)


# --- stops -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["x", standstill.ALL])
def test_a_stop_keeps_what_is_due_until_it_is_lifted(*, house, x, slug):
    other = house.add_channel("other")
    house.plan("a", items=1)
    house.plan("b", items=1, channel="other")
    stop(house, slug)
    report = house.publish()
    what = "publishing" if slug == standstill.ALL else "x"
    assert report.faults["x"] == f"{what} was stopped by Maya: checking"
    assert x.texts == []
    assert len(other.texts) == (0 if slug == standstill.ALL else 1)
    start(house, slug)
    house.publish()
    assert (x.texts, other.texts) == (["a1"], ["b1"])


def test_a_stop_in_the_middle_of_a_run_keeps_the_rest(house, x):
    house.plan("a", minutes=-1, pace=0)
    x.before = lambda bodies: stop(house, "x")
    house.publish()
    assert x.texts == ["a1"]


def test_a_stop_while_it_is_made_ready_keeps_it(house, x):
    house.plan("a", items=1)
    prepare = x.prepare

    def slow(snippets, place):
        stop(house, standstill.ALL)
        return prepare(snippets, place)

    x.prepare = slow
    assert "was stopped by Maya" in house.publish().faults["x"]
    assert x.texts == []
    assert house.states() == ["pending"]


def test_what_is_too_late_is_given_up_while_a_channel_is_stopped(house, x):
    """So that nothing floods anyone once it is lifted."""
    house.plan("a")
    stop(house, "x")
    house.later(DAY)
    house.publish()
    assert set(house.states()) == {"cancelled"}


def test_a_stopped_channel_with_nothing_due_is_no_fault(house, x):
    stop(house, "x")
    assert house.publish().faults == {}


def test_doubts_are_settled_while_a_person_stops_the_channel(house, x):
    house.plan("a", items=1)
    x.answers = [Lost(Uncertain("no answer"))]
    house.publish()
    stop(house, "x")
    house.later(2 * MINUTE)
    assert house.publish().uncertain == 0


@pytest.mark.parametrize("where", ["preparing", "answers"])
@pytest.mark.parametrize("code", ["401", "402"])
def test_what_the_network_stops_is_told_once_and_lifted_by_a_person(*, house, x, where, code):
    house.plan("a", items=1)
    house.plan("b", items=1)
    setattr(x, where, [Unauthorized("no credits", code)])
    report = house.publish()
    assert report.notices == ("x was stopped: no credits; then: digest social start x",)
    assert report.for_person
    assert house.states() == ["pending", "pending"]
    calls = len(x.calls)
    for _ in range(5):
        house.later(10 * MINUTE)
        again = house.publish()
        assert again.notices == ()
        assert again.faults == {"x": "x was stopped by digest: no credits"}
    assert len(x.calls) == calls
    start(house, "x")
    house.publish()
    assert x.texts == ["a1", "b1"]
    assert house.row("a1").attempts == 1


# --- waits -------------------------------------------------------------------------------------


def test_a_used_up_window_for_reading_keeps_nothing_from_going_out(house, x):
    with house.store.write() as c:
        standstill.wait(c, "x", "read", until=house.now + HOUR, reason="slow")
    house.plan("a", items=1)
    house.publish()
    assert x.texts == ["a1"]


def test_a_network_that_names_no_time_is_left_alone_for_a_while(house, x):
    house.plan("a", items=1)
    x.answers = [Throttled("slow")]
    house.publish()
    house.later(14 * MINUTE)
    house.publish()
    assert x.calls.count("publish") == 1
    house.later(MINUTE)
    house.publish()
    assert x.texts == ["a1"]


def test_a_wait_of_a_clock_that_was_wrong_holds_nobody_for_years(house, x):
    """It was set when the machine believed to be in another year."""
    until = house.now + 900 * DAY
    with house.store.write() as c:
        row = {"channel": "x", "what": "post", "until": until, "reason": "slow"}
        c.execute(insert(waits).values(**row))
    house.plan("a", items=1)
    house.publish()
    assert x.texts == ["a1"]


def test_a_server_that_names_a_year_is_left_alone_for_a_day(house, x):
    house.configure("x", max_late_hours=72)
    house.plan("a", items=1)
    x.answers = [Throttled("slow", retry_after=365 * DAY)]
    house.publish()
    house.later(DAY - MINUTE)
    house.publish()
    assert x.calls.count("publish") == 1
    house.later(MINUTE)
    house.publish()
    assert x.texts == ["a1"]


# --- quiet hours -------------------------------------------------------------------------------


def test_nothing_goes_out_in_quiet_hours_and_that_is_no_fault(house):
    quiet = {"after": "17:00", "until": "19:00"}
    x = house.add_channel("x", slots={"pace_minutes": 0, "quiet": quiet})
    house.plan("a", items=1)
    assert house.publish().faults == {}
    assert x.calls == []
    house.later(HOUR)
    house.publish()
    assert x.texts == ["a1"]


def test_quiet_hours_that_begin_while_it_is_made_ready_are_no_fault(house):
    quiet = {"after": "18:01", "until": "19:00"}
    x = house.add_channel("x", slots={"pace_minutes": 0, "quiet": quiet})
    house.plan("a", items=1)
    prepare = x.prepare

    def slow(snippets, place):
        house.later(2 * MINUTE)
        return prepare(snippets, place)

    x.prepare = slow
    assert house.publish().faults == {}
    assert x.texts == []
    x.prepare = prepare
    house.later(HOUR)
    house.publish()
    assert x.texts == ["a1"]


def test_in_quiet_hours_doubts_are_settled_and_threads_read_back(house):
    x = house.add_channel("x")
    house.plan("a", items=1)
    house.publish()
    house.configure("x", slots={"quiet": {"after": "17:00", "until": "20:00"}})
    house.later(2 * MINUTE)
    house.publish()
    assert "read" in x.calls


# --- money -------------------------------------------------------------------------------------


def test_each_post_costs_what_config_says(house):
    x = house.add_channel("x", network="x", prices=None)
    texts = ["plain", "see https://c.org/a", "of care.social"]
    house.plan("a", texts=texts, minutes=-1, pace=0, images={1: PICTURE})
    house.publish()
    assert x.texts == texts
    # By X's list: $0.015, twice $0.200, and $0.005 for the alt text.
    assert house.spent() == {"create": 415, "media": 5}


@pytest.mark.parametrize("answer", [Throttled("slow"), Unavailable("down"), Refused("rude")])
def test_what_was_not_accepted_costs_nothing(*, house, answer):
    x = house.add_channel("x", prices={"create": 1})
    x.answers = [answer]
    house.plan("a", items=1)
    house.publish()
    assert house.spent() == {}


def test_what_is_in_doubt_counts(house):
    x = house.add_channel("x", prices={"create": 1})
    x.answers = [Uncertain("no answer")]
    house.plan("a", items=1)
    house.publish()
    assert house.spent() == {"create": 1000}


def test_a_picture_it_went_without_costs_nothing(house):
    house.add_channel("x", prices={"media": 1})
    house.workshop.fetching[PICTURE.url] = [Refused("none")]
    house.plan("a", items=1, images={1: PICTURE})
    house.publish()
    assert house.spent() == {}


CAPPED = {"prices": {"create": 1}, "monthly_cap": 4}


def test_a_thread_that_does_not_fit_the_month_is_not_begun_and_told_once(house):
    x = house.add_channel("x", **CAPPED)
    house.plan("a", items=5, pace=0)
    (notice,) = house.publish().notices
    assert notice == ("x waits: the cap of $4.00 for 2026-11 is reached: $0.00 spent, $5.00 needed")
    for _ in range(3):
        house.later(HOUR)
        report = house.publish()
        assert report.notices == ()
        assert "the cap of $4.00" in report.faults["x"]
    # Not even its pictures are uploaded for nothing.
    assert x.calls == []
    house.later(DAY)
    house.publish()
    assert set(house.states()) == {"cancelled"}


def test_no_thread_is_begun_with_the_money_of_one_that_has_begun(house):
    x = house.add_channel("x", **CAPPED)
    house.plan("a", pace=1440)
    house.publish()
    house.plan("b", items=2)
    house.publish()
    assert x.texts == ["a1"]
    house.configure("x", monthly_cap=5)
    house.publish()
    assert x.texts == ["a1", "b1"]


def test_a_cap_that_is_raised_lets_it_go_on_at_once_and_is_told_again_when_reached(house):
    x = house.add_channel("x", **CAPPED)
    house.plan("a", items=5, pace=0)
    house.publish()
    house.configure("x", monthly_cap=6)
    assert house.publish().notices == ()
    assert len(x.texts) == 5
    house.plan("b", items=2)
    (notice,) = house.publish().notices
    assert "the cap of $6.00" in notice
    assert house.publish().notices == ()


def test_without_a_cap_nothing_waits(house):
    x = house.add_channel("x", **CAPPED)
    house.plan("a", items=5, pace=0)
    house.publish()
    house.configure("x", monthly_cap=None)
    house.publish()
    assert len(x.texts) == 5


def test_a_thread_that_has_begun_goes_on_with_next_months_money(house):
    x = house.add_channel("x", **CAPPED)
    house.later(6 * DAY)
    house.plan("a", pace=0)
    x.answers = [None, Throttled("slow", retry_after=HOUR)]
    house.publish()
    house.later(HOUR)
    # Somebody lowered it in the middle of the thread.
    house.configure("x", monthly_cap=2)
    house.publish()
    assert x.texts == ["a1", "a2"]
    assert house.now.day == 28
    house.later(DAY)
    assert house.publish().notices == ()
    assert x.texts == ["a1", "a2"]
    house.later(2 * DAY)
    house.publish()
    assert house.states() == ["submitted"] * 3


def test_what_was_spent_last_month_is_of_no_account(house):
    x = house.add_channel("x", **CAPPED)
    house.plan("a", items=4, pace=0)
    house.publish()
    house.later(timedelta(days=9))
    house.plan("b", items=4, pace=0)
    house.publish()
    assert len(x.texts) == 8


def test_two_channels_have_a_purse_each(house):
    house.add_channel("x", **CAPPED)
    other = house.add_channel("other", **CAPPED)
    house.plan("a", items=4, pace=0)
    house.plan("b", items=4, pace=0, channel="other")
    house.publish()
    assert len(other.texts) == 4
