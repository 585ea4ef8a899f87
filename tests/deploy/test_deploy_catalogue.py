"""The catalogue: every flow, its schedules, and what editors did to them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule

from digest.config import FLOWS, Alerts
from digest.errors import ConfigError
from digest.settings import load_config
from digest_prefect.automations import check_alerts
from digest_prefect.deploying import deployments, load, schedules
from digest_prefect.deployment import carry_over

from .conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from digest.config import Config


@pytest.mark.parametrize("flow", FLOWS)
def test_every_flow_loads_strictly(flow: str) -> None:
    assert load(REPOSITORY, flow).name == flow


def test_every_file_of_flows_is_in_the_catalogue() -> None:
    files = {path.stem for path in (REPOSITORY / "flows").glob("*.py")}
    assert files == {flow.replace("-", "_") for flow in FLOWS}


def test_only_schedules_send(home: Path, config: Config) -> None:
    for made in deployments(home, config):
        assert made.parameters == {}
        assert made.concurrency_limit is None
    [monday] = schedules(config, "weekly-digest")
    assert monday.parameters == {"newsletter": "weekly", "dry_run": False}
    assert monday.slug == "config-monday"
    assert monday.schedule == CronSchedule(cron="0 8 * * 1", timezone="Europe/London")


def test_a_flow_that_does_not_load_is_named_with_all_others(home: Path, config: Config) -> None:
    (home / "flows" / "settle.py").write_text("import nothing_of_this_name\n")
    (home / "flows" / "send_issue.py").unlink()
    with pytest.raises(ConfigError) as caught:
        deployments(home, config)
    text = str(caught.value)
    assert "flows/settle.py: does not load: ModuleNotFoundError" in text
    assert "flows/send_issue.py: does not load: " in text


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("{ dry_rum = false }", "parameters.dry_rum: no such parameter; allowed: newsletter"),
        ('{ rhythm = "daily" }', "parameters.rhythm: must be weekly, monthly (it is 'daily')"),
        ('{ dry_run = "no" }', "parameters.dry_run: must be a value of type boolean"),
        ("{ dry_run = 0 }", "parameters.dry_run: must be a value of type boolean"),
    ],
)
def test_a_schedule_that_no_run_could_follow(home: Path, parameters: str, said: str) -> None:
    """Prefect's scheduler would make the runs, and each would fail."""
    with (home / "config" / "flows.toml").open("a") as file:
        file.write(
            "\n[flows.weekly-digest.schedules.wrong]\n"
            f'cron = "0 9 * * 1"\nparameters = {parameters}\n'
        )
    with pytest.raises(ConfigError) as caught:
        deployments(home, load_config(home, {}))
    assert f"config/flows.toml: flows.weekly-digest.schedules.wrong.{said}" in str(caught.value)


def test_a_schedule_must_name_what_its_flow_needs(home: Path) -> None:
    with (home / "config" / "flows.toml").open("a") as file:
        file.write('\n[flows.series-digest.schedules.x]\ncron = "0 9 * * 1"\n')
    with pytest.raises(ConfigError, match=r"schedules\.x\.parameters\.series: missing"):
        deployments(home, load_config(home, {}))


def test_a_schedule_is_on_its_newsletters_wall_clock(home: Path) -> None:
    path = home / "config" / "flows.toml"
    path.write_text(path.read_text().replace('time_zone = "Europe/London"\n', ""))
    newsletters = home / "config" / "newsletters.toml"
    text = newsletters.read_text()
    newsletters.write_text(
        text.replace("[newsletters.weekly]\n", '[newsletters.weekly]\ntime_zone = "Asia/Tokyo"\n')
    )
    [monday] = schedules(load_config(home, {}), "weekly-digest")
    assert monday.schedule.timezone == "Asia/Tokyo"


def declared(slug: str, cron: str = "0 8 * * 1") -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(slug=slug, schedule=CronSchedule(cron=cron))


def existing(
    slug: str | None, cron: str = "0 8 * * 1", *, active: bool = True
) -> DeploymentSchedule:
    return DeploymentSchedule(
        id=uuid4(), slug=slug, schedule=CronSchedule(cron=cron), active=active
    )


def test_what_editors_did_is_carried_over() -> None:
    carried = carry_over(
        [declared("config-a", "0 9 * * 1"), declared("config-new")],
        [
            existing("config-a", active=False),
            existing("config-gone"),
            existing(None, "1 1 * * *"),
            existing("mine", "2 2 * * *", active=False),
        ],
    )
    assert [(s.slug, s.schedule.cron, s.active) for s in carried] == [
        ("config-a", "0 9 * * 1", False),
        ("config-new", "0 8 * * 1", True),
        (None, "1 1 * * *", True),
        ("mine", "2 2 * * *", False),
    ]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's
def test_an_address_of_alerts_that_apprise_does_not_know() -> None:
    check_alerts(Alerts(), "config/flows.toml")
    check_alerts(Alerts(apprise_url="json://127.0.0.1:1/"), "config/flows.toml")
    with pytest.raises(ConfigError) as caught:
        check_alerts(Alerts(apprise_url="slacc://secret-token"), "config/flows.toml")
    assert str(caught.value).startswith("config/flows.toml: alerts.apprise_url: not an address")
    assert "secret-token" not in str(caught.value)


def test_faults_are_told_in_lines_and_exit_with_2(home: Path) -> None:
    (home / "flows" / "settle.py").unlink()
    command = (sys.executable, str(REPOSITORY / "deploy" / "catalogue.py"), "serve")
    done = subprocess.run(
        (*command, "--home", str(home)), capture_output=True, text=True, cwd="/", check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("flows/settle.py: does not load: ")
    assert "Traceback" not in done.stderr
