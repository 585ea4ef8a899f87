"""Publications in doubt: decided by looking at their network, never said twice, never lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Act
from digest.social.decisions import SHOWN_BY
from digest.social.settle import settle
from digest.store import standstill
from digest.store.social import ask_undo
from fakes.scripted import DAY, HOUR, MINUTE, Killed, Lost, kill

SECOND = timedelta(seconds=1)
NO_ANSWER = Uncertain("no answer")
NETWORKS = ["x", "mastodon", "bluesky"]


def in_doubt(house, network, *, accepted, items=2, name="a"):
    """A thread whose first call had no answer."""
    thread = house.plan(name, items=items, minutes=-1, pace=0, channel=network.slug)
    network.answers = [Lost(NO_ANSWER) if accepted else NO_ANSWER]
    house.publish()
    return thread


@pytest.fixture(params=NETWORKS)
def network(house, request):
    made = house.add_channel(request.param)
    made.slug = request.param
    return made


@pytest.fixture
def x(house):
    made = house.add_channel("x", prices={"create": 1, "read": 2})
    made.slug = "x"
    return made


@pytest.fixture
def mastodon(house):
    made = house.add_channel("mastodon")
    made.slug = "mastodon"
    return made


def until_done(house, *, step=5 * MINUTE, most=20):
    for _ in range(most):
        house.later(step)
        house.publish()
        if set(house.states()) <= {"submitted", "cancelled", "refused"}:
            return
    raise AssertionError(house.states())


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("trouble", [None, "away", "down for hours"])
@pytest.mark.parametrize("jump", [timedelta(0), HOUR, -HOUR])
def test_whatever_happens_it_is_out_once_in_the_end(*, house, network, accepted, trouble, jump):
    network.lag = network.traits.seen_after
    in_doubt(house, network, accepted=accepted)
    times = {None: 0, "away": 1, "down for hours": 6}[trouble]
    network.finding = [Unavailable("away")] * times
    house.later(jump)
    until_done(house, most=50)
    assert (network.took("a1"), network.took("a2")) == (1, 1)
    assert network.parents["a2"] == "a1"


def test_what_is_found_is_out_and_its_thread_goes_on(house, network):
    in_doubt(house, network, accepted=True)
    house.later(2 * MINUTE)
    report = house.publish()
    row = house.row("a1")
    assert (row.state, row.settled) == ("submitted", "found on the network")
    assert (row.remote_id, row.reason, row.code) == (network.of("a1").id, None, None)
    told = [(line.state, line.reason, line.url) for line in report.lines if line.position == 1]
    assert told == [("submitted", "was uncertain; found on the network", row.url)]
    assert report.uncertain == 0
    assert network.parents["a2"] == "a1"
    assert house.row("a2").reply_to == network.of("a1").id


def test_x_is_not_believed_before_its_timeline_had_time(house, x):
    x.lag = timedelta(seconds=50)
    in_doubt(house, x, accepted=True)
    house.later(45 * SECOND)
    assert house.publish().uncertain == 1
    assert x.calls.count("publish") == 1
    house.later(20 * SECOND)
    house.publish()
    assert x.took("a1") == 1
    assert house.states() == ["submitted", "submitted"]


def test_the_time_counts_from_the_end_of_a_call_that_hung(house, x):
    """It may have been heard in its last moment."""
    x.lag = timedelta(seconds=50)
    publish = x.publish

    def hang(bodies):
        house.later(5 * MINUTE)
        publish(bodies)
        return NO_ANSWER

    x.publish = hang
    house.plan("a", items=1)
    house.publish()
    x.publish = publish
    house.later(10 * SECOND)
    house.publish()
    assert x.calls.count("publish") == 1
    house.later(MINUTE)
    house.publish()
    assert (x.took("a1"), house.states()) == (1, ["submitted"])


def test_on_x_a_duplicate_is_looked_for_and_found(house, x):
    """The network says it has it already: perhaps from the call whose answer was lost."""
    x.takes_no_twins, x.lag = True, 2 * MINUTE
    in_doubt(house, x, accepted=True, items=1)
    # The timeline is further behind than it should be.
    house.later(90 * SECOND)
    house.publish()
    row = house.row("a1")
    assert (row.state, row.code) == ("uncertain", "duplicate")
    house.later(3 * MINUTE)
    house.publish()
    assert (x.took("a1"), house.states()) == (1, ["submitted"])


def test_on_x_an_older_post_that_says_the_same_is_not_taken_for_it(house, x):
    x.takes_no_twins = True
    house.plan("old", texts=["the same"])
    house.publish()
    house.later(HOUR)
    thread = house.plan("new", texts=["the same", "and more"], pace=0)
    house.publish()
    assert house.row("and more").state == "pending"
    house.later(SHOWN_BY + MINUTE)
    house.publish()
    assert house.states() == ["submitted", "refused", "cancelled"]
    states = [one.reason for one in house.thread(thread).publications]
    assert states[0] == "the network has this text from before, and takes none twice"
    assert x.texts == ["the same"]


@pytest.mark.parametrize("accepted", [True, False])
def test_what_stands_for_another_publication_is_not_found_again(*, house, mastodon, accepted):
    """Said a minute before, and known: that is not the one in doubt."""
    house.plan("old", texts=["the same"], channel="mastodon")
    house.publish()
    house.later(MINUTE)
    house.plan("new", texts=["the same"], channel="mastodon")
    mastodon.answers = [Lost(NO_ANSWER) if accepted else NO_ANSWER]
    house.publish()
    house.later(MINUTE)
    house.publish()
    assert mastodon.took("the same") == 2
    assert house.states() == ["submitted", "submitted"]


def test_mastodon_is_said_again_with_the_same_key_where_it_cannot_be_read(house, mastodon):
    in_doubt(house, mastodon, accepted=True)
    mastodon.finding = [Unavailable("timeline is down")] * 9
    house.later(MINUTE)
    house.publish()
    assert mastodon.calls.count("publish") == 3
    assert mastodon.took("a1") == 1
    assert house.states() == ["submitted", "submitted"]


@pytest.mark.parametrize("again", [NO_ANSWER, Throttled("slow"), Refused("what?"), Unavailable("")])
def test_said_again_in_vain_it_is_in_doubt_as_before(*, house, mastodon, again):
    """Whatever is said of the second call says nothing of the first."""
    in_doubt(house, mastodon, accepted=True)
    mastodon.finding, mastodon.answers = [Unavailable("timeline is down")] * 2, [again]
    house.later(MINUTE)
    assert house.publish().uncertain == 1
    # The hour of its key passes in silence.
    house.later(2 * HOUR)
    assert house.publish().uncertain == 1
    assert mastodon.calls.count("publish") == 2
    house.later(MINUTE)
    assert house.publish().uncertain == 0
    assert (mastodon.took("a1"), mastodon.took("a2")) == (1, 1)


@pytest.mark.parametrize("bar", ["stopped", "quiet", "gone", "taken down"])
def test_what_must_not_be_said_is_not_said_again_either(*, house, mastodon, bar):
    thread = in_doubt(house, mastodon, accepted=False)
    mastodon.finding = [Unavailable("timeline is down")]
    act = Act("Maya", house.now, "a mistake")
    with house.store.write() as c:
        if bar == "stopped":
            standstill.stop(c, "mastodon", at=house.now, actor="Maya", reason="a mistake")
        if bar == "taken down":
            ask_undo(c, thread, act)
    if bar == "quiet":
        quiet = {"after": "17:00", "until": "20:00"}
        house.configure("mastodon", slots={"pace_minutes": 0, "quiet": quiet})
    if bar == "gone":
        house.change_post(thread, gone_at=house.now)
    house.later(MINUTE)
    house.publish()
    assert mastodon.calls.count("publish") == 1
    assert house.row("a1").state == "uncertain"


def test_a_crash_while_it_is_said_again_leaves_it_in_doubt(house, mastodon):
    in_doubt(house, mastodon, accepted=True)
    mastodon.finding = [Unavailable("timeline is down")] * 2
    mastodon.before = kill
    house.later(MINUTE)
    with pytest.raises(Killed):
        house.publish()
    mastodon.before = lambda bodies: None
    house.later(2 * HOUR)
    assert house.publish().uncertain == 1
    house.later(MINUTE)
    house.publish()
    assert (mastodon.took("a1"), mastodon.took("a2")) == (1, 1)


def test_mastodon_is_left_alone_while_the_first_call_may_still_be_at_work(house, mastodon):
    in_doubt(house, mastodon, accepted=True)
    mastodon.finding = [Unavailable("timeline is down")]
    house.later(5 * SECOND)
    house.publish()
    assert mastodon.calls.count("publish") == 1


def test_mastodon_after_its_hour_is_only_read(house, mastodon):
    in_doubt(house, mastodon, accepted=True)
    mastodon.finding = [Unavailable("timeline is down")] * 2
    for _ in range(2):
        house.later(HOUR)
        assert house.publish().uncertain == 1
    assert mastodon.calls.count("publish") == 1
    house.later(HOUR)
    assert house.publish().uncertain == 0
    assert (mastodon.took("a1"), mastodon.took("a2")) == (1, 1)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_bluesky_thread_is_whole_or_not_there(*, house, accepted):
    bluesky = house.add_channel("bluesky")
    bluesky.slug = "bluesky"
    in_doubt(house, bluesky, accepted=accepted, items=4)
    assert house.states() == ["uncertain"] * 4
    house.publish()
    assert bluesky.texts == ["a1", "a2", "a3", "a4"]
    assert house.states() == ["submitted"] * 4
    assert bluesky.parents == {"a1": None, "a2": "a1", "a3": "a2", "a4": "a3"}
    assert house.row("a4").reply_to == bluesky.of("a3").id


@pytest.mark.parametrize("accepted", [True, False])
def test_what_is_to_be_taken_down_does_not_go_out_again(*, house, network, accepted):
    thread = in_doubt(house, network, accepted=accepted)
    with house.store.write() as c:
        ask_undo(c, thread, Act("Maya", house.now, "a mistake"))
    for _ in range(3):
        house.later(2 * MINUTE)
        house.publish()
    assert network.texts == []
    assert network.calls.count("publish") == 1
    assert house.row("a1").state == ("submitted" if accepted else "cancelled")
    assert (house.row("a1").deleted_at is not None) == accepted


def test_an_editor_cannot_send_again_what_is_to_be_taken_down(house, network):
    thread = in_doubt(house, network, accepted=False)
    with house.store.write() as c:
        ask_undo(c, thread, Act("Maya", house.now, "a mistake"))
    settle(house.press, Act("Maya", house.now, "settle"), resend=True)
    house.later(2 * MINUTE)
    house.publish()
    assert network.texts == []
    assert set(house.states()) == {"cancelled"}


def test_it_is_given_up_once_it_is_known_not_to_be_out_and_late(house, x):
    in_doubt(house, x, accepted=False)
    x.finding = [Unavailable("away")] * 3
    for _ in range(3):
        house.later(12 * HOUR)
        house.publish()
    assert house.states() == ["uncertain", "pending"]
    house.later(12 * HOUR)
    house.publish()
    assert house.states() == ["failed", "cancelled"]
    assert x.texts == []


def test_while_reads_are_used_up_nothing_is_asked(house, x):
    in_doubt(house, x, accepted=True)
    x.finding = [Throttled("slow", retry_after=HOUR, window="read")]
    house.later(2 * MINUTE)
    house.publish()
    house.later(30 * MINUTE)
    assert house.publish().uncertain == 1
    assert x.calls.count("find") == 1
    house.later(31 * MINUTE)
    assert house.publish().uncertain == 0
    assert x.took("a1") == 1


def test_a_look_that_is_unauthorized_stops_the_channel_and_is_told_once(house, x):
    in_doubt(house, x, accepted=True)
    x.finding = [Unauthorized("token revoked", "401")]
    house.later(2 * MINUTE)
    report = house.publish()
    assert report.notices == ("x was stopped: token revoked; then: digest social start x",)
    house.later(2 * MINUTE)
    assert house.publish().notices == ()
    assert x.calls.count("find") == 1


@pytest.mark.parametrize("found", [Refused("what?"), Uncertain("another stands there", "taken")])
def test_an_answer_that_tells_nothing_decides_nothing(house, x, found):
    in_doubt(house, x, accepted=True)
    x.finding = [found]
    house.later(2 * MINUTE)
    assert house.publish().uncertain == 1
    house.later(2 * MINUTE)
    assert house.publish().uncertain == 0
    assert x.took("a1") == 1


def test_several_doubts_are_each_decided(house, x):
    for name in "abc":
        in_doubt(house, x, accepted=name == "b", items=1, name=name)
    until_done(house)
    assert sorted(x.texts) == ["a1", "b1", "c1"]


# --- money -------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
def test_a_post_is_paid_once_however_often_it_was_tried(*, house, x, accepted):
    in_doubt(house, x, accepted=accepted, items=1)
    assert house.spent() == {"create": 1000}
    house.later(2 * MINUTE)
    house.publish()
    assert house.states() == ["submitted"]
    assert house.spent() == {"create": 1000, "read": 2000}


def test_a_look_that_failed_costs_nothing(house, x):
    in_doubt(house, x, accepted=True, items=1)
    x.finding = [Unavailable("away")]
    house.later(2 * MINUTE)
    house.publish()
    assert house.spent() == {"create": 1000}


def test_left_in_doubt_it_stays_paid(house, x):
    in_doubt(house, x, accepted=False, items=1)
    settle(house.press, Act("Maya", house.now, "settle"), resend=False)
    house.later(DAY)
    house.publish()
    assert house.spent() == {"create": 1000}
