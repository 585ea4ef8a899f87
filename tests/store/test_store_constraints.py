"""The rules that must always hold are refused by the database itself, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from digest.model import DeliveryState, IssueState
from digest.store import tables


def refused(store, put, table, **values) -> bool:
    try:
        with store.write() as c:
            put(c, table, **values)
    except IntegrityError:
        return True
    return False


def _issue(**values):
    return {"newsletter": "weekly", "scope": "all", "period": "2026-W47", "hash": "h"} | values


GOES_OUT = ["approved", "frozen", "sending", "paused", "done"]


def test_one_issue_per_newsletter_scope_and_period(any_store, put):
    gone = {IssueState.REJECTED, IssueState.CANCELLED}
    for first in IssueState:
        issue = _issue(period=first)
        approved = "h" if first in GOES_OUT else None
        with any_store.write() as c:
            put(c, tables.issues, **issue, state=first, approved_hash=approved)
        second = refused(any_store, put, tables.issues, **issue, state="draft")
        assert second is (first not in gone), first
        for other in ({"scope": "series:ipc"}, {"newsletter": "monthly"}):
            assert not refused(any_store, put, tables.issues, **(issue | other), state="draft")


def test_nothing_goes_out_but_what_was_approved(any_store, put):
    for state in GOES_OUT:
        for approved in (None, "", "another"):
            values = _issue(state=state, approved_hash=approved)
            assert refused(any_store, put, tables.issues, **values), values
        assert not refused(
            any_store, put, tables.issues, **(values | {"approved_hash": "h", "period": state})
        )


@pytest.fixture
def filled(any_store, fill):
    fill(any_store)
    return any_store


@pytest.mark.parametrize(
    ("table", "values", "cured"),
    [
        pytest.param(
            tables.deliveries,
            {"state": "pending", "message_id": "<2@x>"},
            {"subscriber_id": 2},
            id="second delivery of an issue to a subscriber",
        ),
        pytest.param(
            tables.deliveries,
            {"state": "pending", "message_id": "<1@x>", "subscriber_id": 2},
            {"message_id": "<2@x>"},
            id="Message-ID used twice",
        ),
        pytest.param(
            tables.reservations, {"repeat": 0}, {"repeat": 1}, id="second reservation of a post"
        ),
        pytest.param(
            tables.subscriptions,
            {"rhythm": "weekly", "state": "ended"},
            {"newsletter": "other"},
            id="second subscription to a newsletter",
        ),
        pytest.param(
            tables.subscriptions,
            {"rhythm": "weekly", "state": "active", "newsletter": "other"},
            {"state": "pending"},
            id="active without consent",
        ),
        pytest.param(
            tables.subscriptions,
            {"rhythm": "hourly", "state": "ended", "newsletter": "other"},
            {"rhythm": "monthly"},
            id="rhythm nobody knows",
        ),
        pytest.param(
            tables.subscribers,
            {"address_key": "ada@example.org"},
            {"address_key": "bo@example.org"},
            id="one person twice",
        ),
        pytest.param(tables.threads, {}, {"repeat": 2}, id="post twice on a channel"),
        pytest.param(
            tables.publications, {"state": "pending"}, {"position": 2}, id="snippet twice in a thread"
        ),
        pytest.param(
            tables.picks,
            {"post_id": 2, "is_in": True, "position": None},
            {"position": 2},
            id="pick in without a position",
        ),
        pytest.param(
            tables.picks,
            {"post_id": 2, "is_in": False, "position": 2},
            {"position": None},
            id="pick out with a position",
        ),
        pytest.param(
            tables.picks,
            {"post_id": 2, "is_in": True, "position": 1},
            {"position": 2},
            id="two picks at one position",
        ),
        pytest.param(
            tables.post_identities,
            {"kind": "guid", "post_id": 2},
            {"kind": "url"},
            id="one guid for two posts",
        ),
        pytest.param(
            tables.exclusions, {}, {"subscriber_id": 2}, id="reader excluded twice from an issue"
        ),
        pytest.param(tables.suppressions, {}, {"address_key": "b"}, id="suppressed twice"),
        pytest.param(
            tables.post_changes, {"post_id": 99}, {"post_id": 2}, id="row that refers to nothing"
        ),
    ],
)  # fmt: skip
def test_row_is_refused_and_its_neighbour_is_not(*, filled, put, table, values, cured):
    with filled.write() as c:
        put(c, tables.subscribers, address_key="second")
    assert refused(filled, put, table, **values)
    assert not refused(filled, put, table, **(values | cured))


@pytest.mark.parametrize("state", ["claimed", "submitting"])
@pytest.mark.parametrize("missing", ["worker", "lease_until"])
def test_claim_needs_worker_and_lease(*, filled, put, state, missing, now):
    lease = {"worker": "w", "lease_until": now}
    with filled.write() as c:
        other = put(c, tables.subscribers, address_key="second")
    row = {"state": state, "message_id": "<2@x>", "subscriber_id": other} | lease
    assert refused(filled, put, tables.deliveries, **(row | {missing: None}))
    assert not refused(filled, put, tables.deliveries, **row)


@pytest.mark.parametrize("table", [tables.deliveries, tables.notices, tables.publications])
def test_ledgers_know_the_nine_states_and_no_other(filled, put, table, now):
    with filled.write() as c:
        for state in DeliveryState:
            lease = {"worker": "w", "lease_until": now} if "lease_until" in table.c else {}
            c.execute(table.update().values(state=state, **lease))
    with pytest.raises(IntegrityError), filled.write() as c:
        c.execute(table.update().values(state="sent"))
