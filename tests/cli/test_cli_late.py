"""A run that came too late: what its newsletter's policy makes of its issue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from digest.bootstrap import bootstrap
from digest.issues.compose import Request
from digest.issues.desk import draft_issue
from digest.issues.scope import ALL
from digest.late import set_aside
from digest.model import Act, Rhythm
from digest.store.issues import list_issues, transitions_of

FLOW = "weekly-digest"
DAY = timedelta(days=1)


@pytest.fixture
def late(stocked):
    """Three days after its Monday a run comes; the policy is to be named first."""

    def come(policy: str, days: int = 3):
        stocked.configure("newsletters.toml", 'late = "roll"', f'late = "{policy}"')
        now = datetime.now(UTC)
        due = now - days * DAY
        # Its only schedule had its last slot then.
        minute, hour = due.minute, due.hour
        stocked.configure(
            "flows.toml",
            'cron = "0 8 * * 1"\ntime_zone = "Europe/London"',
            f'cron = "{minute} {hour} {due.day} {due.month} *"\ntime_zone = "UTC"',
        )
        return Request("weekly", ALL, Rhythm.WEEKLY, due, by_schedule=True)

    return come


def opened(stocked):
    return bootstrap(stocked.home)


def last_word(app, issue):
    with app.store.read() as c:
        return transitions_of(c, issue.id)[-1]


def test_rolled_its_posts_wait_for_the_next(late, stocked):
    request = late("roll")
    with opened(stocked) as app:
        aside = set_aside(app, FLOW, request, 3 * DAY)
        assert aside.issue.state == "skipped"
        assert last_word(app, aside.issue).reason == aside.why
        assert "72 h late" in aside.why
        assert "wait for the next" in aside.why
        # A doubled run of the same slot finds it so; an editor may still begin it anew.
        act = Act("schedule", app.clock(), "run")
        again = draft_issue(app.store, app.config, app.templates, request, act)
        assert (again.id, again.state) == (aside.issue.id, "skipped")
        asked = Request("weekly", ALL, Rhythm.WEEKLY, request.scheduled_at)
        assert draft_issue(app.store, app.config, app.templates, asked, act).state == "draft"


def test_held_until_an_editor_resumes_it(late, stocked):
    request = late("hold")
    with opened(stocked) as app:
        aside = set_aside(app, FLOW, request, 3 * DAY)
        assert aside.issue.state == "held"
    assert stocked.json("resume", str(aside.issue.id))["state"] == "draft"


def test_sent_all_the_same(late, stocked):
    request = late("send")
    with opened(stocked) as app:
        assert set_aside(app, FLOW, request, 3 * DAY) is None
        with app.store.read() as c:
            assert list_issues(c) == []


def test_a_backlog_never_floods_whatever_the_policy(late, stocked):
    """A run of three days ago comes, and today's slot has come as well."""
    recent = late("send", days=0)
    old = Request("weekly", ALL, Rhythm.WEEKLY, recent.scheduled_at - 3 * DAY, by_schedule=True)
    with opened(stocked) as app:
        aside = set_aside(app, FLOW, old, 3 * DAY)
        assert aside.issue.state == "skipped"
        assert "the next one is due" in aside.why


def test_what_is_there_already_stays_as_it_is(late, stocked):
    request = late("hold")
    with opened(stocked) as app:
        act = Act("schedule", app.clock(), "run")
        there = draft_issue(app.store, app.config, app.templates, request, act)
        aside = set_aside(app, FLOW, request, 3 * DAY)
        assert (aside.issue.id, aside.issue.state) == (there.id, "draft")


def test_what_an_editor_rejected_no_schedule_begins_anew(late, stocked):
    request = late("send")
    with opened(stocked) as app:
        act = Act("schedule", app.clock(), "run")
        first = draft_issue(app.store, app.config, app.templates, request, act)
        stocked.run("reject", str(first.id), "--reason", "no")
        again = draft_issue(app.store, app.config, app.templates, request, act)
        assert (again.id, again.state) == (first.id, "rejected")
