"""The flow stop-issue, for real: an issue on its way stops, and send-issue goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prefect.flows import load_flow_from_entrypoint
from sqlalchemy import select

from digest import sending
from digest.model import Act
from digest.store import accounts
from digest.store.tables import issue_transitions, issues

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@pytest.fixture
def under_way(desk, readers_csv):
    """An issue of which nothing has gone out yet, being sent."""
    desk.run("ingest")
    desk.run("readers", "import", readers_csv)
    desk.run("send", "weekly")
    desk.run("approve", "1", "--by", "Maya")
    with desk.app() as app:
        assert sending.begin(app, 1, Act("Maya", app.clock(), "test")).account.pending > 5
    return desk


def account_of(desk):
    with desk.app() as app, app.store.read() as c:
        return accounts.account(c, 1)


def state_of(desk) -> str:
    with desk.app() as app, app.store.read() as c:
        return c.scalar(select(issues.c.state))


def go_on(desk) -> State[Any]:
    """Run send-issue. Its artifacts show a mail, whose address to leave by is no reader's."""
    entrypoint = f"{desk.home / 'flows' / 'send_issue'}.py:send_issue"
    loaded = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    return loaded(issue=1, dry_run=False, return_state=True)


def test_what_was_paused_waits_until_send_issue_goes_on_with_it(under_way):
    waiting = account_of(under_way).pending
    dry = under_way.flow("stop-issue", issue=1, decision="pause", approver="Maya")
    assert (dry.state.name, state_of(under_way)) == ("Dry run", "sending")
    ran = under_way.flow("stop-issue", issue=1, decision="pause", approver="Maya", dry_run=False)
    assert (ran.state.name, ran.record.outcome) == ("Paused", "done")
    assert (ran.record.counts, ran.record.issue_id) == ({"stopped": waiting}, 1)
    assert f"| pending | {waiting} |" in ran.artifacts["account-1"]
    assert ran.flow_run.name == "stop-issue 1 pause"
    under_way.run("deliver", "1")
    assert account_of(under_way).pending == waiting

    with under_way.app() as app, app.store.read() as c:
        step = c.execute(select(issue_transitions).order_by(issue_transitions.c.id.desc())).first()
    assert (step.actor, step.reason) == ("Maya", "run stop-issue")
    again = under_way.flow("stop-issue", issue=1, decision="pause", approver="Tom", dry_run=False)
    assert (again.state.name, again.record.outcome) == ("Nothing to do", "nothing")
    assert go_on(under_way).name == "Sent"
    assert account_of(under_way).submitted == waiting


def test_what_was_cancelled_never_goes_out(under_way):
    waiting = account_of(under_way).pending
    ran = under_way.flow("stop-issue", issue=1, decision="cancel", approver="Maya", dry_run=False)
    assert (ran.state.name, state_of(under_way)) == ("Cancelled", "cancelled")
    assert f"{waiting} never go out" in ran.state.message
    too_late = under_way.flow(
        "stop-issue", issue=1, decision="pause", approver="Tom", dry_run=False
    )
    assert too_late.state.type.value == "FAILED"
    assert "is cancelled; it cannot become paused" in too_late.state.message
    assert account_of(under_way).cancelled == waiting
