"""Children: started, watched, ended, and known again by a later supervisor."""

import os
import signal
import time

import pytest

from digest import locks
from digest.up import groups
from digest.up.child import (
    ChildError,
    end_leftover,
    how_it_ended,
    launch,
    start,
    stop,
)


def idle():
    """Asked while waiting; does nothing."""


def said(child, text, seconds=5):
    until = time.monotonic() + seconds
    while text not in child.said():
        assert time.monotonic() < until, child.said()
        time.sleep(0.01)


def test_a_child_that_dies_at_its_start_is_quoted(shell):
    with pytest.raises(ChildError) as caught:
        start(shell("echo no such database; exit 3"), lambda: False, 5, idle)
    message = str(caught.value)
    assert "the part ended with code 3" in message
    assert "no such database" in message
    assert "part.log" in message


def test_only_its_own_lines_are_quoted(shell):
    program = shell("echo fresh; exit 1")
    program.log.write_text("of last time\n", encoding="utf-8")
    with pytest.raises(ChildError, match="fresh") as caught:
        start(program, lambda: False, 5, idle)
    assert "of last time" not in str(caught.value)


def test_what_a_log_means_is_said_beside_it(shell):
    hints = {"revision": "made by a newer one", "quota": "no space"}
    with pytest.raises(ChildError, match="made by a newer one") as caught:
        start(shell("echo no such revision; exit 1", hints=hints), lambda: False, 5, idle)
    assert "no space" not in str(caught.value)


def test_a_child_that_takes_too_long_is_ended(shell):
    program = shell("exec sleep 60")
    with pytest.raises(ChildError, match="not ready after 0 s"):
        start(program, lambda: False, 0.1, idle)
    assert not locks.is_held(program.lock)


def test_a_program_that_is_not_there_is_a_sentence(shell):
    with pytest.raises(ChildError, match="could not be started"):
        launch(shell("", command=("/nowhere/at/all",)))


def test_whoever_leaves_while_waiting_leaves_no_child(shell):
    program = shell("exec sleep 60")

    def leave():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(program, lambda: False, 60, leave)
    assert not locks.is_held(program.lock)


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(shell):
    child = launch(shell("exec sleep 60"))
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    stop(child)


def test_one_that_does_not_listen_is_ended_by_force(shell):
    child = launch(shell("trap '' TERM; echo deaf; while :; do sleep 0.01; done", patience=0.2))
    said(child, "deaf")
    stop(child)
    assert child.ended() == -signal.SIGKILL


def test_hurry_ends_the_patience(shell):
    child = launch(shell("trap '' TERM; echo deaf; while :; do sleep 0.01; done", patience=600))
    said(child, "deaf")
    began = time.monotonic()
    stop(child, lambda: True)
    assert time.monotonic() - began < 5


def test_what_a_child_left_in_its_group_ends_with_it(shell):
    child = launch(shell("sleep 60 & echo begun; wait"))
    said(child, "begun")
    assert groups.members(child.pid)
    stop(child)
    assert not groups.members(child.pid)


def test_followers_end_before_their_leader(shell):
    line = "(trap 'echo follower; exit' TERM; echo begun; while :; do sleep 0.01; done) & "
    line += "trap 'echo leader; exit' TERM; while :; do sleep 0.01; done"
    child = launch(shell(line, followers_first=True))
    said(child, "begun")
    stop(child)
    words = child.said().split()
    assert words.index("follower") < words.index("leader")


def test_a_child_outlives_its_supervisor_no_longer_than_to_the_next_start(shell):
    program = shell("exec sleep 60")
    child = launch(program)
    told = []
    # As after a kill -9: all that the next supervisor has is the lock.
    end_leftover("the part", program.lock, signal.SIGTERM, told.append, followers_first=True)
    assert child.process.wait(5) == -signal.SIGTERM
    assert told == [f"Ending the part of last time, process {child.pid}"]


def test_a_number_in_an_old_lock_is_nobody(shell):
    program = shell("")
    # This very process, which must not be touched.
    program.lock.write_text(f"{os.getpid()}\n", encoding="ascii")
    told = []
    end_leftover("the part", program.lock, signal.SIGKILL, told.append, followers_first=True)
    assert told == []


def test_the_same_child_is_not_started_twice(shell):
    program = shell("exec sleep 60")
    child = launch(program)
    with pytest.raises(ChildError, match=f"process {child.pid} holds"):
        launch(program)
    stop(child)


def test_a_long_log_is_put_aside(shell):
    program = shell("echo new")
    for text in ("first", "second"):
        program.log.write_text(text + "x" * 5 * 1024 * 1024, encoding="utf-8")
        launch(program).process.wait(5)
    assert program.log.read_text(encoding="utf-8") == "new\n"
    assert program.log.with_name("part.log.1").read_text(encoding="utf-8").startswith("second")
    assert program.log.with_name("part.log.2").read_text(encoding="utf-8").startswith("first")


def test_how_a_child_ended_in_words():
    assert how_it_ended(2) == "ended with code 2"
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert how_it_ended(-250) == "was ended by signal 250"


def test_a_process_may_bear_any_name():
    assert groups.parse_stat("12 (a) b (c)) S 1 77 77 0") == (12, 77, "S")
