"""Real SIGKILLs, at each step and at random, against a real SMTP server that counts.

Whatever the moment: each recipient has the issue exactly once or stands in `uncertain`, and the
account balances whenever it is read. Hundreds more with `make soak`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fakes.api import served
from fakes.blockade import DRAFT_STEPS, LEDGER_STEPS, addresses, moments, use_mailer
from fakes.camp import DATABASES
from fakes.proxy import proxied
from fakes.relay import STEPS
from fakes.resend import KEY, ResendServer

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20261122


def test_twenty_kills(besiege):
    dice = random.Random(SEED)
    with besiege(readers=150, begun=False) as siege:
        siege.relay.pace = 0.002

        def send():
            return siege.start("send", "weekly")

        for query in DRAFT_STEPS.values():
            siege.killed_when(query, send)
        for step in STEPS:
            number = 1 if step in {"connect", "EHLO"} else dice.randint(1, 4)
            siege.killed_at(step, number, send)
        for query in LEDGER_STEPS.values():
            siege.killed_when(query, send, most=4)
        for moment in moments(30, SEED, 0.01):
            if siege.kills == 20:
                break
            siege.killed_after(moment, send, mail=dice.random() < 0.7)
        assert siege.kills == 20
        assert 0 < len(siege.relay.taken()) < 150, "it was over before the kills were"
        siege.run("send", "weekly")
        assert set(siege.check()) <= {"submitted", "uncertain"}
        assert siege.count("SELECT count(*) FROM issues") == 1


@pytest.mark.kill
@pytest.mark.parametrize("database", DATABASES)
def test_one_of_two_workers_is_killed_and_the_other_goes_on(besiege, database):
    with besiege(database, readers=120) as siege:
        siege.relay.pace = 0.005
        # As a part of a flow does: neither leases what the other one needs.
        siege.killed_at("accepted", 6, lambda: siege.start_two(most=60))
        assert siege.kills == 1
        assert siege.balance()["submitted"] >= 60, "the other one did its part"
        siege.until_done()
        assert set(siege.check()) <= {"submitted", "uncertain"}


@pytest.mark.parametrize("database", DATABASES)
def test_before_the_relay_hears_of_a_recipient_the_ledger_says_submitting(besiege, database):
    with besiege(database) as siege:
        found = Counter()

        def look(step, recipient):
            if step == "RCPT":
                query = f"SELECT state FROM deliveries WHERE address = '{recipient}'"
                found.update(siege.rows(query)[0])

        siege.relay.at_step = look
        siege.run("deliver", "1")
        assert found == {"submitting": 60}


@pytest.mark.kill
def test_two_workers_undisturbed_share_the_work(besiege):
    with besiege() as siege:
        siege.relay.pace = 0.005
        siege.start_two()
        siege.wait_for_all()
        assert siege.check() == {"submitted": 60}
        assert siege.relay.most_connections <= 2 * siege.connections


@pytest.mark.kill
def test_the_uncertain_are_settled_by_an_editor(besiege):
    with besiege() as siege:
        assert siege.killed_at("end", 3, lambda: siege.start("deliver", "1"))
        siege.run("deliver", "1")
        doubtful = siege.check()["uncertain"]
        # One was told to nobody for certain but us: the server had not decided.
        assert 1 <= doubtful <= siege.connections
        siege.run("settle", "1", "--leave", "--by", "Maya")
        left = siege.run("account", "1", "--who", "uncertain")
        assert {line["settled"] for line in left} == {"leave, by Maya"}
        had = siege.relay.accepted()
        siege.run("settle", "1", "--resend", "--by", "Tom")
        siege.run("deliver", "1")
        assert siege.run("account", "1")["submitted"] == 60
        # Resending is a decision with a price: who had it has it twice.
        twice = {line["address"] for line in left} & set(had)
        assert {a for a, copies in siege.relay.accepted().items() if copies > 1} == twice


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_between_two_mails_and_nothing_is_in_doubt(besiege, number):
    with besiege() as siege:
        siege.relay.pace = 0.01
        pid = siege.start("deliver", "1")
        siege.until_taken(6)
        os.kill(pid, number)
        assert siege.wait(pid) == 3
        assert set(siege.balance()) == {"submitted", "pending"}
        siege.run("deliver", "1", codes=(0,))
        assert siege.check() == {"submitted": 60}


@pytest.mark.kill
def test_a_worker_that_stood_still_for_hours_is_waited_for_on_this_machine(besiege):
    with besiege() as siege:
        siege.relay.pace = 0.005
        pid = siege.start("deliver", "1")
        siege.until_taken(6)
        siege.freeze(pid)
        siege.wait(siege.start_later())
        assert siege.balance()["uncertain"] == 0
        os.kill(pid, signal.SIGCONT)
        siege.wait(pid)
        siege.until_done()
        assert siege.check() == {"submitted": 60}


@pytest.mark.kill
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process a host name of its own")
@pytest.mark.parametrize("database", DATABASES)
def test_a_worker_elsewhere_that_stood_still_finds_its_work_taken_over(besiege, database):
    with besiege(database) as siege:
        siege.relay.pace = 0.005
        pid = siege.start("deliver", "1", host="elsewhere")
        siege.until_taken(6)
        siege.freeze(pid)
        siege.wait(siege.start_later())
        assert siege.balance()["uncertain"] <= siege.connections
        # What was under way has its answer now; what was only leased is another's.
        os.kill(pid, signal.SIGCONT)
        siege.wait(pid)
        siege.until_done()
        assert siege.check() == {"submitted": 60}


@pytest.mark.kill
@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_while_it_delivers(besiege, hours):
    with besiege() as siege:
        siege.relay.pace = 0.005
        signal_ = siege.home / "now"
        pid = siege.start_later(jump=[str(signal_), timedelta(hours=hours).total_seconds()])
        siege.until_taken(6)
        signal_.touch()
        siege.wait(pid)
        siege.until_done()
        assert siege.check() == {"submitted": 60}


@pytest.mark.kill
def test_a_mailbox_of_files_tells_of_every_mail_in_doubt(besiege):
    with besiege(relayed=False) as siege:

        def deliver():
            return siege.start("deliver", "1")

        for query in ("submitting", "one more is out"):
            siege.killed_when(LEDGER_STEPS[query], deliver)
        for moment in moments(6, SEED, 0.15):
            siege.killed_after(moment, deliver)
        siege.run("deliver", "1")
        assert siege.balance() == {"submitted": 60}
        assert siege.in_mailbox() == Counter(addresses(60))


@pytest.mark.kill
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_batch_left_in_doubt_is_said_again_by_its_key_and_nobody_has_it_twice(besiege, moment):
    with (
        besiege(readers=150, relayed=False) as siege,
        served(ResendServer(lambda: datetime.now(UTC))) as server,
        proxied(server.url) as proxy,
    ):
        server.domains.add("commonthreads.example")
        use_mailer(siege.home, f'kind = "resend"\napi_key = "{KEY}"\napi_url = "{proxy.url}"\n')
        for _ in range(2):
            setattr(proxy, moment, lambda line: siege.kill())
            assert siege.killed_after(60, lambda: siege.start("deliver", "1"))
        setattr(proxy, moment, lambda line: None)
        doubtful = siege.balance()["submitting"]
        assert 0 < doubtful <= 100, "more than one request was under way"
        siege.until_done()
        assert siege.balance() == {"submitted": 150}
        assert server.copies == Counter(addresses(150))


#: So much room is left for the database, in bytes: it is used up at different steps.
ROOM = (0, 30_000, 100_000, 300_000)


@pytest.mark.kill
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a small disk")
@pytest.mark.parametrize("room", ROOM)
def test_a_full_disk_under_the_database_loses_nothing(besiege, room):
    with besiege() as siege, small_disk(siege.home / "var") as disk:
        disk.fill(room)
        siege.wait(siege.start("deliver", "1"), codes=(1,))
        told = siege.errors()
        assert "Traceback" not in told
        assert "the disk is full" in told
        disk.empty()
        # What was answered could not be written: for the ledger it was a kill.
        siege.kills += 1
        siege.until_done()
        siege.check()


@pytest.mark.kill
@pytest.mark.parametrize("largest", [8_000, 60_000])
def test_a_database_that_may_grow_no_more_loses_nothing(besiege, largest):
    with besiege() as siege:
        siege.wait(siege.start("deliver", "1", largest=largest), codes=(1,))
        told = siege.errors()
        assert "Traceback" not in told
        assert "the disk is full" in told
        siege.kills += 1
        siege.until_done()
        siege.check()


@dataclass
class Disk:
    """A small one, with a file on it that takes up room."""

    path: Path

    def fill(self, room):
        """Leave so much room, in bytes."""
        free = shutil.disk_usage(self.path).free
        (self.path / "ballast").write_bytes(bytes(free - room))

    def empty(self):
        (self.path / "ballast").unlink()


@contextmanager
def small_disk(path):
    """Put what a folder holds on a disk of 32 MB, as long as the block runs."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", path], check=True)
    try:
        shutil.copytree(aside, path, dirs_exist_ok=True)
        yield Disk(path)
    finally:
        subprocess.run(["umount", path], check=True)
