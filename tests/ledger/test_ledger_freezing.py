"""Who gets what: recipients, reservations, exclusions, variants; on both databases."""

import threading

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from digest.errors import StateError
from digest.model import Act, IssueState
from digest.store import accounts, reserving, tables
from digest.store import deliveries as ledger
from digest.store import issues as issue_store


def test_readers_share_the_variant_of_the_posts_they_want(world):
    ipc, funding, other = world.post("series:ipc"), world.post("theme:funding"), world.post()
    world.reader("all")
    world.reader("ipc", "series:ipc")
    world.reader("also-ipc", "series:ipc")
    world.reader("both", "series:ipc|theme:funding")
    issue = world.issue(ipc, funding, other)
    assert world.got(issue) == {"all": 0b111, "ipc": 0b001, "also-ipc": 0b001, "both": 0b011}


def test_who_is_left_out_is_told_with_the_reason(world):
    post = world.post("series:ipc")
    world.reader("ann")
    world.reader("elsewhere", "series:pbr")
    world.reader("gone")
    world.suppress("gone")
    world.reader("monthly", rhythm="monthly")
    world.reader("unconfirmed", state="pending")
    world.reader("left", state="ended")
    issue = world.issue(post)
    assert set(world.got(issue)) == {"ann"}
    with world.store.read() as c:
        assert accounts.exclusion_counts(c, issue.id) == {
            "wants none of these posts": 1,
            "suppressed": 1,
        }


def test_a_post_in_two_newsletters_reaches_a_reader_of_both_once(world):
    both, fresh = world.post("series:ipc", "series:pbr"), world.post()
    world.reader("ann")
    world.reader("ann", "series:ipc", newsletter="series-letter")
    world.reader("bob", newsletter="series-letter")
    first = world.issue(both)
    second = world.issue(both, fresh, newsletter="series-letter")
    assert world.got(first) == {"ann": 0b1}
    assert world.got(second) == {"bob": 0b11}
    with world.store.read() as c:
        assert accounts.exclusion_counts(c, second.id) == {"has had all of these posts": 1}


def test_a_repeat_on_purpose_goes_to_those_who_had_it(world):
    post = world.post()
    world.reader("ann")
    world.issue(post)
    again = world.issue(post, period="2026-W48.2", repeat=True)
    assert world.got(again) == {"ann": 1}


def test_what_was_repeated_on_purpose_is_not_repeated_by_the_next_ordinary_issue(world):
    old, new = world.post(), world.post()
    world.reader("ann")
    world.issue(old, repeat=True)
    assert world.got(world.issue(old, new, period="2026-W49")) == {"ann": 0b10}


def test_of_an_issue_a_reader_gets_only_what_no_other_brought_them(world):
    world.reader("ann")
    world.reader("ann", newsletter="second")
    world.reader("bob", newsletter="second")
    first, second, third = (world.post() for _ in range(3))
    world.issue(second)
    assert world.got(world.issue(first, second, third, newsletter="second")) == {
        "ann": 0b101,
        "bob": 0b111,
    }


def test_a_post_that_a_reader_holds_is_not_given_them_again_by_any_fault(world):
    """Rule 3 is the table's own: where the drawing were wrong, nothing is frozen."""
    post, other = world.post(), world.post()
    ann = world.reader("ann")
    world.reader("bob")
    held = {"post_id": post, "subscriber_id": ann, "repeat": 0, "issue_id": 99}
    world.just_before_reserving = lambda c: c.execute(insert(tables.reservations), held)
    with pytest.raises(IntegrityError):
        world.issue(post, other)
    with world.store.read() as c:
        for table in (tables.issues, tables.deliveries, tables.reservations):
            assert c.execute(select(table)).all() == []
    world.just_before_reserving = lambda _: None
    assert world.got(world.issue(post, other)) == {"ann": 0b11, "bob": 0b11}


def test_what_is_given_back_is_one_readers_of_one_issue(world):
    ann, bob = world.reader("ann"), world.reader("bob")
    old, one, two = world.post(), world.post(), world.post()
    earlier = world.issue(old)
    issue = world.issue(one, two, period="2026-W49")
    repeated = world.issue(one, two, old, period="2026-W50", repeat=True)
    with world.store.write() as c:
        reserving.release_posts(c, issue.id, [ann])
    r = tables.reservations.c
    query = select(r.subscriber_id, r.post_id, r.issue_id)
    with world.store.read() as c:
        left = set(c.execute(query.where(r.repeat == 0)).tuples())
        again = set(c.execute(query.where(r.repeat != 0)).tuples())
    assert left == {
        (ann, old, earlier.id),
        (bob, old, earlier.id),
        (bob, one, issue.id),
        (bob, two, issue.id),
    }
    assert again == {(who, post, repeated.id) for who in (ann, bob) for post in (old, one, two)}


