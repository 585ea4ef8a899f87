"""When an issue will be through, in words that promise no more than is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.config_mailers import PERIODS, Rate, SendWindow
from digest.mail.pace import Limits, Pace, Portion, is_held, lasts, through_at
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


# --- domains -----------------------------------------------------------------------------------


def test_one_domain_takes_as_long_as_its_rate_says_though_the_others_are_quick():
    slow = Portion(800, (rate(100, MINUTE),))
    limits = Limits(rates=(rate(500, SECOND),), domains=(Portion(10, (rate(20, HOUR),)), slow))
    assert through_at(QUICK, NOW, limits) == NOW + timedelta(seconds=7 * 63)
    used = Limits(domains=(Portion(800, (rate(100, MINUTE, 100),)),))
    assert through_at(QUICK, NOW, used) == NOW + timedelta(seconds=8 * 63)


def test_a_domain_that_lets_all_of_its_own_out_at_once_changes_nothing():
    limits = Limits(domains=(Portion(20, (rate(20, HOUR),)),))
    assert through_at(QUICK, NOW, limits) == NOW + timedelta(seconds=10)
    assert through_at(Pace(0, timedelta(0), 30, None), NOW, limits) is None


def test_a_domain_tells_how_long_it_takes_before_any_pace_is_known():
    limits = Limits(domains=(Portion(40, (rate(20, HOUR),)),))
    assert through_at(Pace(0, timedelta(0), 50, None), NOW, limits) == NOW + 63 * MINUTE


def test_a_domain_that_asked_for_time_goes_on_later():
    held = Portion(100, not_before=NOW + HOUR)
    assert through_at(QUICK, NOW, Limits(domains=(held,))) == NOW + HOUR + SECOND
    both = Portion(100, (rate(50, MINUTE),), NOW + HOUR)
    assert through_at(QUICK, NOW, Limits(domains=(both,))) == NOW + HOUR + 63 * SECOND
    # It is all that is left, and nothing went out for minutes.
    last = Pace(0, timedelta(0), 100, None)
    assert through_at(last, NOW, Limits(domains=(held,))) == NOW + HOUR


times = st.timedeltas(timedelta(0), HOUR)
rates = st.builds(
    rate, st.integers(1, 500), st.sampled_from([SECOND, MINUTE, HOUR]), st.integers(0, 500)
).filter(lambda each: sum(each[1].values()) <= each[0].most)
several = st.lists(rates, max_size=2).map(tuple)
paces = st.builds(
    Pace,
    st.integers(0, 1000),
    times,
    st.integers(1, 1000),
    st.none() | times.map(lambda later: NOW + later),
)
limiting = st.builds(
    Limits,
    rates=several,
    not_before=st.none() | times.map(lambda later: NOW + later),
    canary=times,
    window=st.sampled_from([SendWindow(), SendWindow(hours="08:00-20:00")]),
)
portions = st.builds(
    Portion, st.integers(1, 1000), several, st.none() | times.map(lambda later: NOW + later)
)


@given(paces, limiting, st.lists(portions, max_size=3))
def test_domains_never_make_it_earlier(pace, limits, domains):
    without = through_at(pace, NOW, limits)
    with_them = through_at(pace, NOW, replace(limits, domains=tuple(domains)))
    # Without a time nobody can tell, or it is too far off.
    assert None in {without, with_them} or with_them >= without


@given(paces, limiting, several)
def test_a_domain_to_which_all_is_due_takes_as_long_as_all_by_the_same_rates(pace, limits, same):
    domain = replace(limits, rates=(), domains=(Portion(pace.due, same),))
    assert through_at(pace, NOW, domain) == through_at(pace, NOW, replace(limits, rates=same))


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
