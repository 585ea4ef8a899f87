"""`digest social`, as an editor at the terminal sees it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from digest.bootstrap import bootstrap
from digest.store.tables import posts, publications, threads

pytestmark = pytest.mark.long


@pytest.fixture
def editor(desk, grown, monkeypatch):
    """The blog was read; the terminal is 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    grown("read", lambda: desk.run("ingest"))
    return desk


@contextmanager
def ledger(desk):
    with bootstrap(desk.home) as app, app.store.write() as c:
        yield app, c


def let_come(desk, *, hours=1.0, **which):
    """Move slots into the past."""
    with ledger(desk) as (app, c):
        query = update(publications).values(slot=app.clock() - timedelta(hours=hours))
        c.execute(query.filter_by(**which))


def change(desk, table, number, **values):
    with ledger(desk) as (_, c):
        c.execute(update(table).where(table.c.id == number).values(**values))


def planned(desk, channel="x"):
    """The channel's first thread."""
    return desk.json("social", "plan", "--channel", channel)["threads"][0]


# --- plan --------------------------------------------------------------------------------------


def test_threads_are_planned_once_and_shown_on_a_page(editor):
    made = editor.json("social", "plan")
    assert {thread["channel"] for thread in made["threads"]} == {"x", "mastodon", "bluesky"}
    page = Path(made["preview"]).read_text(encoding="utf-8")
    assert made["threads"][0]["title"] in page
    again = editor.json("social", "plan")
    assert (again["threads"], again["dollars"]) == ([], {})
    found = editor.json("social", "status")["threads"]
    assert [one["thread_id"] for one in found] == sorted(
        (one["thread_id"] for one in made["threads"]),
        key=[one["thread_id"] for one in found].index,
    )
    for thread in found:
        assert all(item["state"] == "pending" for item in thread["publications"])
        slots = [item["slot"] for item in thread["publications"]]
        assert slots == sorted(set(slots)) or thread["channel"] == "bluesky"


def test_a_dry_plan_shows_every_snippet_in_full_and_writes_nothing(editor):
    shown = editor.run("social", "plan", "--channel", "x", "--dry-run").out
    made = editor.json("social", "plan", "--channel", "x", "--dry-run")
    lines = shown.splitlines()
    assert all(len(line) <= 80 or "http" in line for line in lines)
    for thread in made["threads"]:
        for item in thread["snippets"]:
            assert f"[{item['measured']}/280]" in shown
            assert all(word in shown for word in item["text"].split())
        assert f"cost: {thread['cost'].split(':')[0]}" in shown
    assert "Left out:\n  - " in shown
    assert ": in no series or theme that x takes" in " ".join(shown.split())
    assert "Nothing was stored" in shown
    assert editor.json("social", "status")["threads"] == []


def test_a_plan_holds_its_cost_against_the_months_cap(editor):
    editor.configure("channels.toml", "[channels.x]\n", '[channels.x]\nmonthly_cap = "0.5"\n')
    done = editor.run("social", "plan", "--channel", "x", "--dry-run")
    head = done.out.splitlines()[0]
    assert "$0.00 spent in " in head
    assert "of $0.50 a month; what goes over the cap waits" in head


def test_a_standing_thread_is_named_by_what_it_goes_on_from(editor):
    editor.configure("channels.toml", "[channels.x]\n", '[channels.x]\nform = "standing"\n')
    shown = editor.run("social", "plan", "--channel", "x", "--series", "pbr").out
    assert "form: part of a standing thread, its beginning" in shown
    assert "form: part of a standing thread, goes on from thread 1" in shown
    assert "goes on from thread 1" in editor.run("social", "status").out


def test_rotation_says_why_it_is_silent(editor):
    evergreen = '[channels.x]\nevergreen = { series = ["ipc"], cool_down_days = 3650 }\n'
    editor.configure("channels.toml", "[channels.x]\n", evergreen)
    shown = editor.run("social", "plan", "--channel", "x", "--dry-run").out
    assert "Nothing old is brought back: " in shown
    assert editor.json("social", "plan", "--dry-run")["silent"].keys() == {"x"}


def test_an_editor_brings_a_post_back(editor):
    post = planned(editor)["post_id"]
    let_come(editor)
    editor.run("social", "publish")
    (again,) = editor.json("social", "plan", "--post", str(post), "--channel", "x", "--repeat")[
        "threads"
    ]
    assert (again["repeat"], again["form"], len(again["snippets"])) == (1, "snippet", 1)
    assert "say which post or series" in editor.run("social", "plan", "--repeat", code=2).err


# --- publish and status ------------------------------------------------------------------------


