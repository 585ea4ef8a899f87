"""Planning: each post once on a channel, with a reason, whoever plans and how often."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from digest.config import Config
from digest.errors import UsageError
from digest.social.making import Maker
from digest.social.plan import plan_threads, thread_status
from digest.store.tables import (
    channels,
    memberships,
    posts,
    publications,
    threads,
)

TEMPLATES = Path(__file__).parents[2] / "templates"
TEXT = "Nobody is paid to look after the joins between two services. Somebody in the county really ought to be, surely."


def a_config(**channel) -> Config:
    """Two series, a theme, and one channel on X that takes the series."""
    return Config.model_validate(
        {
            "site": {
                "name": "Common Threads",
                "url": "https://commonthreads.org/",
                "contact": "c@x.org",
                "postal_address": "1 Road",
                "links_url": "https://commonthreads.org/",
            },
            "mailers": {},
            "feeds": {},
            "newsletters": {},
            "series": {
                slug: {
                    "title": f"On {slug}",
                    "hashtag": slug.upper(),
                    "match": {"categories": [slug]},
                }
                for slug in ("ipc", "pbr")
            },
            "themes": {"bread": {"title": "Bread", "hashtag": "Bread", "terms": {"bread": 9}}},
            "channels": {"x": {"network": "x", "max_items": 3, **channel}},
        }
    )


def add_post(store, number, *categories, arrived, text=TEXT) -> None:
    with store.write() as c:
        c.execute(
            insert(posts).values(
                id=number,
                guid=f"g{number}",
                url=f"https://commonthreads.org/{number}/",
                title=f"Post {number}",
                author="A",
                published=arrived,
                first_seen=arrived,
                arrived=arrived,
                categories=list(categories),
                html="",
                text=text,
                excerpt="",
                image_url="https://commonthreads.org/i.png",
                image_alt="A loom",
                reading_minutes=1,
                content_hash=str(number),
            )
        )


@pytest.fixture
def week(store, now):
    """An archive post and two of this week: one of both series, one of none."""
    add_post(store, 1, "ipc", arrived=now - timedelta(days=60))
    add_post(store, 2, "pbr", "ipc", arrived=now - timedelta(days=2))
    add_post(store, 3, "bread", arrived=now - timedelta(days=1))
    return store


def plan(store, now, config=None, *, templates=TEMPLATES, **asked):
    return plan_threads(store, Maker(config or a_config(), templates, {}), now, **asked)


def count(store, table) -> int:
    with store.read() as c:
        return c.scalar(select(func.count()).select_from(table)) or 0


def test_what_arrived_is_threaded_once_under_the_first_series(week, now):
    report = plan(week, now)
    assert [(p.post_id, p.is_in, p.scope) for p in report.planned] == [
        (2, True, "series:ipc"),
        (3, False, ""),
    ]
    into, out = report.planned
    assert into.reason == (
        "part 2 of 2 of On ipc: category “ipc”; also in On pbr, but goes out once"
    )
    assert out.reason == "in no series or theme that x takes"


def test_the_ledger_has_pending_publications_with_slots_and_the_image_on_the_root(week, now):
    plan(week, now)
    (thread,) = thread_status(week)
    assert (thread.channel, thread.post_id, thread.scope) == ("x", 2, "series:ipc")
    first, *others = thread.publications
    assert (first.image_url, first.image_alt) == ("https://commonthreads.org/i.png", "A loom")
    assert [p.position for p in thread.publications] == [1, 2, 3]
    assert {p.state for p in thread.publications} == {"pending"}
    assert not any(p.image_url for p in others)
    # Monday 09:30 in London is the first slot after Sunday evening.
    assert [f"{p.slot:%a %H:%M}" for p in thread.publications] == [
        "Mon 09:30",
        "Mon 09:32",
        "Mon 09:34",
    ]


def test_the_report_has_the_numbers_that_commands_take(week, now):
    report = plan(week, now)
    (thread,) = thread_status(week)
    assert [p.thread_id for p in report.planned] == [thread.thread_id, None]
    assert plan(week, now, post=1, dry_run=True).threads[0].thread_id is None


def test_a_second_plan_finds_it_done(week, now):
    plan(week, now)
    again = plan(week, now + timedelta(hours=1))
    assert again.threads == ()
    assert again.planned[0].reason == "has a thread on x already, planned 2026-11-22"
    assert count(week, threads) == 1


def test_the_channel_remembers_where_it_began(week, now):
    plan(week, now)
    add_post(week, 4, "ipc", arrived=now - timedelta(days=6))
    late = plan(week, now + timedelta(days=5))
    assert [p.post_id for p in late.threads] == [4]
    assert plan(week, now + timedelta(days=30)).threads == ()


def test_since_in_config_goes_before(week, now):
    config = a_config(since=now - timedelta(days=90))
    assert [p.post_id for p in plan(week, now, config).threads] == [1, 2]


def test_an_editor_may_name_a_series_archive_included_in_reading_order(week, now):
    report = plan(week, now, series="ipc")
    assert [p.post_id for p in report.threads] == [1, 2]
    one, two = report.threads
    assert one.snippets[-1].slot < two.snippets[0].slot


def test_an_editor_may_name_a_post(week, now):
    assert [p.post_id for p in plan(week, now, post=1).planned] == [1]


def test_a_series_that_a_channel_does_not_take_is_refused_with_the_reason(week, now):
    report = plan(week, now, a_config(series=["ipc"]), series="pbr")
    assert [p.reason for p in report.planned] == ["in no series pbr that x takes"]


def test_a_theme_goes_out_where_the_channel_takes_it(week, now):
    report = plan(week, now, a_config(series=[], themes=["bread"]))
    (thread,) = report.threads
    assert (thread.post_id, thread.scope) == (3, "theme:bread")
    assert thread.reason == "about bread: tag “bread”"


@pytest.mark.parametrize("asked", [{"channel": "y"}, {"series": "y"}, {"post": 99}])
def test_what_does_not_exist_is_a_usage_error(week, now, asked):
    with pytest.raises(UsageError, match=r"no (channel|series|post)"):
        plan(week, now, **asked)


def test_a_dry_run_tells_the_same_and_writes_nothing(week, now):
    dry = plan(week, now, dry_run=True)
    assert [count(week, t) for t in (threads, publications, channels, memberships)] == [0] * 4
    real = plan(week, now).planned
    assert dry.planned == tuple(replace(one, thread_id=None) for one in real)


def test_two_plans_at_once_give_one_thread_each(week, now):
    for number in range(4, 14):
        add_post(week, number, "ipc", arrived=now - timedelta(hours=number))
    barrier, reports = threading.Barrier(3), []

    def run():
        barrier.wait()
        reports.append(plan(week, now))

    workers = [threading.Thread(target=run) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    planned = [p.post_id for report in reports for p in report.threads]
    assert sorted(planned) == [2, *range(4, 14)]
    slots = [p.slot for thread in thread_status(week) for p in thread.publications]
    assert len(set(slots)) == len(slots) == count(week, publications)


def test_threads_of_one_channel_share_no_slot_with_those_planned_before(week, now):
    plan(week, now)
    add_post(week, 4, "ipc", arrived=now)
    plan(week, now)
    first, second = thread_status(week)
    assert first.publications[-1].slot < second.publications[0].slot


def test_a_post_that_is_not_out_yet_is_no_candidate(week, now):
    add_post(week, 4, "ipc", arrived=now + timedelta(hours=1))
    assert 4 not in [p.post_id for p in plan(week, now).planned]


def test_a_thread_that_is_impossible_is_out_with_its_reason(store, now):
    add_post(store, 1, "ipc", arrived=now)
    config = a_config(network="bluesky")
    with store.write() as c:
        c.execute(posts.update().values(url="https://commonthreads.org/" + "x" * 300))
    (out,) = plan(store, now, config).planned
    assert not out.is_in
    assert "over the 300 characters of Bluesky" in out.reason


def test_status_can_be_asked_for_one_channel(week, now):
    plan(week, now)
    assert thread_status(week, channel="other") == []
    assert len(thread_status(week, channel="x")) == 1


def test_killed_in_the_middle_of_writing_leaves_no_half_thread(week, now, tmp_path):
    with week.write() as c:
        c.exec_driver_sql(
            "CREATE TRIGGER dies BEFORE INSERT ON publications WHEN NEW.position = 2"
            " BEGIN SELECT RAISE(ABORT, 'killed'); END"
        )
    with pytest.raises(Exception, match="killed"):
        plan(week, now)
    assert [count(week, t) for t in (threads, publications)] == [0, 0]
    with week.write() as c:
        c.exec_driver_sql("DROP TRIGGER dies")
    assert len(plan(week, now).threads) == 1


def test_utc_comes_back(week, now):
    plan(week, now)
    assert thread_status(week)[0].publications[0].slot == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


# --- forms -------------------------------------------------------------------------------------


def test_a_standing_thread_grows_in_reading_order_each_behind_the_one_before(week, now):
    config = a_config(form="standing", since=now - timedelta(days=90))
    one, two = plan(week, now, config).threads
    assert [(t.form, t.goes_on, t.after_id) for t in (one, two)] == [
        ("standing", False, None),
        ("standing", True, one.thread_id),
    ]
    add_post(week, 4, "ipc", arrived=now)
    (three,) = plan(week, now, config).threads
    assert (three.goes_on, three.after_id) == (True, two.thread_id)
    slots = [snippet.slot for thread in (one, two, three) for snippet in thread.snippets]
    assert slots == sorted(set(slots))
    assert [t.after_id for t in thread_status(week)] == [None, one.thread_id, two.thread_id]


def test_a_dry_plan_says_what_a_standing_thread_goes_on_from(week, now):
    config = a_config(form="standing", since=now - timedelta(days=90))
    assert [(t.goes_on, t.after_id) for t in plan(week, now, config, dry_run=True).threads] == [
        (False, None),
        (True, None),
    ]


def test_what_was_taken_down_is_not_gone_on_from(week, now):
    config = a_config(form="standing", since=now - timedelta(days=90))
    one, two = plan(week, now, config).threads
    with week.write() as c:
        c.execute(update(threads).where(threads.c.id == two.thread_id).values(undo_at=now))
    add_post(week, 4, "ipc", arrived=now)
    (three,) = plan(week, now, config).threads
    assert three.after_id == one.thread_id


def test_a_series_may_have_a_form_of_its_own(week, now):
    add_post(week, 4, "pbr", arrived=now)
    config = a_config(forms={"ipc": "standing", "pbr": "snippet"})
    assert [(t.post_id, t.form, len(t.snippets)) for t in plan(week, now, config).threads] == [
        (2, "standing", 3),
        (4, "snippet", 1),
    ]


# --- money -------------------------------------------------------------------------------------


def test_a_plan_says_what_a_thread_costs_and_which_links_are_charged(week, now):
    (thread,) = plan(week, now).threads
    assert thread.cost == (
        "about $0.235: 2 posts at $0.015, 1 with a link at $0.200, 1 alt text at $0.005"
    )
    assert thread.links == ((3, "https://commonthreads.org/2/"),)


def test_what_costs_nothing_says_nothing(week, now):
    (thread,) = plan(week, now, a_config(network="mastodon")).threads
    assert thread.cost == ""


def test_links_everywhere_are_held_against_a_link_in_one(week, now):
    (thread,) = plan(week, now, a_config(link="every")).threads
    assert "a link in every snippet costs $0.605, in one alone $0.235" in thread.notes


# --- repeats -----------------------------------------------------------------------------------


def out(store, when):
    """All that is planned went out."""
    values = {"state": "submitted", "state_at": when}
    with store.write() as c:
        c.execute(update(publications).where(publications.c.state == "pending").values(**values))


def test_an_editor_brings_a_post_back_as_one_snippet_in_other_words(week, now):
    plan(week, now, post=2)
    assert plan(week, now, post=2, repeat=True).threads == ()
    out(week, now)
    (again,) = plan(week, now + timedelta(days=30), post=2, repeat=True).threads
    assert (again.form, again.repeat, len(again.snippets)) == ("snippet", 1, 1)
    assert again.snippets[0].text.startswith("From 2026, and still worth reading")
    assert "once more on purpose: it was out on 2026-11-22" in again.reason
    assert not again.evergreen


def test_a_repeat_must_be_of_something_named(week, now):
    with pytest.raises(UsageError, match="say which post or series"):
        plan(week, now, repeat=True)


def test_there_are_as_many_repeats_as_there_are_templates(week, now):
    for day in range(4):
        plan(week, now + timedelta(days=day), post=2, repeat=day > 0)
        out(week, now + timedelta(days=day))
    (left,) = plan(week, now + timedelta(days=9), post=2, repeat=True).planned
    assert not left.is_in
    assert left.reason == ("was brought back 3 times: once more needs templates/social/again/4.txt")
    assert len({t.publications[0].text for t in thread_status(week)}) == 4


@pytest.fixture
def templates(tmp_path):
    """Templates of which the second repeat says what the first did."""
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    again = tmp_path / "templates" / "social" / "again"
    again.joinpath("1.txt").write_text("Again: {{ title }} {{ link }}", encoding="utf-8")
    again.joinpath("2.txt").write_text("Again: {{ title }} {{ link }}", encoding="utf-8")
    return tmp_path / "templates"


def test_the_same_words_never_go_out_twice(week, now, templates):
    for day in range(2):
        plan(week, now + timedelta(days=day), post=2, repeat=day > 0, templates=templates)
        out(week, now + timedelta(days=day))
    (left,) = plan(week, now, post=2, repeat=True, templates=templates).planned
    assert (left.is_in, left.reason) == (False, "x had these very words already")


# --- evergreen ---------------------------------------------------------------------------------


def evergreen(**rules):
    return a_config(evergreen={"series": ["ipc"], "cool_down_days": 30, **rules})


def test_rotation_brings_one_old_post_back_and_says_why(store, now):
    add_post(store, 1, "ipc", arrived=now - timedelta(days=60))
    add_post(store, 2, "ipc", arrived=now - timedelta(days=50))
    report = plan(store, now, evergreen())
    (back,) = report.threads
    assert (back.post_id, back.evergreen, back.repeat, back.form) == (1, True, 1, "snippet")
    assert "brought back to x, 1 of 3 times" in back.reason
    assert back.snippets[0].slot == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert report.silent == {}
    silent = plan(store, now, evergreen()).silent
    assert silent == {"x": "brought one back on 2026-11-23, and does so once in 7 days"}


def test_a_dry_plan_brings_back_the_same(store, now):
    add_post(store, 1, "ipc", arrived=now - timedelta(days=60))
    (dry,) = plan(store, now, evergreen(), dry_run=True).threads
    assert plan(store, now, evergreen()).threads == (replace(dry, thread_id=1),)


def test_rotation_is_silent_on_a_day_with_something_new(week, now):
    config = a_config(
        evergreen={"series": ["ipc"], "cool_down_days": 30},
        slots={"times": ["09:30:00", "16:30:00"]},
    )
    report = plan(week, now, config)
    assert [one.post_id for one in report.threads] == [2]
    assert report.silent == {"x": "silent on 2026-11-23: something new goes out that day"}


def test_rotation_is_not_asked_where_an_editor_names_something(week, now):
    report = plan(week, now, evergreen(), post=3)
    assert (report.threads, report.silent) == ((), {})


def test_what_is_planned_a_moment_ago_is_not_brought_back_even_in_a_dry_plan(store, now):
    add_post(store, 1, "ipc", arrived=now - timedelta(days=60))
    config = evergreen(every_days=1)
    config = a_config(since=now - timedelta(days=90), evergreen=config.channels["x"].evergreen)
    for dry_run in (True, False):
        report = plan(store, now, config, dry_run=dry_run)
        assert [one.repeat for one in report.threads] == [0]
        assert "still to go out" in report.silent["x"]


def test_a_post_with_nothing_new_to_say_gives_its_turn_to_the_next(store, now, templates):
    for number in (1, 2):
        add_post(store, number, "ipc", arrived=now - timedelta(days=90 - number))
    plan(store, now, post=1, templates=templates)
    with store.write() as c:
        c.execute(threads.update().values(planned_at=now - timedelta(days=88)))
        said = "Again: Post 1 https://commonthreads.org/1/"
        c.execute(publications.update().values(text=said, state="submitted", state_at=now))
        c.execute(publications.update().values(state_at=now - timedelta(days=88)))
    report = plan(store, now, evergreen(every_days=1), templates=templates)
    assert [(one.post_id, one.is_in, one.reason[:40]) for one in report.planned] == [
        (1, False, "x had these very words already"),
        (2, True, "part 2 of 2 of On ipc: brought back to x"),
    ]
    later = plan(store, now + timedelta(days=1), evergreen(every_days=1), templates=templates)
    assert [(one.post_id, one.is_in) for one in later.planned] == [(1, False)]
    silence = "1 post whose turn it was has nothing new to say; of the others, the one post in ipc"
    assert later.silent["x"].startswith(silence)
