"""Slots: declared local times, right over both clock changes, never shared."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from digest.config_social import Quiet, Slots
from digest.social.slots import Span, slots_for, starts

LONDON = ZoneInfo("Europe/London")
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(slots, now, number):
    return [f"{moment:%m-%d %H:%M}" for moment in islice(starts(slots, LONDON, utc(now)), number)]


def test_weekdays_and_times_are_local():
    slots = Slots(weekdays=("tue", "thu"), times=(time(16, 30), time(9, 30)))
    assert first(slots, "2026-07-06", 3) == ["07-07 08:30", "07-07 15:30", "07-09 08:30"]


def test_now_itself_is_a_slot_and_a_moment_later_is_not():
    slots = Slots(weekdays=EVERY_DAY, times=(time(9, 30),))
    assert first(slots, "2026-01-05T09:30:00", 1) == ["01-05 09:30"]
    assert first(slots, "2026-01-05T09:30:00.000001", 1) == ["01-06 09:30"]


def test_the_local_time_stays_when_the_clocks_change():
    slots = Slots(weekdays=EVERY_DAY, times=(time(9, 30),))
    assert first(slots, "2026-03-28", 2) == ["03-28 09:30", "03-29 08:30"]
    assert first(slots, "2026-10-24", 2) == ["10-24 08:30", "10-25 09:30"]


def test_a_time_that_does_not_exist_happens_once():
    slots = Slots(weekdays=EVERY_DAY, times=(time(1, 30), time(2, 30)))
    # 01:30 does not exist on 29 March: it is 02:30, when there is a slot anyway.
    assert first(slots, "2026-03-29", 2) == ["03-29 01:30", "03-30 00:30"]


def test_a_time_that_exists_twice_happens_once():
    slots = Slots(weekdays=EVERY_DAY, times=(time(1, 30),))
    assert first(slots, "2026-10-24T12:00:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_a_thread_goes_out_at_its_pace():
    slots = Slots(weekdays=EVERY_DAY, times=(time(9, 30),), pace_minutes=5)
    times = slots_for(3, slots, LONDON, utc("2026-01-05"), [])
    assert [f"{moment:%H:%M}" for moment in times] == ["09:30", "09:35", "09:40"]


def test_a_taken_slot_is_left_alone():
    slots = Slots(weekdays=EVERY_DAY, times=(time(9, 30), time(9, 34), time(9, 40)), pace_minutes=2)
    taken = [Span(utc("2026-01-05T09:30"), utc("2026-01-05T09:34"))]
    (start, *_) = slots_for(2, slots, LONDON, utc("2026-01-05"), taken)
    assert start == utc("2026-01-05T09:40")


@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=12),
    st.lists(st.times(), min_size=1, max_size=4),
    st.integers(0, 120),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001
)
def test_two_threads_of_a_channel_never_meet(lengths, times, pace, now):
    slots = Slots(weekdays=EVERY_DAY, times=tuple(times), pace_minutes=pace)
    taken: list[Span] = []
    for items in lengths:
        found = slots_for(items, slots, LONDON, now.replace(tzinfo=UTC), taken)
        assert len(found) == items
        assert found[0] >= now.replace(tzinfo=UTC)
        span = Span(found[0], found[-1])
        assert span.last - span.first == timedelta(minutes=pace) * (items - 1)
        assert all(span.last < other.first or other.last < span.first for other in taken)
        taken.append(span)


@pytest.mark.parametrize("nothing", [{"weekdays": ()}, {"times": ()}])
def test_a_channel_without_any_slot_is_refused(nothing):
    with pytest.raises(ValidationError):
        Slots(**nothing)
