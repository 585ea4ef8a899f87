"""All of it, really running: `digest up` on a home of its own, the sample blog, an SMTP server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from aiosmtpd.controller import Controller
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from digest.sample.server import SampleServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

ROOT = Path(__file__).parents[1]

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

RELAY = """
[mailers.relay]
kind = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
connections = {connections}
"""
#: Of the mailer; each may leave one mail in doubt.
CONNECTIONS = 2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@dataclass
class Inbox:
    """What an SMTP server was given; once it took `most`, it answers nobody."""

    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    most: int | None = None
    #: So many wait for an answer until they hang up; their mails are not taken.
    waiting: int = 0

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  aiosmtpd's word
        import asyncio

        if self.most is not None and len(self.mails) >= self.most:
            self.waiting += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.waiting -= 1
        message = message_from_bytes(envelope.original_content, policy=default)
        self.mails.append((envelope.rcpt_tos[0], message))
        return "250 accepted"

    @property
    def readers(self) -> list[str]:
        return [to for to, _ in self.mails]


@dataclass
class Stack:
    """A home, and everything that serves it. Runs are driven over Prefect's API."""

    home: Path
    blog: SampleServer
    smtp: Controller
    inbox: Inbox
    environment: dict[str, str]
    process: subprocess.Popen[str] | None = None

    # --- starting and stopping ---

    def start(self) -> None:
        command = [sys.executable, "-m", "digest", "up", "--home", str(self.home), "--json"]
        with (self.home / "up.log").open("a") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        with self.process.stdout as out:
            line = out.readline()
        if not line:
            self.process.wait()
            pytest.fail((self.home / "up.log").read_text())
        self.ready = json.loads(line)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(120) == 0
        self.process = None

    def kill_everything(self) -> None:
        """As a power cut does: the supervisor and all that it started, at once."""
        assert self.process is not None
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            kill(pid)
        self.process.wait()

    def close(self) -> None:
        self.stop()
        self.smtp.stop(no_assert=True)
        self.blog.__exit__(None, None, None)
        shutil.rmtree(self.home.parent)

    def start_smtp(self) -> None:
        """Answer again on the same port."""
        self.smtp = Controller(self.inbox, hostname="127.0.0.1", port=self.smtp.port)
        self.smtp.start()

    # --- digest's own command line ---

    def digest(self, *arguments: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "digest", *arguments, "--home", str(self.home), "--json"]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        self.said = done.stderr
        return json.loads(done.stdout)

    # --- Prefect's API ---

    @property
    def ui(self) -> str:
        return self.connection["api_url"].removesuffix("/api")

    @property
    def connection(self) -> dict[str, str]:
        return json.loads((self.home / "var" / "prefect" / "connection.json").read_text())

    def api(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.ask(path, body, method)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def ask(self, path: str, body: Any = None, method: str = "POST") -> requests.Response:
        connection = self.connection
        user, _, password = connection["auth"].partition(":")
        url = f"{connection['api_url']}{path}"
        return requests.request(method, url, json=body, auth=(user, password), timeout=60)

    def deployment(self, name: str) -> dict[str, Any]:
        return self.api(f"/deployments/name/{name}/{name}", method="GET")

    def run(self, flow: str, **parameters: Any) -> str:
        """Start a run as the form does; its id."""
        number = self.deployment(flow)["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return self.api(f"/deployments/{number}/create_flow_run", body)["id"]

    def state(self, run: str) -> dict[str, Any]:
        return self.api(f"/flow_runs/{run}", method="GET")

    def wait(self, run: str, *types: str, seconds: float = 90) -> dict[str, Any]:
        """The run as soon as it is in one of these states."""
        return until(lambda: self._in(run, types or (*ENDED, "PAUSED")), seconds)

    def _in(self, run: str, types: tuple[str, ...]) -> dict[str, Any] | None:
        found = self.state(run)
        return found if found["state"]["type"] in types else None

    def answer(self, run: str, **fields: Any) -> dict[str, Any]:
        """Press Resume with these fields; SQLite sometimes says that it is busy."""
        for _ in range(10):
            said = self.ask(f"/flow_runs/{run}/resume", {"run_input": fields})
            if said.status_code != 503:
                break
            time.sleep(1)
        assert said.ok, said.text
        return said.json()

    def retry(self, run: str) -> None:
        """What the UI's Retry does."""
        state = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
        body = {"state": state, "force": True}
        assert self.api(f"/flow_runs/{run}/set_state", body)["status"] == "ACCEPT"

    def artifacts(self, run: str) -> dict[str, str]:
        """The newest artifact of each key."""
        body = {"artifacts": {"flow_run_id": {"any_": [run]}}, "sort": "CREATED_DESC"}
        found = reversed(self.api("/artifacts/filter", body))
        return {one["key"]: str(one["data"]) for one in found}

    def inputs(self, run: str) -> dict[str, Any]:
        found = self.api(f"/flow_runs/{run}/input/filter", {"prefix": "", "limit": 100})
        return {one["key"]: json.loads(one["value"]) for one in found}

    def question(self, run: str) -> str:
        """The text above the form that is open; Prefect stores it after the state."""
        key = self.state(run)["state"]["state_details"]["run_input_keyset"]["description"]
        return until(lambda: self.inputs(run).get(key), 30)

    def everything_shown(self) -> str:
        """All that Prefect keeps of all runs: parameters, names, logs, artifacts, inputs."""
        runs = self.api("/flow_runs/filter", {"limit": 200})
        parts = [runs, self.api("/artifacts/filter", {"limit": 200})]
        parts += [self.api("/task_runs/filter", {"limit": 200}), self._all_logs()]
        parts += [self.inputs(run["id"]) for run in runs]
        return json.dumps(parts, ensure_ascii=False)

    def _all_logs(self) -> list[Any]:
        logs: list[Any] = []
        while batch := self.api("/logs/filter", {"limit": 200, "offset": len(logs)}):
            logs += batch
        return logs

    def in_prefects_database(self, statement: str, **values: Any) -> None:
        url = make_url((self.home / "var" / "run" / "postgres.url").read_text().strip())
        engine = create_engine(url.set(database="prefect"))
        with engine.begin() as connection:
            connection.execute(text(statement), values)
        engine.dispose()

    def logs(self, run: str) -> list[str]:
        wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        return [line["message"] for line in self.api("/logs/filter", wanted)]


def new_stack() -> Stack:
    """A home with the sample blog read and its readers imported; nothing is started yet.

    As root PostgreSQL runs under another account, for which pytest's own folders are closed.
    """
    folder = Path(tempfile.mkdtemp(prefix="digest-stack-"))
    folder.chmod(0o711)
    home = folder / "home"
    for name in ("config", "templates", "flows", "deploy"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    blog = SampleServer(anchor=datetime.now(UTC), now=lambda: datetime.now(UTC), port=0)
    blog.__enter__()
    inbox = Inbox()
    smtp = Controller(inbox, hostname="127.0.0.1", port=free_port())
    smtp.start()
    site = home / "config" / "site.toml"
    site.write_text(site.read_text() + RELAY.format(port=smtp.port, connections=CONNECTIONS))
    newsletters = home / "config" / "newsletters.toml"
    text = newsletters.read_text().replace('mailer = "local"', 'mailer = "relay"')
    newsletters.write_text(text)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "DIGEST_SAMPLE_PORT": blog.url.rsplit(":", 1)[1],
        "DIGEST_LINKS_URL": f"http://127.0.0.1:{free_port()}",
        "DIGEST_PREFECT_PORT": str(free_port()),
    }
    environment.pop("DIGEST_DATABASE_URL", None)
    stack = Stack(home, blog, smtp, inbox, environment)
    stack.digest("ingest")
    stack.digest("readers", "import", str(files("digest.sample") / "subscribers.csv"))
    return stack


def until(found: Callable[[], Any], seconds: float) -> Any:
    """What `found` returns as soon as that is something."""
    end = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.5)


def descendants(pid: int) -> list[int]:
    """All processes that a process started, directly or not."""
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def kill(pid: int) -> None:
    from contextlib import suppress

    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
