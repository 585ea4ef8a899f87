"""JSON that somebody else wrote, looked into without trusting its shape."""

from __future__ import annotations


def dig(value: object, *path: str) -> object:
    """What stands at that path of a JSON value; None where it has no such path."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def items(value: object) -> list[object]:
    """A JSON list; empty where it is none."""
    return value if isinstance(value, list) else []


def dicts(value: object) -> list[dict[str, object]]:
    """The objects in a JSON list."""
    return [item for item in items(value) if isinstance(item, dict)]


def text(value: object) -> str:
    """A JSON text; empty where it is none."""
    return value if isinstance(value, str) else ""
