"""Mails go out at the hours and days of the newsletter's own clock, through both clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from digest.config_mailers import WEEKDAYS, SendWindow
from digest.mail.windows import closes_at, is_open, open_until, opens_at

LONDON = ZoneInfo("Europe/London")
#: The clocks jump over midnight: a day begins at 01:00.
CAIRO = ZoneInfo("Africa/Cairo")
SANTIAGO = ZoneInfo("America/Santiago")
OFFICE = SendWindow(hours="08:00-20:00", days=("mon", "tue", "wed", "thu", "fri"))


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        # A Monday.
        ("2026-11-23T07:59:59", "2026-11-23T08:00", "2026-11-23T20:00"),
        ("2026-11-23T08:00", None, "2026-11-23T20:00"),
        ("2026-11-23T19:59:59", None, "2026-11-23T20:00"),
        ("2026-11-23T20:00", "2026-11-24T08:00", "2026-11-24T20:00"),
        ("2026-11-27T21:00", "2026-11-30T08:00", "2026-11-30T20:00"),
    ],
)
def test_office_hours(now, opens, closes):
    assert opens_at(OFFICE, LONDON, at(now)) == (at(opens) if opens else None)
    assert closes_at(OFFICE, LONDON, at(now)) == at(closes)


def test_hours_are_of_the_zone():
    # 08:00 in summer is 07:00 in UTC.
    assert opens_at(OFFICE, LONDON, at("2026-07-06T06:00")) == at("2026-07-06T07:00")
    tokyo = ZoneInfo("Asia/Tokyo")
    assert opens_at(OFFICE, tokyo, at("2026-07-05T20:00")) == at("2026-07-05T23:00")


def test_holidays_stay_shut():
    window = SendWindow(hours="08:00-20:00", holidays=(date(2026, 12, 25), date(2026, 12, 26)))
    assert opens_at(window, LONDON, at("2026-12-24T20:00")) == at("2026-12-27T08:00")


def test_nothing_declared_is_open_for_ever():
    for window in (SendWindow(), SendWindow(hours="00:00-24:00", days=WEEKDAYS)):
        assert opens_at(window, LONDON, at("2026-12-24T20:00")) is None
        assert closes_at(window, LONDON, at("2026-12-24T20:00")) is None
    past = SendWindow(holidays=(date(2026, 12, 25),))
    assert closes_at(past, LONDON, at("2026-12-26T00:00")) is None
    assert closes_at(past, LONDON, at("2026-12-24T20:00")) == at("2026-12-25T00:00")
    assert closes_at(past, LONDON, at("2026-12-25T12:00")) is None


def test_days_that_follow_each_other_are_open_through_the_night():
    window = SendWindow(days=("mon", "tue"))
    assert closes_at(window, LONDON, at("2026-11-23T12:00")) == at("2026-11-25T00:00")
    late = SendWindow(hours="18:00-24:00")
    assert closes_at(late, LONDON, at("2026-11-23T19:00")) == at("2026-11-24T00:00")


@pytest.mark.parametrize(
    ("hours", "zone", "now", "opens", "closes"),
    [
        # London's clocks jump from 01:00 to 02:00 on 29 March 2026 at 01:00 UTC.
        ("01:30-03:00", LONDON, "2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T02:00"),
        ("08:00-20:00", LONDON, "2026-03-28T21:00", "2026-03-29T07:00", "2026-03-29T19:00"),
        # What lies within the jump does not come that day.
        ("01:10-01:50", LONDON, "2026-03-29T00:30", "2026-03-30T00:10", "2026-03-30T00:50"),
        ("00:30-01:30", LONDON, "2026-03-29T00:00", "2026-03-29T00:30", "2026-03-29T01:00"),
        # They go back from 02:00 to 01:00 on 25 October 2026 at 01:00 UTC.
        ("08:00-20:00", LONDON, "2026-10-24T21:00", "2026-10-25T08:00", "2026-10-25T20:00"),
        ("00:30-01:30", LONDON, "2026-10-24T23:00", "2026-10-24T23:30", "2026-10-25T00:30"),
        ("00:30-01:30", LONDON, "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"),
        ("01:10-01:20", LONDON, "2026-10-25T00:30", "2026-10-25T01:10", "2026-10-25T01:20"),
        # There is no midnight on 24 April 2026 in Cairo, nor on 6 September in Santiago.
        ("00:00-06:00", CAIRO, "2026-04-23T20:00", "2026-04-23T22:00", "2026-04-24T03:00"),
        ("18:00-24:00", CAIRO, "2026-04-23T10:00", "2026-04-23T16:00", "2026-04-23T22:00"),
        ("00:00-06:00", SANTIAGO, "2026-09-06T03:00", "2026-09-06T04:00", "2026-09-06T09:00"),
    ],
)
def test_both_clock_changes(hours, zone, now, opens, closes):
    window = SendWindow(hours=hours)
    assert opens_at(window, zone, at(now)) == at(opens)
    assert closes_at(window, zone, at(now)) == at(closes)


TIMES = [f"{hour:02}:{minute}" for hour in range(24) for minute in ("00", "30")]
HALF_HOUR = timedelta(minutes=30)


@st.composite
def around_a_change(draw):
    """A window, a zone, and the next nine days in half hours from near a clock change on."""
    hours = st.lists(st.sampled_from([*TIMES, "24:00"]), min_size=2, max_size=2, unique=True)
    window = SendWindow(
        hours="-".join(sorted(draw(hours))),
        days=tuple(draw(st.lists(st.sampled_from(WEEKDAYS), unique=True))),
    )
    zone = draw(st.sampled_from([LONDON, CAIRO, SANTIAGO, ZoneInfo("Australia/Lord_Howe"), UTC]))
    days = ["2026-03-28", "2026-04-04", "2026-04-23", "2026-09-05", "2026-10-24"]
    now = at(draw(st.sampled_from(days))) + HALF_HOUR * draw(st.integers(0, 96))
    return window, zone, [now + HALF_HOUR * number for number in range(48 * 9)]


@given(around_a_change())
def test_edges_are_where_a_look_at_the_clock_each_half_hour_finds_them(found):
    window, zone, looks = found
    opened = [look for look in looks if is_open(window, zone, look)]
    assert (opens_at(window, zone, looks[0]) or looks[0]) == opened[0]
    shut = [look for look in looks if look > opened[0] and not is_open(window, zone, look)]
    assert closes_at(window, zone, looks[0]) == (shut[0] if shut else None)


@given(around_a_change(), st.integers(1, 10**6))
def test_work_takes_as_many_open_half_hours_as_it_needs(found, amount):
    window, zone, looks = found
    opened = [look for look in looks if is_open(window, zone, look)]
    needed = 1 + amount % len(opened)
    through = open_until(window, zone, looks[0], needed * HALF_HOUR)
    assert through == opened[needed - 1] + HALF_HOUR


def test_work_goes_on_in_open_hours_alone():
    friday = at("2026-11-27T19:00")
    assert open_until(OFFICE, LONDON, friday, timedelta(hours=1)) == at("2026-11-27T20:00")
    assert open_until(OFFICE, LONDON, friday, timedelta(hours=2)) == at("2026-11-30T09:00")
    assert open_until(OFFICE, LONDON, friday, timedelta(hours=14)) == at("2026-12-01T09:00")
    assert open_until(OFFICE, LONDON, at("2026-11-28T12:00"), timedelta(0)) == at(
        "2026-11-30T08:00"
    )
    assert open_until(SendWindow(), LONDON, friday, timedelta(days=3)) == friday + timedelta(days=3)


@pytest.mark.parametrize(
    "declared",
    [
        {"hours": "20:00-08:00"},
        {"hours": "08:00-08:00"},
        {"hours": "24:00-24:00"},
        {"hours": "08:00-24:01"},
        {"hours": "8-20"},
        {"days": ["monday"]},
        {"holidays": [date(2026, 1, 1) + timedelta(days=n) for n in range(400)]},
        {
            "days": ["mon"],
            "holidays": [date(2026, 1, 5) + timedelta(weeks=n) for n in range(60)],
        },
        {"holidays": [date.max]},
    ],
)
def test_a_window_that_never_opens_is_refused(declared):
    with pytest.raises(ValidationError):
        SendWindow.model_validate(declared)
