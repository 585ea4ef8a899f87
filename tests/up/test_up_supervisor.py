"""The supervisor: alone in its home, and patient with children that die, up to a point."""

import os
import signal

import pytest

from digest.errors import ConfigError, UsageError
from digest.sample.live import go_live
from digest.settings import load_config
from digest.up.child import ChildError, launch, stop
from digest.up.connection import Connection, write_connection
from digest.up.place import Place
from digest.up.restarts import MEMORY_SECONDS, MOST_DEATHS, wait_after
from digest.up.supervisor import (
    GaveUpError,
    StoppedError,
    Team,
    Wish,
    _serve,
    _Starting,
    alone,
    listening,
    require_alone,
    running,
)


def test_the_wait_grows_with_each_death():
    waits = [wait_after([0.0] * deaths, now=0.0) for deaths in range(1, MOST_DEATHS)]
    assert waits == sorted(waits)
    assert waits[0] < 5


def test_a_child_that_dies_again_and_again_is_given_up():
    assert wait_after([0.0] * MOST_DEATHS, now=1.0) is None


def test_deaths_of_long_ago_are_forgotten():
    assert wait_after([0.0] * MOST_DEATHS, now=MEMORY_SECONDS + 1) == 0.0


def died(child):
    child.process.wait(5)
    return child


def test_a_child_that_died_is_started_again_when_its_time_has_come(shell):
    told = []
    team = Team(told.append)
    first = died(team.add(launch(shell("exit 7"))))
    now = first.launched + 1
    team.look_after(now)
    assert team.children["part"] is first
    team.look_after(now + 5)
    again = team.children["part"]
    assert again is not first
    assert "The part ended with code 7; its log: " in told[0]
    assert told[-1] == "Started the part again"
    stop(again)


def test_a_death_is_told_once(shell):
    told = []
    team = Team(told.append)
    child = died(team.add(launch(shell("exit 7"))))
    for moment in (0.1, 0.2, 0.3):
        team.look_after(child.launched + moment)
    assert sum("ended with code 7" in line for line in told) == 1


def test_a_child_waits_for_what_it_leans_on(shell):
    there = []
    team = Team(lambda _: None)
    child = died(team.add(launch(shell("exit 7", may_start=lambda: bool(there)))))
    team.look_after(child.launched + 1)
    team.look_after(child.launched + 100)
    assert team.children["part"] is child
    there.append(True)
    team.look_after(child.launched + 101)
    assert team.children["part"] is not child
    stop(team.children["part"])


def test_it_gives_up_on_a_child_that_keeps_dying(shell):
    team = Team(lambda _: None)
    child = died(team.add(launch(shell("exit 7"))))
    team.deaths["part"] = [child.launched - 1] * (MOST_DEATHS - 1)
    with pytest.raises(GaveUpError, match="again and again"):
        team.look_after(child.launched + 1)


def test_one_that_cannot_be_started_again_counts_as_dead(shell):
    told = []
    team = Team(told.append)
    child = died(team.add(launch(shell("exit 7"))))
    team.look_after(child.launched + 1)
    (child.program.cwd / "part.log").unlink()
    (child.program.cwd / "part.log").mkdir()
    team.look_after(child.launched + 10)
    assert "did not start" in told[-2]


def test_there_is_one_supervisor_of_a_home(tmp_path):
    place = Place(tmp_path)
    with (
        alone(place),
        pytest.raises(UsageError, match=f"runs already on {tmp_path}: process {os.getpid()}"),
        alone(place),
    ):
        pass
    with alone(place):
        pass


def test_whoever_asks_for_a_second_one_is_told_where_the_first_is(tmp_path):
    place = Place(tmp_path)
    require_alone(place)
    with alone(place):
        write_connection(tmp_path, Connection("http://127.0.0.1:4311/api", "digest:secret"))
        with pytest.raises(UsageError) as caught:
            require_alone(place)
    assert str(caught.value) == (
        f"digest up runs already on {tmp_path}: process {os.getpid()}; open "
        f"http://127.0.0.1:4311, or stop it with Ctrl-C there or kill -INT {os.getpid()}"
    )
    require_alone(place)


def test_the_sample_reads_nothing_while_a_first_one_runs(tmp_path, capsys):
    with alone(Place(tmp_path)):
        assert go_live(tmp_path, 0) == 2
    assert "digest: digest up runs already" in capsys.readouterr().err
    assert not (tmp_path / "var" / "sample-anchor").exists()


def test_one_port_for_two_is_found_before_anything_starts(sample_config):
    config = load_config(sample_config, {"DIGEST_PREFECT_PORT": "8780"})
    with (
        pytest.raises(UsageError, match="port 8780 is meant for"),
        running(sample_config, config),
    ):
        pass
    assert not (sample_config / "var").exists()


def test_a_missing_flow_is_found_before_anything_starts(sample_config):
    with (
        pytest.raises(ConfigError, match=r"flows/send_issue\.py: missing"),
        running(sample_config, load_config(sample_config, {})),
    ):
        pass
    assert not (sample_config / "var").exists()


def test_each_part_is_told_before_it_starts(shell):
    told = []
    starting = _Starting(Team(told.append), told.append, Wish())
    stop(starting.launch_and_wait(shell("exec sleep 60"), lambda _: True, 5))
    assert told[0] == "Starting the part ..."
    assert told[1].startswith("The part: ready (")


def test_what_the_catalogue_finds_wrong_is_the_operators_to_cure(shell):
    starting = _Starting(Team(lambda _: None), lambda _: None, Wish())
    nowhere = Connection("http://127.0.0.1:1/api")
    with pytest.raises(UsageError, match="schedules wrong"):
        _serve(starting, shell("echo schedules wrong; exit 2"), nowhere)
    with pytest.raises(ChildError, match="ended with code 1"):
        _serve(starting, shell("exit 1"), nowhere)


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "var").write_text("a file", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot write to"), alone(Place(tmp_path)):
        pass


def test_what_prefect_keeps_is_for_its_owner_alone(tmp_path):
    with alone(Place(tmp_path)):
        assert (tmp_path / "var" / "prefect").stat().st_mode & 0o777 == 0o700


def test_the_first_ctrl_c_stops_and_the_second_hurries():
    wish = Wish()
    with listening(wish):
        wish.check()
        os.kill(os.getpid(), signal.SIGINT)
        assert (wish.to_stop(), wish.to_hurry()) == (True, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert wish.to_hurry()
    with pytest.raises(StoppedError):
        wish.check()
