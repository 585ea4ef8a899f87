"""Fixtures of the catalogue: a home folder with small flows, and a throwaway Prefect server."""

from __future__ import annotations

import os
import tempfile

# Before Prefect is imported, which reads them then.
if "PREFECT_HOME" not in os.environ:
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="digest-prefect-")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_UI_URL,
    temporary_settings,
)
from sqlalchemy import create_engine, text

from digest.config import FLOWS
from digest.settings import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

    from digest.config import Config

REPOSITORY = Path(__file__).resolve().parents[2]

#: What the parameters of the real flows are, so that config's own schedules fit.
_PARAMETERS = {
    "refresh-feeds": 'feed: str = "all"',
    "weekly-digest": 'newsletter: str = "", rhythm: str = "weekly", dry_run: bool = True',
    "series-digest": 'series: str, newsletter: str = "", dry_run: bool = True',
    "theme-digest": 'theme: str, newsletter: str = "", dry_run: bool = True',
    "each-post": 'newsletter: str = "", dry_run: bool = True',
    "send-issue": "issue: int, dry_run: bool = True",
    "stop-issue": "issue: int, decision: str, approver: str, dry_run: bool = True",
    "queue-social": 'channel: str = "all", dry_run: bool = True',
    "publish-social": 'channel: str = "all", dry_run: bool = True',
    "settle": "issue: int, decision: str, approver: str, dry_run: bool = True",
    "housekeeping": "dry_run: bool = True",
}

_FLOW = '''
import os
from prefect import flow


@flow(name="{name}", flow_run_name="{name} for a test")
def {function}({parameters}):
    """Does nothing, in the home folder."""
    print(os.getcwd(), os.environ["DIGEST_HOME"])
    {body}
'''


def write_flow(home: Path, name: str, body: str = "return None") -> None:
    function = name.replace("-", "_")
    text = _FLOW.format(name=name, function=function, parameters=_PARAMETERS[name], body=body)
    (home / "flows" / f"{function}.py").write_text(text, encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with the project's config and a small flow in each place.

    Of the weekly digest's schedules it has Monday's alone.
    """
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    flows, newsletters = (tmp_path / "config" / f"{n}.toml" for n in ("flows", "newsletters"))
    before, _, after = flows.read_text().partition("[flows.weekly-digest.schedules.first")
    flows.write_text(before + after.partition("\n\n")[2])
    newsletters.write_text(newsletters.read_text().replace(', "monthly"]', "]"))
    (tmp_path / "flows").mkdir()
    for name in FLOWS:
        write_flow(tmp_path, name)
    return tmp_path


@pytest.fixture
def config(home: Path) -> Config:
    return load_config(home, {})


@dataclass(frozen=True)
class PrefectServer:
    """A server of this session's own: how it is reached, and what its processes inherit."""

    api_url: str
    environment: dict[str, str]

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")


@pytest.fixture(scope="session")
def prefect_server(
    tmp_path_factory: pytest.TempPathFactory, _postgres: URL
) -> Iterator[PrefectServer]:
    """Prefect's server with all its services, gone at the end.

    On PostgreSQL, as `digest up` runs it: on SQLite it drops an event now and then ("database
    is locked"), and with it an alert.
    """
    folder = tmp_path_factory.mktemp("prefect")
    database = _postgres.set(drivername="postgresql+asyncpg", database="prefect_for_deploy")
    engine = create_engine(_postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE prefect_for_deploy"))
    engine.dispose()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api_url = f"http://127.0.0.1:{port}/api"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.render_as_string(hide_password=False),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }
    command = (sys.executable, "-m", "prefect", "server", "start", "--port", str(port))
    with running(command, environment, folder / "server.log"):
        _wait_for(f"{api_url}/health", folder / "server.log")
        yield PrefectServer(api_url, environment)


@pytest.fixture
def on_server(prefect_server: PrefectServer) -> Iterator[PrefectServer]:
    """Prefect in this process talks to the throwaway server."""
    with temporary_settings(
        {PREFECT_API_URL: prefect_server.api_url, PREFECT_UI_URL: prefect_server.ui_url}
    ):
        yield prefect_server


@contextmanager
def running(
    command: tuple[str, ...], environment: dict[str, str], log: Path, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, ended for certain."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **options,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(url: str, log: Path) -> None:
    opener = build_opener(ProxyHandler({}))
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            with opener.open(url, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise AssertionError(f"Prefect's server did not start:\n{log.read_text()}")
