"""The one catalogue of deployments, made from the flow files and config.

Used by `deploy/catalogue.py` to serve all flows on one machine or to deploy them to a work
pool, and by the housekeeping flow to keep the editors' forms up to date.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from httpx import HTTPError, TransportError
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import load_flow_from_entrypoint
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL

from digest.config import FLOWS, FlowSettings, Schedule, zone_of_schedule
from digest.errors import ConfigError, Problem, UsageError
from digest.settings import file_of, flow_file
from digest_prefect.automations import check_alerts, ensure_automations
from digest_prefect.deployment import OURS, Deployment, find, schedule_again
from digest_prefect.forms import form, misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from prefect import Flow
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import DeploymentSchedule

    from digest.config import Config

#: Carried by every deployment and run of ours, beside the flow's own name.
TAG = "digest"

#: Each machine has its own home folder; a run finds it when it starts there.
_TO_HOME = {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $DIGEST_HOME }}"}}


def deployments(home: Path, config: Config, *, work_pool: str | None = None) -> list[Deployment]:
    """Every flow's deployment, named like the flow.

    None has a concurrency limit: a strategy that cancels would cancel approved runs, and the
    slot of a run that died stays taken. Our database keeps runs out of each other's way.

    Raises ConfigError with every flow that does not load and every schedule that asks a flow
    for what it cannot do.
    """
    problems: list[Problem] = []
    made: list[Deployment] = []
    for name in FLOWS:
        try:
            flow = load(home, name)
            made.append(_deployment(home, config, flow, work_pool))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return made


def load(home: Path, name: str) -> Flow[..., Any]:
    """A flow from its file, strictly: one that does not load is an error that names the file.

    Prefect would deploy a placeholder, and the fault would show at the first run.
    """
    function = name.replace("-", "_")
    file = flow_file(name)
    path = list(sys.path)
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(
            f"{home / file}:{function}", use_placeholder_flow=False
        )
    except Exception as error:  # whatever a file may raise when it is run
        cause = error.__cause__ or error
        message = f"does not load: {type(cause).__name__}: {cause}"
        raise ConfigError([Problem(file, "", message)]) from error
    finally:
        # Prefect leaves flows/ on it, where a flow could be imported in a library's place.
        sys.path[:] = path
    if flow.name != name:
        raise ConfigError([Problem(file, "", f"its flow is named {flow.name!r}, not {name!r}")])
    return flow


def _deployment(
    home: Path, config: Config, flow: Flow[..., Any], work_pool: str | None
) -> Deployment:
    shown = form(flow.parameters.model_dump(exclude_unset=True), config)
    declared = config.flows.get(flow.name, FlowSettings()).schedules
    problems = [
        Problem(
            file_of(home, "flows", flow.name),
            f"flows.{flow.name}.schedules.{slug}.parameters.{parameter}",
            message,
        )
        for slug, schedule in declared.items()
        for parameter, message in misfits(shown, schedule.parameters)
    ]
    if problems:
        raise ConfigError(problems)
    function = flow.name.replace("-", "_")
    return Deployment(
        name=flow.name,
        flow_name=flow.name,
        description=flow.description,
        version=version("digest"),
        tags=[TAG],
        entrypoint=f"{flow_file(flow.name)}:{function}",
        schedules=[*schedules(config, flow.name)],
        parameter_openapi_schema=shown,
        pull_steps=[_TO_HOME],
        work_pool_name=work_pool,
    )


def schedules(config: Config, flow: str) -> list[DeploymentScheduleCreate]:
    """What config declares for a flow, as Prefect's schedules."""
    declared = config.flows.get(flow, FlowSettings()).schedules
    return [_schedule(config, slug, schedule) for slug, schedule in declared.items()]


def _schedule(config: Config, slug: str, schedule: Schedule) -> DeploymentScheduleCreate:
    zone = zone_of_schedule(config, schedule)
    return DeploymentScheduleCreate(
        slug=OURS + slug,
        schedule=CronSchedule(cron=schedule.cron, timezone=zone.key),
        parameters=schedule.parameters,
    )


def register(made: Sequence[Deployment], home: Path, config: Config) -> None:
    """Put the catalogue and what tells of failures on Prefect's server."""
    check_alerts(config.alerts, file_of(home, "alerts"))
    with _answering() as client:
        for deployment in made:
            deployment.put(client)
        ensure_automations(client, config.alerts)


@contextmanager
def _answering() -> Iterator[SyncPrefectClient]:
    """Prefect's API, or a sentence where it is not there for us."""
    url = PREFECT_API_URL.value()
    try:
        with get_client(sync_client=True) as client:
            yield client
    except TransportError as error:
        raise UsageError(
            f"Prefect does not answer at {url} ({error}); start it, or set PREFECT_API_URL"
        ) from error
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.UNAUTHORIZED:
            raise
        raise UsageError(
            f"Prefect at {url} refuses the password; set PREFECT_API_AUTH_STRING to user:password"
        ) from error


