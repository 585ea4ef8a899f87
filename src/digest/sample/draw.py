"""Draws the sample blog's pictures: `python -m digest.sample.draw [FOLDER]`.

Run by hand when a picture changes; the pictures themselves are kept in the repository, so that
Pillow is needed to draw them and never to serve them.
"""

import sys
from pathlib import Path

from digest.sample.canvas import HEIGHT, SMOOTH, WIDTH, Canvas
from digest.sample.scenes import SCENES

COLOURS = 48  # enough for a dozen flat colours and their soft edges


def main(folder: Path) -> None:
    """Draw every picture into `folder`."""
    from PIL import Image, ImageDraw

    for name, scene in SCENES.items():
        image = Image.new("RGB", (WIDTH * SMOOTH, HEIGHT * SMOOTH))
        scene(Canvas(ImageDraw.Draw(image, "RGBA")))
        small = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        palette = small.quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE)
        palette.save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