def test_publishing_says_what_became_of_each_snippet(editor):
    number = planned(editor)["thread_id"]
    idle = editor.run("social", "publish")
    assert idle.out == "No slot has come since the last publishing.\n"
    let_come(editor, thread_id=number)
    dry = editor.run("social", "publish", "--dry-run").out
    assert "1 of 5: pending, its slot has come" in dry
    assert "Nothing was published" in dry
    done = editor.run("social", "publish").out
    assert done.startswith(f"Thread {number} on x: ")
    assert "  5 of 5: submitted, file:///" in done
    shown = editor.run("social", "status").out
    assert "5 of 5 out" in shown
    # Shown on the local page, it cost nothing.
    assert "spent in" not in shown
    full = editor.run("social", "status", str(number)).out
    assert "read back on" in full
    assert "5/5" in full


def test_a_post_withdrawn_after_its_thread_went_out_is_told_once(editor, blog):
    thread = planned(editor)
    let_come(editor, thread_id=thread["thread_id"])
    editor.run("social", "publish")
    blog.server.withdrawn.update(p.id for p in blog.server.posts if p.title == thread["title"])
    told = editor.run("social", "publish", code=None).out
    assert "is out, and its post is gone" in " ".join(told.split())
    assert "gone" not in editor.run("social", "publish").out


def test_status_shows_one_thread_in_full(editor):
    thread = planned(editor)
    shown = editor.run("social", "status", "1").out
    assert all(word in shown for item in thread["snippets"] for word in item["text"].split())
    assert editor.json("social", "status", "1")["standing"] == "planned"
    assert "no thread 99" in editor.run("social", "status", "99", code=2).err


def test_what_is_in_doubt_is_said_with_what_happens_next(editor):
    number = planned(editor)["thread_id"]
    with ledger(editor) as (_, c):
        doubt = {"state": "uncertain", "reason": "the answer was lost"}
        own = (publications.c.thread_id == number, publications.c.position == 1)
        c.execute(update(publications).where(*own).values(**doubt))
    shown = " ".join(editor.run("social", "status").out.split())
    assert "0 of 5 out; snippet 1 uncertain: looked up at the next publishing" in shown
    assert editor.json("social", "status")["channels"][0]["uncertain"] == 1
    assert editor.json("social", "publish", code=3)["uncertain"] == 1
    assert editor.json("social", "settle", "--leave", "--by", "Maya")["settled"] == 1
    shown = " ".join(editor.run("social", "status").out.split())
    assert "snippet 1 may be out (leave, by Maya)" in shown


def test_threads_that_are_long_over_are_counted_and_shown_when_asked(editor):
    editor.run("social", "plan", "--series", "ipc")
    editor.run("social", "plan", "--series", "pbr")
    with ledger(editor) as (_, c):
        c.execute(update(publications).values(state="cancelled", reason="no"))
    found = len(editor.json("social", "status")["threads"])
    assert found > 10
    shown = editor.run("social", "status").out
    assert f"{found - 10} of them are over and not shown: digest social status --all" in shown
    assert shown.count("\nThread ") == 10
    assert editor.run("social", "status", "--all").out.count("\nThread ") == found


# --- decisions ---------------------------------------------------------------------------------


def test_a_stopped_channel_publishes_nothing_and_says_by_whom(editor):
    planned(editor)
    let_come(editor)
    editor.run("social", "stop", "x", "--reason", "election week", "--by", "Maya")
    again = editor.run("social", "stop", "x").out
    assert "x is stopped since" in again
    assert "by Maya: election week" in again
    refused = editor.run("social", "publish", code=3).out
    assert refused == "x is not through: x was stopped by Maya: election week.\n"
    assert "was stopped by Maya" in editor.run("social", "status").out
    assert editor.run("social", "start", "x").out == "x goes on.\n"
    assert editor.run("social", "start", "x").out == "x was not stopped.\n"
    assert "5 of 5: submitted" in editor.run("social", "publish").out
    assert "no channel 'y'" in editor.run("social", "stop", "y", code=2).err


def test_one_stop_stops_every_channel_and_leaves_the_others_be(editor):
    editor.run("social", "plan")
    let_come(editor)
    editor.run("social", "stop", "--reason", "a death in the county")
    editor.run("social", "stop", "x")
    faults = editor.json("social", "publish", code=3)["faults"]
    assert set(faults) == {"x", "mastodon", "bluesky"}
    shown = editor.run("social", "start").out
    assert shown.startswith("Publishing goes on.\nx: ")
    assert "digest social start x" in shown
    assert set(editor.json("social", "publish", code=3)["faults"]) == {"x"}


