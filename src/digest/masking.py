"""Takes addresses out of what others say, before it is logged or stored."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")


def mask(text: str) -> str:
    """The text with everything that looks like an e-mail address made unreadable."""
    return _ADDRESS.sub("<address>", text)


def said(text: str, most: int = 500) -> str:
    """What somebody else said, in one line without addresses, of so many characters at most."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # An address that is cut is none any more: the word in which the cut falls goes whole.
    kept = shown if len(shown) <= 4 * most else shown[: 4 * most].rpartition(" ")[0]
    return mask(kept)[:most]