def test_a_cancelled_repeat_gives_back_what_nobody_had_before_it(world):
    old, new = world.post(), world.post()
    world.reader("ann")
    world.issue(old)
    again = world.issue(old, new, period="2026-W49", repeat=True)
    with world.store.write() as c:
        ledger.cancel_open(c, again.id, world.now)
    assert world.got(world.issue(old, new, period="2026-W50")) == {"ann": 0b10}


def test_a_cancelled_issue_gives_its_posts_back(world):
    post = world.post()
    world.reader("ann")
    first = world.issue(post)
    with world.store.write() as c:
        issue_store.move_issue(c, first, IssueState.CANCELLED, Act("Maya", world.now, "oops"))
        assert ledger.cancel_open(c, first.id, world.now) == 1
        assert accounts.account(c, first.id).cancelled == 1
    assert world.got(world.issue(post)) == {"ann": 1}


def test_one_period_has_one_issue_until_it_is_rejected_or_cancelled(world):
    issue = world.issue(world.post())
    values = {"newsletter": "weekly", "scope": "all", "period": "2026-W48", "hash": "x"}
    rest = {
        "rhythm": "weekly",
        "repeat": False,
        "state": "draft",
        "scheduled_at": world.now,
        "content": {},
        "subject": "",
        "fallback_subject": "",
        "html": "",
        "text": "",
        "preflight": [],
    }
    act = Act("Tom", world.now, "again")
    with world.store.write() as c:
        assert issue_store.insert_issue(c, {**values, **rest}, act) is None
        issue_store.move_issue(c, issue, IssueState.CANCELLED, act)
        assert issue_store.insert_issue(c, {**values, **rest}, act) is not None


def test_a_step_that_is_not_in_the_table_changes_nothing(world):
    issue = world.issue(world.post())
    with (
        pytest.raises(StateError, match="is sending; it cannot become draft"),
        world.store.write() as c,
    ):
        issue_store.move_issue(c, issue, IssueState.DRAFT, Act("x", world.now, ""))


def test_of_two_who_decide_at_once_the_second_is_told(world):
    issue = world.issue(world.post())
    act = Act("x", world.now, "")
    with world.store.write() as c:
        issue_store.move_issue(c, issue, IssueState.PAUSED, act)
    with pytest.raises(StateError, match="changed by someone else"), world.store.write() as c:
        issue_store.move_issue(c, issue, IssueState.CANCELLED, act)


def test_two_issues_frozen_at_once_share_no_reader_of_one_post(world):
    post = world.post()
    for number in range(30):
        world.reader(f"r{number}")
        world.reader(f"r{number}", newsletter="second")
    names = ["weekly", "second"]
    issues = {}
    threads = [
        threading.Thread(
            target=lambda n=name: issues.__setitem__(n, world.issue(post, newsletter=n))
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shares = [set(world.got(issues[name])) for name in names]
    assert len(shares[0]) + len(shares[1]) == 30
    assert not shares[0] & shares[1]


def test_freezing_grows_with_the_database_and_not_with_python(world):
    posts = [world.post("series:ipc") for _ in range(5)]
    readers = [
        {
            "id": n,
            "address": f"r{n}@example.org",
            "address_key": f"r{n}@example.org",
            "created_at": world.now,
        }
        for n in range(1, 5001)
    ]
    subscriptions = [
        {
            "subscriber_id": n,
            "newsletter": "weekly",
            "interests": "everything" if n % 2 else "series:ipc",
            "rhythm": "weekly",
            "state": "active",
            "consent_source": "test",
            "consent_at": world.now,
            "created_at": world.now,
        }
        for n in range(1, 5001)
    ]
    with world.store.write() as c:
        c.execute(insert(tables.subscribers), readers)
        c.execute(insert(tables.subscriptions), subscriptions)
    issue = world.issue(*posts)
    with world.store.read() as c:
        assert accounts.account(c, issue.id).pending == 5000
        assert c.scalar(select(func.count()).select_from(tables.reservations)) == 25000
        assert c.scalar(select(func.count()).select_from(tables.variants)) == 1
