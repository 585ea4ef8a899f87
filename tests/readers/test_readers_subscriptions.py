"""A reader comes, stays, leaves; nobody else decides that for them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from digest.model import Interests, Rhythm
from digest.readers.enrolment import Enrolled
from digest.readers.subscriptions import (
    Confirmed,
    SubscribeResult,
    Suppressed,
    Unsubscribed,
    confirm,
    end_subscription,
    list_subscribers,
    subscribe,
    suppress,
    unsubscribe_by_token,
)
from digest.readers.tokens import keyed_hash, make_token
from digest.store import readers
from digest.store.readers import Suppression
from digest.store.tables import erasures, subscribers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from digest.config import Config
    from digest.store.engine import Store

ADA = "Ada.Whitlock@example.org"


@pytest.fixture
def sign_up(
    any_store: Store, config: Config, secret: bytes, now: datetime
) -> Callable[..., SubscribeResult]:
    """Somebody types Ada's address into the form; with `consent_at` the operator vouches."""
    return partial(
        subscribe,
        any_store,
        config,
        secret,
        address=ADA,
        newsletter="weekly",
        interests=Interests(),
        rhythm=Rhythm.WEEKLY,
        consent_source="sign-up form",
        consent_at=None,
        now=now,
    )


@pytest.fixture
def opt_in(secret: bytes, now: datetime) -> Callable[[SubscribeResult], str]:
    """The token of the opt-in mail that a sign-up leads to."""
    return lambda result: make_token(secret, "opt-in", result.subscription_id, now)


@pytest.fixture
def leaving(secret: bytes) -> Callable[[SubscribeResult], str]:
    """The token of the unsubscribe link in every mail."""
    return lambda result: make_token(secret, "unsubscribe", result.subscription_id)


def _only(store: Store):
    [one] = list_subscribers(store)
    return one


def test_sign_up_waits_for_the_reader(any_store, sign_up, opt_in, secret, now):
    result = sign_up(interests=Interests(("series:ipc",)))
    assert result.outcome is Enrolled.PENDING
    assert _only(any_store).state == "pending"
    assert _only(any_store).consent_at is None

    later = now + timedelta(days=1)
    confirmed = confirm(any_store, secret, opt_in(result), later)
    assert (confirmed.outcome, confirmed.newsletter) == (Confirmed.ACTIVE, "weekly")
    one = _only(any_store)
    assert (one.address, one.state, one.consent_at) == (ADA, "active", later)
    assert one.interests == Interests(("series:ipc",))
    again = confirm(any_store, secret, opt_in(result), later + timedelta(days=1))
    assert again.outcome is Confirmed.ALREADY
    assert _only(any_store).consent_at == later


def test_consent_given_elsewhere_counts_at_once(any_store, sign_up, now):
    result = sign_up(consent_at=now - timedelta(days=40))
    assert result.outcome is Enrolled.ACTIVE
    assert _only(any_store).consent_at == now - timedelta(days=40)


def test_active_subscription_is_nobody_elses_to_change(any_store, sign_up, now):
    sign_up(consent_at=now)
    for consent_at in (None, now):
        result = sign_up(
            address=ADA.upper(), interests=Interests(("series:pbr",)), consent_at=consent_at
        )
        assert result.outcome is Enrolled.UNCHANGED
        assert "nothing was changed" in result.message
    assert _only(any_store).interests.everything
    assert _only(any_store).address == ADA


def test_second_sign_up_before_confirming_corrects_the_first(any_store, sign_up):
    first = sign_up(interests=Interests(("series:pbr",)))
    second = sign_up(interests=Interests(("series:ipc",)))
    assert second.subscription_id == first.subscription_id
    assert second.outcome is Enrolled.PENDING
    assert _only(any_store).interests == Interests(("series:ipc",))


@pytest.mark.parametrize("vouched", [False, True])
def test_reader_who_left_comes_back_only_by_own_mail(
    *, any_store, sign_up, opt_in, leaving, secret, now, vouched
):
    result = sign_up(consent_at=now)
    unsubscribe_by_token(any_store, secret, leaving(result), now)

    back = sign_up(consent_at=now if vouched else None)
    assert back.outcome is Enrolled.PENDING
    assert "unsubscribed on 22 November 2026; only the reader can come back" in back.message
    # A second attempt finds a pending subscription, and must not take it for a new one.
    assert sign_up(consent_at=now).outcome is Enrolled.PENDING
    assert _only(any_store).state == "pending"

    assert confirm(any_store, secret, opt_in(back), now).outcome is Confirmed.ACTIVE
    assert (_only(any_store).state, _only(any_store).ended_at) == ("active", None)