def test_a_channel_whose_money_was_spent_goes_on_when_the_cap_is_raised(editor):
    editor.configure("channels.toml", "[channels.x]\n", '[channels.x]\nmonthly_cap = "0.001"\n')
    planned(editor)
    let_come(editor)
    told = editor.run("social", "publish", code=3).out
    assert "Notice: x waits: the cap of $0.001" in told
    editor.configure("channels.toml", '"0.001"', '"5"')
    assert "submitted" in editor.run("social", "publish").out
    assert "waits" not in editor.run("social", "status").out


def test_a_held_thread_waits_for_its_editor_however_long(editor):
    number = planned(editor)["thread_id"]
    with ledger(editor) as (app, _):
        now = app.clock()
    change(editor, threads, number, held_at=now, held_why="its post was edited", post_hash="old")
    let_come(editor, hours=24 * 9, thread_id=number)
    assert editor.json("social", "publish")["publications"] == []
    shown = editor.run("social", "status").out
    assert f"held: its post was edited; digest social release {number}" in shown
    released = editor.run("social", "release", str(number)).out
    assert "it was held:\n  its post was edited" in released
    assert "5 of 5 out" not in released
    states = [one["state"] for one in editor.json("social", "publish")["publications"]]
    assert states[0] == "submitted"
    assert "is not held" in editor.run("social", "release", str(number), code=2).err


def test_a_held_thread_can_be_made_anew_from_its_edited_post(editor):
    thread = planned(editor)
    number, post = thread["thread_id"], thread["post_id"]
    with ledger(editor) as (app, _):
        now = app.clock()
    change(editor, threads, number, held_at=now, held_why="its post was edited", post_hash="old")
    change(editor, posts, post, title="Another title altogether")
    editor.run("social", "release", str(number), "--anew")
    shown = editor.json("social", "status", str(number))
    assert shown["publications"][0]["text"].startswith("Another title altogether")
    assert (shown["held_at"], shown["standing"]) == (None, "planned")
    let_come(editor, thread_id=number)
    assert "5 of 5: submitted" in editor.run("social", "publish").out
    change(editor, threads, number, held_at=now, held_why="why")
    refused = editor.run("social", "release", str(number), "--anew", code=2).err
    assert "has begun: it can only go on as planned" in refused


def test_what_is_held_since_its_post_is_gone_cannot_be_released(editor):
    thread = planned(editor)
    with ledger(editor) as (app, _):
        now = app.clock()
    change(editor, threads, thread["thread_id"], held_at=now, held_why="its post is gone")
    change(editor, posts, thread["post_id"], gone_at=now)
    refused = editor.run("social", "release", str(thread["thread_id"]), code=2)
    assert f"digest social undo {thread['thread_id']}" in refused.err


def test_a_thread_is_taken_down_and_what_is_left_is_named(editor):
    number = str(planned(editor)["thread_id"])
    let_come(editor, thread_id=int(number))
    editor.run("social", "publish")
    dry = editor.run("social", "undo", number, "--dry-run").out
    assert dry.count("would take down") == 5
    assert "about $0.05" in dry
    assert "5 of 5 out" in editor.run("social", "status", number).out
    done = editor.run("social", "undo", number, "--reason", "wrong figures", "--by", "Maya").out
    assert done.endswith(": 5 taken down.\n")
    shown = " ".join(editor.run("social", "status", number).out.split())
    assert "0 of 5 out, 5 taken down" in shown
    assert "taken down, by Maya: wrong figures" in shown
    again = editor.json("social", "undo", number)
    assert (again["removed"], again["left"]) == ([], [])
    assert editor.json("runs")[1]["what"] == "social undo"


def test_what_cannot_be_taken_down_now_is_left_and_said(editor):
    number = planned(editor)["thread_id"]
    let_come(editor, thread_id=number)
    editor.run("social", "publish")
    folder = editor.home / "var" / "social" / "published" / "x"
    for file in folder.iterdir():
        file.unlink()
        file.mkdir()
    left = editor.json("social", "undo", str(number), code=3)["left"]
    assert len(left) == 5
    assert "cannot be written" in left[0]["reason"]
    assert "still out" in editor.run("social", "status", str(number)).out
    for file in folder.iterdir():
        file.rmdir()
    states = [one["state"] for one in editor.json("social", "publish")["publications"]]
    assert states == ["deleted"] * 5


def test_taken_down_before_it_began_nothing_ever_goes_out(editor):
    number = str(planned(editor)["thread_id"])
    done = editor.run("social", "undo", number).out
    assert done.endswith(": nothing was out, 5 never went out.\n")
    let_come(editor)
    published = editor.json("social", "publish")["publications"]
    assert number not in {str(one["thread"]) for one in published}
