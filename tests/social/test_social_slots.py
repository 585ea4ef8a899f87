"""Slots: declared local times, right over both clock changes, never shared."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from digest.config_social import Quiet, Slots
from digest.social.slots import Span, is_quiet, pause_note, slots_for, starts

LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(slots, now, number):
    return [f"{moment:%m-%d %H:%M}" for moment in islice(starts(slots, LONDON, utc(now)), number)]


def given_out(items, slots, now, *, zone=LONDON, taken=(), at_once=False):
    """As the wall clock of the zone shows them."""
    moments = slots_for(items, slots, zone, utc(now), taken, at_once=at_once)
    return [f"{moment.astimezone(zone):%m-%d %H:%M}" for moment in moments]


def overnight(**more):
    return Slots(weekdays=EVERY_DAY, quiet=Quiet(after=time(22), until=time(7)), **more)


def ends(slots, now, *, zone=LONDON):
    end = is_quiet(slots, zone, utc(now))
    return end and f"{end:%m-%d %H:%M}"


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


def test_a_thread_that_goes_out_at_once_has_one_slot():
    slots = overnight(times=(time(21, 59),), pace_minutes=60)
    given = given_out(3, slots, "2026-01-05", at_once=True)
    assert given == ["01-05 21:59"] * 3


def test_a_start_in_quiet_hours_is_skipped():
    slots = overnight(times=(time(6, 59), time(7), time(22)))
    assert given_out(1, slots, "2026-01-05") == ["01-05 07:00"]
    assert given_out(1, slots, "2026-01-05T07:01") == ["01-06 07:00"]


def test_so_is_one_from_which_the_thread_would_run_into_them():
    slots = overnight(times=(time(9), time(21)), pace_minutes=30)
    assert given_out(2, slots, "2026-01-05T12:00") == ["01-05 21:00", "01-05 21:30"]
    assert given_out(3, slots, "2026-01-05T12:00")[0] == "01-06 09:00"


def test_a_thread_too_long_for_any_day_pauses_over_them():
    slots = overnight(times=(time(18),), pace_minutes=120)
    given = slots_for(4, slots, LONDON, utc("2026-01-05"), [])
    assert given == tuple(
        map(utc, ("2026-01-05T18:00", "2026-01-05T20:00", "2026-01-06T07:00", "2026-01-06T09:00"))
    )
    assert pause_note(given, slots) == "too long to go out between quiet hours: it pauses over them"
    assert pause_note(given[:2], slots) is None


def test_a_channel_with_starts_in_quiet_hours_alone_begins_when_they_end():
    slots = overnight(times=(time(3), time(23)), pace_minutes=5)
    assert given_out(2, slots, "2026-01-05") == ["01-05 07:00", "01-05 07:05"]
    taken = [Span(utc("2026-01-05T07:00"), utc("2026-01-05T07:05"))]
    assert given_out(2, slots, "2026-01-05", taken=taken)[0] == "01-06 07:00"


def test_a_full_channel_does_not_make_a_short_thread_pause():
    slots = overnight(times=(time(9), time(21, 50)), pace_minutes=10)
    full = [Span(utc("2026-01-05"), utc("2026-04-01"))]
    assert given_out(2, slots, "2026-01-05", taken=full) == ["04-01 09:00", "04-01 09:10"]


def test_quiet_hours_end_by_the_wall_clock_whatever_the_night_is_long():
    slots = overnight()
    assert ends(slots, "2026-03-28T23:00") == "03-29 06:00"
    assert ends(slots, "2026-10-24T22:00") == "10-25 07:00"
    assert ends(slots, "2026-03-08T04:00", zone=NEW_YORK) == "03-08 11:00"
    assert ends(slots, "2026-11-01T04:00", zone=NEW_YORK) == "11-01 12:00"


def test_the_first_quiet_moment_is_quiet_and_the_end_is_not():
    slots = overnight()
    assert ends(slots, "2026-01-05T21:59:59") is None
    assert ends(slots, "2026-01-05T22:00") == "01-06 07:00"
    assert ends(slots, "2026-01-06T06:59:59") == "01-06 07:00"
    assert ends(slots, "2026-01-06T07:00") is None


def test_without_quiet_hours_it_is_never_quiet():
    assert ends(Slots(), "2026-01-05T03:00") is None


def test_an_hour_that_comes_twice_makes_no_gap_in_the_quiet_hours():
    night = Slots(quiet=Quiet(after=time(1, 30), until=time(6)))
    # London, 25 October: 01:30 is 00:30 UTC, then 01:30 UTC.
    assert ends(night, "2026-10-25T00:30") == "10-25 06:00"
    assert ends(night, "2026-10-25T01:15") == "10-25 06:00"
    evening = Slots(quiet=Quiet(after=time(22), until=time(1, 30)))
    assert ends(evening, "2026-10-25T00:45") == "10-25 01:30"


ZONES = st.sampled_from(
    [LONDON, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia")]
)
CHANGES = [
    utc(f"2026-{day}") for day in ("03-08T07:00", "03-29T01:00", "10-25T01:00", "11-01T06:00")
]
#: Around both clock changes of London and New York, and some time.
MOMENTS = st.one_of(
    st.builds(
        lambda change, seconds: change + timedelta(seconds=seconds),
        st.sampled_from(CHANGES),
        st.integers(-90_000, 90_000),
    ),
    st.datetimes(datetime(2011, 12, 20), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
QUIET = st.tuples(st.times(), st.times()).filter(lambda pair: pair[0] != pair[1])


def shows_quiet(quiet, zone, moment):
    clock = moment.astimezone(zone).time()
    if quiet.after < quiet.until:
        return quiet.after <= clock < quiet.until
    return clock >= quiet.after or clock < quiet.until


def same_offset_all_around(zone, moment):
    days = [moment + timedelta(days=days) for days in (-2, -1, 0, 1, 2)]
    return len({day.astimezone(zone).utcoffset() for day in days}) == 1


@given(QUIET, ZONES, MOMENTS)
def test_it_is_quiet_whenever_the_clock_says_so_and_else_only_where_clocks_change(pair, zone, now):
    slots = Slots(quiet=Quiet(after=pair[0], until=pair[1]))
    end = is_quiet(slots, zone, now)
    if shows_quiet(slots.quiet, zone, now):
        assert end is not None
    elif same_offset_all_around(zone, now):
        assert end is None
    if end is not None:
        assert end > now
        assert is_quiet(slots, zone, end) is None


@given(
    st.integers(1, 25),
    st.tuples(st.lists(st.times(), min_size=1, max_size=4), st.integers(0, 1440), QUIET),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), max_size=4),
    ZONES,
    MOMENTS,
)
def test_nothing_ever_goes_out_in_quiet_hours(items, declared, busy, zone, now):
    times, pace, (after, until) = declared
    slots = Slots(times=tuple(times), pace_minutes=pace, quiet=Quiet(after=after, until=until))
    hours = [(now + timedelta(hours=start), timedelta(hours=length)) for start, length in busy]
    taken = [Span(start, start + length) for start, length in hours]
    found = slots_for(items, slots, zone, now, taken)
    assert len(found) == items
    assert found[0] >= now
    assert not any(is_quiet(slots, zone, moment) for moment in found)
    assert all(later - earlier >= timedelta(minutes=pace) for earlier, later in pairwise(found))
    assert all(found[-1] < span.first or span.last < found[0] for span in taken)


@pytest.mark.parametrize("nothing", [{"weekdays": ()}, {"times": ()}])
def test_a_channel_without_any_slot_is_refused(nothing):
    with pytest.raises(ValidationError):
        Slots(**nothing)
