"""The sample blog's pictures, one function each: threads and cloth, houses and doors, money."""

from collections.abc import Callable, Sequence
from math import cos, exp, pi, sin

from digest.sample.canvas import (
    AMBER,
    CLAY,
    DUNE,
    FERN,
    HEIGHT,
    INK,
    LAGOON,
    MIST,
    MOSS,
    NIGHT,
    PEACH,
    RUST,
    SAND,
    TEAL,
    WIDTH,
    Canvas,
    arc,
    curve,
    cut,
    dome,
    ring,
    sheet,
    under,
)


def threads(c: Canvas) -> None:
    """Many threads drawn together through one ring, and let go again."""
    c.fill(SAND)
    c.stroke(arc(790, 315, 40, 118, -pi / 2), 15, INK)
    colours = [TEAL, CLAY, MOSS, AMBER, INK, LAGOON, CLAY, MIST, MOSS]
    for n, colour in enumerate(colours):

        def height(x: float, n: int = n) -> float:
            spread = 18 + 50 * (1 - exp(-(((x - 790) / 300) ** 2)))
            return 315 + (n - 4) * spread + 34 * sin(x / 150 + n * 0.42) * (spread - 16) / 52

        c.stroke(curve(height, -20, 1230, 3), 14, colour)
    c.stroke(arc(790, 315, 40, 118, pi / 2), 15, INK)


def weave(c: Canvas) -> None:
    """Strips over and under each other."""
    c.fill(TEAL)
    across = [CLAY, SAND, MOSS, AMBER]
    down = [LAGOON, SAND, MIST, LAGOON, DUNE, MIST, LAGOON, SAND]
    rows = [(38 + n * 146, 154 + n * 146) for n in range(len(across))]
    columns = [(30 + n * 146, 148 + n * 146) for n in range(len(down))]
    for (x0, x1), colour in zip(columns, down, strict=True):
        c.box(x0, 0, x1, HEIGHT, colour)
    for j, ((y0, y1), row) in enumerate(zip(rows, across, strict=True)):
        c.box(0, y0 - 9, WIDTH, y1 + 9, TEAL)
        c.box(0, y0, WIDTH, y1, row)
        for i, ((x0, x1), column) in enumerate(zip(columns, down, strict=True)):
            if (i + j) % 2:
                c.box(x0 - 9, y0 - 14, x1 + 9, y1 + 14, TEAL)
                c.box(x0, y0 - 14, x1, y1 + 14, column)


def hills(c: Canvas) -> None:
    """Hills behind a calm sea."""
    c.fill(SAND)
    c.disc(820, 300, 150, PEACH)
    c.disc(820, 300, 104, CLAY)
    c.shape(under(curve(lambda x: 300 - 70 * sin(x / 210 + 0.6), -6, 1206)), MIST)
    c.shape(under(curve(lambda x: 350 - 84 * sin(x / 260 + 2.6), -6, 1206)), FERN)
    c.shape(under(curve(lambda x: 400 - 62 * sin(x / 190 + 4.4), -6, 1206)), MOSS)
    c.box(0, 440, WIDTH, HEIGHT, TEAL)
    for x, y, length in [(120, 478, 210), (520, 466, 120), (760, 492, 260), (330, 520, 180)]:
        c.stroke([(x, y), (x + length, y)], 7, LAGOON)
    for x, y, length in [(690, 540, 300), (90, 566, 240), (980, 586, 130), (440, 596, 150)]:
        c.stroke([(x, y), (x + length, y)], 7, LAGOON)
    c.stroke([(776, 516), (866, 516)], 7, AMBER)


def house(c: Canvas, x: float, top: float, wall: str, roof: str, *, lit: Sequence[int]) -> None:
    """One house of a terrace, 180 wide, down to the pavement at 540."""
    c.box(x + 122, top - 96, x + 148, top - 20, roof)
    c.shape([(x - 8, top), (x + 90, top - 98), (x + 188, top)], roof)
    c.box(x, top, x + 180, 540, wall)
    for n, (dx, dy) in enumerate([(28, 36), (106, 36), (106, 150)]):
        glass = AMBER if n in lit else INK
        c.box(x + dx, top + dy, x + dx + 48, top + dy + 66, glass, 4)
        c.box(x + dx + 22, top + dy, x + dx + 26, top + dy + 66, wall)
    c.box(x + 28, 436, x + 76, 540, roof, 6)
    c.disc(x + 66, 492, 4, AMBER)


