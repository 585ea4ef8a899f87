"""The catalogue on a real Prefect server: what it schedules, keeps, refuses and tells."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.events import emit_event

from digest.config import FLOWS, Alerts
from digest.settings import load_config
from digest_prefect.automations import BLOCK, CRASHED, DEAD, FAILED, ensure_automations
from digest_prefect.deploying import FormsReport, deployments, refresh_forms, register

from .conftest import REPOSITORY, running, write_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from digest.config import Config

    from .conftest import PrefectServer

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # Apprise's
]


class Api:
    """What the UI asks of the server, and what it shows."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False)
        self.close = self._client.close

    def ask(self, method: str, path: str, document: Any = None) -> httpx.Response:
        return self._client.request(method, path, json=document)

    def get(self, path: str) -> Any:
        return self.ask("GET", path).raise_for_status().json()

    def post(self, path: str, document: Any = None) -> Any:
        answer = self.ask("POST", path, {} if document is None else document)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def patch(self, path: str, document: Any) -> None:
        self.ask("PATCH", path, document).raise_for_status()

    def run(self, flow: str, **parameters: Any) -> httpx.Response:
        path = f"/deployments/{self.deployment(flow)['id']}/create_flow_run"
        return self.ask("POST", path, {"parameters": parameters})

    def deployment(self, flow: str) -> dict[str, Any]:
        return self.get(f"/deployments/name/{flow}/{flow}")

    def switch(self, flow: str, slug: str, *, active: bool) -> None:
        """As the UI's toggle does it."""
        made = self.deployment(flow)
        [schedule] = [s for s in made["schedules"] if s["slug"] == slug]
        self.patch(f"/deployments/{made['id']}/schedules/{schedule['id']}", {"active": active})

    def runs(self, flow: str) -> list[dict[str, Any]]:
        return self.post(
            "/flow_runs/filter",
            {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"},
        )

    def automations(self) -> dict[str, dict[str, Any]]:
        found = self.post("/automations/filter")
        made = {automation["name"]: automation for automation in found}
        assert len(made) == len(found), "an automation twice"
        return made


@pytest.fixture
def api(on_server: PrefectServer) -> Iterator[Api]:
    made = Api(on_server.api_url)
    yield made
    made.close()


def put(home: Path) -> None:
    config = load_config(home, {})
    register(deployments(home, config), home, config)


def edit(home: Path, old: str, new: str) -> None:
    path = home / "config" / "flows.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def wait_for(seconds: float, found: Callable[[], Any]) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := found():
            return result
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s")


def test_runs_are_scheduled_at_eight_in_london_all_year(home: Path, api: Api) -> None:
    put(home)
    made = api.deployment("weekly-digest")
    coming = api.runs("weekly-digest")
    assert coming, "no run was scheduled"
    assert coming[0]["parameters"] == {"newsletter": "weekly", "dry_run": False}
    assert coming[0]["auto_scheduled"]
    # Clocks change on 28 March and 31 October 2027.
    for start in ("2027-03-22", "2027-10-25"):
        api.post(
            f"/deployments/{made['id']}/schedule",
            {"start_time": f"{start}T00:00:00Z", "min_runs": 2, "max_runs": 2},
        )
    times = {run["expected_start_time"] for run in api.runs("weekly-digest")}
    assert {t for t in times if t.startswith("2027")} >= {
        "2027-03-22T08:00:00Z",
        "2027-03-29T07:00:00Z",
        "2027-10-25T07:00:00Z",
        "2027-11-01T08:00:00Z",
    }


def test_a_restart_that_changes_nothing_touches_nothing(home: Path, api: Api) -> None:
    put(home)
    before = {flow: api.deployment(flow)["updated"] for flow in FLOWS}
    runs, automations = api.runs("weekly-digest"), api.automations()
    put(home)
    assert {flow: api.deployment(flow)["updated"] for flow in FLOWS} == before
    assert [run["id"] for run in api.runs("weekly-digest")] == [run["id"] for run in runs]
    assert api.automations() == automations


def test_what_editors_did_survives(home: Path, api: Api) -> None:
    put(home)
    api.switch("weekly-digest", "config-monday", active=False)
    social = api.deployment("publish-social")
    api.post(
        f"/deployments/{social['id']}/schedules",
        [{"schedule": {"cron": "0 3 * * 6", "timezone": "UTC"}, "active": True}],
    )
    housekeeping = api.deployment("housekeeping")
    api.post(f"/deployments/{housekeeping['id']}/pause_deployment")
    edit(home, '"0 8 * * 1"', '"30 9 * * 2"')
    edit(home, "schedules.ten-minutes", "schedules.often")
    edit(home, '"*/15 * * * *"', '"*/20 * * * *"')

    put(home)

    [monday] = api.deployment("weekly-digest")["schedules"]
    assert (monday["active"], monday["schedule"]["cron"]) == (False, "30 9 * * 2")
    assert monday["parameters"] == {"newsletter": "weekly", "dry_run": False}
    assert {
        (s["slug"], s["schedule"]["cron"]) for s in api.deployment("publish-social")["schedules"]
    } == {(None, "0 3 * * 6"), ("config-often", "*/10 * * * *")}
    assert api.deployment("housekeeping")["paused"]
    [quarter] = api.deployment("housekeeping")["schedules"]
    assert quarter["schedule"]["cron"] == "*/20 * * * *"

    edit(
        home, '[flows.publish-social.schedules.often]\ncron = "*/10 * * * *"\n', "[flows.settle]\n"
    )
    edit(home, "[flows.settle]\nparameters = { dry_run = false }", "[flows.settle]")
    put(home)
    [added] = api.deployment("publish-social")["schedules"]
    assert added["slug"] is None
    api.post(f"/deployments/{housekeeping['id']}/resume_deployment")


def test_a_schedule_that_was_off_and_on_still_sends(home: Path, config: Config, api: Api) -> None:
    """Prefect forgets a schedule's parameters when its UI switches it: it would be a dry run."""
    put(home)
    api.switch("weekly-digest", "config-monday", active=False)
    api.switch("weekly-digest", "config-monday", active=True)
    assert refresh_forms(config).changed == ("weekly-digest",)
    [monday] = api.deployment("weekly-digest")["schedules"]
    assert monday["active"]
    assert monday["parameters"] == {"newsletter": "weekly", "dry_run": False}
    this_year = [run for run in api.runs("weekly-digest") if run["state_type"] == "SCHEDULED"]
    assert this_year
    assert all(run["parameters"] == monday["parameters"] for run in this_year[:3])
    assert refresh_forms(config) == FormsReport()


def test_forms_are_refreshed_without_deploying(home: Path, config: Config, api: Api) -> None:
    put(home)
    assert api.run("series-digest", series="health").status_code == 409
    more = config.model_copy(update={"series": {**config.series, "health": config.series["ipc"]}})
    assert refresh_forms(more) == FormsReport(changed=("series-digest",))
    assert api.run("series-digest", series="health").status_code == 201
    assert api.run("series-digest").status_code == 409

    # An editor made it the default; then config gives it up.
    path = f"/deployments/{api.deployment('series-digest')['id']}"
    api.patch(path, {"parameters": {"series": "health"}})
    report = refresh_forms(config)
    assert report.changed == ()
    [failed] = report.failed
    assert failed.startswith("series-digest: ")
    assert "'health' is not one of" in failed


def test_forms_cannot_be_refreshed_without_a_server(config: Config) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        report = refresh_forms(config)
    assert report.changed == ()
    assert report.failed[0].startswith("Prefect does not answer")


def test_automations_are_there_once_and_as_config_says(api: Api) -> None:
    ours = {FAILED, CRASHED, DEAD}
    with get_client(sync_client=True) as client:
        ensure_automations(client, Alerts(apprise_url="json://127.0.0.1:9/"))
        first = api.automations()
        assert ours <= set(first)
        ensure_automations(client, Alerts(apprise_url="json://127.0.0.1:9/"))
        assert api.automations() == first

        # An editor's off stays off, whatever else changes.
        api.patch(f"/automations/{first[CRASHED]['id']}", {"enabled": False})
        ensure_automations(client, Alerts(apprise_url="json://127.0.0.1:9/"))
        assert not api.automations()[CRASHED]["enabled"]

        ensure_automations(client, Alerts())
        assert ours & set(api.automations()) == {DEAD}
        assert not [b for b in api.post("/block_documents/filter") if b.get("name") == BLOCK]


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address for alerts, and what was told there."""
    received: list[dict[str, Any]] = []

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"json://127.0.0.1:{server.server_address[1]}/", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failed_run_is_told_with_a_link_and_without_addresses(
    home: Path, on_server: PrefectServer, api: Api, told: Any, tmp_path: Path
) -> None:
    """All of it: served by the command, from another folder, in a process of its own."""
    url, received = told
    write_flow(home, "queue-social", 'raise ValueError("the relay is away")')
    write_flow(home, "publish-social", 'raise ValueError("refused jo@example.org")')
    command = (sys.executable, str(REPOSITORY / "deploy" / "catalogue.py"), "serve")
    environment = {**on_server.environment, "DIGEST_ALERTS_URL": url}
    log = tmp_path / "serve.log"
    with running((*command, "--home", str(home)), environment, log, cwd="/") as process:
        wait_for(60, lambda: f"serving {len(FLOWS)} flows\n" in log.read_text())
        run = api.run("queue-social").json()
        api.run("publish-social").raise_for_status()
        wait_for(60, lambda: len(received) == 2)
        process.terminate()
        assert process.wait(20) == 0
    assert f"{home} {home}" in log.read_text()
    assert "never awaited" not in log.read_text()
    by_title = {alert["title"]: alert["message"] for alert in received}
    alert = by_title["queue-social failed: queue-social for a test"]
    assert "the relay is away" in alert
    assert f"{on_server.ui_url}/runs/flow-run/{run['id']}" in alert
    assert "press Retry" in alert
    assert "@" not in json.dumps(received)


def test_a_run_without_a_sign_of_life_crashes(home: Path, api: Api, told: Any) -> None:
    """As after kill -9 of everything; in 12 seconds here, in three heartbeats otherwise."""
    url, received = told
    put(home)
    with get_client(sync_client=True) as client:
        ensure_automations(client, Alerts(apprise_url=url), beat=timedelta(seconds=4))
    made = api.deployment("send-issue")
    run = api.run("send-issue", issue=7).json()
    api.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    emit_event(
        "prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{run['id']}"},
        related=[
            {
                "prefect.resource.role": "flow",
                "prefect.resource.id": f"prefect.flow.{made['flow_id']}",
                "prefect.resource.name": "send-issue",
            }
        ],
        id=uuid4(),
        occurred=datetime.now(UTC),
    )
    wait_for(40, lambda: api.get(f"/flow_runs/{run['id']}")["state_type"] == "CRASHED")
    assert "no sign of life" in api.get(f"/flow_runs/{run['id']}")["state"]["message"]
    wait_for(20, lambda: received)
    assert received[0]["title"].startswith("send-issue crashed: ")
