"""A home folder that delivers an issue to a relay of this machine, while it is being killed.

Whatever happens, at the end each recipient has one copy or none, stands in the ledger with a
state that tells which, and is in doubt only where an answer was lost.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from fakes.zygote import Zygote, kill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Engine

    from fakes.relay import Relay

ROOT = Path(__file__).parents[2]
READERS_HEAD = "email,newsletters,series,themes,rhythm,consent_source,consent_at"
DOMAINS = ("one.example", "two.example", "three.example")
#: From one run to the next: nothing that waits waits as long, the check of posts holds.
STEP = timedelta(hours=5)

#: What the ledger looks like for kills that are seen from outside.
LEDGER_STEPS = {
    "claimed": "SELECT count(*) FROM deliveries WHERE state = 'claimed'",
    "submitting": "SELECT count(*) FROM deliveries WHERE state = 'submitting'",
    "several submitting": "SELECT count(*) >= 2 FROM deliveries WHERE state = 'submitting'",
    "one more is out": "SELECT count(*) > {out} FROM deliveries WHERE state = 'submitted'",
}
#: From the first draft on; only before anything went out.
DRAFT_STEPS = {
    "drafted": "SELECT count(*) FROM issues",
    "approved": "SELECT count(*) FROM issues WHERE state = 'approved'",
    "frozen": "SELECT count(*) FROM issues WHERE state = 'frozen'",
}
OPEN = ("pending", "claimed", "submitting")


def furnish(home: Path, readers: int) -> None:
    """The files of a home folder, and a list of readers beside them."""
    shutil.copytree(ROOT / "config", home / "config")
    shutil.copytree(ROOT / "templates", home / "templates")
    (home / "var").mkdir()
    change(home / "config" / "newsletters.toml", '"required"', '"none"')
    lines = [f"{name},weekly,,,weekly,test,2026-01-01T00:00Z" for name in addresses(readers)]
    (home / "readers.csv").write_text("\n".join([READERS_HEAD, *lines, ""]))


def addresses(count: int) -> list[str]:
    return [f"r{number}@{DOMAINS[number % len(DOMAINS)]}" for number in range(count)]


def change(path: Path, before: str, after: str) -> None:
    whole = path.read_text()
    assert before in whole
    path.write_text(whole.replace(before, after))


def use_mailer(home: Path, settings: str) -> None:
    """Let the newsletter's mailer be this one, not the local mailbox."""
    site, head = home / "config" / "site.toml", "[mailers.local]\n"
    change(site, f'{head}kind = "file"\npath = "var/mail"\n', head + settings)


def use_relay(home: Path, port: int, *, connections: int = 4, seconds: int = 2) -> None:
    """Let the newsletter's mailer be the relay at a port; `seconds` is its timeout."""
    use_mailer(
        home,
        f'kind = "smtp"\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
        f"timeout_seconds = {seconds}\nconnections = {connections}\n",
    )


