"""What readers chose, at freezing: pauses, weekly caps, what a cap kept back; on both databases."""

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from digest.errors import UsageError
from digest.issues import desk
from digest.issues.content import from_json, to_json
from digest.issues.period import week_of
from digest.model import Act, DeliveryState, IssueState
from digest.store import tables
from digest.store.dialect import lock_freezing
from digest.store.enqueuing import mask_of
from digest.store.freezing import Drawing, drawn

#: A Monday, when weekly digests are due.
MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


# --- pauses ------------------------------------------------------------------------------------


def test_a_paused_reader_is_left_out_with_the_reason_and_nothing_is_kept_for_them(newsroom):
    post = newsroom.post(MONDAY - DAY)
    newsroom.reader("ann")
    newsroom.reader("bob", paused_until=MONDAY + DAY)
    newsroom.reader("cid", paused_until=MONDAY + 9 * DAY)
    issue = newsroom.freeze(newsroom.draft(MONDAY), MONDAY)
    assert newsroom.got(issue) == {"ann": {post}}
    assert newsroom.left_out(issue) == {"paused by the reader": 2}
    assert newsroom.waiting() == set()


def test_a_pause_is_over_at_its_moment_and_what_came_meanwhile_is_not_mailed(newsroom):
    newsroom.post(MONDAY - DAY)
    newsroom.reader("ann")
    newsroom.reader("bob", paused_until=MONDAY + WEEK)
    newsroom.send(MONDAY)
    new = newsroom.post(MONDAY + DAY)
    assert newsroom.send(MONDAY + WEEK) == {"ann": {new}, "bob": {new}}


def test_who_pauses_after_the_freeze_gets_nothing_and_the_posts_are_free(newsroom):
    newsroom.post(MONDAY - DAY)
    newsroom.reader("ann")
    issue = newsroom.freeze(newsroom.draft(MONDAY), MONDAY)
    newsroom.choose("ann", paused_until=MONDAY + DAY)
    assert newsroom.claim_and_begin(issue, MONDAY + HOUR) == ["paused"]
    with newsroom.store.read() as c:
        assert c.execute(select(tables.reservations)).all() == []
        (delivery,) = c.execute(select(tables.deliveries))
        assert (delivery.state, delivery.reason) == ("cancelled", "paused")


def test_a_pause_that_has_ended_by_the_time_of_sending_holds_nothing_up(newsroom):
    newsroom.post(MONDAY - DAY)
    newsroom.reader("ann")
    issue = newsroom.freeze(newsroom.draft(MONDAY), MONDAY)
    newsroom.choose("ann", paused_until=MONDAY + HOUR)
    assert newsroom.claim_and_begin(issue, MONDAY + HOUR) == ["go"]


# --- weekly caps -------------------------------------------------------------------------------


@pytest.fixture
def two(newsroom):
    """Two newsletters in one week, for Ann who wants one mail of them."""
    newsroom.declare(weekly={}, letter={})
    newsroom.ann = newsroom.reader("ann", cap=1)
    newsroom.reader("ann", newsletter="letter")
    newsroom.reader("bob", newsletter="letter")
    return newsroom


def test_one_mail_more_than_a_reader_wants_waits_and_joins_the_next(two):
    first = two.post(MONDAY - DAY)
    assert two.send(MONDAY) == {"ann": {first}}
    second = two.post(MONDAY + HOUR)
    issue = two.freeze(two.draft(MONDAY + DAY, "letter"), MONDAY + DAY)
    # Ann has had the first post; Bob, of another newsletter, has not.
    assert two.got(issue) == {"bob": {first, second}}
    assert two.left_out(issue) == {
        "has had as many issues this week as they want; joins the next": 1
    }
    assert two.waiting() == {(two.ann, second)}
    two.submit(issue)
    third = two.post(MONDAY + 2 * DAY)
    issue = two.draft(MONDAY + WEEK, "letter")
    assert two.picks(issue)[second] == (
        True,
        "overflow",
        "waits for 1 reader who had reached their weekly cap",
    )
    assert issue.subject == "Post number 3 and more"
    issue = two.freeze(issue, MONDAY + WEEK)
    assert two.got(issue) == {"ann": {second, third}, "bob": {third}}


