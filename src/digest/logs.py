"""Logs: one JSON object a line in `var/log`, and warnings on stderr. No address ever.

Core modules log ids; the mask is the net beneath them, for what an exception
or a library may say.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from digest.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["JsonLines", "logging_to", "mask"]

_LARGEST = 5 * 1024 * 1024


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {mask(record.getMessage())}"


@contextmanager
def logging_to(folder: Path) -> Iterator[None]:
    """Log into `folder`/digest.jsonl, and warnings to stderr as well, while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(
        folder / "digest.jsonl", maxBytes=_LARGEST, backupCount=5, encoding="utf-8", delay=True
    )
    file.setFormatter(JsonLines())
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.WARNING)
    screen.setFormatter(_Plain())
    logger = logging.getLogger("digest")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in (file, screen):
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in (file, screen):
            logger.removeHandler(handler)
            handler.close()
