"""When a feed is not read, and the sentences that say so together with the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.feeds.proof import moment

if TYPE_CHECKING:
    from datetime import datetime

    from digest.store.feeds import FeedState


def waits(state: FeedState, now: datetime, *, named: bool) -> str:
    """Why a feed is not to be read now; empty where it is."""
    if state.paused_reason and not named:
        return paused(state.slug, state.paused_reason)
    if state.not_before and now < state.not_before:
        return f"its server asked to wait until {until(state.not_before)}"
    return ""


def paused(slug: str, reason: str) -> str:
    cure = f"change its URL, or remove it, under [feeds.{slug}] in config"
    return f"paused: {reason}; {cure}; `digest ingest --feed {slug}` asks it once more"


def until(at: datetime) -> str:
    return f"{moment(at)}; the first `digest ingest` after that reads it again"
