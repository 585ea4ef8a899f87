"""Threads that break off, and threads that are taken down."""

from __future__ import annotations

import pytest

from digest.errors import (
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
    Uncertain,
    UsageError,
)
from digest.model import Act
from digest.social.press import Turn
from digest.social.settle import settle
from digest.social.undoing import undo
from digest.store import standstill
from digest.store.social import ask_undo
from fakes.scripted import DAY, HOUR, MINUTE, Killed, Lost, kill

SLOW = Throttled("slow", retry_after=30 * MINUTE, window="delete")


@pytest.fixture
def x(house):
    return house.add_channel("x", prices={"delete": 1})


def out(house, name="a", **options) -> int:
    """A thread that is out."""
    thread = house.plan(name, minutes=-1, pace=0, **options)
    house.publish()
    return thread


def take_down(house, thread):
    return undo(Turn(house.press, ""), thread, Act("Maya", house.now, "a mistake"))


def deletions(network) -> list[str]:
    return [one.text for one in network.posts.values() if one.deleted]


# --- breaking off ------------------------------------------------------------------------------


def broken_off(house, x, items=9, refused=4) -> int:
    x.answers = [None] * (refused - 1) + [Refused("too rude", "403")]
    return house.plan("a", items=items, minutes=-1, pace=0)


def test_going_on_the_rest_is_cancelled_and_the_proof_tells_once(house, x):
    thread = broken_off(house, x)
    assert house.publish().notices == ()
    assert house.states() == [*["submitted"] * 3, "refused", *["cancelled"] * 5]
    house.later(2 * MINUTE)
    (notice,) = house.publish().notices
    assert notice == (
        f"thread {thread} on x (Post a) is not as it should be: 3 of 9 snippets are out:"
        " snippet 4 was refused, too rude"
    )
    assert x.texts == ["a1", "a2", "a3"]
    for _ in range(3):
        house.later(HOUR)
        assert house.publish().notices == ()


def test_rolled_back_it_is_taken_down_in_reverse_in_the_same_run(house, x):
    house.configure("x", half_posted="roll-back")
    gone = []
    x.after_delete = lambda receipt: gone.append(x.posts[receipt.remote_id].text)
    thread = broken_off(house, x)
    report = house.publish()
    assert gone == ["a3", "a2", "a1"]
    assert report.notices == (
        f"thread {thread} on x (Post a) is taken down: it broke off after 3 of 9 snippets",
    )
    assert [line.state for line in report.lines].count("deleted") == 3
    house.later(DAY)
    assert house.publish().notices == ()


def test_what_came_too_late_is_rolled_back_too(house, x):
    house.configure("x", half_posted="roll-back")
    house.plan("a")
    house.publish()
    house.later(8 * DAY)
    house.publish()
    assert x.texts == []


def test_the_windows_for_deleting_are_kept_and_later_runs_go_on(house, x):
    house.configure("x", half_posted="roll-back")
    x.deleting = [None, SLOW]
    broken_off(house, x)
    house.publish()
    assert x.texts == ["a1", "a2"]
    house.later(20 * MINUTE)
    report = house.publish()
    assert x.texts == ["a1", "a2"]
    assert report.faults == {"x": "waits until 2026-11-22 18:30 UTC: slow"}
    assert report.notices == ()
    house.later(10 * MINUTE)
    house.publish()
    assert x.texts == []
    assert house.publish().faults == {}


def test_while_it_may_not_delete_it_publishes(house, x):
    house.configure("x", half_posted="roll-back")
    x.deleting = [SLOW]
    broken_off(house, x)
    house.publish()
    house.plan("b", items=1)
    house.publish()
    assert "b1" in x.texts


def test_a_crash_while_it_is_rolled_back_loses_nothing(house, x):
    house.configure("x", half_posted="roll-back")
    broken_off(house, x)
    x.after_delete = kill
    for left in (2, 1, 0):
        with pytest.raises(Killed):
            house.publish()
        assert len(x.texts) == left
        if left:
            # The deletion was done, and is known as soon as it is asked for again.
            x.after_delete = lambda receipt, seen=set(x.texts): (
                None if x.posts[receipt.remote_id].text not in seen else kill()
            )
    x.after_delete = lambda receipt: None
    house.publish()
    assert house.publish().faults == {}
    assert all(house.row(f"a{n}").deleted_at for n in (1, 2, 3))


def test_threads_that_broke_off_long_ago_stay_when_rolling_back_is_switched_on(house, x):
    broken_off(house, x)
    house.publish()
    house.later(2 * MINUTE)
    house.publish()
    house.configure("x", half_posted="roll-back")
    house.later(HOUR)
    house.publish()
    assert x.texts == ["a1", "a2", "a3"]


def test_what_an_editor_left_in_doubt_rolls_nothing_back(house, x):
    house.configure("x", half_posted="roll-back")
    x.answers = [None, None, Uncertain("no answer")]
    x.finding = [Unavailable("away")] * 9
    out(house)
    settle(house.press, Act("Maya", house.now, "it is out"), resend=False)
    house.later(MINUTE)
    house.publish()
    assert x.texts == ["a1", "a2"]


