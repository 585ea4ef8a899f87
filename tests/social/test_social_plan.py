"""Planning: each post once on a channel, with a reason, whoever plans and how often."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from digest.config import Config
from digest.errors import UsageError
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


def plan(store, now, config=None, **asked):
    return plan_threads(store, config or a_config(), TEMPLATES, now, **asked)


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
    assert dry.planned == plan(week, now).planned


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