def houses(c: Canvas) -> None:
    """A terrace at dusk."""
    c.fill(PEACH)
    c.disc(600, 300, 240, "#fae3c8")
    terrace = [
        (252, LAGOON, TEAL, [0, 2]),
        (226, SAND, RUST, [1]),
        (262, MOSS, INK, [0, 1, 2]),
        (236, CLAY, RUST, [2]),
        (252, MIST, TEAL, [0]),
        (222, DUNE, INK, [1, 2]),
    ]
    for n, (top, wall, roof, lit) in enumerate(terrace):
        house(c, 50 + n * 184, top, wall, roof, lit=lit)
    c.box(0, 540, WIDTH, 560, FERN)
    c.box(0, 560, WIDTH, HEIGHT, TEAL)


def door(c: Canvas, x: float, colour: str, panel: str) -> None:
    """A tall arched door with two panels and a knob."""
    c.disc(x + 65, 205, 65, colour)
    c.box(x, 205, x + 130, 500, colour)
    c.box(x + 24, 220, x + 106, 330, panel, 8)
    c.box(x + 24, 356, x + 106, 476, panel, 8)
    c.disc(x + 112, 346, 7, SAND)


def doors(c: Canvas) -> None:
    """A row of closed doors, and one open."""
    c.fill(DUNE)
    c.box(0, 500, WIDTH, HEIGHT, MOSS)
    row = [(70, TEAL, LAGOON), (270, RUST, CLAY), (470, INK, TEAL), (1000, LAGOON, TEAL)]
    for x, colour, panel in row:
        door(c, x, colour, panel)
    c.shape([(740, 500), (870, 500), (990, HEIGHT), (690, HEIGHT)], PEACH)
    c.disc(805, 205, 65, SAND)
    c.box(740, 205, 870, 500, SAND)
    c.disc(805, 330, 42, AMBER)
    rise = curve(lambda x: 372 - 26 * sin((x - 700) / 52), 740, 870, 5)
    c.shape([*rise, (870, 500), (740, 500)], FERN)
    c.shape([*arc(740, 205, 88, 82, -pi)[:31], (740, 500), (652, 536)], CLAY)
    c.shape([(722, 226), (722, 330), (674, 338), (674, 224)], RUST)
    c.shape([(722, 358), (722, 478), (674, 496), (674, 366)], RUST)
    c.disc(664, 356, 6, SAND)


def ledger(c: Canvas) -> None:
    """Ruled lines, and a thread stitched through them."""
    c.fill(SAND)
    for n in range(11):
        c.box(0, 66 + n * 50, WIDTH, 69 + n * 50, MIST)
    for x, colour in [(170, AMBER), (182, AMBER), (900, PEACH), (1040, PEACH)]:
        c.box(x, 0, x + 3, HEIGHT, colour)
    for row, column, length in [(1, 0, 330), (2, 0, 250), (4, 0, 390), (7, 0, 300), (9, 0, 360)]:
        c.box(214 + column, 84 + row * 50, 214 + length, 100 + row * 50, DUNE, 8)
        c.box(930, 84 + row * 50, 1010, 100 + row * 50, DUNE, 8)

    def height(x: float) -> float:
        return 330 + 150 * sin(x / 172) * (0.55 + x / 2400)

    for x in range(-10, 960, 62):
        c.stroke(curve(height, x, x + 38, 2), 14, CLAY)
    eye = height(1012)
    c.disc(1012, eye, 15, INK)
    c.shape([(1004, eye + 12), (1020, eye - 12), (1172, eye + 112)], INK)
    c.disc(1012, eye, 7, SAND)
    c.stroke(curve(height, 976, 1014, 2), 9, CLAY)


def coins(c: Canvas, x: float, count: int) -> None:
    """A stack of coins that stands on the line at 510."""
    for n in range(count):
        y = 494 - n * 26
        c.oval(x, y, 74, 24, RUST)
        c.box(x - 74, y - 14, x + 74, y, RUST)
        c.oval(x, y - 14, 74, 24, CLAY)
    c.oval(x, 480 - (count - 1) * 26, 50, 14, AMBER)


def bars(c: Canvas) -> None:
    """Rising bars, and what there is to pay them with."""
    c.fill(SAND)
    for n in range(5):
        c.box(90, 130 + n * 76, 1110, 133 + n * 76, DUNE)
    colours = [MIST, FERN, LAGOON, MOSS, TEAL]
    for n, (tall, colour) in enumerate(zip([120, 168, 226, 300, 384], colours, strict=True)):
        c.box(120 + n * 118, 510 - tall, 204 + n * 118, 520, colour, 10)
    coins(c, 820, 5)
    coins(c, 1000, 3)
    c.box(0, 510, WIDTH, HEIGHT, TEAL)


def circles(c: Canvas) -> None:
    """Circles that share some of their ground."""
    c.fill(SAND)
    for x, y, r, colour in [
        (390, 300, 215, TEAL),
        (640, 350, 215, CLAY),
        (860, 280, 190, MOSS),
        (1030, 410, 118, AMBER),
        (180, 410, 112, LAGOON),
    ]:
        c.disc(x, y, r, f"{colour}d0")
    for x, y in [(515, 326), (752, 316), (964, 368), (246, 378)]:
        c.disc(x, y, 17, SAND)