def test_a_thread_whose_post_goes_in_the_middle_is_rolled_back_at_once(house, x):
    house.configure("x", half_posted="roll-back")
    thread = house.plan("a")
    house.publish()
    house.change_post(thread, gone_at=house.now)
    house.later(2 * MINUTE)
    house.publish()
    house.publish()
    assert x.texts == []
    assert set(house.states()) == {"submitted", "cancelled"}


# --- by hand -----------------------------------------------------------------------------------


def test_a_thread_is_taken_down_in_reverse(house, x):
    thread = out(house)
    undone = take_down(house, thread)
    assert [one.text for one in undone.removed] == ["a3", "a2", "a1"]
    assert undone.left == []
    assert x.texts == []
    assert house.spent()["delete"] == 3000


def test_what_is_gone_already_is_as_good(house, x):
    thread = out(house)
    x.lose("a2")
    assert len(take_down(house, thread).removed) == 3
    assert take_down(house, thread).removed == []
    assert house.spent()["delete"] == 3000


def test_what_has_not_gone_out_yet_never_does(house, x):
    thread = house.plan("a")
    house.publish()
    take_down(house, thread)
    house.later(HOUR)
    house.publish()
    assert x.texts == []
    assert house.states() == ["submitted", "cancelled", "cancelled"]
    assert house.thread(thread).undo_by == "Maya"


def test_what_could_not_be_deleted_now_is_named_and_deleted_later(house, x):
    thread = out(house)
    x.deleting = [None, Unavailable("away")]
    undone = take_down(house, thread)
    assert [one.text for one in undone.removed] == ["a3"]
    assert [(one.text, why) for one, why in undone.left] == [("a2", "away"), ("a1", "away")]
    house.later(MINUTE)
    house.publish()
    assert x.texts == []


def test_what_the_network_refuses_to_delete_is_told_once_and_not_asked_for_ever(house, x):
    thread = out(house)
    x.deleting = [None, Refused("too old")]
    undone = take_down(house, thread)
    assert [(one.text, why) for one, why in undone.left] == [("a2", "too old")]
    assert x.texts == ["a2"]
    calls = x.calls.count("delete")
    for _ in range(3):
        house.later(HOUR)
        report = house.publish()
        assert (report.faults, report.notices) == ({}, ())
    assert x.calls.count("delete") == calls
    assert house.row("a2").reason == "cannot be taken down: too old"
    # Asked again by hand it is tried again.
    assert [one.text for one in take_down(house, thread).removed] == ["a2"]


def test_a_refused_deletion_of_a_later_run_is_told(house, x):
    thread = out(house, items=1)
    x.deleting = [Unavailable("away"), Refused("too old")]
    take_down(house, thread)
    house.later(MINUTE)
    (notice,) = house.publish().notices
    assert notice == f"snippet 1 of thread {thread} on x (Post a) cannot be taken down: too old"


def test_a_deletion_that_is_unauthorized_stops_the_channel_and_is_told_once(house, x):
    thread = out(house)
    x.deleting = [Unavailable("away"), Unauthorized("token revoked")]
    take_down(house, thread)
    house.later(MINUTE)
    assert house.publish().notices == ("x was stopped: token revoked; then: digest social start x",)
    calls = x.calls.count("delete")
    house.later(MINUTE)
    assert house.publish().notices == ()
    assert x.calls.count("delete") == calls
    with house.store.write() as c:
        standstill.start(c, "x")
    house.publish()
    assert x.texts == []


def test_a_person_who_stops_a_channel_still_has_threads_taken_down(house, x):
    thread = out(house)
    x.deleting = [None, SLOW]
    take_down(house, thread)
    with house.store.write() as c:
        standstill.stop(c, standstill.ALL, at=house.now, actor="Maya", reason="a mistake")
    house.later(HOUR)
    house.publish()
    assert x.texts == []


def test_what_is_in_doubt_is_taken_down_once_it_is_found(house, x):
    x.answers = [None, Lost(Uncertain("no answer"))]
    thread = out(house)
    undone = take_down(house, thread)
    assert [(one.text, why) for one, why in undone.left] == [
        ("a2", "may be out: it is looked up first")
    ]
    house.later(2 * MINUTE)
    house.publish()
    house.publish()
    assert x.texts == []
    assert house.states() == ["submitted", "submitted", "cancelled"]


def test_taken_down_while_it_is_being_said_it_is_deleted_by_the_next_run(house, x):
    thread = house.plan("a", pace=0)

    def meanwhile(bodies):
        with house.store.write() as c:
            ask_undo(c, thread, Act("Maya", house.now, "a mistake"))

    x.before = meanwhile
    house.publish()
    x.before = lambda bodies: None
    house.publish()
    assert x.texts == []
    assert house.states() == ["submitted", "cancelled", "cancelled"]


def test_taken_down_while_a_dead_worker_held_it_it_is_over(house, x):
    """Given back by recovery, it must neither go out nor wait for ever."""
    thread = house.plan("a", items=1)
    x.prepare = kill
    with pytest.raises(Killed):
        house.publish()
    del x.prepare
    with house.store.write() as c:
        ask_undo(c, thread, Act("Maya", house.now, "a mistake"))
    house.publish()
    assert house.states() == ["cancelled"]
    assert x.texts == []


def test_a_number_of_no_thread_is_said(house, x):
    with pytest.raises(UsageError, match="no thread 7"):
        take_down(house, 7)
