"""When an issue will be through, in words that promise no more than is known."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from digest.config_mailers import PERIODS, Rate, SendWindow
from digest.mail.pace import Limits, Pace, is_held, lasts, through_at
from digest.mail.rates import slot_at

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = PERIODS.values()
NONE = Limits()


@pytest.mark.parametrize(
    ("pace", "through"),
    [
        (Pace(0, timedelta(0), 10, None), None),
        (Pace(4, MINUTE, 10, None), None),
        (Pace(5, SECOND, 10, None), None),
        (Pace(60, MINUTE, 60, None), NOW + MINUTE),
        (Pace(60, MINUTE, 600, None), NOW + 10 * MINUTE),
        # What waits for a later time ends it.
        (Pace(60, MINUTE, 60, NOW + 5 * MINUTE), NOW + 5 * MINUTE),
        (Pace(60, MINUTE, 600, NOW + 5 * MINUTE), NOW + 10 * MINUTE),
        (Pace(0, timedelta(0), 0, NOW + 5 * MINUTE), NOW + 5 * MINUTE),
        (Pace(0, timedelta(0), 5, NOW + 5 * MINUTE), None),
        (Pace(0, timedelta(0), 0, None), NOW),
        # Where nothing has come for minutes, it takes longer.
        (Pace(60, 4 * MINUTE, 60, None), NOW + 4 * MINUTE),
        # Nobody knows what is in half a year.
        (Pace(5, 5 * MINUTE, 10**6, None), None),
    ],
)
def test_when_an_issue_will_be_through(pace, through):
    assert through_at(pace, NOW, NONE) == through


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "about a minute"),
        (59, "about a minute"),
        (61, "about 2 min"),
        (3540, "about 59 min"),
        (3600, "about 1 h"),
        (3700, "about 1 h 10 min"),
        (86_400, "about 24 h"),
    ],
)
def test_a_span_in_words(seconds, said):
    assert lasts(timedelta(seconds=seconds)) == said


def rate(most, period, used=0):
    """A rate of which so many were taken up just now."""
    return Rate(most, period), {slot_at(period, NOW): used} if used else {}


#: A hundred in a second.
QUICK = Pace(1000, timedelta(seconds=10), 1000, None)


def test_a_rate_takes_the_time_that_it_says():
    limits = Limits(rates=(rate(100, MINUTE),))
    # Ten hundreds, of which the first may go at once, and 63 seconds between each two.
    assert through_at(QUICK, NOW, limits) == NOW + timedelta(seconds=9 * 63)
    used = Limits(rates=(rate(100, MINUTE, 100),))
    assert through_at(QUICK, NOW, used) == NOW + timedelta(seconds=10 * 63)


def test_a_rate_that_holds_nothing_up_changes_nothing():
    limits = Limits(rates=(rate(50_000, DAY), rate(200, SECOND)))
    assert through_at(QUICK, NOW, limits) == NOW + timedelta(seconds=10)
    assert through_at(Pace(0, timedelta(0), 10, None), NOW, limits) is None


def test_a_rate_tells_how_long_it_takes_before_any_pace_is_known():
    limits = Limits(rates=(rate(100, MINUTE),))
    assert through_at(Pace(0, timedelta(0), 200, None), NOW, limits) == NOW + 63 * SECOND


def test_a_rate_that_needs_years_is_no_estimate():
    assert (
        through_at(Pace(0, timedelta(0), 10**7, None), NOW, Limits(rates=(rate(1, DAY),))) is None
    )


def test_a_mailer_that_waits_goes_on_later_at_its_pace():
    until = NOW + 20 * MINUTE
    limits = Limits(not_before=until)
    assert through_at(QUICK, NOW, limits) == until + timedelta(seconds=10)
    assert through_at(QUICK, NOW, Limits(not_before=NOW - MINUTE)) == NOW + timedelta(seconds=10)


def test_a_canary_under_way_will_be_waited_for():
    assert through_at(QUICK, NOW, Limits(canary=30 * MINUTE)) == NOW + timedelta(seconds=1810)


def test_only_open_hours_count():
    window = SendWindow(hours="08:00-20:00")
    limits = Limits(window=window, zone=ZoneInfo("Europe/London"))
    slow = Pace(60, MINUTE, 60 * 60 * 13, None)
    assert through_at(slow, NOW, limits) == NOW + 25 * HOUR
    assert through_at(QUICK, NOW - HOUR, limits) == NOW + timedelta(seconds=10)
    # What waits until after the window shuts goes out when it opens.
    late = Pace(0, timedelta(0), 0, NOW + 13 * HOUR)
    assert through_at(late, NOW, limits) == NOW + DAY
    hourly = Limits(window=window, zone=UTC, rates=(rate(100, HOUR),))
    # Nine times 63 minutes would be 17:27; begun at 12:00 it goes on the next morning.
    assert through_at(QUICK, NOW + 4 * HOUR, hourly) == NOW + DAY + 9 * 63 * MINUTE - 8 * HOUR


def test_a_days_rate_gathers_while_the_window_is_shut():
    limits = Limits(window=SendWindow(hours="08:00-20:00"), rates=(rate(500, DAY),))
    # The slot of 72 minutes that is now began at 07:12.
    assert through_at(QUICK, NOW, limits) == NOW + DAY + 24 * MINUTE


@pytest.mark.parametrize(
    ("limits", "held"),
    [
        (NONE, False),
        (Limits(not_before=NOW + SECOND), True),
        (Limits(not_before=NOW), False),
        (Limits(window=SendWindow(hours="09:00-20:00")), True),
        (Limits(rates=(rate(100, DAY, 99),)), False),
        (Limits(rates=(rate(100, DAY, 100),)), True),
        # It goes on in a moment.
        (Limits(rates=(rate(14, SECOND, 14),)), False),
    ],
)
def test_whether_it_is_held_up(limits, held):
    assert is_held(limits, NOW) is held
