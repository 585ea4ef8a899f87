"""A flow run, as digest sees it: recorded in our database, its log lines in the UI."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.logging.handlers import APILogHandler
from prefect.states import Completed, Failed

from digest.bootstrap import bootstrap
from digest.config import lateness_limit
from digest.errors import DigestError
from digest.issues.due import hours
from digest.logs import logging_to, mask
from digest.recording import recorded
from digest.store.runs import earlier_tries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from prefect.client.schemas.objects import State

    from digest.bootstrap import App
    from digest.recording import RunRecord

log = logging.getLogger("digest.flows")


class SurpriseError(Exception):
    """What went wrong, with the addresses in it made unreadable."""


@contextmanager
def unaddressed(*known: type[Exception]) -> Iterator[None]:
    """Raise a fault as Prefect may see it, which keeps and shows whatever a fault says.

    Those `known` to be told apart by their type stay as they are.
    """
    try:
        yield
    except known:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        if mask(said) == said:
            raise
        raise SurpriseError(mask(said)) from None


#: Tags the runs that housekeeping starts.
HOUSEKEEPING = "housekeeping"


@dataclass(frozen=True, slots=True)
class Run:
    """The flow run under way, with the app it works with."""

    app: App
    record: RunRecord
    #: Prefect's id of the run, the same through suspension and retries.
    id: str
    flow: str
    #: Who acts in what this run does by itself.
    actor: str
    #: When it was meant to start (UTC): what a period is told by, never the moment it did.
    scheduled_at: datetime
    by_schedule: bool
    #: Started by housekeeping: nobody asked for it, so no editor's decision yields to it.
    by_itself: bool
    #: A run of no deployment has nothing that could be started again, so it cannot be suspended.
    deployed: bool
    #: It was begun before: it was suspended, failed or was killed since.
    again: bool
    #: Somebody pressed Retry, after it failed or was killed.
    retried: bool
    #: The issue that an earlier try of this run was about.
    issue_id: int | None

    def lateness(self) -> timedelta | None:
        """How late a scheduled run came, where that is later than its flow allows.

        Only its first try can be late: one that was begun in time goes on whenever it may. What
        a person asked for is done however late the machine gets to it.
        """
        late = self.app.clock() - self.scheduled_at
        limit = lateness_limit(self.app.config, self.flow)
        return late if self.by_schedule and not self.again and late > limit else None


@contextmanager
def running() -> Iterator[Run]:
    """Open the home folder's app for the current flow run, and keep the run in our database.

    A suspension ends the try in good order; what comes after is a try of the same run.
    """
    context = FlowRunContext.get()
    assert context is not None, "only within a flow"
    assert context.flow is not None
    assert context.flow_run is not None
    flow_run, run_id = context.flow_run, str(context.flow_run.id)
    what = context.flow.name
    with bootstrap() as app, logging_to(app.var / "log"), _logging_to_prefect(run_id):
        with app.store.read() as c:
            tries = earlier_tries(c, run_id)
        by_schedule = bool(flow_run.auto_scheduled)
        actor = "schedule" if by_schedule else "prefect"
        asked = dict(context.parameters or {})
        keep = recorded(app, what, actor, asked, prefect_run_id=run_id, stops=(Pause,))
        with keep as record:
            abouts = [run.issue_id for run in tries if run.issue_id is not None]
            made = Run(
                app=app,
                record=record,
                id=run_id,
                flow=what,
                actor=actor,
                scheduled_at=_utc(flow_run.expected_start_time) or app.clock(),
                by_schedule=by_schedule,
                by_itself=HOUSEKEEPING in flow_run.tags,
                deployed=flow_run.deployment_id is not None,
                again=bool(tries),
                retried=bool(tries) and _retried(flow_run.id),
                issue_id=abouts[-1] if abouts else None,
            )
            with unaddressed():
                yield made


def _retried(run_id: UUID) -> bool:
    """Whether Retry, and not an answer or a decision elsewhere, made the run go again."""
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(run_id)
    planned = [state for state in states if state.is_scheduled()]
    return bool(planned) and max(planned, key=lambda s: s.timestamp).name == "AwaitingRetry"


def _utc(moment: Any) -> datetime | None:
    """A standard datetime, whichever library's it was."""
    return None if moment is None else datetime.fromtimestamp(moment.timestamp(), UTC)


def answered(run: Run, step: Callable[[], State[Any]]) -> State[Any]:
    """The step's end; what the editor can cure ends the run in its own words, without a trace."""
    try:
        return step()
    except DigestError as error:
        return failed(run, str(error))


def ended(run: Run, name: str, message: str, *, outcome: str = "done") -> State[None]:
    """The run's end as the UI shows it and our database keeps it.

    `outcome` is done, nothing or partial; `name` is what the badge of the run says.
    """
    run.record.outcome, run.record.reason = outcome, message
    log.info("%s: %s", name, message)
    return Completed(name=name, message=mask(message))


def failed(run: Run, message: str) -> State[None]:
    """The run's end where somebody has to look: those who are alerted are told."""
    run.record.outcome, run.record.reason = "failed", message
    log.error("failed: %s", message)
    return Failed(message=mask(message))


def skipped(run: Run, late: timedelta) -> State[None]:
    """The end of a run that came too late to be of use; the next one does its work."""
    message = f"{hours(late)} late, and the next run does the same work"
    return ended(run, "Skipped", message, outcome="nothing")


@contextmanager
def _logging_to_prefect(run_id: str) -> Iterator[None]:
    """Show digest's own INFO lines in the run's Logs tab, whatever thread they come from."""
    handler = _RunLog(run_id)
    handler.setLevel(logging.INFO)
    logger = logging.getLogger("digest")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.flush()


class _RunLog(APILogHandler):
    """Sends records to the run they belong to.

    Prefect finds the run by a context that a plain thread does not have; this process is one
    run's, so any record without a context is that run's too.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    def prepare(self, record: logging.LogRecord) -> dict[str, Any]:
        if FlowRunContext.get() is None and not hasattr(record, "flow_run_id"):
            record.flow_run_id = self._run_id
        return super().prepare(record)

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))
