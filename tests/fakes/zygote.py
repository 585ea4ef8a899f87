"""Starts processes that have everything imported already, to be killed at any moment.

A fork of one that never ran anything: a real process with a process id of its own, an eighth of
a second after it was asked for. Run as a script, it reads orders from its standard input.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Zygote:
    """Starts steps for the home folders it is told; each may be killed by its id."""

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

    def start(self, what: str, home: Path, offset: timedelta, **more: Any) -> int:
        """Begin a step ("publish", ...) at a moment so far from now; returns its process id.

        `more`: "environment" for it, its "arguments", a file to print into as "out" and one for
        errors as "err", the name of a "host" of its own, the "largest" file it may write, the
        "most" it delivers, and a "jump" of its clock: once which file is there, by how many seconds.
        """
        order = {"what": what, "home": str(home), "offset": offset.total_seconds(), **more}
        with self.lock:
            self._order(order)
            return int(self._answer())

    def wait(self, pid: int) -> int:
        """How it ended: its exit code, or minus the signal that killed it."""
        with self.lock:
            self._order({"wait": pid})
            return int(self._answer())

    def run(self, what: str, home: Path, offset: timedelta, **more: Any) -> int:
        """Begin a step and wait for its end."""
        return self.wait(self.start(what, home, offset, **more))

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


def _publish(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    from digest.bootstrap import bootstrap
    from digest.social.workshop import publish

    with bootstrap(home, clock=clock) as app:
        report = publish(app)
    told = {"faults": dict(report.faults), "notices": report.notices}
    told["lines"] = [
        (line.channel, line.position, line.state, line.reason) for line in report.lines
    ]
    with (home / "var" / "told.jsonl").open("a") as file:
        file.write(json.dumps(told) + "\n")


def _plan(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    from digest.bootstrap import bootstrap
    from digest.social.plan import plan

    with bootstrap(home, clock=clock) as app:
        assert plan(app, series="ipc").threads


def _ingest(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    from digest.cli import main

    sys.stdout = sys.stderr
    main(["ingest", "--home", str(home), "--json"])


def _digest(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    """Any command; its clock is the machine's."""
    from digest.cli import main

    main([*order["arguments"], "--home", str(home)])


def _begin(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    """Issue 1, up to where the next step is its first mail."""
    from digest import sending
    from digest.bootstrap import bootstrap
    from digest.issues.compose import Request
    from digest.issues.scope import ALL
    from digest.model import Act, Rhythm

    with bootstrap(home, clock=clock) as app:
        act = Act("test", app.clock(), "begin")
        request = Request("weekly", ALL, Rhythm.WEEKLY, app.clock())
        sending.begin(app, sending.draft(app, request, act).id, act)


def _deliver(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    """As `digest deliver 1` does it, by another clock, and with a "most" no more than so many."""
    from digest import sending
    from digest.bootstrap import bootstrap
    from digest.cli.stopping import stop_gently
    from digest.model import Act, IssueState

    with bootstrap(home, clock=clock) as app, stop_gently() as stopping:
        act = Act("test", app.clock(), "deliver")
        if sending.begin(app, 1, act).issue.state is IssueState.SENDING:
            watch = sending.Watch(should_stop=stopping)
            sending.deliver_batch(app, 1, watch, most=order.get("most"))


def _resume(home: Path, clock: Callable[[], datetime], order: dict) -> None:
    """As `digest resume 1` does it, by another clock."""
    from digest.bootstrap import bootstrap
    from digest.issues import desk
    from digest.model import Act

    with bootstrap(home, clock=clock) as app:
        act = Act("test", app.clock(), "go on")
        desk.resume(app.store, app.config, app.templates, 1, act)


STEPS = {
    "publish": _publish,
    "plan": _plan,
    "ingest": _ingest,
    "digest": _digest,
    "begin": _begin,
    "deliver": _deliver,
    "resume": _resume,
}


def _clock(order: dict) -> Callable[[], datetime]:
    """Shows the moment of the order, and jumps in the middle where told to."""
    offset = timedelta(seconds=order["offset"])
    file, by = order.get("jump", ("", 0))

    def now() -> datetime:
        jumped = file and Path(file).exists()
        return datetime.now(UTC) + offset + timedelta(seconds=by if jumped else 0)

    return now


def _furnish(order: dict) -> None:
    """Give the new process what is its own."""
    os.environ.update(order.get("environment", {}))
    for stream, number in (("out", 1), ("err", 2)):
        if stream in order:
            os.dup2(os.open(order[stream], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if "host" in order:
        # CLONE_NEWUTS: a host name of its own, as another machine has.
        assert ctypes.CDLL(None).unshare(0x04000000) == 0
        socket.sethostname(order["host"])
    if "largest" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], order["largest"]))


#: What the steps import late, all of it.
LATE = (
    *("atproto", "mastodon", "tweepy", "twitter_text", "jinja2", "regex", "requests_oauthlib"),
    *("PIL.Image", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.WebPImagePlugin"),
    *("sqlalchemy.dialects.sqlite", "feedparser", "nh3", "selectolax.lexbor"),
    *(f"digest.social.channels.{name}" for name in ("x", "mastodon", "bluesky", "preview")),
    *("digest.bootstrap", "digest.social.workshop", "digest.cli", "digest.feeds.ingest"),
    *("mjml", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "rich.progress", "smtplib"),
    *("digest.sending", "digest.issues.desk", "digest.mail.mailers.smtp"),
    *("digest.mail.mailers.file", "digest.readers.importing"),
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
                _furnish(order)
                STEPS[order["what"]](Path(order["home"]), _clock(order), order)
                code = 0
            except SystemExit as exit_:
                code = int(exit_.code or 0)
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                # As at the end of any process: it waits for threads that are no daemons.
                threading._shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
