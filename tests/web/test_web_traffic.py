"""What has time makes way for readers who wait for a page."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from digest.web.traffic import Traffic


def waiting(traffic: Traffic, seconds: float) -> tuple[Thread, Event]:
    passed = Event()

    def wait() -> None:
        traffic.wait_until_quiet(seconds)
        passed.set()

    thread = Thread(target=wait)
    thread.start()
    return thread, passed


def test_where_nobody_waits_nothing_does():
    thread, passed = waiting(Traffic(), 60)
    assert passed.wait(10)
    thread.join()


def test_it_waits_for_the_last_of_several_pages():
    traffic = Traffic()
    with traffic:
        with traffic:
            thread, passed = waiting(traffic, 60)
            assert not passed.wait(0.05)
        assert not passed.wait(0.05)
    assert passed.wait(10)
    thread.join()


def test_it_waits_no_longer_than_said():
    traffic = Traffic()
    with traffic:
        thread, passed = waiting(traffic, 0.01)
        assert passed.wait(10)
    thread.join()


def test_a_page_that_fails_is_over_too():
    traffic = Traffic()
    with pytest.raises(LookupError), traffic:
        raise LookupError
    thread, passed = waiting(traffic, 60)
    assert passed.wait(10)
    thread.join()
