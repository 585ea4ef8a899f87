"""Keeps each run: begun before anything is done, ended with what came of it."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from digest.logs import mask
from digest.mail.worker import working
from digest.store.runs import Beginning, Ending, begin_run, end_run, note_issue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from digest.bootstrap import App


@dataclass(slots=True)
class RunRecord:
    """What a command or flow has to say about its run."""

    id: int
    outcome: str = "done"
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    issue_id: int | None = None


@contextmanager
def recorded(
    app: App,
    what: str,
    actor: str,
    parameters: Mapping[str, Any],
    *,
    prefect_run_id: str | None = None,
    stops: tuple[type[BaseException], ...] = (),
) -> Iterator[RunRecord]:
    """Keep the run: begun now, ended with what the block says, or as failed.

    An exception among `stops` ends it in good order, with what the block has said by then.
    """
    with working(app.var / "run", secrets.token_hex(4)) as worker:
        begun = Beginning(what, parameters, actor, worker, prefect_run_id)
        with app.store.write() as c:
            record = RunRecord(begin_run(c, begun, app.clock()))
        try:
            yield record
        except stops:
            _end(app, record)
            raise
        except BaseException as error:
            record.outcome, record.counts = "failed", {}
            record.reason = f"{type(error).__name__}: {error}"
            _end(app, record)
            raise
        _end(app, record)


def _end(app: App, record: RunRecord) -> None:
    # What a run tells may be what a server said.
    reason = mask(record.reason)
    ending = Ending(record.outcome, record.counts, reason, record.issue_id)
    with app.store.write() as c:
        end_run(c, record.id, ending, app.clock())


def about(app: App, record: RunRecord, issue_id: int) -> None:
    """The run is about this issue: kept at once, whatever becomes of the run."""
    record.issue_id = issue_id
    with app.store.write() as c:
        note_issue(c, record.id, issue_id)
