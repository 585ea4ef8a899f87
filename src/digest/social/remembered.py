"""What a channel takes, remembered for a day: limits hardly change, and asking may fail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from digest.files import replace_bytes
from digest.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from digest.ports import Trouble

LASTS = timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    at: AwareDatetime
    #: Who answered: a channel may get another account.
    where: str
    limits: Limits


def limits_of(
    slug: str, where: str, folder: Path, ask: Callable[[], Limits | Trouble], now: datetime
) -> Limits | None:
    """The limits of the channel `slug`, asked for once a day of the server `where` it is.

    Where asking fails, those of before, however old; None where there are none.
    """
    path = folder / f"{slug}.json"
    known = _read(path, where)
    # What was asked in the future was asked by a clock that was wrong.
    if known is not None and timedelta(0) <= now - known.at < LASTS:
        return known.limits
    limits = ask()
    if isinstance(limits, Limits):
        _write(path, _Answer(now, where, limits))
        return limits
    if known is None:
        log.warning("channel %s: its limits are not known: %s", slug, limits.reason)
        return None
    log.warning(
        "channel %s: its limits of %s are taken, as asking failed: %s",
        slug,
        f"{known.at:%Y-%m-%d}",
        limits.reason,
    )
    return known.limits


def _read(path: Path, where: str) -> _Answer | None:
    try:
        known = _adapter().validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return known if known.where == where else None


def _write(path: Path, answer: _Answer) -> None:
    """Where it cannot be written it is asked for again, which does no harm."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_bytes(path, _adapter().dump_json(answer), mode=0o600)
    except OSError as error:
        log.warning("limits are not remembered in %s: %s", path, error.strerror)


@cache
def _adapter() -> TypeAdapter[_Answer]:
    return TypeAdapter(_Answer)