def test_what_was_had_meanwhile_is_forgotten(two):
    two.post(MONDAY - DAY)
    two.send(MONDAY)
    two.post(MONDAY + HOUR)
    two.send(MONDAY + DAY, "letter")
    two.send(MONDAY + WEEK, "letter")
    assert two.waiting() != set()
    two.post(MONDAY + 8 * DAY)
    two.send(MONDAY + 2 * WEEK, "letter")
    assert two.waiting() == set()


def test_an_issue_whose_only_posts_wait_for_somebody_is_made_for_them_alone(two):
    old = two.post(MONDAY - DAY)
    two.send(MONDAY)
    late = two.post(MONDAY + HOUR)
    two.send(MONDAY + DAY, "letter")
    issue = two.draft(MONDAY + WEEK, "letter")
    assert issue.subject == f"Post number {late} and more"
    issue = two.freeze(issue, MONDAY + WEEK)
    assert two.got(issue) == {"ann": {late}}
    assert two.left_out(issue) == {"wants none but posts that waited for others": 1}
    assert old not in {item.post.post_id for item in from_json(issue.content).items}


def test_a_thin_week_counts_what_waits_and_leaves_it_waiting(two):
    two.post(MONDAY - DAY)
    two.send(MONDAY)
    late = two.post(MONDAY + HOUR)
    two.send(MONDAY + DAY, "letter")
    two.declare(weekly={}, letter={"minimum": 2})
    issue = two.draft(MONDAY + WEEK, "letter")
    assert issue.state is IssueState.SKIPPED
    assert two.picks(issue)[late][:2] == (False, "overflow")
    assert "thin week: 1 of at least 2 posts" in two.picks(issue)[late][2]
    new = two.post(MONDAY + 8 * DAY)
    assert two.send(MONDAY + 2 * WEEK, "letter") == {"ann": {late, new}, "bob": {new}}


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("pending", True),
        ("submitting", True),
        ("uncertain", True),
        ("refused", False),
        ("failed", False),
        ("suppressed", False),
        ("cancelled", False),
    ],
)
def test_what_never_reached_the_reader_does_not_count(two, state, counts):
    two.post(MONDAY - DAY)
    issue = two.freeze(two.draft(MONDAY), MONDAY)
    with two.store.write() as c:
        values = {"state": state, "worker": "w", "lease_until": MONDAY}
        c.execute(update(tables.deliveries).values(**values))
    new = two.post(MONDAY + HOUR)
    second = two.freeze(two.draft(MONDAY + DAY, "letter"), MONDAY + DAY)
    assert issue.id != second.id
    assert ("ann" in two.got(second)) is not counts
    assert ((two.ann, new) in two.waiting()) is counts


def test_the_week_ends_on_sunday_by_the_sites_clock(two):
    two.post(MONDAY - 2 * DAY)
    # In London it is Sunday evening, then Monday.
    sunday = datetime(2026, 11, 8, 23, 30, tzinfo=UTC)
    two.send(sunday)
    new = two.post(sunday)
    assert "ann" not in two.send(sunday + timedelta(minutes=29), "letter")
    assert two.waiting() == {(two.ann, new)}
    newer = two.post(sunday)
    assert two.send(sunday + timedelta(minutes=30), "letter", edition=2)["ann"] == {new, newer}


@pytest.mark.parametrize(
    ("now", "began", "hours"),
    [
        ("2026-10-25T23:59:00+00:00", "2026-10-18T23:00:00+00:00", 169),
        ("2026-10-26T00:00:00+00:00", "2026-10-26T00:00:00+00:00", 168),
        ("2026-03-29T12:00:00+01:00", "2026-03-23T00:00:00+00:00", 167),
        ("2027-01-01T12:00:00+00:00", "2026-12-28T00:00:00+00:00", 168),
    ],
)
def test_a_week_begins_at_midnight_over_clock_changes_and_years(now, began, hours):
    week = week_of(datetime.fromisoformat(now), LONDON)
    assert week.began == datetime.fromisoformat(began)
    assert week.ended - week.began == timedelta(hours=hours)


