"""When an issue is due: on the wall clock, over both clock changes, and the last one wins."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from digest.config import Schedule
from digest.issues.due import asked, decision_due, last_due, last_slot, superseded, verdict
from digest.model import Check, Rhythm, Severity

LONDON = ZoneInfo("Europe/London")
MONDAY = datetime(2026, 11, 16, 8, tzinfo=UTC)
ERROR = Check("empty", Severity.ERROR, "no post is in this issue")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slot(cron, before, zone=LONDON):
    return last_slot(Schedule(cron=cron), zone, utc(before))


@pytest.mark.parametrize(
    ("cron", "before", "expected"),
    [
        # Monday 08:00 in London is 08:00 UTC in winter and 07:00 UTC in summer.
        ("0 8 * * 1", "2026-03-29T12:00", "2026-03-23T08:00"),
        ("0 8 * * 1", "2026-03-30T12:00", "2026-03-30T07:00"),
        ("0 8 * * 1", "2026-10-25T12:00", "2026-10-19T07:00"),
        ("0 8 * * 1", "2026-10-26T12:00", "2026-10-26T08:00"),
        # The very moment counts; a second earlier it does not.
        ("0 8 * * 1", "2026-10-26T08:00", "2026-10-26T08:00"),
        ("0 8 * * 1", "2026-10-26T07:59:59", "2026-10-19T07:00"),
        # The skipped hour of March: the moment after the gap, once.
        ("30 1 * * *", "2026-03-29T05:00", "2026-03-29T01:00"),
        ("30 1 * * *", "2026-03-29T00:59", "2026-03-28T01:30"),
        # The doubled hour of October: its first half, seen from within both halves too.
        ("30 1 * * *", "2026-10-25T00:45", "2026-10-25T00:30"),
        ("30 1 * * *", "2026-10-25T01:15", "2026-10-25T00:30"),
        ("30 1 * * *", "2026-10-25T05:00", "2026-10-25T00:30"),
        # What runs every few minutes runs on through both.
        ("*/10 * * * *", "2026-03-29T01:05", "2026-03-29T01:00"),
        ("*/10 * * * *", "2026-10-25T01:05", "2026-10-25T01:00"),
        ("5 * * * *", "2026-10-25T01:07", "2026-10-25T01:05"),
    ],
)
def test_a_slot_is_on_the_wall_clock(cron, before, expected):
    assert slot(cron, before) == utc(expected)


def test_a_rare_slot_is_found_however_long_ago():
    assert slot("0 8 29 2 *", "2026-11-16T08:00") == utc("2024-02-29T08:00")


@given(
    st.sampled_from(["0 8 * * 1", "30 1 * * *", "15 2 * * *", "*/10 * * * *", "5 */6 * * *"]),
    st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.integers(1767225600, 1830297600),
)
def test_looking_back_and_forward_find_the_same_slot(cron, zone, moment):
    before = datetime.fromtimestamp(moment, UTC)
    found = last_slot(Schedule(cron=cron), ZoneInfo(zone), before)
    assert found <= before
    later = CronSim(cron, (found - timedelta(hours=4)).astimezone(ZoneInfo(zone)))
    coming = next(each.astimezone(UTC) for each in later if each.astimezone(UTC) > found)
    assert coming > before


# --- what a schedule asks for ------------------------------------------------------------------


def with_schedules(config, flow, **schedules):
    settings = config.flows["weekly-digest"].model_copy(update={"schedules": schedules})
    return config.model_copy(update={"flows": {flow: settings}})


def earnest(cron, **parameters):
    return Schedule(cron=cron, parameters={"dry_run": False, **parameters})


def test_the_sample_config_asks_for_a_digest_every_monday_and_first_of_the_month(config):
    weekly, monthly = last_due(config, MONDAY + timedelta(days=1))
    assert (weekly.newsletter, str(weekly.scope), weekly.period, weekly.at) == (
        "weekly",
        "all",
        "2026-W47",
        MONDAY,
    )
    assert (monthly.rhythm, monthly.period) == ("monthly", "2026-11")


def test_a_dry_run_is_due_nowhere(config):
    dry = Schedule(cron="0 8 * * 1", parameters={"newsletter": "weekly"})
    assert last_due(with_schedules(config, "weekly-digest", a=dry), MONDAY) == []


def test_what_a_schedule_leaves_out_is_as_in_the_form(config):
    monthly = config.newsletters["weekly"].model_copy(update={"cadence": "monthly"})
    config = config.model_copy(update={"newsletters": {"weekly": monthly}})
    due = asked(config, "series-digest", {"series": "ipc", "dry_run": False}, MONDAY)
    assert (due.newsletter, str(due.scope), due.rhythm) == ("weekly", "series:ipc", "monthly")
    assert due.period == "2026-11"
    assert asked(config, "weekly-digest", {}, MONDAY).rhythm == "weekly"
    again = asked(config, "theme-digest", {"theme": "funding", "edition": 2}, MONDAY)
    assert (str(again.scope), again.period) == ("theme:funding", "2026-11.2")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (MONDAY + timedelta(days=6), False),
        (MONDAY + timedelta(days=7), True),
        (MONDAY + timedelta(days=21), True),
    ],
)
def test_a_late_run_gives_way_once_the_next_slot_has_come(config, now, expected):
    assert superseded(config, "weekly-digest", MONDAY, now, "weekly") is expected


def test_a_run_gives_way_only_to_one_of_the_same_stream(config):
    config = with_schedules(
        config,
        "series-digest",
        ipc=earnest("0 9 * * 1", newsletter="weekly", series="ipc"),
        pbr=earnest("0 9 * * 2", newsletter="weekly", series="pbr"),
    )
    wednesday = MONDAY + timedelta(days=2)

    def passed(scope, rhythm=None):
        before = MONDAY - timedelta(days=7)
        return superseded(
            config, "series-digest", before, wednesday, "weekly", scope=scope, rhythm=rhythm
        )

    assert passed("series:ipc")
    assert passed("series:pbr")
    assert not passed("series:scf")
    assert not passed("series:ipc", Rhythm.MONTHLY)
    tuesday = MONDAY + timedelta(days=1, hours=-1)
    assert not superseded(config, "series-digest", tuesday, wednesday, "weekly", scope="series:ipc")


# --- drafts that nobody decided on -------------------------------------------------------------


def weekly(config, **changes):
    newsletter = config.newsletters["weekly"].model_copy(update=changes)
    return config.model_copy(update={"newsletters": {"weekly": newsletter}})


@pytest.mark.parametrize("policy", ["send", "hold", "roll"])
def test_an_unanswered_draft_follows_its_newsletters_policy(config, policy):
    decided, why = verdict(
        weekly(config, unanswered=policy), "weekly", "all", (), timedelta(minutes=15)
    )
    assert decided == policy
    assert policy in why


def test_a_faulty_draft_is_never_sent(config):
    declared = weekly(config, unanswered="send", late="send")
    for late in (timedelta(0), timedelta(days=9)):
        decided, why = verdict(declared, "weekly", "all", (ERROR,), late)
        assert decided == "hold"
        assert "no post is in this issue" in why


def test_after_an_outage_the_policy_for_late_issues_decides(config):
    declared = weekly(config, unanswered="send", late="roll")
    assert verdict(declared, "weekly", "all", (), timedelta(hours=24))[0] == "send"
    assert verdict(declared, "weekly", "all", (), timedelta(hours=25))[0] == "roll"
    assert "25 h" in verdict(declared, "weekly", "all", (), timedelta(hours=25))[1]


def test_where_nobody_has_to_approve_the_draft_is_sent(config):
    declared = weekly(config, approval="none", unanswered="hold")
    assert verdict(declared, "weekly", "all", (), timedelta(0))[0] == "send"


def test_a_newsletter_gone_from_config_sends_nothing(config):
    assert verdict(config, "daily", "all", (), timedelta(0))[0] == "hold"


def test_a_draft_without_a_deadline_gets_its_newsletters(config):
    newsletter = config.newsletters["weekly"]
    assert decision_due(newsletter, None, MONDAY) == MONDAY + timedelta(hours=48)
    assert decision_due(newsletter, MONDAY, MONDAY - timedelta(days=9)) == MONDAY
    assert decision_due(None, None, MONDAY) == MONDAY
