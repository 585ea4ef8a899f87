"""Which post is mailed by itself next: the oldest new one, once, and to somebody."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from digest.errors import UsageError
from digest.issues.each_post import next_post
from digest.model import IssueState

BEGAN = datetime(2026, 11, 4, 9, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def following(newsroom, at, *, dry=False):
    return next_post(newsroom.store, newsroom.config, "weekly", at, dry=dry)


@pytest.fixture
def begun(newsroom):
    """A reader of each post, and an archive from before the first look."""
    newsroom.post(BEGAN - DAY)
    newsroom.reader("eve", rhythm="each-post")
    newsroom.reader("ann")
    assert following(newsroom, BEGAN) is None
    return newsroom


def test_new_posts_come_one_by_one_the_oldest_first_and_the_archive_never(begun):
    second, first = begun.post(BEGAN + 3 * MINUTE), begun.post(BEGAN + 2 * MINUTE)
    at = BEGAN + DAY
    assert following(begun, at) == first
    assert begun.send(at, rhythm="each-post", post_id=first) == {"eve": {first}}
    assert following(begun, at) == second
    assert begun.send(at, rhythm="each-post", post_id=second) == {"eve": {second}}
    assert following(begun, at) is None


def test_a_post_is_not_before_it_arrived(begun):
    post = begun.post(BEGAN + 3 * MINUTE)
    assert following(begun, BEGAN + 2 * MINUTE) is None
    assert following(begun, BEGAN + 3 * MINUTE) == post


def test_a_dry_run_remembers_nothing(newsroom):
    newsroom.reader("eve", rhythm="each-post")
    assert following(newsroom, BEGAN, dry=True) is None
    newsroom.post(BEGAN + MINUTE)
    assert following(newsroom, BEGAN + DAY) is None, "it began now"
    post = newsroom.post(BEGAN + DAY + MINUTE)
    assert following(newsroom, BEGAN + 2 * DAY, dry=True) == post


def test_an_issue_of_a_post_stays_as_it_was_decided(begun):
    post = begun.post(BEGAN + MINUTE)
    issue = begun.draft(BEGAN + DAY, rhythm="each-post", post_id=post)
    assert issue.state is IssueState.DRAFT
    assert following(begun, BEGAN + DAY) is None
    begun.cancel(issue, BEGAN + DAY)
    assert following(begun, BEGAN + DAY) is None


def test_a_digest_that_had_the_post_is_no_mail_about_it(begun):
    post = begun.post(BEGAN + MINUTE)
    assert begun.send(BEGAN + DAY)["ann"] >= {post}
    assert following(begun, BEGAN + DAY) == post


def test_where_nobody_takes_each_post_nothing_is_made_and_nothing_is_saved_up(begun):
    begun.choose("eve", state="ended")
    begun.post(BEGAN + MINUTE)
    assert following(begun, BEGAN + DAY) is None
    begun.choose("eve", state="active")
    assert following(begun, BEGAN + DAY + MINUTE) is None
    new = begun.post(BEGAN + DAY + 2 * MINUTE)
    assert following(begun, BEGAN + 2 * DAY) == new


def test_what_the_newsletter_does_not_pick_is_passed_over(begun):
    begun.declare(
        weekly={
            "picks_from": {"series": ["ipc"]},
            "excluded": ["https://blog.example/3/"],
        }
    )
    begun.post(BEGAN + MINUTE)
    excluded = begun.post(BEGAN + 2 * MINUTE, "ipc")
    wanted = begun.post(BEGAN + 3 * MINUTE, "ipc")
    assert excluded == 3
    assert following(begun, BEGAN + DAY) == wanted


def test_an_unknown_newsletter_is_a_sentence(newsroom):
    with pytest.raises(UsageError, match="no newsletter 'nope'"):
        next_post(newsroom.store, newsroom.config, "nope", BEGAN, dry=False)


def test_runs_at_once_make_one_issue(begun):
    post = begun.post(BEGAN + MINUTE)
    made = []

    def run():
        found = following(begun, BEGAN + DAY)
        if found is not None:
            made.append(begun.draft(BEGAN + DAY, rhythm="each-post", post_id=found).id)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert following(begun, BEGAN + DAY) is None
    assert begun.send(BEGAN + DAY, rhythm="each-post", post_id=post) == {"eve": {post}}
