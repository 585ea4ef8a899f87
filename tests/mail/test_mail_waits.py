"""A server that asks for time gets it, the longer the more often in a row."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from digest.mail.waits import MAILER, Wait, next_wait

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
GMAIL, ALL = ("smtp relay:25", "gmail.com"), ("smtp relay:25", MAILER)


def in_a_row(key, times):
    """The waits of a server that asks again as soon as it is asked again."""
    wait, now, found = None, NOW, []
    for _ in range(times):
        wait = next_wait(wait, key, "busy", now, None)
        found.append(wait.until - now)
        now = wait.until
    return found


def test_a_domain_is_left_alone_for_a_minute_and_up_to_four_hours():
    waits = in_a_row(GMAIL, 12)
    bounds = [timedelta(minutes=min(2**n, 240)) for n in range(12)]
    for wait, least in zip(waits, bounds, strict=True):
        assert least <= wait <= least * 1.25


def test_a_mailer_is_left_alone_for_seconds_and_up_to_half_an_hour():
    waits = in_a_row(ALL, 12)
    assert timedelta(seconds=15) <= waits[0] <= timedelta(seconds=18.75)
    assert timedelta(minutes=30) <= waits[-1] <= timedelta(minutes=37.5)


def test_two_domains_do_not_come_back_at_the_same_moment():
    assert in_a_row(GMAIL, 1) != in_a_row((GMAIL[0], "gmx.de"), 1)
    assert in_a_row(GMAIL, 5) == in_a_row(GMAIL, 5)


def test_what_the_server_names_is_the_least_up_to_a_day():
    hour, week = timedelta(hours=1), timedelta(days=7)
    assert next_wait(None, GMAIL, "busy", NOW, hour).until == NOW + hour
    assert next_wait(None, GMAIL, "busy", NOW, week).until == NOW + timedelta(days=1)
    assert next_wait(None, GMAIL, "busy", NOW, timedelta(seconds=1)).until > NOW + hour / 60


def test_answers_on_other_connections_are_the_same_trouble():
    first = next_wait(None, ALL, "busy", NOW, None)
    second = next_wait(first, ALL, "too many", NOW + timedelta(seconds=1), None)
    assert second == Wait(first.until, "too many", 1)
    named = next_wait(second, ALL, "busy", NOW + timedelta(seconds=2), timedelta(minutes=5))
    assert (named.until, named.streak) == (NOW + timedelta(minutes=5, seconds=2), 1)


def test_a_streak_is_forgotten_after_a_quiet_day():
    before = Wait(NOW, "busy", 9)
    assert next_wait(before, GMAIL, "busy", NOW + timedelta(hours=23), None).streak == 10
    assert next_wait(before, GMAIL, "busy", NOW + timedelta(hours=24), None).streak == 1


@given(st.integers(1, 10**6), st.timedeltas(-timedelta(days=9), timedelta(days=9)))
def test_no_wait_is_longer_than_a_day_or_has_no_end(streak, asked):
    wait = next_wait(Wait(NOW, "busy", streak), GMAIL, "busy", NOW, asked)
    assert NOW < wait.until <= NOW + timedelta(days=1)
