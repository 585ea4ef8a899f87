"""Drawings as values: where each line, bar and word of a chart stands, in units of its viewBox.

Nothing is markup here: templates write the SVG, escaped, and figures.css gives it its looks.
A chart is as wide as a phone; on a larger screen the drawing grows and its words do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 360
#: Lines that can be told apart, each by colour, dash and marker.
STYLES = 7

_LINE_HEIGHT = 230
#: Around the plot, for the words at its axes.
_RIGHT, _TOP, _BOTTOM = 10, 12, 40
_ROW, _BAR = 42, 16
#: Of a letter at the size that words have on a phone.
_LETTER = 7.9
#: What is there at all is seen.
_THINNEST = 3.0
#: Between two markers of a line.
_MARKED = 40
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, and its words one below the other."""

    at: float
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; `style` from 1 to STYLES."""

    name: str
    style: int
    #: For `<polyline points>`, and for the `<path d>` of its markers.
    points: str
    markers: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over time."""

    width: float
    height: float
    left: float
    right: float
    base: float
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar; `number` is empty where it would not fit."""

    kind: str
    x: float
    width: float
    number: str

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with its words above it: what it is on the left, how much on the right."""

    label: str
    said: str
    words_at: float
    bar_at: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars that lie below each other, and a limit to hold them against where there is one."""

    width: float
    height: float
    left: float
    right: float
    base: float
    thick: float
    across: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    limit: Tick | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a bar is to show: amounts by kind, in order."""

    label: str
    said: str
    amounts: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        return sum(amount for _, amount in self.amounts)


def nice_ticks(most: float, *, whole: bool = False, about: int = 4) -> tuple[float, ...]:
    """From 0 in steps of 1, 2 or 5 (and tens of them) to the first that is not below `most`."""
    if most <= 0:
        return (0, 1)
    rough = most / about
    power = 10.0 ** floor(log10(rough))
    # A hair of room: 0.3 / 3 is not 0.1.
    step = next(factor for factor in _STEPS if factor * power >= rough * (1 - 1e-9)) * power
    step = max(step, 1.0) if whole else step
    return tuple(round(step * number, 10) for number in range(ceil(most / step - 1e-9) + 1))


def number_words(value: float) -> str:
    """A number at an axis: "1,200", "0.05"."""
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def line_chart(
    lines: Sequence[tuple[str, Sequence[int]]],
    across: Iterable[tuple[int, tuple[str, ...]]],
    *,
    first_style: int = 1,
) -> LineChart:
    """Lines of equally many counts; `across` names some of their places, by index."""
    ticks = nice_ticks(max((max(values) for _, values in lines), default=0), whole=True)
    length = max(len(values) for _, values in lines)
    left = 8 + max(_length(number_words(value)) for value in ticks)
    width, height = WIDTH - left - _RIGHT, _LINE_HEIGHT - _TOP - _BOTTOM

    def x(index: int) -> float:
        return round(left + width * index / max(length - 1, 1), 1)

    def y(value: float) -> float:
        return round(_TOP + height * (1 - value / ticks[-1]), 1)

    return LineChart(
        width=WIDTH,
        height=_LINE_HEIGHT,
        left=round(left, 1),
        right=WIDTH - _RIGHT,
        base=y(0),
        across=_apart([Tick(x(index), words) for index, words in across]),
        up=tuple(Tick(y(value), (number_words(value),)) for value in ticks),
        lines=tuple(
            _line(name, style, [(x(i), y(value)) for i, value in enumerate(values)])
            for style, (name, values) in enumerate(lines, first_style)
        ),
    )


def swatch(style: int) -> Line:
    """A short piece of a line with its marker, for a legend: 32 by 12."""
    return Line("", style, "1,6 31,6", _marker(style, 16, 6))


def bar_chart(
    measured: Sequence[Measured],
    *,
    whole: bool = False,
    unit: str = "",
    limit: tuple[float, str] | None = None,
) -> BarChart:
    """Bars on one scale that has room for the limit, too."""
    longest = max((row.total for row in measured), default=0)
    ticks = nice_ticks(max(longest, limit[0] if limit else 0), whole=whole)
    left, right, top = 4.0, WIDTH - 14.0, 20 if limit else 2
    width = right - left

    def x(value: float) -> float:
        return round(left + width * value / ticks[-1], 1)

    base = top + _ROW * len(measured)
    return BarChart(
        width=WIDTH,
        height=base + 26,
        left=left,
        right=right,
        base=base,
        thick=_BAR,
        across=tuple(Tick(x(value), (number_words(value) + unit,)) for value in ticks),
        bars=tuple(
            Bar(
                label=_fit(row.label, width - _length(row.said) - 10),
                said=row.said,
                words_at=top + _ROW * index + 16,
                bar_at=top + _ROW * index + 22,
                pieces=tuple(_pieces(row, left, width / ticks[-1])),
            )
            for index, row in enumerate(measured)
        ),
        limit=Tick(x(limit[0]), (limit[1],)) if limit else None,
    )


# --- lines -------------------------------------------------------------------------------------


def _line(name: str, style: int, points: Sequence[tuple[float, float]]) -> Line:
    # Lines that run side by side have their markers at different places.
    shift = _MARKED * style / STYLES
    marked = [
        point
        for before, point in pairwise(points)
        if floor((before[0] + shift) / _MARKED) != floor((point[0] + shift) / _MARKED)
    ]
    return Line(
        name=name,
        style=style,
        points=" ".join(f"{x},{y}" for x, y in points),
        markers=" ".join(_marker(style, x, y) for x, y in marked or points[-1:]),
    )


def _marker(style: int, x: float, y: float) -> str:
    """A circle, square, triangle, diamond, cross, triangle on its tip, or bar."""
    shapes = (
        f"M{x - 3:.1f} {y:.1f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
        f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
        f"M{x:.1f} {y - 4:.1f}l4 7h-8z",
        f"M{x:.1f} {y - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
        f"M{x - 1:.1f} {y - 4:.1f}h2v3h3v2h-3v3h-2v-3h-3v-2h3z",
        f"M{x:.1f} {y + 4:.1f}l4 -7h-8z",
        f"M{x - 1.2:.1f} {y - 4.5:.1f}h2.4v9h-2.4z",
    )
    return shapes[(style - 1) % STYLES]


def _apart(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Without those whose words would run into the ones before."""
    kept: list[Tick] = []
    for tick in ticks:
        room = max(_length(word) for word in tick.words)
        if not kept or tick.at - kept[-1].at > room + 8:
            kept.append(tick)
    return tuple(kept)


# --- bars --------------------------------------------------------------------------------------


def _pieces(row: Measured, left: float, scale: float) -> Iterable[Piece]:
    at = left
    for kind, amount in row.amounts:
        if amount:
            width = round(max(amount * scale, _THINNEST), 1)
            number = number_words(amount)
            yield Piece(kind, round(at, 1), width, number if _length(number) + 6 < width else "")
            at += width


def _length(text: str) -> float:
    return len(text) * _LETTER


def _fit(text: str, room: float) -> str:
    """Cut in the middle, for the beginning and the end tell most: "weekly series:so… 2026-W47"."""
    most = int(room / _LETTER)
    if len(text) <= most:
        return text
    tail = min(9, most // 2)
    return f"{text[: most - tail - 1].rstrip()}…{text[-tail:]}"
