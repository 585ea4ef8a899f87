"""Series with their gaps, and the calendar: what an editor would otherwise have to remember."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import insert, update

from digest.calendar import Entry, around, calendar, read_plan, scheduled, slots_between
from digest.config import Schedule
from digest.issues import desk
from digest.issues.due import last_slot
from digest.settings import load_config
from digest.store import tables
from digest.web.series_page import ago

from .conftest import NOW, sign_in

LONDON = ZoneInfo("Europe/London")


def text_of(page):
    return " ".join(LexborHTMLParser(page.text).body.text(separator=" ").split())


def thread(house, post_id, *states, channel="mastodon", slot=NOW, scope="series:ipc", **values):
    """A thread with a snippet in each of these states."""
    with house.app.store.write() as c:
        row = {"channel": channel, "post_id": post_id, "scope": scope, "reason": "r"}
        add = insert(tables.threads).values(**row, planned_at=NOW, **values)
        thread_id = c.execute(add.returning(tables.threads.c.id)).scalar()
        for position, state in enumerate(states, 1):
            out = state == "submitted"
            c.execute(
                insert(tables.publications).values(
                    thread_id=thread_id,
                    channel=channel,
                    position=position,
                    text=f"Text {position}",
                    measured=6,
                    state=state,
                    slot=slot + timedelta(minutes=2 * position),
                    state_at=NOW,
                    remote_id=f"{thread_id}-{position}" if out else None,
                    url=f"https://{channel}.example/{thread_id}/{position}" if out else None,
                )
            )
        return thread_id


def published(house, post_id, at, **values):
    with house.app.store.write() as c:
        mine = tables.posts.c.id == post_id
        c.execute(update(tables.posts).where(mine).values(published=at, **values))


# --- series ------------------------------------------------------------------------------------


def test_a_series_shows_its_parts_where_they_went_and_what_is_missing(any_house):
    house, maya = any_house, sign_in(any_house)
    for number, title in enumerate(["IPC, part 1", "IPC, part 2", "IPC, part 4"], 1):
        house.post(title)
        published(house, number, NOW - timedelta(days=30 - number))
    house.reader("ann")
    issue = house.draft()
    thread(house, 1, "submitted", "submitted")
    thread(house, 2, "pending", channel="x")
    page = maya.get("/desk/series/ipc")
    text = text_of(page)
    assert "3 parts, the last 3 weeks ago" in text
    assert "0 subscriptions follow it, and 1 everything" in text
    assert "By their titles there is no part 3." in text
    # It stands in a draft, which has gone to nobody.
    assert "Never mailed in any issue: none of it yet." in text
    assert "Neither out nor planned on mastodon: parts 2 and 3." in text
    assert "Neither out nor planned on x: parts 1 and 3." in text
    assert f'href="/desk/issues/{issue.id}"' in page.text
    assert "weekly 2026-W48 (draft)" in text
    assert "mastodon (out)" in text
    assert "x (planned)" in text
    assert text.index("IPC, part 1") < text.index("IPC, part 2") < text.index("IPC, part 4")


def test_what_was_mailed_is_no_gap(house, editor):
    house.post()
    house.post()
    house.reader("ann")
    house.deliver(house.freeze().id)
    assert "Never mailed" not in text_of(editor.get("/desk/series/ipc"))


def test_a_thread_that_came_to_nothing_counts_for_none(house, editor):
    house.post()
    thread(house, 1, "cancelled", "cancelled")
    text = text_of(editor.get("/desk/series/ipc"))
    assert "Neither out nor planned on mastodon: none of it yet." in text
    assert "mastodon (0 of 2 out)" in text


def test_parts_out_of_turn_doubled_and_gone_are_told(house, editor):
    house.configure(
        'hashtag = "IPC"', 'hashtag = "IPC"\norder.first = ["beginning"]', "series.toml"
    )
    house.post("The beginning, part 1")
    house.post("Later, part 1")
    published(house, 2, NOW - timedelta(days=9), gone_at=NOW)
    text = text_of(editor.get("/desk/series/ipc"))
    assert "Part 1 was published after part 2" in text
    assert "More than one title says that it is part 1." in text
    assert "Part 2 is gone from the blog." in text


def test_posts_that_config_keeps_out_are_shown_with_both_reasons(house, editor):
    house.configure(
        'hashtag = "IPC"', 'hashtag = "IPC"\nexclude.titles = ["advert"]', "series.toml"
    )
    house.post("An advert")
    house.post("A part")
    text = text_of(editor.get("/desk/series/ipc"))
    assert "Kept out by config" in text
    assert "Fits: category “IPC”. Kept out: title matches “advert”." in text
    assert "1 part," in text


def test_an_empty_home_says_what_to_do(any_house):
    maya = sign_in(any_house)
    assert "No post belongs to it yet" in text_of(maya.get("/desk/series"))
    assert "No post belongs to it yet" in text_of(maya.get("/desk/series/ipc"))


def test_a_site_without_series_has_a_page_of_them(house, editor):
    path = house.app.home / "config" / "series.toml"
    path.write_text("", encoding="utf-8")
    text = text_of(editor.get("/desk/series"))
    assert "No series stands in config yet" in text
    assert "No theme stands in config yet" in text


def test_hostile_titles_stay_text(house, editor):
    house.post("</a><script>alert(1)</script>\u202e" + "W" * 300)
    for path in ("/desk/series", "/desk/series/ipc"):
        page = editor.get(path).text
        assert "<script>" not in page
        assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("slug", ["nothing", "IPC", "%00", "..%2f", "a" * 300])
def test_series_there_are_none_of(editor, slug):
    assert editor.get(f"/desk/series/{slug}").status_code in {400, 404}


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (-1, "in the future"),
        (0, "today"),
        (1, "1 day ago"),
        (13, "13 days ago"),
        (14, "2 weeks ago"),
        (70, "2 months ago"),
        (729, "24 months ago"),
        (730, "2 years ago"),
    ],
)
def test_how_long_ago(days, words):
    assert ago(NOW, NOW - timedelta(days=days)) == words


# --- calendar: pure ----------------------------------------------------------------------------


def test_entries_stand_under_the_day_of_the_sites_clock():
    # 23:30 UTC in summer is the next day in London; in winter it is not.
    summer = Entry(datetime(2026, 10, 24, 23, 30, tzinfo=UTC), "run", "summer")
    winter = Entry(datetime(2026, 10, 25, 23, 30, tzinfo=UTC), "run", "winter")
    coming, past = calendar([winter, summer], LONDON, datetime(2026, 10, 25, 0, 10, tzinfo=UTC))
    assert past == []
    assert [(day.date, [entry.title for entry in day.entries]) for day in coming] == [
        (date(2026, 10, 25), ["summer", "winter"]),
    ]


def test_the_past_is_newest_first_and_today_is_not_past():
    entries = [Entry(NOW - timedelta(hours=hours), "run", str(hours)) for hours in (1, 30, 60)]
    coming, past = calendar(entries, LONDON, NOW)
    assert [day.date.day for day in coming] == [23]
    assert [day.date.day for day in past] == [22, 20]


def test_the_stretch_is_of_whole_days_over_a_change_of_clocks():
    since, until = around(datetime(2026, 10, 20, 12, tzinfo=UTC), LONDON)
    assert since == datetime(2026, 10, 5, 23, tzinfo=UTC)
    assert until == datetime(2026, 11, 18, tzinfo=UTC)


CRONS = ["0 8 * * 1", "30 1 * * *", "*/20 * * * *", "0 8 1 * *", "15 2 * * 0", "0 0 29 2 *"]


@pytest.mark.parametrize("cron", CRONS)
@pytest.mark.parametrize("month", [3, 10])
def test_runs_are_those_that_overdue_would_miss(cron, month):
    schedule = Schedule(cron=cron)
    since = datetime(2026, month, 20, tzinfo=UTC)
    until = since + timedelta(days=14)
    forward = list(slots_between(schedule, LONDON, since, until))
    assert forward == sorted(set(forward))
    assert all(since <= at < until for at in forward)
    for at in forward:
        assert last_slot(schedule, LONDON, at) == at


def test_what_runs_all_the_time_is_one_line(house):
    since, until = around(NOW, LONDON)
    runs, often = scheduled(house.app.config, since, until, NOW)
    assert len([run for run in runs if run.schedule.cron == "0 8 * * 1"]) == 7
    told = {each.flow: each.how_often for each in often}
    assert told["refresh-feeds"] == "every hour"
    assert told["publish-social"] == "every 10 minutes"
    assert not told.keys() & {run.flow for run in runs}


# --- calendar: of a home -----------------------------------------------------------------------


def entries_of(days):
    return {
        (entry.at.strftime("%d %H:%M"), entry.kind): (entry.title, entry.note, entry.state)
        for day in days
        for entry in day.entries
    }


def plan_of(house):
    return read_plan(house.app.store, house.app.config, house.app.clock())


def ran(house, at):
    with house.app.store.write() as c:
        values = {"what": "weekly-digest", "parameters": {}, "actor": "a", "counts": {}}
        c.execute(insert(tables.runs).values(**values, started_at=at, outcome="done"))


def test_a_draft_its_deadline_and_the_runs_after_it(any_house):
    house = any_house
    house.post()
    house.post()
    house.draft()
    found = entries_of(plan_of(house).coming)
    assert found["23 08:00", "issue"][::2] == ("weekly 2026-W48", "draft")
    decide = "Decide on weekly 2026-W48", "if nobody does, it is held for an editor", "draft"
    assert found["25 08:00", "deadline"] == decide
    assert found["30 08:00", "run"] == ("weekly 2026-W49", "a draft, to be decided within 48 h", "")
    # The run of its own time is not shown beside it.
    assert ("23 08:00", "run") not in found


def test_a_period_without_an_issue_is_told_once_the_database_was_in_use(house):
    house.turn(days=1)
    assert "missing" not in [state for *_, state in entries_of(plan_of(house).past).values()]
    ran(house, NOW - timedelta(days=8))
    plan = plan_of(house)
    found = entries_of(plan.past)
    assert found["23 08:00", "run"] == ("weekly 2026-W48", "no issue was made", "missing")
    assert ("09 08:00", "run") not in found
    assert [each.period for each in plan.overdue] == ["2026-W48"]


def test_an_issue_that_an_editor_made_ahead_is_named_at_its_run(house):
    house.post()
    house.post()
    house.turn(days=-3)
    early = house.app.clock()
    request = house.request
    act = house.act
    house.configure("minimum = 2", "minimum = 1\nbegins = 2026-11-01T00:00:00Z")
    config = load_config(house.app.home, {})
    made = desk.draft_issue(
        house.app.store, config, house.app.templates, replace(request, scheduled_at=early), act
    )
    assert made.period == "2026-W47"
    found = entries_of(plan_of(house).coming)
    assert found["20 08:00", "issue"][0] == "weekly 2026-W47"
    assert found["23 08:00", "run"][0] == "weekly 2026-W48"


def test_a_dry_run_promises_nothing(house):
    house.configure("dry_run = false }", "dry_run = true }", "flows.toml")
    house.turn(minutes=5)
    config = load_config(house.app.home, {})
    plan = read_plan(house.app.store, config, house.app.clock())
    notes = {note for _, note, _ in entries_of(plan.coming).values()}
    assert notes == {"dry run, sends nothing"}


def test_threads_stand_at_their_slots(any_house):
    house = any_house
    for _ in range(5):
        house.post()
    soon, before = NOW + timedelta(days=2), NOW - timedelta(days=3)
    thread(house, 1, "pending", "pending", slot=soon)
    thread(house, 2, "submitted", "submitted", slot=before)
    thread(house, 3, "submitted", "pending", slot=before)
    thread(house, 4, "pending", slot=soon, held_at=NOW, held_why="edited", channel="x")
    thread(
        house, 5, "pending", slot=soon, undo_at=NOW, undo_by="a", undo_why="b", channel="bluesky"
    )
    plan = plan_of(house)
    found = [
        (entry.title, entry.note, entry.state)
        for day in (*plan.past, *plan.coming)
        for entry in day.entries
        if entry.thread
    ]
    assert found == [
        ("mastodon: Post 2", "2 of 2 snippets out", "out"),
        ("mastodon: Post 3", "1 of 2 snippets out", "waiting"),
        ("mastodon: Post 1", "2 snippets", "planned"),
        ("x: Post 4", "1 snippet", "held"),
    ]


def test_the_page_puts_what_is_overdue_on_top_and_says_what_it_cannot_know(any_house):
    house = any_house
    ran(house, NOW - timedelta(days=30))
    house.post()
    house.turn(days=1)
    with house.app.store.write() as c:
        values = {"channel": "all", "at": NOW, "actor": "Maya", "reason": "<b>election</b>"}
        c.execute(insert(tables.stops).values(**values))
    page = sign_in(house).get("/desk/calendar")
    assert page.status_code == 200
    text = text_of(page)
    assert text.index("Overdue") < text.index("The next 4 weeks")
    assert "weekly 2026-W48" in text
    assert "digest send weekly --as-of 2026-11-23T08:00+00:00" in text
    assert "switched off or added in Prefect are not known here" in text
    assert "Every channel is stopped" in text
    assert "<b>election" not in page.text
    assert "publish-social every 10 minutes" in text


def test_a_home_without_schedules_says_so(house, editor):
    path = house.app.home / "config" / "flows.toml"
    path.write_text("", encoding="utf-8")
    assert "no schedule of config makes an issue" in text_of(editor.get("/desk/calendar"))


def test_an_issue_of_a_newsletter_that_config_forgot_is_still_there(house):
    house.post()
    house.post()
    house.draft()
    with house.app.store.write() as c:
        c.execute(update(tables.issues).values(newsletter="gone"))
    plan = plan_of(house)
    assert ("23 08:00", "issue") in entries_of(plan.coming)
    assert sign_in(house).get("/desk/calendar").status_code == 200


@pytest.mark.parametrize("path", ["series", "series/ipc", "calendar"])
def test_a_viewer_may_look_and_nobody_else(client, viewer, path):
    assert viewer.get(f"/desk/{path}").status_code == 200
    assert client.get(f"/desk/{path}").status_code == 303
    assert viewer.post(f"/desk/{path}").status_code == 405
