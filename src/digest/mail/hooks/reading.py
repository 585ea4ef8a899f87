"""What the events of all mailers have in common: JSON of a shape that is only promised."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from digest.mail.reports import kind_of, reply_code
from digest.masking import said

if TYPE_CHECKING:
    from digest.mail.feedback import BounceKind

#: An event that is told at last may be this old; a clock may be ahead of ours by so much.
_OLDEST = timedelta(days=30)
_AHEAD = timedelta(minutes=5)
_LONGEST_WORDS = 300
_LONGEST_CODE = 60
_NAME = re.compile(r"[!-~]{1,500}")


def dig(value: object, *path: str) -> object:
    """What stands at that path; None where it has no such path."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def name_in(value: object, *path: str) -> str:
    """A name of something that stands there; "" where none does."""
    found = dig(value, *path)
    return found if isinstance(found, str) and _NAME.fullmatch(found) else ""


def words_in(value: object, *path: str) -> str:
    """What is said there, in one line and without addresses."""
    found = dig(value, *path)
    return said(found, _LONGEST_WORDS) if isinstance(found, str) else ""


def moment_in(now: datetime, value: object, *path: str) -> datetime:
    """The moment that stands there, in UTC; now, where none does that can be true."""
    try:
        found = datetime.fromisoformat(str(dig(value, *path)))
    except ValueError:
        return now
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC) if now - _OLDEST <= found <= now + _AHEAD else now


def bounce_in(words: str, told: BounceKind, word: str) -> tuple[BounceKind, str]:
    """Kind and code of a bounce, by what a server said and what the mailer makes of it.

    The server's own words may turn a dead address into a living one, and not the other way.
    """
    code = reply_code("", words)
    if not code:
        return told, said(word, _LONGEST_CODE)
    ours = kind_of(code, words)
    return (ours if told == "hard" or ours == "policy" else told), code
