"""Which period an issue stands for."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import UsageError
from digest.issues.period import period_before, period_days, period_of
from digest.model import Rhythm

LONDON = ZoneInfo("Europe/London")
MOMENTS = st.integers(946684800, 4102444800).map(lambda s: datetime.fromtimestamp(s, UTC))


@pytest.mark.parametrize(
    ("moment", "week", "month"),
    [
        (datetime(2026, 11, 16, 8, tzinfo=LONDON), "2026-W47", "2026-11"),
        # Sunday 23:30 in London is still the old week, in Auckland long the new one.
        (datetime(2026, 11, 22, 23, 30, tzinfo=LONDON), "2026-W47", "2026-11"),
        # 30 June 23:30 UTC is 1 July in British Summer Time.
        (datetime(2026, 6, 30, 23, 30, tzinfo=UTC), "2026-W27", "2026-07"),
        # ISO years: 1 January 2027 belongs to the last week of 2026.
        (datetime(2027, 1, 1, 8, tzinfo=LONDON), "2026-W53", "2027-01"),
        # Both sides of the clock changes of 2026: 29 March and 25 October at 01:00 UTC.
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "2026-W13", "2026-03"),
        (datetime(2026, 3, 29, 23, 30, tzinfo=UTC), "2026-W14", "2026-03"),
        (datetime(2026, 10, 25, 23, 30, tzinfo=UTC), "2026-W43", "2026-10"),
    ],
)
def test_the_period_is_the_one_on_the_newsletters_own_clock(moment, week, month):
    assert period_of(Rhythm.WEEKLY, moment, LONDON) == week
    assert period_of(Rhythm.MONTHLY, moment, LONDON) == month


def test_a_second_edition_must_be_asked_for_and_is_named_so():
    moment = datetime(2026, 11, 16, 8, tzinfo=LONDON)
    assert period_of(Rhythm.WEEKLY, moment, LONDON, edition=2) == "2026-W47.2"


def test_each_post_has_no_period_of_time():
    with pytest.raises(UsageError, match="one per post"):
        period_of(Rhythm.EACH_POST, datetime(2026, 11, 16, tzinfo=UTC), LONDON)


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2026-W47", date(2026, 11, 16), date(2026, 11, 22)),
        ("2026-W47.2", date(2026, 11, 16), date(2026, 11, 22)),
        ("2026-W53", date(2026, 12, 28), date(2027, 1, 3)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
    ],
)
def test_a_period_has_a_first_and_a_last_day(period, first, last):
    assert period_days(period) == (first, last)


@pytest.mark.parametrize("period", ["", "2026", "2026-47", "2026-13", "post:7", "2026-W54"])
def test_what_is_no_period_is_refused(period):
    with pytest.raises((UsageError, ValueError)):
        period_days(period)


@given(MOMENTS)
def test_every_moment_lies_within_its_own_period(moment):
    for rhythm in (Rhythm.WEEKLY, Rhythm.MONTHLY):
        first, last = period_days(period_of(rhythm, moment, LONDON))
        assert first <= moment.astimezone(LONDON).date() <= last


@pytest.mark.parametrize(
    ("rhythm", "moment", "before"),
    [
        # Monday 08:00 in London stays 08:00 on both sides of a clock change.
        (Rhythm.WEEKLY, datetime(2026, 3, 30, 7, tzinfo=UTC), datetime(2026, 3, 23, 8, tzinfo=UTC)),
        (
            Rhythm.WEEKLY,
            datetime(2026, 10, 26, 8, tzinfo=UTC),
            datetime(2026, 10, 19, 7, tzinfo=UTC),
        ),
        (
            Rhythm.MONTHLY,
            datetime(2026, 3, 31, 7, tzinfo=UTC),
            datetime(2026, 2, 28, 8, tzinfo=UTC),
        ),
        (Rhythm.MONTHLY, datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2025, 12, 5, 9, tzinfo=UTC)),
    ],
)
def test_one_period_earlier_is_the_same_wall_time(rhythm, moment, before):
    assert period_before(rhythm, moment, LONDON) == before


@given(MOMENTS)
def test_one_period_earlier_lies_in_an_earlier_period(moment):
    for rhythm in (Rhythm.WEEKLY, Rhythm.MONTHLY):
        earlier = period_before(rhythm, moment, LONDON)
        assert period_of(rhythm, earlier, LONDON) < period_of(rhythm, moment, LONDON)
