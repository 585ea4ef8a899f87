"""One Prefect server for the session, and a home folder that flows run on as editors run them."""

from __future__ import annotations

import os
import tempfile

# Before Prefect is imported, which reads them then.
if "PREFECT_HOME" not in os.environ:
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="digest-prefect-")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

import io
import shutil
import time
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from digest.bootstrap import bootstrap
from digest.cli import main
from digest.sample.server import SampleServer
from digest.store.runs import list_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.schemas.objects import FlowRun, State

    from digest.bootstrap import App
    from digest.store.runs import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def prefect_backend() -> Iterator[None]:
    """Prefect's own test server. Without heartbeats, whose thread each run would wait for."""
    # Only the settings API takes None; in the environment it is refused.
    quick: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with prefect_test_harness(server_startup_timeout=120), temporary_settings(quick):
        yield


@dataclass(frozen=True)
class Ran:
    """What came of a run, as Prefect and as our own database tell it."""

    state: State[Any]
    flow_run: FlowRun
    logs: str
    #: Markdown by key, as people read it: without what keeps words from being markup.
    artifacts: dict[str, str]
    record: Run


@dataclass(frozen=True)
class Desk:
    """A home folder, its command line, and its flows."""

    home: Path

    def flow(self, name: str, **parameters: Any) -> Ran:
        """Run a flow to its end. No address stands in anything that Prefect keeps of it."""
        function = name.replace("-", "_")
        entrypoint = f"{self.home / 'flows' / function}.py:{function}"
        loaded = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        state = loaded(**parameters, return_state=True)
        ran = self._told(state)
        kept = (ran.flow_run.name, ran.flow_run.parameters, ran.logs, ran.artifacts, state.message)
        assert "@" not in str(kept)
        return ran

    def _told(self, state: State[Any]) -> Ran:
        with self.app() as app, app.store.read() as c:
            record = list_runs(c, 1)[0]
        with get_client(sync_client=True) as client:
            run_id = state.state_details.flow_run_id
            assert run_id is not None
            assert record.prefect_run_id == str(run_id)
            flow_run = client.read_flow_run(run_id)
            logged = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
            until = time.monotonic() + 10
            # They are sent by a thread of Prefect's.
            while True:
                lines = [line.message for line in client.read_logs(logged)]
                if any(line.startswith("Finished in state") for line in lines):
                    break
                assert time.monotonic() < until, lines
                time.sleep(0.1)
            mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
            found = client.read_artifacts(artifact_filter=mine)
        shown = {str(one.key): str(one.data).replace("\\", "") for one in found}
        return Ran(state, flow_run, "\n".join(lines), shown, record)

    def run(self, *arguments: str) -> None:
        """Run a command, whatever its exit code."""
        with redirect_stdout(io.StringIO()), pytest.raises(SystemExit):
            main([*arguments, "--home", str(self.home)])

    @contextmanager
    def app(self) -> Iterator[App]:
        with bootstrap(self.home) as app:
            yield app


@pytest.fixture
def desk(prefect_backend: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A home folder that knows the sample blog, before anything was read."""
    for part in ("config", "templates", "flows"):
        shutil.copytree(ROOT / part, tmp_path / part)
    monkeypatch.setenv("DIGEST_HOME", str(tmp_path))
    monkeypatch.delenv("DIGEST_DATABASE_URL", raising=False)
    with SampleServer(anchor=datetime.now(UTC), port=0) as server:
        monkeypatch.setenv("DIGEST_SAMPLE_PORT", server.url.rsplit(":", 1)[1])
        yield Desk(tmp_path)


@pytest.fixture
def readers_csv() -> str:
    """The sample blog's readers."""
    return str(files("digest.sample") / "subscribers.csv")