def test_an_editors_digest_of_a_series_is_capped_too_and_joins_the_next(newsroom):
    first, second = (newsroom.post(MONDAY - n * DAY, "ipc") for n in (2, 1))
    archive = newsroom.post(datetime(2025, 1, 1, tzinfo=UTC), "ipc")
    ann = newsroom.reader("ann", cap=1)
    newsroom.reader("bob", "series:ipc")
    assert newsroom.send(MONDAY) == {name: {first, second} for name in ("ann", "bob")}
    assert newsroom.send(MONDAY + DAY, scope="series:ipc") == {"bob": {archive}}
    assert newsroom.waiting() == {(ann, archive)}
    assert newsroom.send(MONDAY + WEEK) == {"ann": {archive}}


def test_a_repeat_on_purpose_that_a_cap_kept_back_is_not_mailed_later(newsroom):
    post = newsroom.post(MONDAY - DAY, "ipc")
    newsroom.reader("ann", cap=1)
    newsroom.reader("bob")
    newsroom.send(MONDAY)
    issue = newsroom.draft(MONDAY + DAY, scope="series:ipc", repeat=True)
    issue = newsroom.freeze(issue, MONDAY + DAY)
    assert newsroom.got(issue) == {"bob": {post}}
    assert list(newsroom.left_out(issue).values()) == [1]
    assert newsroom.waiting() == set()
    assert newsroom.send(MONDAY + WEEK) == {}


def test_a_reader_who_had_it_all_is_told_so_whatever_their_cap(newsroom):
    newsroom.post(MONDAY - DAY, "ipc")
    newsroom.reader("ann", cap=1)
    newsroom.reader("bob", "series:pbr", cap=1)
    newsroom.send(MONDAY)
    issue = newsroom.draft(MONDAY + DAY, scope="series:ipc")
    issue = newsroom.freeze(issue, MONDAY + DAY)
    assert newsroom.left_out(issue) == {
        "has had all of these posts": 1,
        "wants none of these posts": 1,
    }


# --- what waits --------------------------------------------------------------------------------


@pytest.fixture
def waits(two):
    """A post of a series waits for Ann, whose newsletter has a monthly and a weekly digest."""
    two.post(MONDAY - DAY)
    two.send(MONDAY)
    two.late = two.post(MONDAY + HOUR, "ipc")
    two.send(MONDAY + DAY, "letter")
    assert two.waiting() == {(two.ann, two.late)}
    return two


def test_it_comes_with_the_digest_of_another_rhythm_if_that_is_next(waits):
    waits.choose("ann", rhythm="monthly")
    waits.reader("cid", newsletter="letter", rhythm="monthly")
    new = waits.post(MONDAY + 2 * DAY)
    got = waits.send(MONDAY + WEEK, "letter")
    assert got == {"ann": {waits.late}, "bob": {new}}


def test_nobody_gets_a_mail_about_one_post_who_did_not_ask_for_such(waits):
    new = waits.post(MONDAY + 7 * DAY)
    waits.reader("eve", newsletter="letter", rhythm="each-post")
    got = waits.send(MONDAY + WEEK, "letter", rhythm="each-post", post_id=new)
    assert got == {"eve": {new}}


def test_a_reader_of_each_post_gets_what_waited_with_the_next_post(waits):
    waits.choose("ann", rhythm="each-post")
    new = waits.post(MONDAY + 7 * DAY)
    got = waits.send(MONDAY + WEEK, "letter", rhythm="each-post", post_id=new)
    assert got == {"ann": {waits.late, new}}


def test_it_waits_on_while_the_cap_holds(waits):
    waits.declare(weekly={"excluded": [f"https://blog.example/{waits.late}/"]}, letter={})
    new = waits.post(MONDAY + WEEK - HOUR)
    assert waits.send(MONDAY + WEEK)["ann"] == {new}
    assert waits.send(MONDAY + WEEK + DAY, "letter") == {"bob": {new}}
    assert waits.waiting() == {(waits.ann, waits.late)}
    assert waits.send(MONDAY + 2 * WEEK, "letter") == {"ann": {waits.late}}