def serve(home: Path, config: Config, ready: Callable[[int], None]) -> None:
    """Register all flows and run what is asked of them, here, until told to stop.

    Nothing is paused at the end: what is due meanwhile runs when this runs again.
    """
    made = deployments(home, config)
    register(made, home, config)

    asyncio.run(_serve(made, ready))


async def _serve(made: Sequence[Deployment], ready: Callable[[int], None]) -> None:
    runner = Runner(name="digest", pause_on_shutdown=False)
    for deployment in made:
        await runner.aadd_deployment(deployment)
    work = asyncio.create_task(runner.start())
    # Once it began: the runner's own handler ends without a word to the runs under way, which
    # would be "Running" for ever.
    await asyncio.sleep(0)
    ending: list[asyncio.Task[None]] = []

    def stop() -> None:
        if runner.started:
            ending.append(asyncio.create_task(runner.astop()))
        else:
            work.cancel()

    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop)
    ready(len(made))
    with suppress(asyncio.CancelledError):
        await work


def deploy(home: Path, config: Config) -> int:
    """Register all flows for the workers of the configured pool; how many there are."""
    pool = config.prefect.work_pool
    if pool is None:
        message = "missing; name the pool that workers take runs from, or use serve"
        raise ConfigError([Problem(file_of(home, "prefect"), "prefect.work_pool", message)])
    made = deployments(home, config, work_pool=pool)
    with _answering() as client:
        _need_pool(client, pool)
    register(made, home, config)
    return len(made)


def _need_pool(client: SyncPrefectClient, pool: str) -> None:
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        raise UsageError(
            f"Prefect has no work pool {pool!r}; create it:"
            f" prefect work-pool create --type process {pool}"
        ) from None


@dataclass(frozen=True, slots=True)
class FormsReport:
    """Which flows' forms or schedules had to be set right, and what could not be done."""

    changed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def refresh_forms(config: Config) -> FormsReport:
    """Put what config declares now into every deployed form, without deploying anew.

    Schedules of config get their times and parameters back: Prefect forgets the parameters of
    one that is switched off and on in its UI, and a digest by it would be a dry run.

    Never raises for what Prefect's server answers, or that it does not: the report says so.
    """
    changed: list[str] = []
    failed: list[str] = []
    try:
        with get_client(sync_client=True) as client:
            for name in FLOWS:
                try:
                    changed += [name] if _refresh(client, name, config) else []
                except PrefectHTTPStatusError as error:
                    failed.append(f"{name}: {_said(error)}")
    except (HTTPError, RuntimeError) as error:
        failed.append(f"Prefect does not answer: {error}")
    return FormsReport(tuple(changed), tuple(failed))


def _refresh(client: SyncPrefectClient, name: str, config: Config) -> bool:
    """Whether anything had to be changed; a flow that is not deployed has nothing."""
    old = find(client, f"{name}/{name}")
    if old is None or old.parameter_openapi_schema is None:
        return False
    began = datetime.now(UTC)
    # Schedules first, for the form may be refused.
    bent = list(_bent(old.schedules, schedules(config, name)))
    for schedule_id, right in bent:
        client.request(
            "PATCH",
            "/deployments/{id}/schedules/{schedule_id}",
            path_params={"id": old.id, "schedule_id": schedule_id},
            json=right.model_dump(mode="json", include={"schedule", "parameters"}),
        )
    shown = form(old.parameter_openapi_schema, config)
    stale = shown != old.parameter_openapi_schema
    try:
        if stale:
            update = DeploymentUpdate(parameter_openapi_schema=shown)
            client.update_deployment(old.id, update)
    finally:
        if bent or stale:
            schedule_again(client, old.id, began, paused=old.paused)
    return bool(bent) or stale


def _bent(
    existing: Iterable[DeploymentSchedule], declared: Iterable[DeploymentScheduleCreate]
) -> Iterator[tuple[UUID, DeploymentScheduleCreate]]:
    """Schedules of config that are not as config says, by their id."""
    right = {schedule.slug: schedule for schedule in declared}
    for schedule in existing:
        wanted = right.get(schedule.slug)
        if wanted is not None and (schedule.schedule, schedule.parameters) != (
            wanted.schedule,
            wanted.parameters,
        ):
            yield schedule.id, wanted


def _said(error: PrefectHTTPStatusError) -> str:
    """The server's reason: 409 where defaults that an editor set are no choices any more."""
    try:
        return str(error.response.json()["detail"])
    except (ValueError, KeyError):
        return f"the server answered {error.response.status_code}"
