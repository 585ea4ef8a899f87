"""Publishing: each snippet once, in its chain, through crashes, outages and two at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Act, Place, ReadySnippet
from digest.social.channels.preview import PreviewChannel
from digest.social.networks import NETWORKS
from digest.social.publish import foreseen
from digest.social.settle import look, settle
from digest.store.tables import posts, publications
from fakes.scripted import DAY, HOUR, MINUTE, Killed, Lost, kill

ANSWERS = [Unavailable("down"), Throttled("slow"), Unauthorized("no", "401")]


@pytest.fixture
def x(any_house):
    return any_house.add_channel("x")


def test_what_is_due_goes_out_in_order_each_answering_the_one_before(any_house, x):
    any_house.plan("a", minutes=-4)
    any_house.plan("b", items=1, minutes=30)
    report = any_house.publish()
    assert x.texts == ["a1"]
    for _ in range(2):
        any_house.later(2 * MINUTE)
        any_house.publish()
    assert x.texts == ["a1", "a2", "a3"]
    assert x.parents == {"a1": None, "a2": "a1", "a3": "a2"}
    assert [(line.position, line.of, line.state) for line in report.lines] == [(1, 3, "submitted")]
    assert report.lines[0].url.startswith("https://n.example/")
    row = any_house.row("a1")
    assert (row.remote_id, row.attempts, row.reply_to) == (x.of("a1").id, 1, None)
    assert any_house.row("a2").reply_to == x.of("a1").id
    assert any_house.states("b") == ["pending"]
    assert any_house.publish().lines == ()
    assert len(x.texts) == 3


def test_a_snippet_waits_for_its_slot(any_house, x):
    any_house.plan("a")
    any_house.publish()
    assert x.texts == ["a1"]
    any_house.later(2 * MINUTE)
    any_house.publish()
    assert x.texts == ["a1", "a2"]


def test_an_atomic_thread_goes_out_in_one_call_and_is_known_to_be_chained(any_house):
    bluesky = any_house.add_channel("bluesky")
    any_house.plan("a", channel="bluesky", items=4)
    any_house.publish()
    assert bluesky.calls.count("publish") == 1
    assert bluesky.parents == {"a1": None, "a2": "a1", "a3": "a2", "a4": "a3"}
    assert [any_house.row(f"a{n}").reply_to for n in (1, 2, 3, 4)] == [
        None,
        *(bluesky.of(f"a{n}").id for n in (1, 2, 3)),
    ]
    assert any_house.publish().notices == ()


def test_a_channel_with_nothing_due_is_not_opened(house):
    house.add_channel("x")
    house.plan("a", items=1)
    house.plan("b", items=1, minutes=60)
    house.publish()
    house.later(2 * MINUTE)
    # Read back.
    house.publish()
    house.opened.clear()
    house.later(2 * MINUTE)
    assert house.publish().lines == ()
    assert foreseen(house.press).lines == ()
    assert house.opened == []


# --- a dry run ---------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_go_out_and_changes_nothing(any_house, x):
    any_house.plan("a", minutes=-1)
    any_house.plan("old", items=2, minutes=-2000)
    report = foreseen(any_house.press)
    assert [(line.title, line.position, line.state) for line in report.lines] == [
        ("Post old", 1, "cancelled"),
        ("Post a", 1, "pending"),
    ]
    assert any_house.opened == []
    assert set(any_house.states()) == {"pending"}


@pytest.mark.parametrize("pace", [0, 2])
@pytest.mark.parametrize("minutes", [-300, -30, -1, 0])
def test_a_dry_run_foresees_exactly_what_a_run_then_does(*, house, pace, minutes):
    house.add_channel("x", slots={"pace_minutes": pace})
    house.add_channel("bluesky", slots={"pace_minutes": pace})
    for slug in ("x", "bluesky"):
        house.plan("a", channel=slug, minutes=minutes, pace=pace)
        house.plan("b", channel=slug, minutes=minutes + 10, pace=pace)
        house.plan("c", channel=slug, items=1, minutes=minutes + 20, pace=pace)
    told = [(one.channel, one.title, one.position) for one in foreseen(house.press).lines]
    done = [(one.channel, one.title, one.position) for one in house.publish().lines]
    assert told == done


def test_a_dry_run_says_what_keeps_a_channel_from_publishing(house):
    house.add_channel("x", prices={"create": 1}, monthly_cap=2)
    house.plan("a")
    report = foreseen(house.press)
    assert report.lines == ()
    assert report.faults == {
        "x": "the cap of $2.00 for 2026-11 is reached: $0.00 spent, $3.00 needed"
    }
    assert report.notices == ()


def test_a_dry_run_foresees_at_which_thread_the_money_ends(house):
    house.add_channel("x", slots={"pace_minutes": 0}, prices={"create": 1}, monthly_cap=4)
    for title in ("a", "b", "c"):
        house.plan(title, items=2, pace=0)
    report = foreseen(house.press)
    told = [(one.title, one.position) for one in report.lines]
    assert "the cap of $4.00" in report.faults["x"]
    assert told == [(one.title, one.position) for one in house.publish().lines]
    assert told == [("Post a", 1), ("Post a", 2), ("Post b", 1), ("Post b", 2)]


# --- crashes and doubts ------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
def test_a_crash_while_it_is_said_leaves_one_in_doubt_that_is_out_once_in_the_end(
    *, any_house, x, accepted
):
    x.lag = HOUR
    any_house.plan("a", minutes=-1, pace=0)
    any_house.plan("b", items=1)

    def die(bodies):
        if bodies[0]["text"] == "a2":
            if accepted:
                x._accept(bodies[0])
            raise Killed

    x.before = die
    with pytest.raises(Killed):
        any_house.publish()
    assert any_house.states("a") == ["submitted", "submitting", "pending"]
    x.before = lambda bodies: None
    report = any_house.publish()
    assert any_house.states("a") == ["submitted", "uncertain", "pending"]
    assert report.uncertain == 1
    # Its thread waits; others go on.
    assert x.took("b1") == 1
    x.lag = timedelta(0)
    any_house.later(2 * MINUTE)
    assert any_house.publish().uncertain == 0
    assert [x.took(f"a{n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert x.parents["a3"] == "a2"


@pytest.mark.parametrize("step", ["claimed", "prepared"])
def test_a_crash_before_it_is_said_costs_nothing(*, any_house, x, step):
    any_house.plan("a", items=1)
    name = "prepare" if step == "claimed" else "publish"
    setattr(x, name, kill)
    with pytest.raises(Killed):
        any_house.publish()
    delattr(x, name)
    any_house.later(2 * MINUTE)
    any_house.publish()
    any_house.later(2 * MINUTE)
    any_house.publish()
    assert x.took("a1") == 1
    assert any_house.states() == ["submitted"]


def test_left_in_doubt_the_rest_of_the_thread_is_cancelled(any_house, x):
    any_house.plan("a", minutes=-10)
    x.answers = [Uncertain("no answer")]
    any_house.publish()
    act = Act("Maya", any_house.now, "settle")
    assert settle(any_house.press, act, resend=False) == 1
    assert settle(any_house.press, act, resend=False) == 0
    report = any_house.publish()
    assert any_house.states() == ["uncertain", "cancelled", "cancelled"]
    assert "did not go out" in report.lines[0].reason
    assert any_house.row("a1").settled == "leave, by Maya"
    assert x.texts == []
    assert report.uncertain == 0


def test_a_second_doubt_is_somebodys_to_decide_again(any_house, x):
    any_house.plan("a", minutes=-10)
    x.answers = [Uncertain("no answer"), Uncertain("no answer")]
    x.finding = [Unavailable("away")] * 2
    any_house.publish()
    assert settle(any_house.press, Act("Maya", any_house.now, "settle"), resend=True) == 1
    report = any_house.publish()
    assert any_house.states() == ["uncertain", "pending", "pending"]
    assert report.uncertain == 1
    assert any_house.row("a1").settled is None


def test_published_again_by_an_editor_the_thread_goes_on_as_paced(any_house, x):
    any_house.plan("a", minutes=-10)
    x.answers = [Uncertain("no answer")]
    x.finding = [Unavailable("away")] * 9
    any_house.publish()
    any_house.later(3 * DAY)
    assert settle(any_house.press, Act("Maya", any_house.now, "settle"), resend=True) == 1
    any_house.publish()
    assert x.texts == ["a1"]
    any_house.later(4 * MINUTE)
    any_house.publish()
    any_house.later(2 * MINUTE)
    any_house.publish()
    assert x.texts == ["a1", "a2", "a3"]


@pytest.mark.parametrize("accepted", [True, False])
def test_a_look_by_hand_proves_what_was_in_doubt(*, any_house, x, accepted):
    any_house.plan("a", items=2, minutes=-10)
    x.answers = [Lost(Uncertain("no answer")) if accepted else Uncertain("no answer")]
    any_house.publish()
    any_house.later(2 * MINUTE)
    assert look(any_house.press) == 1
    assert any_house.states() == ["submitted" if accepted else "pending", "pending"]


# --- late --------------------------------------------------------------------------------------


def test_what_is_a_day_late_is_cancelled_with_the_reason_and_floods_nobody(any_house, x):
    for name in "abc":
        any_house.plan(name, minutes=-25 * 60)
    any_house.plan("d", items=1, minutes=-23 * 60)
    report = any_house.publish()
    assert x.texts == ["d1"]
    assert any_house.states()[:9] == ["cancelled"] * 9
    assert any_house.row("a1").reason == "more than 24 hours after its slot"
    assert len(report.lines) == 10


def test_a_thread_that_has_begun_is_finished_days_later_at_its_pace(any_house, x):
    any_house.plan("a")
    any_house.publish()
    any_house.later(6 * DAY)
    any_house.publish()
    assert x.texts == ["a1", "a2"]
    any_house.later(MINUTE)
    any_house.publish()
    assert x.texts == ["a1", "a2"]
    any_house.later(MINUTE)
    any_house.publish()
    assert x.texts == ["a1", "a2", "a3"]


def test_a_thread_that_broke_off_for_a_week_is_not_taken_up_again(any_house, x):
    thread = any_house.plan("a")
    any_house.publish()
    any_house.later(7 * DAY + 3 * MINUTE)
    report = any_house.publish()
    assert x.texts == ["a1"]
    assert any_house.states() == ["submitted", "cancelled", "cancelled"]
    any_house.later(2 * MINUTE)
    (notice,) = (*report.notices, *any_house.publish().notices)
    assert "1 of 3 snippets are out" in notice
    assert f"thread {thread} on x (Post a)" in notice
    assert any_house.publish().notices == ()


def test_each_channel_is_as_late_as_it_says_also_where_all_are_looked_after(any_house):
    x = any_house.add_channel("x", max_late_hours=72)
    any_house.plan("a", items=1, minutes=-48 * 60)
    any_house.configure("x", slots={"quiet": {"after": "17:00", "until": "19:00"}})
    any_house.publish(everywhere=True)
    assert any_house.states() == ["pending"]
    assert foreseen(any_house.press, everywhere=True).lines == ()
    any_house.later(2 * HOUR)
    any_house.publish(everywhere=True)
    assert x.texts == ["a1"]


def test_what_a_channel_took_away_from_config_left_behind_is_given_up(any_house, x):
    any_house.plan("a", items=1, minutes=-25 * 60, channel="gone")
    any_house.publish()
    assert any_house.states() == ["pending"]
    any_house.publish(everywhere=True)
    assert any_house.states() == ["cancelled"]


def test_after_an_outage_late_threads_go_out_one_after_the_other(any_house):
    x = any_house.add_channel("x", slots={"pace_minutes": 5})
    for name, hours in (("a", 9), ("b", 6), ("c", 3)):
        any_house.plan(name, items=2, minutes=-60 * hours, pace=5)
    taken = []
    for _ in range(31):
        before = len(x.texts)
        any_house.publish()
        taken += [any_house.now] * (len(x.texts) - before)
        any_house.later(MINUTE)
    assert x.texts == ["a1", "a2", "b1", "b2", "c1", "c2"]
    gaps = [later - earlier for earlier, later in pairwise(taken)]
    assert gaps == [5 * MINUTE] * 5


def test_late_atomic_threads_are_kept_apart_too(any_house):
    bluesky = any_house.add_channel("bluesky", slots={"pace_minutes": 5})
    for name in "ab":
        any_house.plan(name, items=2, minutes=-60, channel="bluesky")
    any_house.publish()
    assert bluesky.texts == ["a1", "a2"]
    any_house.later(5 * MINUTE)
    any_house.publish()
    assert bluesky.texts == ["a1", "a2", "b1", "b2"]


def test_a_thread_in_doubt_keeps_no_other_from_beginning(any_house, x):
    any_house.plan("a", minutes=-1, pace=0)
    x.answers = [None, Uncertain("no answer")]
    x.finding = [Unavailable("away")] * 99
    any_house.publish()
    any_house.plan("b", items=1)
    any_house.publish()
    assert x.texts == ["a1", "b1"]


def test_threads_of_a_snippet_a_day_run_side_by_side(any_house):
    x = any_house.add_channel("x", slots={"pace_minutes": 1440})
    any_house.plan("a", items=3, pace=1440)
    any_house.publish()
    any_house.later(2 * HOUR)
    any_house.plan("b", items=1)
    any_house.publish()
    assert x.texts == ["a1", "b1"]


# --- a network that does not take it ------------------------------------------------------------


@pytest.mark.parametrize("answer", [Unavailable("down"), Throttled("slow", retry_after=MINUTE)])
def test_a_channel_that_is_not_there_is_tried_by_a_later_run(any_house, x, answer):
    any_house.plan("a", items=1, minutes=-1)
    any_house.plan("b", items=1)
    x.answers = [answer]
    report = any_house.publish()
    assert report.faults == {"x": answer.reason}
    assert (x.texts, any_house.states()) == ([], ["pending", "pending"])
    any_house.later(MINUTE)
    assert any_house.publish().faults == {}
    assert x.texts == ["a1", "b1"]


def test_what_was_tried_in_vain_for_a_day_has_failed_and_says_why(any_house, x):
    any_house.plan("a", items=1, minutes=-3)
    x.answers = [Unavailable("down")]
    any_house.publish()
    any_house.later(DAY)
    any_house.publish()
    assert any_house.states() == ["failed"]
    assert any_house.row("a1").reason == "more than 24 hours after its slot; last: down"


def test_a_network_that_names_a_time_is_left_alone_until_then(any_house, x):
    any_house.plan("a", items=1, minutes=-3)
    x.answers = [Throttled("slow", retry_after=HOUR)]
    any_house.publish()
    any_house.later(59 * MINUTE)
    any_house.publish()
    assert x.calls.count("publish") == 1
    any_house.later(MINUTE)
    any_house.publish()
    assert x.texts == ["a1"]


def test_what_was_not_accepted_is_compared_with_its_post_again(house):
    """Hours may have passed since: what goes out is what the post says then."""
    x = house.add_channel("x")
    thread = house.plan("a", items=1)
    x.answers = [Throttled("slow", retry_after=HOUR)]
    house.publish()
    house.edit_post(thread, "other words")
    house.later(HOUR)
    house.publish()
    assert x.texts == ["other words"]


def test_a_refused_snippet_ends_its_thread_and_no_other(any_house, x):
    thread = any_house.plan("a", minutes=-1)
    any_house.plan("b", items=1)
    x.answers = [Refused("too rude", "403")]
    report = any_house.publish()
    assert any_house.states("a") == ["refused", "cancelled", "cancelled"]
    assert x.texts == ["b1"]
    assert report.faults == {}
    row = any_house.row("a1")
    assert (row.reason, row.code) == ("too rude", "403")
    assert report.notices == (f"thread {thread} on x (Post a) was refused: too rude",)
    assert any_house.publish().notices == ()


def test_a_post_that_is_gone_is_not_advertised(any_house, x):
    thread = any_house.plan("a", minutes=-10)
    any_house.change_post(thread, gone_at=any_house.now)
    any_house.publish()
    assert x.calls == []
    assert any_house.states() == ["cancelled"] * 3
    assert any_house.row("a1").reason == "its post is gone"


def test_a_post_that_goes_while_its_thread_is_made_ready_is_not_advertised(any_house, x):
    thread = any_house.plan("a", minutes=-10)
    prepare = x.prepare

    def slow(snippets, place):
        any_house.change_post(thread, gone_at=any_house.now)
        return prepare(snippets, place)

    x.prepare = slow
    any_house.publish()
    assert x.texts == []
    assert any_house.states() == ["cancelled"] * 3


# --- two at once -------------------------------------------------------------------------------


def at_once(house, count=3):
    barrier, failed = threading.Barrier(count), []

    def run():
        barrier.wait()
        try:
            house.publish()
        except BaseException as error:  # noqa: BLE001  a thread's own would be lost
            failed.append(error)

    workers = [threading.Thread(target=run) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []


@pytest.mark.parametrize("slug", ["x", "bluesky"])
def test_several_at_once_publish_each_snippet_once_and_in_order(*, any_house, slug):
    network = any_house.add_channel(slug)
    names = "abcdefgh"
    for name in names:
        any_house.plan(name, minutes=-1, pace=0, channel=slug)
    at_once(any_house)
    any_house.publish()
    assert sorted(network.texts) == [f"{name}{n}" for name in names for n in (1, 2, 3)]
    for name in names:
        own = [text for text in network.texts if text[0] == name]
        assert own == [f"{name}{n}" for n in (1, 2, 3)]
    assert set(any_house.states()) == {"submitted"}


def test_several_at_once_begin_no_thread_within_another(any_house):
    x = any_house.add_channel("x", slots={"pace_minutes": 2})
    for name in "abcd":
        any_house.plan(name, minutes=-60)
    at_once(any_house)
    assert len(x.texts) == 1


@pytest.mark.parametrize("accepted", [True, False])
def test_several_at_once_settle_a_doubt_once(*, any_house, x, accepted):
    any_house.plan("a", items=2, minutes=-1, pace=0)
    x.answers = [Lost(Uncertain("no answer")) if accepted else Uncertain("no answer")]
    any_house.publish()
    any_house.later(2 * MINUTE)
    at_once(any_house)
    any_house.publish()
    assert (x.took("a1"), x.took("a2")) == (1, 1)


def test_several_at_once_are_throttled_together(any_house, x):
    for name in "ab":
        any_house.plan(name, items=1)
    x.reading = [Throttled("slow", window="read")] * 3
    any_house.publish()
    any_house.later(2 * MINUTE)
    at_once(any_house)
    assert set(any_house.states()) == {"submitted"}


def test_several_at_once_take_down_and_tell_once(any_house, x):
    any_house.configure("x", half_posted="roll-back")
    any_house.plan("a", minutes=-1, pace=0)
    x.answers = [None, Refused("no")]
    any_house.publish()
    at_once(any_house)
    assert x.texts == []


def test_a_slow_look_does_not_decide_about_a_later_attempt(any_house, x):
    """Said again and accepted while the answer to the first question was on its way."""
    any_house.plan("a", items=1)
    x.answers = [Uncertain("no answer")]
    any_house.publish()
    any_house.later(2 * MINUTE)
    find = x.find

    def slow(bodies):
        x.find = find
        answer = find(bodies)
        x.answers = [Lost(Uncertain("no answer"))]
        any_house.publish()
        assert any_house.states() == ["uncertain"]
        any_house.later(2 * MINUTE)
        return answer

    x.find = slow
    any_house.publish()
    any_house.later(2 * MINUTE)
    any_house.publish()
    assert x.took("a1") == 1
    assert any_house.states() == ["submitted"]


# --- what an old ledger holds ------------------------------------------------------------------


def test_a_doubt_from_before_bodies_were_kept_is_left_to_an_editor(any_house, x):
    any_house.plan("a", items=1)
    with any_house.store.write() as c:
        c.execute(update(publications).values(state="uncertain"))
        c.execute(update(posts).values(gone_at=None))
    any_house.later(HOUR)
    assert any_house.publish().uncertain == 1
    assert settle(any_house.press, Act("Maya", any_house.now, "settle"), resend=True) == 1
    any_house.publish()
    assert x.texts == ["a1"]


# --- the preview channel -----------------------------------------------------------------------


@pytest.fixture
def preview(tmp_path, moment):
    return PreviewChannel(tmp_path / "social", "x", NETWORKS["x"], lambda: moment[0])


def a_snippet(now, key="1-k"):
    return ReadySnippet(key, "Text", now)


def test_the_preview_channel_takes_a_snippet_once_and_finds_it_again(preview, tmp_path, now):
    bodies = preview.prepare([a_snippet(now)], None)
    assert preview.find(bodies) is None
    first = preview.publish(bodies)
    assert preview.publish(bodies) == first == preview.find(bodies)
    page = (tmp_path / "social/index.html").as_uri()
    assert (first[0].remote_id, first[0].at) == ("1-k", now)
    assert first[0].url == f"{page}#publication-1-k"
    (file,) = (tmp_path / "social" / "published" / "x").iterdir()
    assert file.name == "1-k.json"


def test_the_preview_channel_keeps_what_each_answers(preview, now):
    (first,) = preview.publish(preview.prepare([a_snippet(now)], None))
    bodies = preview.prepare([a_snippet(now, "2-k")], Place(first, first))
    (seen,) = preview.read(preview.publish(bodies))
    assert seen.reply_to == "1-k"


def test_a_preview_channel_that_cannot_write_accepts_nothing(preview, tmp_path, now):
    (tmp_path / "social").write_text("in the way")
    bodies = preview.prepare([a_snippet(now)], None)
    assert isinstance(preview.publish(bodies), Unavailable)