@pytest.mark.parametrize(
    "values",
    [
        {"state": "ended"},
        {"interests": "series:pbr"},
        {"paused_until": MONDAY + 8 * DAY},
    ],
)
def test_whoever_left_paused_or_wants_it_no_more_is_not_mailed(waits, values):
    waits.choose("ann", **values)
    new = waits.post(MONDAY + 2 * DAY)
    issue = waits.draft(MONDAY + WEEK, "letter")
    assert waits.late not in {n for n, pick in waits.picks(issue).items() if pick[0]}
    assert waits.got(waits.freeze(issue, MONDAY + WEEK)) == {"bob": {new}}


def test_whoever_changes_their_mind_after_the_draft_is_not_mailed_either(waits):
    waits.post(MONDAY + 2 * DAY)
    issue = waits.draft(MONDAY + WEEK, "letter")
    assert waits.picks(issue)[waits.late][0]
    waits.choose("ann", interests="series:pbr")
    assert set(waits.got(waits.freeze(issue, MONDAY + WEEK))) == {"bob"}


def test_what_the_reader_had_from_another_newsletter_waits_no_more(waits):
    assert waits.send(MONDAY + WEEK) == {"ann": {waits.late}}
    assert waits.send(MONDAY + 2 * WEEK, "letter") == {}


@pytest.mark.parametrize("ended", ["cancelled", "refused", "suppressed"])
def test_what_a_cancelled_or_refused_mail_gave_back_waits_again(waits, ended):
    issue = waits.freeze(waits.draft(MONDAY + WEEK, "letter"), MONDAY + WEEK)
    assert waits.got(issue) == {"ann": {waits.late}}
    if ended == "cancelled":
        waits.cancel(issue, MONDAY + WEEK)
    else:
        waits.submit(issue, DeliveryState(ended))
        with waits.store.write() as c:
            r = tables.reservations
            c.execute(r.delete().where(r.c.issue_id == issue.id))
    again = waits.send(MONDAY + WEEK + DAY, "letter", edition=2)
    assert again == {"ann": {waits.late}}


def test_a_post_that_waited_in_a_cancelled_issue_is_lost_to_nobody(waits):
    """The ordinary readers' issue is cancelled after another brought the post to who waited."""
    new = waits.post(MONDAY + 2 * DAY)
    issue = waits.freeze(waits.draft(MONDAY + WEEK, "letter"), MONDAY + WEEK)
    waits.cancel(issue, MONDAY + WEEK)
    got = waits.send(MONDAY + 2 * WEEK, "letter")
    assert got == {"ann": {waits.late, new}, "bob": {new}}


def test_a_post_that_ordinary_readers_still_wait_for_reaches_all_together(two):
    two.declare(weekly={}, letter={"cap": 1})
    two.post(MONDAY - DAY)
    two.send(MONDAY)
    # The letter's cap of posts cuts off the second of these, which waits for everybody.
    kept, cut = two.post(MONDAY + HOUR), two.post(MONDAY + 2 * HOUR)
    assert two.send(MONDAY + DAY, "letter", edition=1)["bob"] == {1}
    assert two.send(MONDAY + WEEK, "letter") == {"ann": {kept}, "bob": {kept}}
    assert two.send(MONDAY + 2 * WEEK, "letter") == {"ann": {cut}, "bob": {cut}}


def test_what_waited_too_long_is_given_up_in_writing_and_once(waits):
    waits.choose("ann", paused_until=MONDAY + 5 * WEEK)
    at = MONDAY + 6 * WEEK
    waits.post(at - DAY)
    issue = waits.draft(at, "letter")
    assert waits.picks(issue)[waits.late] == (
        False,
        "given-up",
        "waits for 1 reader who had reached their weekly cap, before 2026-11-16",
    )
    waits.submit(waits.freeze(issue, at))
    assert waits.waiting() == set()
    waits.post(at + DAY)
    assert waits.late not in waits.picks(waits.draft(at + WEEK, "letter"))


def kept_back_lately(waits, name, at):
    """A digest of the series that a reader's cap keeps back from them, of a post that is old."""
    waits.reader(name, newsletter="letter", cap=1)
    waits.post(at - 2 * HOUR)
    waits.send(at - HOUR, "letter", edition=2)
    waits.send(at, "letter", scope="series:ipc")