def table(c: Canvas) -> None:
    """A table from above, with room for all."""
    c.fill(TEAL)
    c.disc(600, 315, 306, "#17596a")
    stools = [CLAY, SAND, MOSS, AMBER, MIST, CLAY, FERN, PEACH]
    for n, colour in enumerate(stools):
        angle = (n + 0.5) * pi / 4
        c.disc(600 + 246 * cos(angle), 315 + 246 * sin(angle), 46, colour)
    c.disc(600, 315, 190, DUNE)
    c.disc(600, 315, 174, SAND)
    for x, y, tilt in [(530, 250, 0.3), (694, 326, -0.5), (566, 402, -0.15)]:
        c.shape(sheet(x, y, tilt), MIST)
    for x, y, colour in [(640, 232, CLAY), (478, 330, MOSS), (650, 420, TEAL)]:
        c.disc(x, y, 21, colour)
        c.disc(x, y, 13, INK)


def loaf(c: Canvas) -> None:
    """A round loaf on a board."""
    c.fill(SAND)
    c.box(0, 470, WIDTH, HEIGHT, MOSS)
    c.box(230, 452, 970, 496, RUST, 22)
    c.shape(dome(300, 236), "#b5622a")
    c.shape(dome(272, 214), "#c87a3a")
    for x, lean in [(434, -70), (517, -34), (600, 0), (683, 34), (766, 70)]:
        c.shape(cut(x, 346 + abs(lean) * 0.36, lean), PEACH)
    for x in (520, 600, 680):
        c.stroke([(x + 14 * sin(y / 17), y) for y in range(64, 172, 2)], 9, DUNE)


def contour_map(c: Canvas) -> None:
    """Contours, a river and a path."""
    c.fill(SAND)
    tints = [DUNE, "#d3cfae", "#b8c0a0", FERN, MOSS]
    for n, tint in enumerate(tints):
        for x, y, size, turn in [(280, 250, 250, 0.4), (950, 410, 262, 2.1)]:
            c.shape(ring(x, y, size * (1 - n * 0.19), turn + n * 0.16), tint)
    river = [(640 + 90 * sin(y / 120) - y * 0.12, y) for y in range(-20, 660, 5)]
    c.stroke(river, 30, LAGOON)

    def height(x: float) -> float:
        return 330 + 110 * sin(x / 165 + 2.2) + x * 0.04

    for x in range(150, 1050, 46):
        c.stroke(curve(height, x, x + 24, 3), 11, CLAY)
    c.disc(140, height(140), 17, INK)
    c.disc(1074, height(1074), 24, INK)
    c.disc(1074, height(1074), 11, AMBER)


def night(c: Canvas) -> None:
    """A sleeping street with one window lit."""
    c.fill(INK)
    c.disc(930, 150, 76, SAND)
    c.disc(900, 132, 70, INK)
    for x, y in [(110, 90), (250, 170), (390, 70), (560, 140), (700, 60), (1100, 90), (1050, 250)]:
        c.disc(x, y, 4, DUNE)
    for x, top, wall in [(-30, 330, TEAL), (178, 290, "#17404d"), (386, 350, TEAL)]:
        c.shape([(x - 10, top), (x + 104, top - 88), (x + 218, top)], NIGHT)
        c.box(x, top, x + 208, 560, wall)
    for x, top, wall in [(594, 300, "#17404d"), (802, 340, TEAL), (1010, 310, "#17404d")]:
        c.shape([(x - 10, top), (x + 104, top - 88), (x + 218, top)], NIGHT)
        c.box(x, top, x + 208, 560, wall)
    for x, y in [(40, 390), (120, 390), (236, 350), (316, 350), (446, 410), (862, 400), (942, 400)]:
        c.box(x, y, x + 46, y + 64, NIGHT, 4)
    for r in (120, 84, 56):
        c.disc(737, 392, r, AMBER + "2c")
    for x, y in [(652, 360), (1070, 370), (1140, 370)]:
        c.box(x, y, x + 46, y + 64, NIGHT, 4)
    c.box(714, 360, 760, 424, AMBER, 4)
    c.box(0, 560, WIDTH, HEIGHT, NIGHT)


SCENES: dict[str, Callable[[Canvas], None]] = {
    "bars": bars,
    "circles": circles,
    "doors": doors,
    "hills": hills,
    "houses": houses,
    "ledger": ledger,
    "loaf": loaf,
    "map": contour_map,
    "night": night,
    "table": table,
    "threads": threads,
    "weave": weave,
}
