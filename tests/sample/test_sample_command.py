"""`python -m digest.sample serve`, and the anchor that it keeps."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from digest.sample.__main__ import main
from digest.sample.blog import read_anchor

NOW = datetime(2026, 11, 22, 18, 0, 30, 123456, tzinfo=UTC)


def test_the_anchor_is_the_first_start_for_ever(tmp_path):
    path = tmp_path / "var" / "anchor"
    assert read_anchor(path, NOW) == NOW
    assert read_anchor(path, NOW + timedelta(days=40)) == NOW
    assert path.read_text() == "2026-11-22T18:00:30.123456+00:00\n"
    assert [p.name for p in path.parent.iterdir()] == ["anchor"]


def test_the_anchor_is_kept_in_utc(tmp_path):
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert read_anchor(tmp_path / "anchor", there).utcoffset() == timedelta(0)


def test_of_many_first_starts_one_counts(tmp_path):
    def start(second):
        return read_anchor(tmp_path / "anchor", NOW + timedelta(seconds=second))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(24)))) == 1


@pytest.mark.parametrize("text", ["yesterday", "", "2026-11-22T18:00:00"])
def test_an_anchor_that_is_no_moment_is_refused(tmp_path, capsys, text):
    path = tmp_path / "anchor"
    path.write_text(text)
    assert main(["serve", "--anchor-file", str(path), "--port", "0"]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_taken_port_is_named_with_its_cure(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--anchor-file", str(tmp_path / "a"), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said


def test_a_port_that_cannot_be_is_refused(tmp_path, capsys):
    assert main(["serve", "--anchor-file", str(tmp_path / "a"), "--port", "99999"]) == 2
    assert "--port 8765" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(tmp_path, stop):
    command = [sys.executable, "-m", "digest.sample", "serve", "--port", "0"]
    command += ["--anchor-file", str(tmp_path / "anchor")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = process.stdout.readline().decode()
        process.send_signal(stop)
        rest = process.communicate(timeout=10)
    assert line.startswith("sample blog on http://127.0.0.1:")
    assert line.endswith("/\n")
    assert rest == (b"", b"")
    assert process.returncode == 0
