"""Sentences that say how it is known that no post was missed, or that one may have been.

`whole` is when the feed was last read to its end, None at its first reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

BROKEN_OFF = "possible gap until the next reading, which goes back past it"


def nothing_new(whole: datetime | None, what: str) -> str:
    return f"no gap: {what}, read whole on {whole:%Y-%m-%d}" if whole else what


def reached(known_since: datetime) -> str:
    return f"no gap: reached a post known since {known_since:%Y-%m-%d}"


def end(whole: datetime | None, count: int) -> str:
    what = f"read to the end, {count} posts"
    return f"no gap: {what}" if whole else f"first reading: {what}"


def limit(pages: int) -> str:
    if pages == 1:
        return "the feed is read as one page"
    return f"reading stopped at page {pages} (max_pages)"


def without_end(whole: datetime | None, count: int, why: str, touches: datetime | None) -> str:
    """Older posts cannot be read: no matter at first, but later ones may have been missed.

    `touches` is since when some post of the reading has been known from a whole one.
    """
    if whole is None:
        return f"first reading: {count} posts; {why}, so older ones cannot be read"
    return reached(touches) if touches else f"possible gap: no known post among {count}; {why}"


def not_all(said: str, why: str) -> str:
    """Where every page was asked for: what is `said`, and why edits may stand further back."""
    return f"{said}, but older ones cannot be read: {why}"


def page_name(number: int) -> str:
    return "the feed" if number == 1 else f"page {number}"


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
