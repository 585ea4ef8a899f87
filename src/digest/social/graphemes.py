"""What a reader sees as one character."""

from __future__ import annotations


def graphemes(text: str) -> list[str]:
    """Unicode's extended grapheme clusters."""
    import regex  # type: ignore[import-untyped]  # it ships no types

    found: list[str] = regex.findall(r"\X", text)
    return found