def _erased(store: Store, secret: bytes, now: datetime, reason: str | None = None) -> None:
    """Ada was erased, suppressed or not."""
    suppressed = {"suppressed_reason": reason, "suppressed_origin": "web", "suppressed_at": now}
    with store.write() as c:
        row = {"address_hash": keyed_hash(secret, ADA.lower()), "at": now}
        c.execute(insert(erasures).values(row | (suppressed if reason else {})))


@pytest.mark.parametrize("vouched", [False, True])
def test_reader_who_was_erased_comes_back_only_by_own_mail(
    *, any_store, sign_up, opt_in, secret, now, vouched
):
    _erased(any_store, secret, now)
    back = sign_up(consent_at=now if vouched else None)
    assert back.outcome is Enrolled.PENDING
    assert "was erased on 22 November 2026; only the reader can come back" in back.message
    # A second attempt finds a pending subscription, and must not take it for a new one.
    assert sign_up(consent_at=now).outcome is Enrolled.PENDING

    assert confirm(any_store, secret, opt_in(back), now).outcome is Confirmed.ACTIVE
    assert _only(any_store).state == "active"
    with any_store.read() as c:
        assert c.execute(select(erasures)).all() == []


def test_suppression_behind_an_erasure_holds(any_store, sign_up, opt_in, secret, now):
    first = sign_up()
    _erased(any_store, secret, now, "complained")
    again = sign_up(consent_at=now)
    assert again.outcome is Enrolled.SUPPRESSED
    assert "(complained, by web)" in again.message
    assert confirm(any_store, secret, opt_in(first), now).outcome is Confirmed.SUPPRESSED
    hashed = partial(keyed_hash, secret)
    with any_store.write() as c:
        readers.end_erasure(c, ADA.lower(), hashed)
        assert readers.barred(c, ADA.lower(), hashed) == Suppression("complained", "web", now)
        assert readers.barred(c, "bo@example.org", hashed) is None


def test_suppressed_and_erased_is_not_written_down_again(any_store, sign_up, secret, now):
    _erased(any_store, secret, now, "complained")
    sign_up()
    with any_store.read() as c:
        assert c.execute(select(subscribers)).all() == []


def test_unsubscribe_is_at_once_and_for_good(any_store, sign_up, leaving, secret, now):
    result = sign_up(consent_at=now)
    ended = unsubscribe_by_token(any_store, secret, leaving(result), now)
    assert (ended.outcome, ended.newsletter, ended.ended_at) == (Unsubscribed.ENDED, "weekly", now)
    assert (_only(any_store).state, _only(any_store).ended_reason) == ("ended", "unsubscribed")

    # Years later, by the link of an old mail: the same answer, and the first date stays.
    again = unsubscribe_by_token(any_store, secret, leaving(result), now + timedelta(days=900))
    assert (again.outcome, again.ended_at) == (Unsubscribed.ALREADY, now)
    assert "22 November 2026" in again.message
    assert _only(any_store).ended_at == now


def test_pending_sign_up_can_be_declined(*, any_store, sign_up, leaving, opt_in, secret, now):
    result = sign_up()
    ended = unsubscribe_by_token(any_store, secret, leaving(result), now)
    assert ended.outcome is Unsubscribed.ENDED
    assert confirm(any_store, secret, opt_in(result), now).outcome is Confirmed.ENDED
    assert _only(any_store).state == "ended"


def test_one_link_ends_one_newsletter(*, any_store, sign_up, leaving, secret, now, listed):
    weekly, _ = sign_up(consent_at=now), sign_up(consent_at=now, newsletter="monthly")
    unsubscribe_by_token(any_store, secret, leaving(weekly), now)
    states = {newsletter: one.state for (_, newsletter), one in listed(any_store).items()}
    assert states == {"weekly": "ended", "monthly": "active"}


