"""Config as it stands on disk: pages must show what a run that starts now would make."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from digest.errors import ConfigError
from digest.settings import load_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digest.bootstrap import App

_Stamp: TypeAlias = tuple[tuple[str, int, int], ...]

_log = logging.getLogger(__name__)


def following(app: App) -> Callable[[], App]:
    """Returns a function that gives the app with today's config.

    Config that is at fault changes nothing, and is logged once. The store stays the one
    that was opened.
    """
    lock = Lock()
    stamp, now = _stamp(app.home), app

    def current() -> App:
        nonlocal stamp, now
        with lock:
            found = _stamp(app.home)
            if found != stamp:
                stamp, now = found, _read_again(now)
            return now

    return current


def _read_again(app: App) -> App:
    try:
        config = load_config(app.home)
    except ConfigError as error:
        _log.warning("config was changed and is at fault; pages go by the one before: %s", error)
        return app
    _log.info("config was changed and read again")
    return replace(app, config=config)


def _stamp(home: Path) -> _Stamp:
    """When each file was written last, and its size; asked at every page."""
    stamps = []
    with os.scandir(home / "config") as entries:
        for entry in entries:
            if not entry.name.endswith(".toml"):
                continue
            try:
                found = entry.stat()
            except FileNotFoundError:  # an editor is putting a new one in its place
                continue
            stamps.append((entry.name, found.st_mtime_ns, found.st_size))
    return tuple(sorted(stamps))
