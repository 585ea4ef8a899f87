"""`digest overdue`: what was due and did not go out is told, and nothing else is."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from digest.config import Schedule
from digest.model import IssueState
from digest.overdue import overdue
from digest.store import tables

MONDAY = datetime(2026, 11, 16, 8, tzinfo=UTC)


@pytest.fixture
def used(world):
    """In use for a fortnight; then the Monday comes, and two hours pass."""
    world.now = MONDAY - timedelta(days=14)
    world.end(world.run())
    world.now = MONDAY + timedelta(hours=2, minutes=1)
    return world


def look(world):
    return overdue(world.store, world.config, world.now)


def test_an_issue_that_no_run_made_is_overdue_two_hours_after_its_slot(used):
    (found,) = look(used)
    assert (found.newsletter, found.period, found.due, found.issue) == (
        "weekly",
        "2026-W47",
        MONDAY,
        None,
    )
    assert found.remedy.endswith("digest send weekly --as-of 2026-11-16T08:00+00:00")
    # Within the grace, it is last week's that is missing.
    used.later(minutes=-2)
    assert [each.period for each in look(used)] == ["2026-W46"]


def test_why_the_run_failed_is_said(used):
    used.now = MONDAY
    used.end(used.run("weekly-digest"), "failed", "OSError: the disk is full")
    used.later(hours=3)
    (found,) = look(used)
    assert "failed: OSError: the disk is full" in found.why


def test_nothing_was_due_before_the_database_was_in_use(world):
    world.now = MONDAY + timedelta(days=3)
    assert look(world) == []
    world.end(world.run())
    assert look(world) == []
    world.later(days=7)
    assert [each.period for each in look(world)] == ["2026-W48"]


@pytest.mark.parametrize("state", ["done", "held", "skipped", "rejected", "cancelled"])
def test_what_was_sent_or_put_aside_is_not_overdue(used, state):
    used.issue(IssueState(state))
    used.later(days=3)
    assert look(used) == []


def test_a_draft_may_wait_for_its_editor_and_an_hour_for_housekeeping(used):
    used.issue()
    used.later(hours=49)
    assert look(used) == []
    used.later(minutes=1)
    (found,) = look(used)
    assert (found.issue, found.state) == (1, "draft")
    assert "to be decided by" in found.why


def test_a_draft_nobody_has_to_approve_may_not_wait(used):
    used.declare(approval="none")
    used.issue()
    used.later(hours=2, minutes=1)
    (found,) = look(used)
    assert "sends without approval" in found.why


@pytest.mark.parametrize("state", ["approved", "frozen", "sending", "paused"])
def test_what_stands_still_on_its_way_is_overdue(used, state):
    used.issue(IssueState(state))
    used.later(hours=2)
    assert look(used) == []
    used.later(minutes=1)
    (found,) = look(used)
    assert found.state == state
    assert "digest" in found.remedy


def test_a_long_delivery_is_not_overdue_while_it_moves(used):
    issue = used.issue(IssueState.SENDING)
    used.delivery(issue, "pending")
    used.later(hours=5)
    used.delivery(issue, "submitted")
    used.later(hours=2)
    assert look(used) == []
    used.later(minutes=1)
    assert [each.issue for each in look(used)] == [issue.id]


def test_a_delivery_that_waits_for_its_time_is_not_overdue(used):
    issue = used.issue(IssueState.SENDING)
    used.delivery(issue, "pending", not_before=used.now + timedelta(hours=4))
    used.later(hours=5)
    assert look(used) == []
    used.later(hours=2)
    assert [each.issue for each in look(used)] == [issue.id]


def test_an_editors_issue_that_no_schedule_names_is_overdue_too(used):
    used.issue(IssueState.DONE)
    used.issue(IssueState.APPROVED, scope="series:ipc", period="2026-W31")
    used.later(days=80)
    assert "weekly series:ipc 2026-W31 (issue 2)" in {each.name for each in look(used)}


def test_an_issue_of_a_newsletter_gone_from_config_is_told(used):
    used.issue(IssueState.DONE)
    used.issue(IssueState.APPROVED, newsletter="daily")
    used.later(hours=3)
    (found,) = look(used)
    assert "stands in config no more" in found.why


def test_a_series_digest_by_schedule_is_due_in_its_own_words(used):
    used.issue(IssueState.DONE)
    schedule = Schedule(
        cron="0 8 * * 1",
        parameters={"dry_run": False, "series": "ipc", "repeat": True, "edition": 2},
    )
    settings = used.config.flows["weekly-digest"].model_copy(update={"schedules": {"m": schedule}})
    flows = {**used.config.flows, "series-digest": settings}
    used.config = used.config.model_copy(update={"flows": flows})
    (found,) = look(used)
    assert found.name == "weekly series:ipc 2026-W47.2"
    assert "digest send weekly --series ipc --edition 2 --repeat --as-of" in found.remedy


def test_equal_words_on_both_databases(any_world):
    any_world.now = MONDAY - timedelta(days=14)
    any_world.end(any_world.run())
    any_world.now = MONDAY
    issue = any_world.issue(IssueState.SENDING)
    any_world.delivery(issue, "pending", not_before=MONDAY + timedelta(hours=1))
    any_world.later(hours=4)
    (found,) = look(any_world)
    assert (found.issue, found.state) == (issue.id, "sending")


# --- the command -------------------------------------------------------------------------------


def test_the_command_is_silent_with_code_0_and_loud_with_code_3(at_home):
    assert at_home.command("overdue") == (0, "Nothing is overdue.\n", "")
    at_home.now = datetime.now(UTC) - timedelta(days=9)
    at_home.issue(IssueState.APPROVED, scheduled_at=at_home.now)
    code, out, _ = at_home.command("overdue")
    assert code == 3
    assert out.startswith("weekly 2026-W47 (issue 1) was due on ")
    assert "To do: go on: digest deliver 1" in out
    code, out, _ = at_home.command("overdue", "--json")
    (found,) = json.loads(out)["overdue"]
    assert code == 3
    assert list(found) == ["newsletter", "scope", "period", "due", "issue", "state", "why"]
    assert found["issue"] == 1


def test_a_database_out_of_reach_is_said_plainly(at_home, monkeypatch):
    url = "postgresql://digest:geheim@127.0.0.1:1/digest"
    monkeypatch.setenv("DIGEST_DATABASE_URL", url)
    code, out, err = at_home.command("overdue")
    assert (code, out) == (1, "")
    assert err.startswith("digest: the database cannot be read: ")
    assert "geheim" not in err
    assert "Traceback" not in err


def test_a_faulty_config_is_said_plainly(at_home):
    (at_home.home / "config" / "flows.toml").write_text("[flows.weekly]\n", encoding="utf-8")
    code, _, err = at_home.command("overdue")
    assert code == 2
    assert "no such flow" in err


def subscribe_to(world, rhythm):
    with world.store.write() as c:
        reader = c.execute(
            insert(tables.subscribers).values(
                address=f"{rhythm}@example.org",
                address_key=f"{rhythm}@example.org",
                created_at=world.now,
            )
        ).inserted_primary_key[0]
        c.execute(
            insert(tables.subscriptions).values(
                subscriber_id=reader,
                newsletter="weekly",
                interests="everything",
                rhythm=rhythm,
                state="active",
                consent_source="test",
                consent_at=world.now,
                created_at=world.now,
            )
        )


def test_readers_whose_rhythm_lost_its_schedule_are_told_of(world):
    for rhythm in ("weekly", "monthly"):
        subscribe_to(world, rhythm)
    assert look(world) == []
    flow = world.config.flows["weekly-digest"]
    kept = {
        name: schedule
        for name, schedule in flow.schedules.items()
        if schedule.parameters.get("rhythm") != "monthly"
    }
    changed = {**world.config.flows, "weekly-digest": flow.model_copy(update={"schedules": kept})}
    world.config = world.config.model_copy(update={"flows": changed})
    (found,) = look(world)
    assert found.why == "1 reader wants it monthly, which no schedule serves"
    assert found.remedy.endswith("digest send weekly --rhythm monthly")
    # Sent by hand, without any schedule, it is for the one who sends to know.
    world.config = world.config.model_copy(update={"flows": {}})
    assert look(world) == []
