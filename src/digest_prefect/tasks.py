"""Steps of digest as Prefect's tasks: few, named for people, and free of content.

A step takes and returns ids and counts, never posts, mails or addresses; its result is not
kept by Prefect, for our database holds what was done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff
from sqlalchemy.exc import OperationalError

from digest_prefect.running import unaddressed

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

T = TypeVar("T")


class NotNow(Exception):  # noqa: N818  what the caller does about it: try again
    """It did not work, and certainly nothing went out: worth another try soon."""


def work(name: str, step: Callable[[], T], *, retries: int = 0) -> T:
    """Run a step as a task of the current flow run.

    With `retries` it is tried again, later and later, where trying again lets nothing out twice:
    it raised NotNow, or the database was out of reach, whose rows say what was begun. Any other
    failure ends it at once; what it says is shown without addresses.
    """

    def guarded() -> T:
        with unaddressed(NotNow, OperationalError):
            return step()

    made = task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=retries,
        retry_delay_seconds=exponential_backoff(backoff_factor=5),
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_worth_it,
    )
    return made(guarded)()


def _is_worth_it(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    found = state.result(raise_on_failure=False)
    return isinstance(found, (NotNow, OperationalError))
