"""SIGKILL at any moment of publishing on the PDS of Bluesky's makers: each thread is there once."""

from __future__ import annotations

import pytest

from fakes.siege import LEDGER_STEPS, THREADS, moments

pytestmark = pytest.mark.bluesky

WRITE = "com.atproto.repo.applyWrites"
SEED = 20261122
STEPS = [
    (moment, call)
    for call in ("com.atproto.server.createSession", "com.atproto.repo.uploadBlob", WRITE)
    for moment in ("before", "after")
]


def test_undisturbed_each_thread_is_one_write_and_read_back(besieged):
    with besieged("bluesky") as (siege, _):
        siege.publish()
        siege.check()
        assert sum(WRITE in line for line in siege.proxy.passed) == THREADS
        siege.publish()
        assert siege.rows("SELECT DISTINCT differs FROM threads") == [(None,)]
        assert siege.count("SELECT count(*) FROM threads WHERE proved_at IS NOT NULL") == THREADS


@pytest.mark.parametrize(("moment", "call"), STEPS)
def test_killed_at_a_call(besieged, moment, call):
    with besieged("bluesky") as (siege, _):
        assert siege.publish_and_kill_at(moment, call)
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("step", LEDGER_STEPS)
def test_killed_where_the_ledger_looks_so(besieged, step):
    with besieged("bluesky") as (siege, _):
        siege.publish_and_kill_when(LEDGER_STEPS[step])
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("fault", ["hang-after", "502-after", "drop-after", "503-before"])
def test_killed_while_the_answer_is_lost(besieged, fault):
    with besieged("bluesky") as (siege, _):
        siege.proxy.fail(fault, WRITE)
        siege.publish_and_kill_at("after", WRITE)
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_kills_at_random(besieged, seed):
    with besieged("bluesky") as (siege, _):
        for moment in moments(5, seed, 1.2):
            siege.publish_and_kill_after(moment)
        siege.until_done()
        siege.check()
