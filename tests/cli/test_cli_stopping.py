"""An issue that another process is sending, stopped and gone on with from the command line."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fakes.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

READERS = 200
#: Of the mailer in config, each with one mail at most under way.
CONNECTIONS = 4


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """A server that takes all, one mail on each connection in a tenth of a second."""
    with Relay(tmp_path / "journal", pace=0.1) as relay:
        yield relay


@pytest.fixture
def approved(desk, relay, tmp_path):
    """An approved issue for many readers; its number."""
    lines = "".join(f"r{n}@example.org,weekly,weekly,form,2026-01-01\n" for n in range(READERS))
    file = tmp_path / "readers.csv"
    file.write_text(f"email,newsletters,rhythm,consent_source,consent_at\n{lines}")
    there = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {relay.port}\nsecurity = "none"'
    desk.configure("site.toml", 'kind = "file"\npath = "var/mail"', there)
    desk.run("ingest")
    desk.run("readers", "import", str(file))
    issue = str(desk.send(code=3)["issue"])
    desk.run("approve", issue)
    return issue


@contextmanager
def delivering(desk, issue, relay) -> Iterator[subprocess.Popen[bytes]]:
    """`digest deliver` in a process of its own, well under way."""
    command = [sys.executable, "-m", "digest", "deliver", issue, "--home", str(desk.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        until = time.monotonic() + 20
        while relay.accepted().total() < 2 * CONNECTIONS:
            assert time.monotonic() < until, running.poll()
            time.sleep(0.02)
        yield running


def test_a_pause_is_heard_at_once_and_what_was_left_goes_out_later(desk, approved, relay):
    with delivering(desk, approved, relay) as running:
        assert desk.json("pause", approved, "--by", "Maya")["state"] == "paused"
        told = relay.accepted().total()
        # What was being said at that moment still gets its answer.
        assert running.wait(5) == 3
    assert relay.accepted().total() <= told + CONNECTIONS < READERS
    account = desk.json("account", approved)
    assert (account["uncertain"], account["claimed"], account["submitting"]) == (0, 0, 0)
    assert account["submitted"] == relay.accepted().total()

    relay.pace = 0.0
    desk.run("deliver", approved, code=3)
    assert desk.json("account", approved) == account
    desk.run("resume", approved)
    assert desk.json("deliver", approved)["submitted"] == READERS
    assert set(relay.accepted().values()) == {1}


def test_what_was_cancelled_under_way_never_goes_out(desk, approved, relay):
    with delivering(desk, approved, relay) as running:
        desk.run("cancel", approved, "--reason", "sent too early")
        told = relay.accepted().total()
        assert running.wait(5) == 0
    assert relay.accepted().total() <= told + CONNECTIONS < READERS
    account = desk.json("account", approved)
    assert account["submitted"] + account["cancelled"] == READERS
    assert account["submitted"] == relay.accepted().total()
    relay.pace = 0.0
    desk.run("deliver", approved)
    assert desk.json("account", approved) == account
