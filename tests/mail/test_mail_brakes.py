"""An issue stops by itself where it does harm, says why, and goes on once an editor said so."""

from datetime import UTC, datetime, timedelta

import pytest

from digest.config_mailers import Brakes
from digest.mail.brakes import Go, Stop, Tally, Wait, counted, verdict
from digest.model import DeliveryState

S = DeliveryState
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = Brakes()
CANARY = Brakes(canary=50, canary_minutes=30)


def tally(tried, let_go=NOW, **more):
    return Tally(let_go_at=let_go, tried=tried, **{"ever": tried, **more})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (tally(100, refused=10), ""),
        (tally(100, refused=12), "12 of 100 were refused, more than 10 %"),
        (tally(100, failed=11), "11 of 100 failed, more than 10 %"),
        (tally(100, refused=10, failed=2), "10 of 100 were refused and 2 failed, more than 10 %"),
        (tally(100, bounced=11), "11 of 100 came back, more than 10 %"),
        (tally(100, complained=1), "1 of 100 called it spam, more than 0.5 %"),
        (tally(200, complained=1), ""),
        # With few tried nothing is concluded.
        (tally(99, refused=99), ""),
        (tally(0), ""),
    ],
)
def test_limits(found, why):
    assert verdict(RULES, found, NOW) == (Stop(why) if why else Go())


def test_one_is_was():
    rules = Brakes(after=1)
    why = "1 of 1 was refused, more than 10 %"
    assert verdict(rules, tally(1, refused=1), NOW) == Stop(why)


def test_a_canary_goes_first_and_is_waited_for():
    assert verdict(CANARY, tally(0), NOW) == Go(50)
    assert verdict(CANARY, tally(49), NOW) == Go(1)
    complete = tally(50, canary_at=NOW + MINUTE)
    why = "the first 50 are out; the rest follow if all is well"
    for at in (NOW + MINUTE, NOW + 30 * MINUTE):
        assert verdict(CANARY, complete, at) == Wait(NOW + 31 * MINUTE, why)
    assert verdict(CANARY, complete, NOW + 31 * MINUTE) == Go()


def test_a_canary_is_judged_by_itself_however_few_it_is():
    found = tally(50, canary_at=NOW + MINUTE, bounced=6)
    assert verdict(CANARY, found, NOW + MINUTE) == Stop("6 of 50 came back, more than 10 %")
    assert isinstance(verdict(CANARY, tally(49, bounced=9), NOW), Go)


def test_in_a_canary_of_many_the_limits_hold_from_the_usual_number_on():
    rules = Brakes(canary=500)
    assert isinstance(verdict(rules, tally(100, refused=11), NOW), Stop)
    assert verdict(rules, tally(99, refused=11), NOW) == Go(401)


def test_an_editor_who_lets_it_go_ends_the_wait_and_starts_the_counts_anew():
    resumed = NOW + 5 * MINUTE
    found = tally(0, resumed, ever=50, canary_at=NOW + MINUTE)
    assert verdict(CANARY, found, resumed) == Go()
    # From then on the usual number holds, not the canary's.
    assert verdict(CANARY, tally(60, resumed, refused=30, ever=110), resumed) == Go()
    found = tally(60, resumed, refused=30, ever=110, canary_at=NOW + MINUTE)
    assert verdict(CANARY, found, resumed) == Go()
    found = tally(100, resumed, refused=30, ever=150, canary_at=NOW + MINUTE)
    assert isinstance(verdict(CANARY, found, resumed), Stop)


def test_a_resume_before_the_canary_is_complete_lets_it_be_completed():
    resumed = NOW + 5 * MINUTE
    assert verdict(CANARY, tally(0, resumed, ever=20), resumed) == Go(30)
    found = tally(30, resumed, ever=50, canary_at=resumed + MINUTE)
    assert isinstance(verdict(CANARY, found, resumed + MINUTE), Wait)


def test_a_canary_that_is_complete_at_once_is_waited_for_all_the_same():
    assert isinstance(verdict(CANARY, tally(50, canary_at=NOW), NOW), Wait)


def test_a_canary_of_long_ago_is_not_waited_for():
    assert verdict(CANARY, tally(5000), NOW) == Go()


def test_counting_on_between_two_looks_at_the_ledger():
    ended = {S.SUBMITTED: 40, S.REFUSED: 3, S.FAILED: 2, S.UNCERTAIN: 4, S.SUPPRESSED: 9}
    found = counted(tally(0), CANARY, ended, NOW)
    assert (found.tried, found.ever, found.refused, found.failed) == (49, 49, 3, 2)
    assert found.canary_at is None
    found = counted(found, CANARY, {S.SUBMITTED: 2}, NOW + MINUTE)
    assert (found.ever, found.canary_at) == (51, NOW + MINUTE)
    found = counted(found, CANARY, {S.SUBMITTED: 1}, NOW + 2 * MINUTE)
    assert found.canary_at == NOW + MINUTE
