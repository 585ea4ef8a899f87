"""Flat shapes for the sample blog's pictures, and the colours they share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT = 1200, 630
SMOOTH = 3  # drawn this many times larger, then scaled down: that is what softens the edges

TEAL, LAGOON, MIST = "#0f4c5c", "#3a7d8c", "#a9c7c4"
CLAY, AMBER, PEACH, RUST = "#e36414", "#f2a65a", "#f7d0a8", "#a8430c"
SAND, DUNE = "#f4ece0", "#e3d3b8"
MOSS, FERN, INK, NIGHT = "#5f7a61", "#93a98a", "#1f2933", "#16212b"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Flat shapes in the picture's own pixels, whatever the drawing is scaled by."""

    pen: "ImageDraw"

    def fill(self, colour: str) -> None:
        """Cover everything."""
        self.box(0, 0, WIDTH, HEIGHT, colour)

    def shape(self, points: Iterable[Point], colour: str) -> None:
        """A filled outline."""
        self.pen.polygon([(x * SMOOTH, y * SMOOTH) for x, y in points], fill=colour)

    def box(  # noqa: PLR0917 - corners read best in a row
        self, x0: float, y0: float, x1: float, y1: float, colour: str, r: float = 0
    ) -> None:
        """A rectangle between two corners, its own rounded by `r`."""
        area = (x0 * SMOOTH, y0 * SMOOTH, x1 * SMOOTH - 1, y1 * SMOOTH - 1)
        self.pen.rounded_rectangle(area, r * SMOOTH, fill=colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        """An ellipse by its centre and radii."""
        area = ((x - rx) * SMOOTH, (y - ry) * SMOOTH, (x + rx) * SMOOTH, (y + ry) * SMOOTH)
        self.pen.ellipse(area, fill=colour)

    def disc(self, x: float, y: float, r: float, colour: str) -> None:
        """A circle by its centre and radius; a colour of eight digits is see-through."""
        self.oval(x, y, r, r, colour)

    def stroke(self, points: Iterable[Point], width: float, colour: str) -> None:
        """A line with round ends and joints, as thread has."""
        path = list(points)
        scaled = [(x * SMOOTH, y * SMOOTH) for x, y in path]
        self.pen.line(scaled, fill=colour, width=round(width * SMOOTH))
        for x, y in path:  # the pen's own joints leave cracks in a wide curve
            self.disc(x, y, width / 2 - 0.3, colour)


def curve(height: Callable[[float], float], x0: float, x1: float, step: float = 6) -> list[Point]:
    """Points along a curve, from left to right."""
    count = int((x1 - x0) / step) + 1
    return [(x0 + i * step, height(x0 + i * step)) for i in range(count)]


def under(points: Sequence[Point]) -> list[Point]:
    """The area between a curve and the foot of the picture."""
    return [*points, (points[-1][0], HEIGHT), (points[0][0], HEIGHT)]


def arc(x: float, y: float, rx: float, ry: float, start: float) -> list[Point]:
    """Half an ellipse, clockwise from an angle."""
    angles = [start + t * pi / 60 for t in range(61)]
    return [(x + rx * cos(a), y + ry * sin(a)) for a in angles]


def sheet(x: float, y: float, tilt: float) -> list[Point]:
    """A leaf of paper, turned by an angle."""
    corners = [(-34, -24), (34, -24), (34, 24), (-34, 24)]
    return [
        (x + u * cos(tilt) - v * sin(tilt), y + u * sin(tilt) + v * cos(tilt)) for u, v in corners
    ]


def dome(rx: float, ry: float) -> list[Point]:
    """Half a round, fuller in the shoulder than a circle, as dough is."""
    angles = [t * pi / 80 for t in range(81)]
    across = [abs(cos(a)) ** 0.8 * (1 if cos(a) > 0 else -1) for a in angles]
    return [(600 + rx * u, 454 - ry * sin(a) ** 0.8) for u, a in zip(across, angles, strict=True)]


def cut(x: float, y: float, lean: float) -> list[Point]:
    """A baker's cut: pointed at both ends, leaning outwards."""
    steps = [t / 20 for t in range(-20, 21)]
    left = [(x - lean * t * 0.6 - 13 * (1 - t * t), y + 74 * t) for t in steps]
    right = [(x - lean * t * 0.6 + 13 * (1 - t * t), y + 74 * t) for t in reversed(steps)]
    return left + right


def ring(x: float, y: float, r: float, turn: float) -> list[Point]:
    """A rounded, uneven outline, as a contour has."""
    around = [t * pi / 60 for t in range(120)]
    radii = [r * (1 + 0.16 * sin(2 * t + turn) + 0.08 * sin(3 * t - turn)) for t in around]
    return [(x + 1.35 * q * cos(t), y + q * sin(t)) for q, t in zip(radii, around, strict=True)]
