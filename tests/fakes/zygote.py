"""Starts processes that have everything imported already, to be killed at any moment.

A fork of one that never ran anything: a real process with a process id of its own, an eighth of
a second after it was asked for. Run as a script, it reads orders from its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Self


@dataclass
class Zygote:
    """Starts publishers for the home folders it is told; each may be killed by its id."""

    environment: dict[str, str]
    process: subprocess.Popen = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            # Beside this file lies one named as the library that speaks to Mastodon.
            [sys.executable, "-P", __file__],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def start(self, what: str, home: Path, offset: timedelta) -> int:
        """Begin a step ("publish", ...) at a moment so far from now; returns its process id."""
        order = {"what": what, "home": str(home), "offset": offset.total_seconds()}
        with self.lock:
            self._order(order)
            return int(self._answer())

    def wait(self, pid: int) -> int:
        """How it ended: its exit code, or minus the signal that killed it."""
        with self.lock:
            self._order({"wait": pid})
            return int(self._answer())

    def run(self, what: str, home: Path, offset: timedelta) -> int:
        """Begin a step and wait for its end."""
        return self.wait(self.start(what, home, offset))

    def _order(self, order: dict) -> None:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> str:
        return self.process.stdout.readline().strip()


def kill(pid: int) -> None:
    """End it at once, as a power cut would; it may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _publish(home: Path, offset: timedelta) -> None:
    from digest.bootstrap import bootstrap
    from digest.social.workshop import publish

    with bootstrap(home, clock=lambda: datetime.now(UTC) + offset) as app:
        report = publish(app)
    told = {"faults": dict(report.faults), "notices": report.notices}
    told["lines"] = [
        (line.channel, line.position, line.state, line.reason) for line in report.lines
    ]
    with (home / "var" / "told.jsonl").open("a") as file:
        file.write(json.dumps(told) + "\n")


def _plan(home: Path, offset: timedelta) -> None:
    from digest.bootstrap import bootstrap
    from digest.social.plan import plan

    with bootstrap(home, clock=lambda: datetime.now(UTC) + offset) as app:
        assert plan(app, series="ipc").threads


def _ingest(home: Path, offset: timedelta) -> None:
    from digest.cli import main

    sys.stdout = sys.stderr
    main(["ingest", "--home", str(home), "--json"])


STEPS = {"publish": _publish, "plan": _plan, "ingest": _ingest}


#: What a publisher imports late, all of it.
LATE = (
    *("atproto", "mastodon", "tweepy", "twitter_text", "jinja2", "regex", "requests_oauthlib"),
    *("PIL.Image", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.WebPImagePlugin"),
    *("sqlalchemy.dialects.sqlite", "feedparser", "nh3", "selectolax.lexbor"),
    *(f"digest.social.channels.{name}" for name in ("x", "mastodon", "bluesky", "preview")),
    *("digest.bootstrap", "digest.social.workshop", "digest.cli", "digest.feeds.ingest"),
)


def main() -> None:
    for name in LATE:
        import_module(name)
    # A collection in a fork would touch, and so copy, all of what was imported.
    gc.freeze()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
            continue
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                STEPS[order["what"]](Path(order["home"]), timedelta(seconds=order["offset"]))
                code = 0
            except SystemExit as exit_:
                code = int(exit_.code or 0)
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(code)
        print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
