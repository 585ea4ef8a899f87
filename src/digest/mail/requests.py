"""The names of requests: each its own, and telling when it was made."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime


def request_key(worker: str, number: int, now: datetime) -> str:
    """The name of a worker's request: 43 letters, digits and a hyphen, no other's."""
    name = hashlib.sha256(f"{worker}:{number}".encode()).hexdigest()[:32]
    return f"{int(now.timestamp())}-{name}"


def begun_at(key: str) -> datetime:
    """When the request of that name was made, to the second."""
    return datetime.fromtimestamp(int(key.partition("-")[0]), UTC)
