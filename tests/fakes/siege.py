"""A home folder that publishes threads on a network of this machine, while it is being killed."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fakes.zygote import Zygote, kill

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.proxy import Proxy

ROOT = Path(__file__).parents[2]
#: The clock goes on so far from one run to the next: longer than any network is behind.
STEP = timedelta(seconds=90)
#: So far apart are runs that a schedule starts.
A_SCHEDULE = timedelta(minutes=10)
#: So many threads are planned, of which each goes on from the one before.
THREADS = 2
#: All day long, so that what is planned three hours ago is due.
SLOTS = """
max_items = 4
form = "standing"
slots.weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
slots.times = [{times}]
slots.pace_minutes = 0
timeout_seconds = 2
"""


def channel_toml(network: str, account: str) -> str:
    """The only channel of a home folder; `account` is the table of its keys."""
    times = ", ".join(f"{hour:02}:{minute:02}:00" for hour in range(24) for minute in (0, 20, 40))
    head = f'[channels.main]\nnetwork = "{network}"\nkind = "account"\nseries = ["ipc"]'
    return f"{head}{SLOTS.format(times=times)}\n[channels.main.{network}]\n{account}\n"


def new_home(folder: Path, channels: str, zygote: Zygote) -> Path:
    """A home folder with the sample blog read, and two threads planned that are due."""
    home = folder / "home"
    shutil.copytree(ROOT / "config", home / "config")
    shutil.copytree(ROOT / "templates", home / "templates")
    (home / "config" / "channels.toml").write_text(channels)
    assert zygote.run("ingest", home, timedelta()) == 0
    assert zygote.run("plan", home, -timedelta(hours=2)) == 0
    path = home / "var" / "digest.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"DELETE FROM publications WHERE thread_id > {THREADS}")
        database.execute(f"DELETE FROM threads WHERE id > {THREADS}")
    return home


@dataclass
class Post:
    """What a network has: its own id, our text, the id of what it answers."""

    id: str
    text: str
    parent: str | None


@dataclass
class Siege:
    """One home, one network; publish, be killed, come back."""

    home: Path
    zygote: Zygote
    proxy: Proxy
    #: What the network has, in the order in which it took it.
    posts: Callable[[], list[Post]]
    #: Lets the network's clock go on.
    move: Callable[[timedelta], None] = lambda time: None
    offset: timedelta = timedelta()
    kills: int = 0
    pid: int = 0
    _begun: threading.Event = field(default_factory=threading.Event)

    def publish(self) -> int:
        """Run once, undisturbed."""
        self._on()
        return self.zygote.run("publish", self.home, self.offset)

    def publish_and_kill_at(self, moment: str, pattern: str, number: int = 1) -> bool:
        """Run, and kill it "before" or "after" the network takes a request; whether it came to it."""
        seen = Counter()

        def at(line: str) -> None:
            if pattern in line:
                seen[line] += 1
                if sum(seen.values()) == number:
                    self._begun.wait(10)
                    kill(self.pid)

        setattr(self.proxy, moment, at)
        code = self._start_and_wait()
        setattr(self.proxy, moment, lambda line: None)
        self.kills += code < 0
        return code < 0

    def publish_and_kill_when(self, query: str) -> bool:
        """Run, and kill it as soon as the ledger looks so."""
        pid = self._start()
        done: list[int] = []
        waiting = threading.Thread(target=lambda: done.append(self._wait(pid)))
        waiting.start()
        while not done and not self.count(query):
            time.sleep(0.002)
        kill(pid)
        waiting.join()
        self.kills += done[0] < 0
        return done[0] < 0

    def publish_and_kill_after(self, seconds: float) -> bool:
        """Run, and kill it after so long."""
        pid = self._start()
        threading.Timer(seconds, kill, [pid]).start()
        code = self._wait(pid)
        self.kills += code < 0
        return code < 0

    def until_done(self, *, most: int = 25) -> int:
        """Run until nothing is to do any more; how many runs that took."""
        for number in range(1, most + 1):
            self.change("DELETE FROM stops")
            self.later(A_SCHEDULE)
            assert self.publish() == 0
            if not self.count(f"SELECT count(*) FROM publications WHERE {UNDERWAY}"):
                return number
        raise AssertionError(f"not done after {most} runs: {self.states()} {self.told()}")

    def check(self) -> None:
        """Each snippet is out once, answers the one before it, and the ledger says the same."""
        posts = self.posts()
        planned = self.rows(
            "SELECT text, remote_id, state FROM publications ORDER BY thread_id, position"
        )
        texts = [text for text, _, _ in planned]
        assert Counter(post.text for post in posts) == Counter(texts), (self.states(), self.told())
        assert {state for _, _, state in planned} == {"submitted"}, self.states()
        by_id = {post.id: post for post in posts}
        in_order = [by_id[remote_id] for _, remote_id, _ in planned]
        assert [post.text for post in in_order] == texts
        assert [post.parent for post in in_order] == [None, *(p.id for p in in_order[:-1])]

    def count(self, query: str) -> int:
        return self.rows(query)[0][0]

    def rows(self, query: str) -> list[tuple]:
        path = self.home / "var" / "digest.db"
        with closing(sqlite3.connect(path, timeout=30)) as database:
            return database.execute(query).fetchall()

    def change(self, statement: str) -> None:
        path = self.home / "var" / "digest.db"
        with closing(sqlite3.connect(path, timeout=30)) as database, database:
            database.execute(statement)

    def states(self) -> list[tuple]:
        return self.rows(
            "SELECT thread_id, position, state, code, reason, settled FROM publications ORDER BY id"
        )

    def told(self) -> list[dict]:
        path = self.home / "var" / "told.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def later(self, time: timedelta) -> None:
        """Let all clocks go on."""
        self.offset += time
        self.move(time)

    def _on(self) -> None:
        self.later(STEP)

    def _start(self) -> int:
        self._on()
        self._begun.clear()
        self.pid = self.zygote.start("publish", self.home, self.offset)
        self._begun.set()
        return self.pid

    def _wait(self, pid: int) -> int:
        return self.zygote.wait(pid)

    def _start_and_wait(self) -> int:
        return self._wait(self._start())


#: Not over, or not known to be.
UNDERWAY = (
    "state IN ('pending', 'claimed', 'submitting') OR (state = 'uncertain' AND settled IS NULL)"
)

#: What the ledger looks like for kills that are seen from outside.
LEDGER_STEPS = {
    "claimed": "SELECT count(*) FROM publications WHERE state = 'claimed'",
    "submitting": "SELECT count(*) FROM publications WHERE state = 'submitting'",
    "one is out": "SELECT count(*) FROM publications WHERE state = 'submitted'",
    "three are out": "SELECT count(*) >= 3 FROM publications WHERE state = 'submitted'",
    "a thread is out": "SELECT count(*) >= 4 FROM publications WHERE state = 'submitted'",
}


def moments(count: int, seed: int, longest: float) -> list[float]:
    """Random moments to be killed at, the same in each run of the tests."""
    chance = random.Random(seed)
    return [chance.uniform(0.02, longest) for _ in range(count)]


def now() -> datetime:
    return datetime.now(UTC)
