"""Snippets and slots as the commands show them."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from digest.cli.common import say

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

#: No line is longer, however wide the terminal.
_WIDEST = 100
_NARROWEST = 40
#: What is said of a snippet stands under its text.
_INDENT = " " * 7


def slot_words(slot: datetime, zone: tzinfo) -> str:
    """A slot on the wall clock of its channel."""
    return slot.astimezone(zone).strftime("%a %d %b %Y %H:%M %Z")


def say_text(text: str) -> None:
    """A snippet's text in full, its lines kept, set in."""
    for line in text.splitlines():
        say(wrapped(line, _INDENT, _INDENT))


def extra(words: str) -> None:
    """What goes along with a snippet's text."""
    say(wrapped(words, f"{_INDENT}+ ", f"{_INDENT}  "))


def wrapped(text: str, first: str, rest: str) -> str:
    """A line broken at words, as wide as the terminal; no link is cut."""
    width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
