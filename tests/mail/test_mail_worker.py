"""A worker that was killed is known to be dead at once, and a living one never is."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from digest.mail.worker import death_certificate, working

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_a_living_worker_is_not_dead_however_old_its_lease(tmp_path):
    with working(tmp_path, "a") as worker:
        is_dead = death_certificate(tmp_path, "me", NOW)
        assert not is_dead(worker, NOW - timedelta(days=1))


def test_a_worker_that_ended_is_dead(tmp_path):
    with working(tmp_path, "a") as worker:
        pass
    assert death_certificate(tmp_path, "me", NOW)(worker, LATER)
    assert list(tmp_path.iterdir()) == []


def test_nobody_declares_themselves_dead(tmp_path):
    with working(tmp_path, "a") as worker:
        assert not death_certificate(tmp_path, worker, NOW)(worker, NOW - timedelta(days=1))


@pytest.mark.parametrize(("lease", "dead"), [(timedelta(minutes=1), False), (timedelta(-1), True)])
def test_a_worker_elsewhere_is_judged_by_its_lease(tmp_path, lease, dead):
    assert death_certificate(tmp_path, "me", NOW)("other-host:7:x", NOW + lease) is dead


def test_a_killed_worker_is_dead_at_once(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from digest.mail.worker import working\n"
        f"with working(pathlib.Path({str(tmp_path)!r}), 'k') as name:\n"
        "    print(name, flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        worker = process.stdout.readline().strip()
        is_dead = death_certificate(tmp_path, "me", NOW)
        assert not is_dead(worker, LATER)
        process.kill()
        process.wait()
        assert is_dead(worker, LATER)
    assert list(tmp_path.iterdir()) == []