def test_links_that_are_not_ours_change_nothing(any_store, sign_up, opt_in, secret, now):
    result = sign_up(consent_at=now)
    foreign = make_token(b"another site's secret, 32 bytes..", "unsubscribe", 1)
    gone = make_token(secret, "unsubscribe", 4711)
    for token in (opt_in(result), foreign, gone, "", "x" * 10_000, "ünsubscribe", "\0"):
        answer = unsubscribe_by_token(any_store, secret, token, now)
        assert answer.outcome is Unsubscribed.UNKNOWN
        assert "nothing was changed" in answer.message
    assert _only(any_store).state == "active"


def test_opt_in_link_expires(any_store, sign_up, opt_in, secret, now):
    token = opt_in(sign_up())
    late = confirm(any_store, secret, token, now + timedelta(days=15))
    assert late.outcome is Confirmed.INVALID
    assert "14 days" in late.message
    assert (
        confirm(any_store, secret, make_token(secret, "opt-in", 9, now), now).outcome == "invalid"
    )
    assert _only(any_store).state == "pending"


def test_suppressed_address_cannot_come_back(any_store, sign_up, opt_in, secret, now):
    pending = sign_up()
    assert suppress(any_store, ADA, "complained", "mailer", now).outcome is Suppressed.SUPPRESSED
    for consent_at in (None, now):
        result = sign_up(address=ADA.lower(), consent_at=consent_at, newsletter="monthly")
        assert (result.outcome, result.subscription_id) == (Enrolled.SUPPRESSED, None)
        assert "complained" in result.message
    answer = confirm(any_store, secret, opt_in(pending), now)
    assert answer.outcome is Confirmed.SUPPRESSED
    assert (_only(any_store).state, _only(any_store).suppressed) == ("pending", "complained")


def test_suppression_is_idempotent_and_keeps_its_first_reason(any_store, now):
    suppress(any_store, ADA, "bounced", "mailer", now)
    again = suppress(any_store, ADA.upper(), "complained", "web", now + timedelta(days=1))
    assert again.outcome is Suppressed.ALREADY
    assert "22 November 2026 (bounced, by mailer)" in again.message
    assert suppress(any_store, "not an address", "x", "y", now).outcome is Suppressed.REFUSED


def test_unknown_names_are_refused_with_the_allowed_ones(any_store, sign_up):
    result = sign_up(
        newsletter="dayly", interests=Interests(("series:icp", "theme:fun", "colour:red"))
    )
    assert result.outcome is Enrolled.REFUSED
    assert 'there is no newsletter "dayly" (allowed: monthly, weekly)' in result.message
    assert 'there is no series "icp" (allowed: ipc, pbr)' in result.message
    assert 'there is no theme "fun" (allowed: funding)' in result.message
    assert 'there is no kind of interest "colour"' in result.message
    assert sign_up(address="ada at example").outcome is Enrolled.REFUSED
    assert list(list_subscribers(any_store)) == []


def test_end_subscription_by_address(any_store, sign_up, now):
    sign_up(consent_at=now)
    end = partial(end_subscription, any_store, newsletter="weekly", reason="moved", now=now)
    assert end(address=ADA.lower()).outcome is Unsubscribed.ENDED
    assert _only(any_store).ended_reason == "moved"
    assert end(address=ADA).outcome is Unsubscribed.ALREADY
    assert end(address="nobody@example.org").outcome is Unsubscribed.UNKNOWN
    assert end(address="nobody").outcome is Unsubscribed.UNKNOWN
    assert "ended (moved) on 22 November 2026" in sign_up().message


def test_listing_by_newsletter_and_state(any_store, sign_up, now):
    sign_up(address="b@example.org", consent_at=now)
    sign_up(address="a@example.org")
    sign_up(address="c@example.org", newsletter="monthly")
    listing = partial(list_subscribers, any_store)
    assert [one.address for one in listing(newsletter="weekly")] == [
        "a@example.org",
        "b@example.org",
    ]
    assert [one.address for one in listing(states=["active"])] == ["b@example.org"]


def test_twenty_sign_ups_at_once_make_one_subscription(any_store, sign_up, now):
    outcomes: list[Enrolled] = []
    threads = [
        Thread(target=lambda: outcomes.append(sign_up(consent_at=now).outcome)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Enrolled.ACTIVE] + [Enrolled.UNCHANGED] * 19
    assert _only(any_store).state == "active"