def test_what_waited_too_long_for_one_is_given_up_for_nobody_it_waits_for_since(waits):
    at = MONDAY + 6 * WEEK
    waits.choose("ann", paused_until=at + HOUR)
    kept_back_lately(waits, "dan", at)
    dan = max(reader for reader, _ in waits.waiting())
    waits.post(at + HOUR)
    # Dan has had a mail this week, so that he is nobody whom this issue may bring it.
    waits.send(at + DAY, "letter", edition=3)
    assert (dan, waits.late) in waits.waiting()
    assert waits.send(at + WEEK, "letter")["dan"] >= {waits.late}


def test_what_is_kept_back_once_more_waits_anew(waits):
    at = MONDAY + 6 * WEEK
    waits.choose("ann", paused_until=at - DAY)
    waits.post(at - 2 * HOUR)
    assert "ann" in waits.send(at - HOUR)
    issue = waits.draft(at, "letter", scope="series:ipc")
    left_out = waits.left_out(waits.freeze(issue, at))
    assert left_out["has had as many issues this week as they want; joins the next"] == 1
    assert waits.send(at + WEEK, "letter")["ann"] >= {waits.late}


def test_a_post_given_up_in_a_draft_still_waits_for_whom_it_was_kept_back_since(waits):
    at = MONDAY + 6 * WEEK
    waits.choose("ann", paused_until=at - DAY)
    waits.post(at - 3 * HOUR)
    issue = waits.draft(at - 2 * HOUR, "letter")
    assert waits.picks(issue)[waits.late][1] == "given-up"
    kept_back_lately(waits, "dan", at)
    dan = max(reader for reader, _ in waits.waiting())
    waits.freeze(issue, at + HOUR)
    assert (dan, waits.late) in waits.waiting()


def test_what_an_editor_drops_from_a_draft_is_dropped_for_those_it_waited_for(waits):
    waits.post(MONDAY + 2 * DAY)
    issue = waits.draft(MONDAY + WEEK, "letter")
    act = Act("Maya", MONDAY + WEEK, "not this one")
    desk.change(waits.store, waits.templates, issue.id, act, drop=[waits.late])
    waits.submit(waits.freeze(issue, MONDAY + WEEK))
    new = waits.post(MONDAY + 8 * DAY)
    issue = waits.draft(MONDAY + 2 * WEEK, "letter")
    assert waits.picks(issue)[waits.late][1] == "given-up"
    assert waits.got(waits.freeze(issue, MONDAY + 2 * WEEK))["ann"] == {new}
    assert waits.picks(waits.draft(MONDAY + 3 * WEEK, "letter"))[waits.late][1] == "taken"


def test_an_excluded_or_withdrawn_post_joins_nothing(waits):
    waits.post(MONDAY + 2 * DAY)
    with waits.store.write() as c:
        late = tables.posts.c.id == waits.late
        c.execute(update(tables.posts).where(late).values(gone_at=MONDAY + 2 * DAY))
    assert waits.picks(waits.draft(MONDAY + WEEK, "letter"))[waits.late][:2] == (False, "gone")
    waits.declare(weekly={}, letter={"excluded": [f"https://blog.example/{waits.late}/"]})
    picked = waits.picks(waits.draft(MONDAY + 2 * WEEK, "letter"))
    assert picked[waits.late][:2] == (False, "excluded")


def test_what_waits_never_makes_a_mail_too_large_for_its_other_readers(two):
    two.post(MONDAY - DAY)
    two.send(MONDAY)
    late = [two.post(MONDAY + n * HOUR) for n in range(1, 9)]
    two.send(MONDAY + DAY, "letter")
    new = two.post(MONDAY + 2 * DAY)
    with two.store.write() as c:
        c.execute(update(tables.posts).values(excerpt="Nobody is paid to look. " * 1000))
    issue = two.draft(MONDAY + WEEK, "letter")
    assert issue.errors == ()
    assert two.picks(issue)[late[-1]][:2] == (False, "overflow")
    assert "too large" in two.picks(issue)[late[-1]][2]
    got = two.got(two.freeze(issue, MONDAY + WEEK))
    assert got == {"ann": {*late[:2], new}, "bob": {new}}
    # The others wait on, and come with the next.
    two.submit(issue)
    assert two.send(MONDAY + 2 * WEEK, "letter") == {"ann": set(late[2:5])}


