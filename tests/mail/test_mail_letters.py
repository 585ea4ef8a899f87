"""Whom a delivery's mail comes back to, and by which links its reader leaves."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from digest.config import Newsletter, Site
from digest.mail.letters import KEPT, Letters
from digest.mail.verp import read_verp
from digest.model import UNSUBSCRIBE_MARK
from digest.store.accounts import StoredVariant
from digest.store.deliveries import Claimed

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
SECRET = bytes(range(32))
SITE = Site(
    name="Common Threads",
    url="https://example.org/",
    contact="https://example.org/contact/",
    postal_address="12 Weavers Row",
    links_url="https://read.example.org/",
)
ISSUE: Any = SimpleNamespace(id=12, newsletter="weekly", scope="all", period="2026-W47")
VARIANT = StoredVariant(1, "Week 47", f"<a href='{UNSUBSCRIBE_MARK}'>x</a>", UNSUBSCRIBE_MARK)


def letters(**change: object) -> Letters:
    declared = {
        "title": "Weekly",
        "from_name": "Common Threads",
        "from_address": "digest@example.org",
        "bounce_address": "bounces@example.org",
        "reply_to": "editors@example.org",
        "unsubscribe_mailto": "leave@example.org",
        "list_id": "weekly.example.org",
        "mailer": "local",
    }
    newsletter = Newsletter.model_validate(declared | change)
    return Letters(SITE, newsletter, ISSUE, SECRET, lambda: NOW)


def claimed(number: int) -> Claimed:
    return Claimed(number, 12, 1, 34, 56, "reader@example.org", "key", 0)


def test_what_comes_back_says_which_delivery_it_was() -> None:
    made = letters()
    senders = [made.make(claimed(number), VARIANT).envelope.sender for number in (0, 7, 8)]
    assert [read_verp(SECRET, sender) for sender in senders] == [0, 7, 8]
    assert all(sender.endswith("@example.org") for sender in senders)


def test_the_readers_address_is_in_no_envelope_sender_and_the_sender_in_no_mail() -> None:
    mail = letters().make(claimed(7), VARIANT)
    assert "reader" not in mail.envelope.sender
    assert mail.envelope.sender.encode() not in mail.message()


def test_a_newsletter_may_have_all_its_mail_come_back_to_one_address() -> None:
    mail = letters(verp=False).make(claimed(7), VARIANT)
    assert mail.envelope.sender == "bounces@example.org"


def test_the_same_delivery_is_the_same_mail_at_every_try() -> None:
    first, second = (letters().make(claimed(7), VARIANT) for _ in range(2))
    assert first.envelope == second.envelope
    assert first.message() == second.message()


def test_thousands_of_variants_take_no_more_memory_than_some() -> None:
    """A dozen picks make 4,095 sets, and one of them may be anybody's."""
    made, body = letters(), f"{'A line of a digest. ' * 150}\n{UNSUBSCRIBE_MARK}\n"

    def taken_after(first: int) -> int:
        for number in range(first, first + KEPT):
            variant = replace(VARIANT, id=number, html=f"{body}{number}", text=f"{number}{body}")
            mail = made.make(claimed(7), variant).message()
            assert f"{number}A line".encode() in mail
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        at_first = taken_after(0)
        assert at_first > 3000 * KEPT
        assert taken_after(KEPT) < 1.1 * at_first
    finally:
        tracemalloc.stop()
