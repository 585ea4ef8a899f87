"""Posts that change: between plan and slot, and after their threads are out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Act, Image, Limits
from digest.social.thread import LinkCard, Unthreadable
from digest.store import standstill
from digest.store.social import ask_undo, compared, release_thread
from fakes.scripted import DAY, HOUR, MINUTE, Killed, kill

PICTURE = Image("https://c.org/i.jpg", "A loom.")


@pytest.fixture
def x(house):
    return house.add_channel("x")


# --- before ------------------------------------------------------------------------------------


def test_a_post_that_was_edited_is_made_anew(house, x):
    thread = house.plan("a", pace=0)
    house.edit_post(thread, "new one", "new two")
    report = house.publish()
    assert x.texts == ["new one", "new two"]
    assert x.parents["new two"] == "new one"
    assert report.notices == (f"thread {thread} on x (Post a) was made anew: its post was edited",)
    assert not report.for_person
    house.later(2 * MINUTE)
    assert house.publish().notices == ()


def test_made_anew_it_keeps_its_first_slot_and_its_pace(house):
    x = house.add_channel("x", slots={"pace_minutes": 5})
    thread = house.plan("a", items=1)
    house.edit_post(thread, "one", "two")
    house.publish()
    house.later(4 * MINUTE)
    house.publish()
    assert x.texts == ["one"]
    house.later(MINUTE)
    house.publish()
    assert x.texts == ["one", "two"]


def test_an_edit_that_changes_nothing_of_it_changes_nothing(house, x):
    thread = house.plan("a", items=1)
    house.change_post(thread, content_hash="h2")
    assert house.publish().notices == ()
    assert x.texts == ["a1"]
    house.later(2 * MINUTE)
    assert house.publish().notices == ()


def test_a_card_that_says_something_else_is_made_anew(house):
    bluesky = house.add_channel("bluesky")
    card = LinkCard("https://c.org/a", "A title", "About", None)
    thread = house.plan("a", items=1, channel="bluesky", cards={1: card})
    house.edit_post(thread, "a1", card=LinkCard("https://c.org/a", "Another", "About", None))
    house.publish()
    assert bluesky.of("a1").card["title"] == "Another"


def released(house, thread):
    """What `digest social release` does."""
    with house.store.write() as c:
        release_thread(c, thread)
        compared(c, thread, house.thread(thread).content_hash)


def test_held_it_waits_for_an_editor_is_told_once_and_goes_out_as_planned(house, x):
    house.configure("x", edited_before="hold")
    thread = house.plan("a", pace=0)
    house.edit_post(thread, "new")
    (notice,) = house.publish().notices
    assert f"thread {thread} on x (Post a) is held: its post was edited" in notice
    house.later(3 * DAY)
    assert house.publish().notices == ()
    assert house.states() == ["pending"] * 3
    house.later(-3 * DAY)
    released(house, thread)
    assert house.publish().notices == ()
    assert x.texts == ["a1", "a2", "a3"]


def test_released_and_edited_again_it_is_held_again(house, x):
    house.configure("x", edited_before="hold")
    thread = house.plan("a", items=1)
    house.edit_post(thread, "new")
    house.publish()
    released(house, thread)
    house.edit_post(thread, "newer", content_hash="h3")
    assert "is held" in house.publish().notices[0]
    assert x.texts == []


def test_cancelled_its_rest_is_cancelled_for_the_same_reason_and_no_other_thread(house, x):
    house.configure("x", edited_before="cancel")
    thread = house.plan("a", pace=0)
    other = house.plan("b", pace=0)
    x.answers = [Refused("rude")]
    house.edit_post(thread, "new")
    house.publish()
    assert [one.reason for one in house.thread(thread).publications] == ["its post was edited"] * 3
    assert house.thread(other).publications[1].reason == (
        "an earlier snippet of its thread did not go out"
    )
    assert x.texts == []


@pytest.mark.parametrize("policy", ["cancel", "hold"])
@pytest.mark.parametrize("where", ["feed", "page"])
def test_a_post_that_is_gone_is_not_advertised(*, house, x, policy, where):
    house.configure("x", gone_before=policy)
    thread = house.plan("a")
    post = house.thread(thread).post_id
    if where == "feed":
        house.change_post(thread, gone_at=house.now)
    else:
        house.workshop.gone.add(post)
    report = house.publish()
    assert x.calls == []
    assert set(house.states()) == {"cancelled" if policy == "cancel" else "pending"}
    assert (house.thread(thread).held_why == "its post is gone") == (policy == "hold")
    assert len(report.notices) == (policy == "hold")
    assert house.publish().notices == ()


def test_a_post_that_came_back_is_published_once_it_is_released(house, x):
    house.configure("x", gone_before="hold")
    thread = house.plan("a", items=1)
    house.change_post(thread, gone_at=house.now)
    house.publish()
    house.change_post(thread, gone_at=None)
    released(house, thread)
    house.publish()
    assert x.texts == ["a1"]


def test_a_post_that_left_its_series_is_cancelled(house, x):
    thread = house.plan("a")
    house.change_post(thread, content_hash="h2")
    house.workshop.made[house.thread(thread).post_id] = None
    house.publish()
    assert house.row("a1").reason == "its post left the series or theme"
    assert x.calls == []


def test_a_post_of_which_no_thread_can_be_made_any_more_is_cancelled(house, x):
    thread = house.plan("a")
    house.change_post(thread, content_hash="h2")
    house.workshop.made[house.thread(thread).post_id] = Unthreadable("its link alone is too long")
    house.publish()
    assert house.row("a1").reason == "its link alone is too long"


@pytest.mark.parametrize("policy", ["render", "hold", "cancel"])
def test_where_the_account_takes_less_now_it_is_made_anew(*, house, policy):
    mastodon = house.add_channel("mastodon", edited_before=policy)
    long = "word " * 60
    thread = house.plan("a", texts=[long.strip()], channel="mastodon")
    house.workshop.limits_now = Limits(100, 23, 1000, ("image/jpeg",))
    house.edit_post(thread, "shorter", content_hash="h")
    report = house.publish()
    assert mastodon.texts == ["shorter"]
    assert "the account takes less than when it was planned" in report.notices[0]


def test_a_page_is_asked_once_for_a_thread_and_not_in_its_middle(house, x):
    house.plan("a", minutes=-1, pace=0)
    house.publish()
    assert len(house.workshop.asked_pages) == 1


def test_taken_down_while_it_is_made_anew_it_does_not_go_out(house, x):
    thread = house.plan("a", pace=0)
    house.edit_post(thread, "new")
    remake = house.workshop.remake

    def slow(one):
        with house.store.write() as c:
            ask_undo(c, thread, Act("Maya", house.now, "a mistake"))
        return remake(one)

    house.workshop.remake = slow
    house.publish()
    house.publish()
    assert x.texts == []
    assert set(house.states()) == {"cancelled"}


def test_made_anew_after_it_was_found_not_to_be_out_its_money_is_counted_once(house, x):
    house.configure("x", prices={"create": 1, "media": 2})
    thread = house.plan("a", items=1, images={1: PICTURE})
    x.answers = [Throttled("slow", retry_after=HOUR)]
    house.publish()
    house.edit_post(thread, "new")
    house.later(HOUR)
    house.publish()
    assert x.texts == ["new"]
    # The picture was uploaded with its alt text, whatever became of the post.
    assert house.spent() == {"create": 1000, "media": 2000}


# --- after -------------------------------------------------------------------------------------


def out(house, slug, **options) -> int:
    thread = house.plan("a", channel=slug, minutes=-1, pace=0, **options)
    house.publish()
    house.later(2 * MINUTE)
    assert house.publish().notices == ()
    return thread


@pytest.mark.parametrize("slug", ["mastodon", "bluesky"])
def test_where_it_can_be_edited_only_what_changed_is(*, house, slug):
    network = house.add_channel(slug, edited_after="edit")
    thread = out(house, slug)
    house.edit_post(thread, "a1", "new", "a3")
    report = house.publish()
    assert network.texts == ["a1", "new", "a3"]
    assert network.calls.count("edit") == 1
    assert [(line.position, line.state) for line in report.lines] == [(2, "edited")]
    assert report.notices == ()
    row = house.row("new")
    assert (row.version, row.state) == ("2", "submitted")
    house.later(HOUR)
    assert house.publish().lines == ()


def test_a_card_is_edited_too(house):
    bluesky = house.add_channel("bluesky", edited_after="edit")
    card = LinkCard("https://c.org/a", "A title", "About", None)
    thread = out(house, "bluesky", items=1, cards={1: card})
    house.edit_post(thread, "a1", card=LinkCard("https://c.org/a", "Another", "About", None))
    house.publish()
    assert bluesky.of("a1").card["title"] == "Another"
    house.change_post(thread, content_hash="h3")
    house.publish()
    assert bluesky.calls.count("edit") == 1


def test_an_instalment_is_edited_in_its_place(house):
    bluesky = house.add_channel("bluesky", edited_after="edit", tail_gone="new")
    first = house.instalment("a", channel="bluesky", items=2)
    house.publish()
    bluesky.lose("a2")
    house.later(2 * MINUTE)
    second = house.instalment("b", after=first, channel="bluesky", items=2)
    house.publish()
    house.publish()
    house.later(2 * MINUTE)
    third = house.instalment("c", after=second, channel="bluesky", items=2)
    house.publish()
    assert bluesky.roots["c2"] == "b1"
    # The network would not take another root: the scripted one checks it.
    house.edit_post(third, "c1", "new")
    house.publish()
    assert "new" in bluesky.texts


def test_where_it_cannot_be_edited_somebody_is_told_once(house):
    x = house.add_channel("x", edited_after="edit")
    thread = out(house, "x")
    house.edit_post(thread, "a1", "new", "a3")
    (notice,) = house.publish().notices
    assert notice.startswith(f"thread {thread} on x (Post a) is out, and its post was edited: ")
    assert notice.endswith("this network lets nobody edit")
    assert house.publish().notices == ()
    assert x.texts == ["a1", "a2", "a3"]


def test_with_another_number_of_snippets_somebody_is_told_once(house):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.edit_post(thread, "a1", "new")
    (notice,) = house.publish().notices
    assert "it would have 2 snippets now, and cannot be edited" in notice
    assert house.publish().notices == ()
    assert mastodon.texts == ["a1", "a2", "a3"]


@pytest.mark.parametrize("policy", ["tell", "leave"])
def test_as_configured_an_edit_is_told_once_or_left(*, house, policy):
    house.add_channel("mastodon", edited_after=policy)
    thread = out(house, "mastodon")
    house.edit_post(thread, "new", "a2", "a3")
    assert len(house.publish().notices) == (policy == "tell")
    assert house.publish().notices == ()


@pytest.mark.parametrize("policy", ["tell", "leave"])
def test_a_post_that_left_its_series_after_it_was_out_is_told_once_or_left(*, house, policy):
    house.add_channel("mastodon", edited_after=policy)
    thread = out(house, "mastodon")
    house.change_post(thread, content_hash="h2")
    house.workshop.made[house.thread(thread).post_id] = None
    told = house.publish().notices
    assert len(told) == (policy == "tell")
    assert all("it left the series or theme" in notice for notice in told)
    assert house.publish().notices == ()


def test_another_picture_is_told_for_it_stays(house):
    house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon", images={1: PICTURE})
    house.edit_post(thread, "a1", "new", "a3", image=Image("https://c.org/other.jpg", "Alt"))
    report = house.publish()
    assert [line.state for line in report.lines] == ["edited"]
    assert "its picture is another now" in report.notices[0]
    assert house.publish().notices == ()


def test_an_edit_that_changes_nothing_of_what_is_out_is_told_nobody(house):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.change_post(thread, content_hash="h2")
    assert house.publish().notices == ()
    assert "edit" not in mastodon.calls


@pytest.mark.parametrize(
    "trouble", [Unavailable("away"), Throttled("slow"), Uncertain("no answer")]
)
def test_edits_go_on_where_they_stopped(*, house, trouble):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.edit_post(thread, "new 1", "new 2", "new 3")
    mastodon.editing = [None, trouble]
    assert house.publish().faults == {"mastodon": trouble.reason}
    assert mastodon.texts == ["new 1", "a2", "a3"]
    house.later(timedelta(hours=1))
    house.publish()
    assert mastodon.texts == ["new 1", "new 2", "new 3"]
    assert house.publish().notices == ()


def test_a_crash_between_two_edits_loses_none(house):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.edit_post(thread, "new 1", "new 2", "new 3")
    edit = mastodon.edit

    def die(receipt, body):
        edit(receipt, body)
        mastodon.edit = edit
        kill()

    mastodon.edit = die
    with pytest.raises(Killed):
        house.publish()
    house.publish()
    assert mastodon.texts == ["new 1", "new 2", "new 3"]
    assert house.row("new 1").state == "submitted"


def test_an_edit_that_is_refused_is_told_once(house):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.edit_post(thread, "new 1", "a2", "a3")
    mastodon.editing = [Refused("gone")]
    assert "snippet 1 could not be edited: gone" in house.publish().notices[0]
    assert house.publish().notices == ()


def test_an_edit_that_is_unauthorized_stops_the_channel(house):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.edit_post(thread, "new 1", "a2", "a3")
    mastodon.editing = [Unauthorized("token revoked")]
    assert "mastodon was stopped" in house.publish().notices[0]
    calls = len(mastodon.calls)
    assert house.publish().notices == ()
    assert len(mastodon.calls) == calls


def test_while_a_channel_is_stopped_nothing_is_edited(house):
    mastodon = house.add_channel("mastodon", edited_after="edit")
    thread = out(house, "mastodon")
    house.edit_post(thread, "new 1", "a2", "a3")
    with house.store.write() as c:
        standstill.stop(c, "mastodon", at=house.now, actor="Maya", reason="checking")
    house.publish()
    assert "edit" not in mastodon.calls
    with house.store.write() as c:
        standstill.start(c, "mastodon")
    house.publish()
    assert "new 1" in mastodon.texts


@pytest.mark.parametrize("policy", ["undo", "tell", "leave"])
def test_a_post_that_goes_after_its_thread_is_out(*, house, policy):
    x = house.add_channel("x", gone_after=policy)
    thread = out(house, "x")
    house.change_post(thread, gone_at=house.now)
    report = house.publish()
    assert len(x.texts) == (0 if policy == "undo" else 3)
    assert len(report.notices) == (policy != "leave")
    assert report.for_person == (policy == "tell")
    for _ in range(2):
        house.later(HOUR)
        assert house.publish().notices == ()


def test_taking_a_gone_post_down_goes_on_after_a_crash(house):
    x = house.add_channel("x", gone_after="undo")
    thread = out(house, "x")
    house.change_post(thread, gone_at=house.now)
    x.after_delete = kill
    with pytest.raises(Killed):
        house.publish()
    x.after_delete = lambda receipt: None
    house.publish()
    assert x.texts == []


def test_a_post_that_comes_back_as_it_was_is_told_of_nobody(house):
    house.add_channel("x")
    thread = out(house, "x")
    house.change_post(thread, gone_at=house.now)
    assert len(house.publish().notices) == 1
    house.change_post(thread, gone_at=None)
    assert house.publish().notices == ()
    house.change_post(thread, gone_at=house.now)
    assert len(house.publish().notices) == 1


def test_an_edit_while_the_thread_goes_out_is_noticed_once_it_is_through(house):
    house.add_channel("x")
    thread = house.plan("a", items=2)
    house.publish()
    house.edit_post(thread, "a1", "new")
    assert house.publish().notices == ()
    house.later(2 * MINUTE)
    (notice,) = house.publish().notices
    assert "what is out says what the post said before" in notice
