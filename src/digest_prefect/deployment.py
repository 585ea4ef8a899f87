"""One deployment that leaves alone what editors changed in Prefect's UI.

Prefect's own way of applying a deployment switches on again what was switched off, drops the
schedules that editors added, keeps the ones that config gave up, and throws away the coming
runs each time, so that a restart at 07:59:58 loses the digest of 08:00.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.client.schemas.responses import DeploymentResponse

#: What the slug of every schedule of config begins with; all others are editors'.
OURS = "config-"

#: What is compared as it stands, under the same name on both sides.
_COMPARED = (
    "version",
    "description",
    "tags",
    "entrypoint",
    "parameters",
    "parameter_openapi_schema",
    "pull_steps",
    "paused",
    "work_pool_name",
)


class Deployment(RunnerDeployment):
    """A deployment of the catalogue, for `serve` and for work pools alike."""

    parameter_openapi_schema: dict[str, Any]
    """The editors' form."""
    pull_steps: list[dict[str, Any]]
    """What a run does first, wherever it runs."""

    async def aapply(self, *_: Any, **__: Any) -> UUID:
        """What Prefect's runner calls."""
        with get_client(sync_client=True) as client:
            return self.put(client)

    def put(self, client: SyncPrefectClient) -> UUID:
        """Register it, unless it stands there so already; either way, its id."""
        old = find(client, self.full_name)
        wanted = self._wanted(old)
        if old is not None and stands(old, wanted):
            return old.id
        began = datetime.now(UTC)
        if old is not None and old.work_pool_name and not self.work_pool_name:
            # Left out of what is sent, it would stay, and workers would take the runs.
            client.update_deployment(old.id, DeploymentUpdate(work_pool_name=None))
        flow_id = client.create_flow_from_name(self.flow_name or self.name)
        made = client.create_deployment(flow_id, self.name, **wanted)
        schedule_again(client, made, began, paused=bool(wanted["paused"]))
        return made

    def _wanted(self, old: DeploymentResponse | None) -> dict[str, Any]:
        declared = [s for s in self.schedules or () if isinstance(s, DeploymentScheduleCreate)]
        return {
            "version": self.version,
            "description": self.description,
            "tags": self.tags,
            "entrypoint": self.entrypoint,
            "parameters": {},
            "parameter_openapi_schema": self.parameter_openapi_schema,
            "enforce_parameter_schema": True,
            "pull_steps": self.pull_steps,
            "work_pool_name": self.work_pool_name,
            "paused": old.paused if old else False,
            "schedules": carry_over(declared, old.schedules if old else ()),
        }


def carry_over(
    declared: Sequence[DeploymentScheduleCreate], existing: Sequence[DeploymentSchedule]
) -> list[DeploymentScheduleCreate]:
    """The schedules there shall be: config's times, and the editors' on and off and additions.

    A schedule of config that config gave up is gone, whatever its state was.
    """
    switched = {schedule.slug: schedule.active for schedule in existing}
    ours = [
        schedule.model_copy(update={"active": switched.get(schedule.slug, schedule.active)})
        for schedule in declared
    ]
    theirs = [
        DeploymentScheduleCreate(
            schedule=schedule.schedule,
            active=schedule.active,
            max_scheduled_runs=schedule.max_scheduled_runs,
            parameters=schedule.parameters,
            slug=schedule.slug,
        )
        for schedule in existing
        if not (schedule.slug or "").startswith(OURS)
    ]
    return ours + theirs


def stands(old: DeploymentResponse, wanted: dict[str, Any]) -> bool:
    """Whether a deployment is what it shall be already."""
    return (
        all(getattr(old, key) == wanted[key] for key in _COMPARED)
        and old.global_concurrency_limit is None
        and _timetable(old.schedules) == _timetable(wanted["schedules"])
    )


def _timetable(
    schedules: Iterable[DeploymentSchedule | DeploymentScheduleCreate],
) -> list[tuple[str, ...]]:
    """Schedules as what can be compared, in whatever order they came."""
    return sorted(
        (
            schedule.slug or "",
            str(schedule.active),
            schedule.schedule.model_dump_json(),
            str(sorted(schedule.parameters.items())),
        )
        for schedule in schedules
    )


def find(client: SyncPrefectClient, full_name: str) -> DeploymentResponse | None:
    """The deployment as the server has it."""
    try:
        return client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None


def schedule_again(
    client: SyncPrefectClient, deployment_id: UUID, since: datetime, *, paused: bool
) -> None:
    """Make the coming runs again, which every change of a deployment throws away.

    Prefect's scheduler does so some seconds later, from then on: what was due in between would
    never run.
    """
    if not paused:
        client.request(
            "POST",
            "/deployments/{id}/schedule",
            path_params={"id": deployment_id},
            json={"start_time": since.isoformat()},
        )
