"""How often somebody may do a thing, by a clock that the test holds."""

from __future__ import annotations

from threading import Thread

from digest.web import limits
from digest.web.limits import Limit, Limiter

TWICE = Limit(2, 60)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_the_third_waits_until_the_first_is_a_minute_old():
    clock = Clock()
    limiter = Limiter(clock)
    assert [limiter.wait("sign-up", "a", TWICE) for _ in range(2)] == [0, 0]
    assert limiter.wait("sign-up", "a", TWICE) == 60
    clock.now += 59.9
    assert limiter.wait("sign-up", "a", TWICE) == 1
    clock.now += 0.1
    assert limiter.wait("sign-up", "a", TWICE) == 0


def test_who_was_refused_does_not_wait_longer_for_having_asked():
    clock = Clock()
    limiter = Limiter(clock)
    for _ in range(100):
        limiter.wait("sign-up", "a", TWICE)
    clock.now += 60
    assert limiter.wait("sign-up", "a", TWICE) == 0


def test_others_and_other_things_are_counted_apart():
    limiter = Limiter(Clock())
    for _ in range(3):
        limiter.wait("sign-up", "a", TWICE)
    assert limiter.wait("sign-up", "b", TWICE) == 0
    assert limiter.wait("sign-in", "a", TWICE) == 0


def test_one_may_begin_anew():
    limiter = Limiter(Clock())
    for _ in range(3):
        limiter.wait("sign-in", "a", TWICE)
    limiter.forget("sign-in", "a")
    limiter.forget("sign-in", "nobody")
    assert limiter.wait("sign-in", "a", TWICE) == 0


def test_a_crowd_fills_no_memory_and_whoever_keeps_asking_stays_known():
    limiter = Limiter(Clock())
    for _ in range(2):
        limiter.wait("sign-up", "attacker", TWICE)
    for number in range(25_000):
        limiter.wait("sign-up", str(number), TWICE)
        if number % 1000 == 0:
            assert limiter.wait("sign-up", "attacker", TWICE) > 0
    assert len(limiter._times) == limits._MOST_KEYS


def test_threads_at_once_get_no_more_than_the_limit():
    limiter, granted = Limiter(Clock()), []

    def ask():
        granted.extend(limiter.wait("sign-up", "a", Limit(50, 60)) == 0 for _ in range(50))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 50
