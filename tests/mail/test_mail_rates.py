"""No window of a period ever sees more than was declared, and little is given away for it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from digest.config_mailers import PERIODS, FileMailer, Rate, Rates
from digest.mail.rates import (
    NO_LIMIT,
    Room,
    begins_at,
    domain_of,
    rates_of,
    room,
    slot_at,
    tightest,
)

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SECOND, MINUTE, DAY = PERIODS["second"], PERIODS["minute"], PERIODS["day"]


def most_in_a_window(log, period):
    """The most in any window of the period, both ends included."""
    log = sorted(log)
    return max((sum(t <= u <= t + period for u in log) for t in log), default=0)


@st.composite
def work(draw):
    """A rate, and the asking of several workers: how much later by the clock, and for how many."""
    period = draw(st.sampled_from(list(PERIODS.values())))
    most = draw(st.integers(1, 9))
    steps = st.one_of(
        st.timedeltas(timedelta(0), period / 5),
        st.timedeltas(timedelta(0), 3 * period),
        # Somebody set the clock.
        st.timedeltas(-2 * period, timedelta(0)),
    )
    asked = draw(st.lists(st.tuples(steps, st.integers(1, 12)), max_size=40))
    return Rate(most, period), draw(st.timedeltas(timedelta(0), period)), asked


@given(work())
def test_no_window_sees_more_than_the_rate_says_whatever_the_clock_does(work):
    rate, start, asked = work
    slots, log, now = Counter(), [], NOW + start
    for step, wanted in asked:
        now += step
        begun = min(wanted, room(rate, slots, now).free)
        slots[slot_at(rate.period, now)] += begun
        log += [now] * begun
    assert most_in_a_window(log, rate.period) <= rate.most


@given(work(), st.integers(1, 60))
def test_what_is_in_demand_takes_a_twentieth_longer_at_most(work, wanted):
    rate, start, _ = work
    slots, log, now = Counter(), [], NOW + start
    while len(log) < wanted:
        left = room(rate, slots, now)
        if left.free:
            slots[slot_at(rate.period, now)] += 1
            log.append(now)
        else:
            # Not a moment earlier either.
            assert room(rate, slots, left.next_at - timedelta(microseconds=1)).free == 0
            now = left.next_at
    rounds = (wanted - 1) // rate.most
    assert log[-1] - log[0] <= rounds * rate.period * 21 / 20


@given(work(), st.integers(1, 60))
def test_when_the_last_of_many_may_begin_is_foretold(work, wanted):
    rate, start, asked = work
    slots, now = Counter(), NOW + start
    for step, many in asked:
        now += abs(step)
        slots[slot_at(rate.period, now)] += min(many, room(rate, slots, now).free)
    foretold, begun = begins_at(rate, slots, wanted, now), 0
    while True:
        left = room(rate, slots, now)
        begun += left.free
        slots[slot_at(rate.period, now)] += left.free
        if begun >= wanted:
            break
        now = room(rate, slots, now).next_at
    assert foretold == now


def test_what_lies_far_ahead_is_of_a_clock_that_was_set_right_since():
    rate = Rate(5, MINUTE)
    ahead = {slot_at(MINUTE, NOW + timedelta(hours=3)): 5}
    assert room(rate, ahead, NOW) == Room(5)
    near = {slot_at(MINUTE, NOW + timedelta(seconds=30)): 5}
    assert room(rate, near, NOW) == Room(0, NOW + timedelta(seconds=93))


def test_a_smaller_rate_than_before_waits_until_enough_has_left():
    slots = {slot_at(DAY, NOW): 50_000}
    assert room(Rate(100, DAY), slots, NOW).free == 0
    assert begins_at(Rate(100, DAY), slots, 1, NOW) == room(Rate(100, DAY), slots, NOW).next_at


def test_the_tightest_of_several_limits_holds():
    later = NOW + MINUTE
    assert tightest([]) == tightest([NO_LIMIT]) == NO_LIMIT
    assert tightest([NO_LIMIT, Room(7)]) == Room(7)
    assert tightest([Room(7), Room(0, later), Room(0, NOW)]) == Room(0, later)


def test_each_domain_that_is_not_named_has_the_rate_of_the_star():
    paced = FileMailer(
        kind="file", domains={"*": ["1/second"], "gmail.com": ["20/second"], "here.example": []}
    )
    assert rates_of(paced, domain_of("ann@gmail.com")) == (Rate(20, SECOND),)
    assert rates_of(paced, "example.org") == (Rate(1, SECOND),)
    assert rates_of(paced, "here.example") == ()
    assert paced.limited
    assert not FileMailer(kind="file", domains={"here.example": []}).limited


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["14/second", "50000/day"], (Rate(14, SECOND), Rate(50_000, DAY))),
        ([], ()),
    ],
)
def test_rates_as_they_are_declared(said, found):
    assert TypeAdapter(Rates).validate_python(said) == found


@pytest.mark.parametrize(
    "said", [["0/second"], ["1/fortnight"], ["-1/day"], ["1"], [14], "1/day", ["1/day", "2/day"]]
)
def test_what_is_no_rate(said):
    with pytest.raises(ValidationError):
        TypeAdapter(Rates).validate_python(said)
