"""Twenty real SIGKILLs, at each step and at random, against a real SMTP server that counts.

Whatever the moment: each recipient has the issue exactly once or stands in
`uncertain`, and the account balances.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.smtp import SMTP

from digest.sample.server import SampleServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kill

ROOT = Path(__file__).parents[2]
READERS = 60
SEED = 20261122

#: What the server does at a step, so that the kill falls right there.
SMTP_STEPS = ("MAIL", "RCPT", "body read", "accepted, answer not sent", "answer sent")
#: What the ledger must look like for a kill seen from outside.
LEDGER_STEPS = {
    "drafted": "SELECT count(*) FROM issues",
    "approved": "SELECT count(*) FROM issues WHERE state = 'approved'",
    "frozen": "SELECT count(*) FROM issues WHERE state = 'frozen'",
    "claimed": "SELECT count(*) FROM deliveries WHERE state = 'claimed'",
    "submitting": "SELECT count(*) FROM deliveries WHERE state = 'submitting'",
}


@dataclass
class CountingServer:
    """Accepts mail, counts it by recipient, and runs `at_step` at each step of a message."""

    accepted: Counter[str] = field(default_factory=Counter)
    at_step: Callable[[str], None] = lambda step: None
    port: int = 0

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        self.at_step("MAIL")
        envelope.mail_from = address
        return "250 2.1.0 Ok"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        self.at_step("RCPT")
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.at_step("body read")
        (recipient,) = envelope.rcpt_tos
        self.accepted[recipient] += 1
        self.at_step("accepted, answer not sent")
        asyncio.get_running_loop().call_later(0.0005, self.at_step, "answer sent")
        return "250 2.0.0 Ok: queued"


@pytest.fixture
def server() -> Iterator[CountingServer]:
    counting = CountingServer()
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(
        loop.create_server(lambda: SMTP(counting, loop=loop), "127.0.0.1", 0)
    )
    counting.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield counting
    loop.call_soon_threadsafe(listening.close)
    time.sleep(0.1)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@dataclass
class House:
    home: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "digest", *arguments, "--home", str(self.home), "--json"]

    def run(self, *arguments: str) -> object:
        done = subprocess.run(
            self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, check=False
        )
        assert done.returncode in {0, 3}, arguments
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def count(self, query: str) -> int:
        with closing(sqlite3.connect(self.home / "var" / "digest.db", timeout=30)) as database:
            return database.execute(query).fetchone()[0]


@pytest.fixture
def house(tmp_path: Path, server: CountingServer) -> Iterator[House]:
    home = tmp_path / "home"
    shutil.copytree(ROOT / "config", home / "config")
    shutil.copytree(ROOT / "templates", home / "templates")
    site = home / "config" / "site.toml"
    local = '[mailers.local]\nkind = "file"\npath = "var/mail"\n'
    relay = (
        f'[mailers.local]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\n'
        'security = "none"\ntimeout_seconds = 5\n'
    )
    text = site.read_text()
    assert local in text
    site.write_text(text.replace(local, relay))
    letters = home / "config" / "newsletters.toml"
    letters.write_text(letters.read_text().replace('"required"', '"none"'))
    anchor = datetime.now(UTC)
    with SampleServer(anchor=anchor, now=lambda: anchor, port=0) as blog:
        port = blog.url.rsplit(":", 1)[1]
        house = House(home, {**os.environ, "DIGEST_SAMPLE_PORT": port})
        house.environment.pop("DIGEST_DATABASE_URL", None)
        house.run("ingest")
        rows = "\n".join(
            f"r{n}@example.org,weekly,,,weekly,test,2026-01-01T00:00Z" for n in range(READERS)
        )
        csv = tmp_path / "readers.csv"
        csv.write_text(
            f"email,newsletters,series,themes,rhythm,consent_source,consent_at\n{rows}\n"
        )
        house.run("readers", "import", str(csv))
        yield house


def kill_at_smtp_step(house: House, server: CountingServer, step: str, after: int) -> bool:
    """Send, and kill at the step of the message number `after`; False where it got done first."""
    process = house.start("send", "weekly")
    seen = 0

    def at_step(now_at: str) -> None:
        nonlocal seen
        if now_at == step:
            seen += 1
            if seen == after:
                process.send_signal(signal.SIGKILL)
                process.wait()

    server.at_step = at_step
    code = process.wait()
    server.at_step = lambda _: None
    return code == -signal.SIGKILL


def kill_at_ledger_step(house: House, query: str) -> bool:
    """Send, and kill as soon as the ledger looks so."""
    process = house.start("send", "weekly")
    while process.poll() is None:
        if house.count(query):
            process.kill()
            break
    return process.wait() == -signal.SIGKILL


def kill_at_random(house: House, seconds: float) -> bool:
    process = house.start("send", "weekly")
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def check(house: House, server: CountingServer, kills: int) -> None:
    account = house.run("account", "1")
    recipients = account.pop("recipients")
    assert recipients == READERS
    assert sum(account.values()) == recipients
    assert house.count("SELECT count(*) FROM issues") == 1
    assert max(server.accepted.values()) == 1, "a reader got it twice"
    uncertain = {line["address"] for line in house.run("account", "1", "--who", "uncertain")}
    submitted = {line["address"] for line in house.run("account", "1", "--who", "submitted")}
    everyone = {f"r{n}@example.org" for n in range(READERS)}
    assert submitted | uncertain == everyone
    assert not submitted & uncertain
    assert submitted <= set(server.accepted)
    assert set(server.accepted) <= everyone
    assert len(uncertain) <= kills


def test_twenty_kills(house: House, server: CountingServer) -> None:
    dice = random.Random(SEED)
    killed = 0
    for query in LEDGER_STEPS.values():
        killed += kill_at_ledger_step(house, query)
    for step in SMTP_STEPS:
        killed += kill_at_smtp_step(house, server, step, after=dice.randint(1, 4))
    for _ in range(40):
        if killed == 20:
            break
        killed += kill_at_random(house, dice.uniform(0.45, 0.9))
    assert killed == 20
    assert house.count("SELECT count(*) FROM deliveries WHERE state = 'submitted'") > 0
    house.run("send", "weekly")
    check(house, server, killed)


def test_two_sends_at_the_same_time(house: House, server: CountingServer) -> None:
    both = [house.start("send", "weekly") for _ in range(2)]
    assert {process.wait() for process in both} <= {0, 3}
    house.run("send", "weekly")
    check(house, server, kills=0)
    assert sum(server.accepted.values()) == READERS


def test_the_uncertain_are_settled_by_an_editor(house: House, server: CountingServer) -> None:
    assert kill_at_smtp_step(house, server, "accepted, answer not sent", after=3)
    assert kill_at_smtp_step(house, server, "body read", after=3)
    house.run("send", "weekly")
    lines = house.run("account", "1", "--who", "uncertain")
    assert len(lines) == 2
    house.run("settle", "1", "--leave", "--by", "Maya")
    left = house.run("account", "1", "--who", "uncertain")
    assert {line["settled"] for line in left} == {"leave, by Maya"}
    house.run("settle", "1", "--resend", "--by", "Tom")
    house.run("deliver", "1")
    assert house.run("account", "1")["submitted"] == READERS
    # Resending is a decision with a price: who had it has it twice.
    assert Counter(server.accepted.values()) == {1: READERS - 2, 2: 2}
