"""What follows from an answer, and what is known of a doubt: without clock or store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Receipt
from digest.social.decisions import (
    LONGEST_WAIT,
    SHOWN_BY,
    UNSAID,
    decide,
    given_up,
    key_of,
    pause_of,
    verdict,
)
from fakes.scripted import BLUESKY_LIKE, HOUR, MASTODON_LIKE, MINUTE, X_LIKE

SECOND = timedelta(seconds=1)
AWAY = Unavailable("away")


@pytest.mark.parametrize(
    ("outcome", "state", "attempts", "goes_on", "for_operator"),
    [
        ((), "submitted", 3, True, False),
        (Refused("r"), "refused", 3, True, False),
        (Throttled("r"), "pending", 3, False, False),
        (Unavailable("r"), "pending", 3, False, False),
        (Unauthorized("r"), "pending", 2, False, True),
        (Uncertain("r"), "uncertain", 3, False, False),
    ],
)
def test_what_follows_from_an_answer(*, now, outcome, state, attempts, goes_on, for_operator):
    decision = decide(outcome, attempts=2, now=now)
    assert (decision.state, decision.attempts) == (state, attempts)
    assert (not decision.stop, decision.for_operator) == (goes_on, for_operator)
    assert bool(decision.pause) == isinstance(outcome, Throttled)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (None, UNSAID),
        (HOUR, HOUR),
        (-HOUR, timedelta(0)),
        (timedelta(days=400), LONGEST_WAIT),
    ],
)
def test_a_network_is_left_alone_for_as_long_as_it_may_mean(*, now, asked, wait):
    pause = pause_of(Throttled("r", retry_after=asked, window="media"), now)
    assert (pause.what, pause.until) == ("media", now + wait)


def said(traits, found, now, *, ago, tried_ago=None, hung=timedelta(0), code=None):
    begun_at = now - ago
    tried_at = begun_at if tried_ago is None else now - tried_ago
    decided = verdict(
        found,
        code=code,
        tried_at=tried_at,
        begun_at=begun_at,
        ended_at=begun_at + hung,
        traits=traits,
        now=now,
    )
    return str(decided.state) if decided else None


FOUND = (Receipt("1", None),)


@pytest.mark.parametrize(
    ("traits", "found", "ago", "state"),
    [
        # X: nothing but its timeline can tell, and that lags behind.
        (X_LIKE, FOUND, SECOND, "submitted"),
        (X_LIKE, None, 59 * SECOND, None),
        (X_LIKE, None, 60 * SECOND, "pending"),
        (X_LIKE, AWAY, 10 * HOUR, None),
        # Mastodon: said again within its hour it is one with the first.
        (MASTODON_LIKE, FOUND, SECOND, "submitted"),
        (MASTODON_LIKE, None, 9 * SECOND, None),
        (MASTODON_LIKE, AWAY, 9 * SECOND, None),
        (MASTODON_LIKE, None, 10 * SECOND, "pending"),
        (MASTODON_LIKE, AWAY, 10 * SECOND, "submitting"),
        (MASTODON_LIKE, AWAY, 54 * MINUTE, "submitting"),
        (MASTODON_LIKE, AWAY, 55 * MINUTE, None),
        (MASTODON_LIKE, None, 55 * MINUTE, "pending"),
        # Bluesky: a name is given once.
        (BLUESKY_LIKE, None, timedelta(0), "pending"),
        (BLUESKY_LIKE, AWAY, timedelta(0), "submitting"),
        (BLUESKY_LIKE, FOUND, timedelta(0), "submitted"),
    ],
)
def test_what_is_known_of_a_doubt(*, now, traits, found, ago, state):
    assert said(traits, found, now, ago=ago) == state


def test_the_hour_of_a_key_counts_from_the_first_try(now):
    later = {"ago": MINUTE, "tried_ago": 56 * MINUTE}
    assert said(MASTODON_LIKE, AWAY, now, **later) is None
    assert said(MASTODON_LIKE, None, now, **later) == "pending"


def test_a_call_that_hung_may_have_been_heard_at_its_end(now):
    hung = {"ago": 5 * MINUTE, "hung": 4 * MINUTE + 30 * SECOND}
    assert said(X_LIKE, None, now, **hung) is None


@pytest.mark.parametrize("trouble", [AWAY, Throttled("r"), Unauthorized("r"), Refused("r")])
def test_a_duplicate_is_refused_only_where_it_is_seen_not_to_be_ours(now, trouble):
    duplicate = {"code": "duplicate"}
    assert said(X_LIKE, None, now, ago=SHOWN_BY - SECOND, **duplicate) is None
    assert said(X_LIKE, None, now, ago=SHOWN_BY, **duplicate) == "refused"
    assert said(X_LIKE, trouble, now, ago=10 * HOUR, **duplicate) is None
    assert said(X_LIKE, FOUND, now, ago=SECOND, **duplicate) == "submitted"


@pytest.mark.parametrize("traits", [X_LIKE, MASTODON_LIKE])
def test_a_clock_that_went_back_makes_nothing_certain(now, traits):
    assert said(traits, None, now, ago=-HOUR) is None
    assert said(traits, AWAY, now, ago=-HOUR) is None


@pytest.mark.parametrize(
    ("attempts", "begun", "state", "reason"),
    [
        (0, False, "cancelled", "more than 24 hours after its slot"),
        (0, True, "cancelled", "more than 7 days after its slot"),
        (2, False, "failed", "more than 24 hours after its slot; last: down"),
    ],
)
def test_what_is_too_late_is_cancelled_or_failed_where_it_was_tried(
    *, attempts, begun, state, reason
):
    assert given_up(attempts, "down", hours=24, begun=begun) == (state, reason)


def test_a_key_is_of_one_publication_and_one_text():
    keys = {key_of(1, "a"), key_of(2, "a"), key_of(1, "b")}
    assert len(keys) == 3
    assert key_of(1, "a") == key_of(1, "a")
