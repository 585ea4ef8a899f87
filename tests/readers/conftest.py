"""A small site: two newsletters, two series, one theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from digest.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.store.engine import Store
    from digest.store.readers import ListedSubscription

SECRET = bytes(range(32))

_NEWSLETTER = {
    "title": "Letters",
    "from_name": "Letters",
    "from_address": "letters@example.org",
    "bounce_address": "bounces@example.org",
    "reply_to": "editors@example.org",
    "unsubscribe_mailto": "unsubscribe@example.org",
    "list_id": "letters.example.org",
    "mailer": "local",
}


@pytest.fixture
def secret() -> bytes:
    return SECRET


@pytest.fixture
def config() -> Config:
    series = {"title": "A series", "hashtag": "Series", "match": {"categories": ["A"]}}
    return Config.model_validate(
        {
            "site": {
                "name": "A blog",
                "url": "https://blog.example.org",
                "contact": "https://blog.example.org/about",
                "postal_address": "1 High Street",
                "links_url": "https://letters.example.org",
            },
            "mailers": {"local": {"kind": "file"}},
            "feeds": {"blog": {"url": "https://blog.example.org/feed"}},
            "series": {"ipc": series, "pbr": series},
            "themes": {"funding": {"title": "Funding", "hashtag": "Funding", "terms": {"x": 1}}},
            "newsletters": {
                "weekly": _NEWSLETTER,
                "monthly": _NEWSLETTER | {"cadence": "monthly"},
            },
        }
    )


@pytest.fixture
def listed() -> Callable[[Store], dict[tuple[str, str], ListedSubscription]]:
    """All subscriptions by address and newsletter."""
    from digest.readers.subscriptions import list_subscribers

    return lambda store: {(one.address, one.newsletter): one for one in list_subscribers(store)}