@dataclass
class Blockade:
    """One home, one relay, issue 1; deliver, be killed, come back."""

    home: Path
    zygote: Zygote
    relay: Relay
    #: Of the database; None: SQLite in the home folder.
    url: str | None = None
    readers: int = 0
    connections: int = 4
    offset: timedelta = timedelta()
    kills: int = 0
    #: Who runs.
    pids: list[int] = field(default_factory=list)
    #: A kill hits all who run, not only whom it is meant for.
    power_cut: bool = False
    _victim: int = 0
    _begun: threading.Event = field(default_factory=threading.Event)

    # --- running ---

    def start(self, *arguments: str, **more: Any) -> int:
        """Begin a command; returns its process id."""
        return self._start("digest", {"arguments": [*arguments, "--json"], **more})

    def start_later(self, **more: Any) -> int:
        """Begin to deliver, at a time when nothing waits any more; returns its process id.

        With `most` it ends after so many deliveries, and leases no more than those.
        """
        self.offset += STEP
        return self._start("deliver", more)

    def start_two(self, **more: Any) -> int:
        """Two at once that deliver, when nothing waits any more; returns the first one's id."""
        first = self.start_later(**more)
        self.start_later(**more)
        return first

    def _start(self, what: str, more: dict[str, Any]) -> int:
        files = {"out": str(self.home / "out.json"), "err": str(self.home / "err.txt")}
        environment = {"DIGEST_DATABASE_URL": self.url} if self.url else {}
        pid = self.zygote.start(
            what, self.home, self.offset, **{"environment": environment, **files, **more}
        )
        self.pids.append(pid)
        return pid

    def wait(self, pid: int, codes: tuple[int, ...] = (0, 3, -9)) -> int:
        """How it ended: in good order, or killed by us."""
        code = self.zygote.wait(pid)
        self.pids.remove(pid)
        assert code in codes, self.errors()
        self.kills += code == -9
        return code

    def errors(self) -> str:
        return (self.home / "err.txt").read_text()

    def run(self, *arguments: str, codes: tuple[int, ...] = (0, 3)) -> Any:
        """Run a command undisturbed; what it printed."""
        assert self.wait(self.start(*arguments)) in codes, self.errors()
        return json.loads((self.home / "out.json").read_text())

    def wait_for_all(self) -> None:
        for pid in list(self.pids):
            self.wait(pid)
        self.balance()

    def until_taken(self, count: int) -> None:
        """Wait until the relay has accepted so many."""
        for _ in range(10_000):
            if len(self.relay.taken()) >= count:
                return
            time.sleep(0.002)
        raise AssertionError(f"so many were never sent: {self.balance()} {self.errors()}")

    def freeze(self, pid: int) -> None:
        """Let a process stand still; not within a transaction, which would stop all others too."""
        while True:
            os.kill(pid, signal.SIGSTOP)
            if not self._is_writing():
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.003)

    def _is_writing(self) -> bool:
        if self.url:
            others = "datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
            # It may have said something that was not read yet.
            time.sleep(0.05)
            return self.count(f"SELECT count(*) FROM pg_stat_activity WHERE {others}") > 0
        try:
            with closing(sqlite3.connect(self.home / "var" / "digest.db", timeout=0)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.rollback()
        except sqlite3.OperationalError:
            return True
        return False

    # --- being killed ---

    def killed_at(self, step: str, number: int, begin: Callable[[], int]) -> bool:
        """Run, and kill it when the relay comes to a step so often; whether it came to it.

        Of several that run it kills whose mail came to the step, and waits for all: one may end
        at once, because the others lease all that there is.
        """
        seen = Counter[str]()
        lock = threading.Lock()

        def at_step(now_at: str, recipient: str) -> None:
            with lock:
                seen[now_at] += 1
                mine = now_at == step and seen[step] == number
            if mine:
                # Whoever is to be killed waits for an answer meanwhile, and cannot end by itself.
                assert self._begun.wait(60), "they were never begun"
                if len(self.pids) > 1 and recipient:
                    self._victim = self._sender_to(recipient)
                self.kill()

        self.relay.at_step = at_step
        try:
            return self._until_killed(begin, lambda: False)
        finally:
            self.relay.at_step = lambda step, recipient: None

    def killed_when(self, query: str, begin: Callable[[], int], most: int = 12) -> bool:
        """Run, and kill it as soon as the ledger looks so, or after `most` mails at the latest."""
        before = self.count("SELECT count(*) FROM deliveries WHERE state = 'submitted'")
        query = query.format(out=before)
        enough = len(self.relay.taken()) + most
        return self._until_killed(
            begin, lambda: self.count(query) > 0 or len(self.relay.taken()) >= enough
        )

    def killed_after(self, seconds: float, begin: Callable[[], int], *, mail: bool = False) -> bool:
        """Run, and kill it after so long; with `mail` from when it said its first MAIL."""
        first = threading.Event()
        if mail:
            self.relay.at_step = lambda step, recipient: step == "MAIL" and first.set()
        else:
            first.set()
        since = []

        def over() -> bool:
            if first.is_set() and not since:
                since.append(time.monotonic())
            return bool(since) and time.monotonic() - since[0] >= seconds

        try:
            return self._until_killed(begin, over, pause=0.0005)
        finally:
            self.relay.at_step = lambda step, recipient: None

    def _until_killed(
        self, begin: Callable[[], int], over: Callable[[], bool], pause: float = 0.002
    ) -> bool:
        self._begun.clear()
        self._victim = begin()
        self._begun.set()
        running = list(self.pids)
        ended: list[int] = []
        waiting = threading.Thread(target=lambda: ended.extend(map(self.zygote.wait, running)))
        waiting.start()
        while waiting.is_alive():
            if over():
                self.kill()
                break
            time.sleep(pause)
        waiting.join()
        self.pids.clear()
        assert set(ended) <= {0, 3, -9}, self.errors()
        self.kills += ended.count(-9)
        self.balance()
        return -9 in ended

    def _sender_to(self, recipient: str) -> int:
        """The process that submits a recipient's mail, by the name of the worker."""
        query = f"SELECT worker FROM deliveries WHERE address = '{recipient}'"
        return int(self.rows(query)[0][0].split(":")[1])

    def kill(self) -> None:
        """Kill whom it is about now, or all; not before it is known who runs."""
        assert self._begun.wait(60), "they were never begun"
        for pid in self.pids if self.power_cut else [self._victim]:
            kill(pid)

    # --- the ledger ---

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def count(self, query: str) -> int:
        return int(self.rows(query)[0][0])

    @cached_property
    def _engine(self) -> Engine:
        url = self.url or f"sqlite:///{self.home / 'var' / 'digest.db'}"
        return create_engine(url, poolclass=NullPool)

    def states(self) -> dict[str, str]:
        """The state of each recipient."""
        return dict(self.rows("SELECT address, state FROM deliveries WHERE issue_id = 1"))

    def balance(self) -> Counter[str]:
        """The account as it stands; whatever was killed, it has all recipients."""
        account = Counter(dict(self.rows("SELECT state, count(*) FROM deliveries GROUP BY state")))
        assert account.total() in {0, self.readers}, account
        return account

    def in_mailbox(self) -> Counter[str]:
        """How many mails to each recipient lie in the local mailbox."""
        found = (self.home / "var" / "mail" / "new").iterdir()
        mails = (message_from_bytes(path.read_bytes(), policy=default) for path in found)
        return Counter(str(mail["To"]) for mail in mails)

    # --- the end ---

    def resume(self) -> None:
        """Let the issue go on, if something paused it."""
        if self.count("SELECT count(*) FROM issues WHERE id = 1 AND state = 'paused'"):
            self.wait(self._start("resume", {}))

    def until_done(self, most: int = 30) -> None:
        """Deliver until nothing is left to do, as an operator would who wants it out."""
        for _ in range(most):
            self.resume()
            if self.count("SELECT count(*) FROM deliveries WHERE state = 'failed'"):
                self.run("deliver", "1", "--retry-failed")
            self.wait(self.start_later())
            if not set(OPEN) & set(self.balance()):
                return
        raise AssertionError(f"not done: {self.balance()} {self.errors()}")

    def check(self) -> Counter[str]:
        """Nobody twice, nobody lost, nobody unseen; returns the account."""
        account = self.balance()
        states, accepted = self.states(), self.relay.accepted()
        assert set(states) == set(addresses(self.readers))
        told = self.run("account", "1")
        assert told.pop("recipients") == self.readers == sum(told.values())
        assert {state: count for state, count in told.items() if count} == account
        copies = Counter(accepted.values())
        assert set(copies) <= {1}, "a reader has it twice"
        assert set(Counter(number for _, number in self.relay.taken()).values()) <= {1}
        submitted = {address for address, state in states.items() if state == "submitted"}
        uncertain = {line["address"] for line in self.run("account", "1", "--who", "uncertain")}
        assert uncertain == {a for a, state in states.items() if state == "uncertain"}
        assert submitted <= set(accepted), "one is told to have it, and has it not"
        assert set(accepted) <= submitted | uncertain, "one has it of whom nothing tells"
        assert len(uncertain) <= self.connections * self.kills + self.relay.unanswered
        return account


def moments(count: int, seed: int, longest: float) -> Iterator[float]:
    """Random moments to be killed at, the same in each run of the tests."""
    chance = random.Random(seed)
    return (chance.uniform(0.0, longest) for _ in range(count))
