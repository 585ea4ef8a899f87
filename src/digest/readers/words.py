"""Sentences about readers that several steps say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from digest.store.readers import Standing, Suppression

#: Why a subscription ended when the reader said so.
UNSUBSCRIBED = "unsubscribed"


def day(moment: datetime) -> str:
    """A date as read aloud: 3 March 2026 (UTC)."""
    return f"{moment.day} {moment:%B %Y}"


def left_on(ended: Standing) -> str:
    """When a subscription ended, and who can bring it back."""
    assert ended.ended_at is not None
    how = UNSUBSCRIBED if ended.ended_reason == UNSUBSCRIBED else f"ended ({ended.ended_reason})"
    return f"{how} on {day(ended.ended_at)}; only the reader can come back"


def erased_on(moment: datetime) -> str:
    """When an address was erased, and who can bring it back."""
    return f"was erased on {day(moment)}; only the reader can come back"


def suppressed_since(suppression: Suppression) -> str:
    """Why an address is never mailed."""
    return (
        f"is suppressed since {day(suppression.at)}"
        f" ({suppression.reason}, by {suppression.origin}) and is never mailed again"
    )
