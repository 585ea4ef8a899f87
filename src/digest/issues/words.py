"""How times, periods and texts are put into words: what templates call, pure and in English.

Month names are written here and not asked of the C locale, so that equal content gives equal
bytes on every machine.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from digest.issues.period import period_days

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from digest.issues.content import IssueContent
    from digest.model import Image

Value = TypeVar("Value")

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_TO = "\N{EN DASH}"
#: Looks forgotten before an ellipsis.
_LOOSE_END = " ,;:-\N{EN DASH}\N{EM DASH}"
_ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}
_CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
#: Languages that are written from right to left.
_LEFTWARD = frozenset(("ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"))


def period_label(period: str, scheduled_at: datetime, time_zone: str) -> str:
    """The period in words: "16 to 22 November 2026" with a dash for the "to", "November 2026".

    The issue's own day for the rhythm each-post, whose periods are posts.
    """
    if period.startswith("post:"):
        return day(scheduled_at, time_zone)
    first, last = period_days(period)
    label = _week(first, last) if "W" in period else f"{_MONTHS[first.month - 1]} {first.year}"
    _, _, edition = period.partition(".")
    return label + (_edition(int(edition)) if edition else "")


def day(moment: datetime, time_zone: str) -> str:
    """The day of a moment in the newsletter's zone: "9 November 2026"."""
    local = moment.astimezone(ZoneInfo(time_zone))
    return _day(local.date())


def direction(language: str) -> str:
    """Which way the language is written: "ltr" or "rtl", for HTML's dir."""
    return "rtl" if language.split("-", maxsplit=1)[0].lower() in _LEFTWARD else "ltr"


def line(text: str) -> str:
    """The text as one line: white space folded, control characters gone."""
    return " ".join(_CONTROLS.sub("", text).split())


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a plain text, each as one line; blank lines part them."""
    found = (line(part) for part in re.split(r"\r?\n[ \t]*\r?\n", text))
    return [part for part in found if part]


def shorten(text: str, most: int) -> str:
    """At most `most` characters: cut at a word, with an ellipsis where something is left out."""
    text = line(text)
    if len(text) <= most:
        return text
    head, space, _ = text[:most].rpartition(" ")
    return (head if space else text[: most - 1]).rstrip(_LOOSE_END) + "…"


def fit(image: Image, width: int, height: int) -> tuple[int, int]:
    """The image's width and height in CSS pixels where it must fit a box, never enlarged.

    The box's width, and 0 for the height, where the image's own size is unknown.
    """
    if not (image.width and image.height):
        return width, 0
    scale = min(1.0, width / image.width, height / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def in_lines(content: IssueContent) -> IssueContent:
    """The content with every text as one line, but for the introduction.

    So no template can let a title forge a header, a paragraph or a line of its own.
    """
    flat = _in_lines(content)
    return replace(flat, introduction="\n\n".join(paragraphs(content.introduction)))


def texts(value: object) -> Iterator[str]:
    """Every text in a value, each paragraph as one line."""
    if isinstance(value, str):
        yield from paragraphs(value)
    elif isinstance(value, tuple):
        for each in value:
            yield from texts(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


def _in_lines(value: Value) -> Value:
    if isinstance(value, str):
        return line(value)  # type: ignore[return-value]  # str is what Value is here
    if isinstance(value, tuple):
        return tuple(_in_lines(each) for each in value)  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        changes: dict[str, Any] = {f.name: _in_lines(getattr(value, f.name)) for f in fields(value)}
        return replace(value, **changes)
    return value


def _week(first: date, last: date) -> str:
    if first.month == last.month:
        return f"{first.day}{_TO}{_day(last)}"
    return f"{_day(first, with_year=first.year != last.year)} {_TO} {_day(last)}"


def _day(moment: date, *, with_year: bool = True) -> str:
    label = f"{moment.day} {_MONTHS[moment.month - 1]}"
    return f"{label} {moment.year}" if with_year else label


def _edition(number: int) -> str:
    return f", {_ORDINALS[number]} edition" if number in _ORDINALS else f", edition {number}"