# --- what is approved, and what previews say ---------------------------------------------------


def test_whom_a_post_is_for_is_part_of_what_is_approved(waits):
    waits.post(MONDAY + 2 * DAY)
    issue = waits.draft(MONDAY + WEEK, "letter")
    stored = to_json(from_json(issue.content))
    assert [item["overflow"] for item in stored["items"]] == [False, True]
    for item in stored["items"]:
        item["overflow"] = False
    with waits.store.write() as c:
        c.execute(
            update(tables.issues).where(tables.issues.c.id == issue.id).values(content=stored)
        )
    frozen = waits.freeze(issue, MONDAY + WEEK)
    assert frozen.state is IssueState.HELD


def test_a_draft_that_was_stored_before_anything_waited_still_loads(waits):
    stored = to_json(from_json(waits.draft(MONDAY + WEEK, "letter").content))
    for item in stored["items"]:
        del item["overflow"]
    assert not any(item.overflow for item in from_json(stored).items)


def test_previews_say_what_freezing_does(waits):
    waits.post(MONDAY + 2 * DAY)
    at = MONDAY + WEEK
    waits.reader("cid", newsletter="letter", paused_until=at + DAY)
    waits.reader("eve", newsletter="letter", rhythm="monthly")
    issue = waits.draft(at, "letter")
    said = {name: waits.copy_of(issue, name, at) for name in ("ann", "bob")}
    for name, why in (("cid", "paused by the reader"), ("eve", "their rhythm is monthly")):
        with pytest.raises(UsageError, match=why):
            waits.copy_of(issue, name, at)
    shares = {share.mask: share.readers for share in waits.forecast(issue, at)}
    before = waits.waiting()
    issue = waits.freeze(issue, at)
    assert said == waits.got(issue)
    assert shares == {0b11: 1, 0b1: 1}
    assert waits.waiting() == before


def test_a_preview_at_the_cap_says_so_and_keeps_nothing_back(two):
    two.post(MONDAY - DAY)
    two.send(MONDAY)
    two.post(MONDAY + HOUR)
    issue = two.draft(MONDAY + DAY, "letter")
    with pytest.raises(UsageError, match="as many issues this week as they want"):
        two.copy_of(issue, "ann", MONDAY + DAY)
    assert two.waiting() == set()


# --- at once -----------------------------------------------------------------------------------


def test_of_two_issues_frozen_at_once_a_cap_of_one_lets_one_through(newsroom):
    names = ("weekly", "letter", "third")
    newsroom.declare(**{name: {} for name in names})
    for name in names:
        for number in range(5):
            newsroom.reader(f"r{number}", newsletter=name, cap=1)
    for n in range(3):
        newsroom.post(MONDAY - DAY * (n + 1))
    drafts = {name: newsroom.draft(MONDAY, name) for name in names}
    frozen = {}
    threads = [
        threading.Thread(
            target=lambda n=name: frozen.__setitem__(n, newsroom.freeze(drafts[n], MONDAY))
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = [reader for issue in frozen.values() for reader in newsroom.got(issue)]
    assert sorted(got) == [f"r{n}" for n in range(5)]


def test_who_chooses_anew_while_an_issue_is_frozen_is_not_lost(newsroom):
    post = newsroom.post(MONDAY - DAY, "ipc")
    ann = newsroom.reader("ann", "series:ipc")
    issue = newsroom.draft(MONDAY)

    def wants(interests):
        # SQLite lets nobody write meanwhile.
        if not newsroom.store.is_sqlite:
            newsroom.choose("ann", interests="series:ipc|series:pbr")
        return [(post, False)] if interests.wants(["series:ipc"]) else []

    with newsroom.store.write() as c:
        lock_freezing(c)
        with drawn(c, Drawing(issue, week_of(MONDAY, LONDON)), {post: 1}, wants):
            assert mask_of(c, ann) == 1
        assert c.execute(select(tables.exclusions)).all() == []
