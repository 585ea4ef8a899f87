"""A reader asks what we know: all of it, nothing of anybody else, in plain JSON."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import delete

from digest.readers.erasure import erase_reader
from digest.readers.exporting import export_address, export_reader
from digest.store import tables


@pytest.fixture
def document(held):
    with held.store.read() as c:
        return export_reader(c, held.ann)


def test_the_document_says_everything(held, document):
    assert set(document) == {
        "address", "since", "weekly_cap", "suppression", "subscriptions", "sign_ups", "issues",
        "notices", "posts", "overflow", "exclusions",
    }  # fmt: skip
    assert (document["address"], document["weekly_cap"]) == (held.address, 3)
    assert document["since"] == "2026-11-01T08:00:00+00:00"
    assert document["suppression"]["at"] == "2026-11-01T08:00:00+00:00"
    [subscription] = document["subscriptions"]
    assert subscription == {
        "newsletter": "weekly",
        "state": "active",
        "interests": ["series:ipc", "theme:funding"],
        "rhythm": "monthly",
        "since": "2026-11-01T08:00:00+00:00",
        "consent": {
            "source": f"a letter from {held.address}",
            "at": "2026-11-01T08:00:00+00:00",
        },
        "paused_until": "2026-12-01T18:00:00+00:00",
        "ended": None,
        "history": [
            {
                "at": "2026-11-01T08:00:00+00:00",
                "event": "confirmed",
                "form": "sign-up page",
                "text": f"{held.address} agrees",
                "interests": ["everything"],
                "rhythm": "weekly",
            }
        ],
    }
    assert [one["state"] for one in document["issues"]] == list(held.states)
    first = document["issues"][0]
    assert (first["newsletter"], first["period"], first["subject"]) == (
        "weekly", "2026-W01", "Issue 1",
    )  # fmt: skip
    assert first["address"] == held.address
    assert [event["event"] for event in first["events"]] == ["deferred"]
    assert len(document["notices"]) == 4
    assert document["posts"][0] == {
        "title": "Post 1",
        "url": "https://blog.example.org/1/",
        "newsletter": "weekly",
        "scope": "all",
        "period": "2026-W01",
    }
    assert [one["title"] for one in document["overflow"]] == ["Post 1"]
    assert [one["reason"] for one in document["exclusions"]] == ["had it all"]
    open_one, confirmed = document["sign_ups"]
    assert (open_one["confirmed_at"], confirmed["confirmed_at"] is None) == (None, False)
    assert open_one["wishes"] == [
        {"newsletter": "weekly", "interests": ["series:ipc", "theme:x"], "rhythm": "weekly"}
    ]


def test_it_is_json_and_about_nobody_else(held, document):
    said = json.dumps(document)
    assert json.loads(said) == document
    assert held.other not in said
    # The editors' names and what drives the machinery are not the reader's.
    assert "Maya" not in said
    assert "message_id" not in said


def test_by_address_in_any_case(held, document):
    with held.store.read() as c:
        assert export_address(c, held.address.upper(), held.key) == document
        assert export_address(c, "no@example.org", "no@example.org") is None


def test_who_only_asked_at_a_form_is_exported_too(held):
    with held.store.write() as c:
        c.execute(tables.subscribers.update().values(address=None, address_key=None))
        c.execute(delete(tables.suppressions))
        found = export_address(c, held.address, held.key)
    assert found is not None
    assert (found["address"], found["since"], found["subscriptions"]) == (held.address, None, [])
    assert (len(found["sign_ups"]), len(found["notices"]), found["suppression"]) == (2, 4, None)


def test_of_an_erased_reader_there_is_nothing(held, secret, now):
    erase_reader(held.store, secret, held.ann, now)
    with held.store.read() as c:
        assert export_reader(c, held.ann) is None
        assert export_address(c, held.address, held.key) is None
        assert export_reader(c, 4711) is None
