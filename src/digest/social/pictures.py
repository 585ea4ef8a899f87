"""A post's picture: fetched once, made to fit, and frozen as a file.

What is uploaded, and uploaded again after a crash, is then the same to the byte, whatever became
of the picture at the blog meanwhile. A file is named by the hash of what is in it.
"""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from digest.errors import Refused, Unavailable
from digest.feeds.fetch import FetchStatus
from digest.files import replace_bytes, sync_folder
from digest.model import Picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

    from digest.feeds.fetch import Fetched

#: In pixels. A camera's best; what is larger is a mistake, or meant to fill our memory.
MAX_PIXELS = 50_000_000
#: In pixels: no network shows more, so a picture that is made smaller anyway keeps no more.
MAX_SIDE = 4096
#: In pixels: below this nothing is to be seen any more.
MIN_SIDE = 100
#: The least that a next try is smaller by.
_STEP = 0.9
_QUALITY = 85
#: In bytes: a colour space that people's pictures have; a press's takes up a whole card.
_MAX_PROFILE = 64 * 1024

_TOO_MANY = f"has more than {MAX_PIXELS // 1_000_000} million pixels"
_GONE = frozenset({FetchStatus.GONE, FetchStatus.MISSING})
_JPEG = "image/jpeg"
#: By Pillow's names. All that is ever tried on what a server sent: Pillow knows formats that
#: start other programs.
_MEDIA_TYPES = {
    "JPEG": _JPEG,
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
}
_SUFFIXES = {
    _JPEG: ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
}
_TYPES_BY_SUFFIX = {suffix: media_type for media_type, suffix in _SUFFIXES.items()}
_NAME = re.compile(r"([0-9a-f]{64})(\.[a-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Space:
    """What a picture has to fit into."""

    bytes: int
    #: "image/jpeg", ...
    media_types: tuple[str, ...]
    #: Width times height; None where nothing is said.
    pixels: int | None = None

    def holds(self, size: int, media_type: str, width: int, height: int) -> bool:
        """Whether a picture of `size` bytes may stay as it is."""
        within = self.pixels is None or width * height <= self.pixels
        return within and size <= self.bytes and media_type in self.media_types


@dataclass(frozen=True, slots=True)
class Frozen:
    """A picture that lies in the folder under `name`: "<sha256>.jpg"."""

    name: str
    media_type: str
    #: In pixels.
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Made:
    content: bytes
    media_type: str
    width: int
    height: int


def freeze(
    url: str, space: Space, *, fetch: Callable[[str], Fetched], folder: Path
) -> Frozen | Refused | Unavailable:
    """Fetch a picture, make it fit `space` and keep it in `folder`.

    Refused says what is wrong with the picture, in a sentence; Unavailable may be asked again.
    """
    fetched = fetch(url)
    if fetched.status is not FetchStatus.OK:
        reason = f"the picture {url} {fetched.reason}"
        lasting = fetched.lasting or fetched.status in _GONE
        return Refused(reason) if lasting else Unavailable(reason)
    made = _fit(fetched.body, space)
    if isinstance(made, str):
        return Refused(f"the picture {url} {made}")
    try:
        return _keep(made, folder)
    except OSError as error:
        return Unavailable(f"the picture {url} cannot be kept: {error.strerror or error}")


def load(folder: Path, name: str, alt: str) -> Picture | None:
    """The picture that was frozen under `name`; None where it is not there any more, or not whole.

    A power cut may leave a name with nothing in it.
    """
    from PIL import Image

    named = _NAME.fullmatch(name)
    media_type = _TYPES_BY_SUFFIX.get(named[2]) if named else None
    if named is None or media_type is None:
        return None
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).hexdigest() != named[1]:
        return None
    with Image.open(BytesIO(content), formats=tuple(_MEDIA_TYPES)) as image:
        return Picture(content, media_type, alt, image.width, image.height)


def _keep(made: _Made, folder: Path) -> Frozen:
    name = hashlib.sha256(made.content).hexdigest() + _SUFFIXES[made.media_type]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_bytes(folder / name, made.content, mode=0o600)
    sync_folder(folder)
    return Frozen(name, made.media_type, made.width, made.height)


def _fit(content: bytes, space: Space) -> _Made | str:
    """The picture within `space`, or what is wrong with it."""
    from PIL import Image

    with warnings.catch_warnings():
        # Of what is odd in a picture, and of bombs below Pillow's limit but not below ours.
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(content), formats=tuple(_MEDIA_TYPES)) as image:
                return _fit_image(image, content, space)
        except Image.DecompressionBombError:
            return _TOO_MANY
        except Exception as error:  # noqa: BLE001  for a broken file, decoders raise just anything
            return _unreadable(content, error)


def _unreadable(content: bytes, error: Exception) -> str:
    if b"<svg" in content[:1024].lower():
        return "is an SVG drawing, which no network takes"
    return f"is not a picture that can be read ({type(error).__name__})"


def _fit_image(image: ImageFile, content: bytes, space: Space) -> _Made | str:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return _TOO_MANY
    media_type = _MEDIA_TYPES.get(image.format or "", "")
    fits = space.holds(len(content), media_type, width, height)
    # A telephone's JPEG may hold a second picture behind the first: "MPO".
    animated = image.format in _MEDIA_TYPES and getattr(image, "is_animated", False)
    if animated and not fits:
        return "is animated, and cannot be taken as it is"
    # A file that breaks off is found out here, not by the network.
    image.load()
    if fits and (animated or _is_plain(image)):
        return _Made(content, media_type, width, height)
    return _encode(_flatten(image), space)


def _is_plain(image: Image) -> bool:
    """Whether it stands upright by itself, and tells nobody where it was taken."""
    from PIL import ExifTags

    # What a camera, or a program after it, wrote wrongly is no fault of the picture.
    with suppress(Exception):
        exif = image.getexif()
        turned = exif.get(ExifTags.Base.Orientation, 1) != 1
        return not turned and ExifTags.IFD.GPSInfo not in exif
    return False


def _encode(image: Image, space: Space) -> _Made | str:
    """As a JPEG, as large as `space` allows; the same bytes whenever it is done."""
    longest = max(image.size)
    scale = _first_scale(*image.size, space.pixels)
    while True:
        width, height = _scaled(*image.size, scale)
        content = _jpeg(image, width, height)
        if space.holds(len(content), _JPEG, width, height):
            return _Made(content, _JPEG, width, height)
        scale *= min(_STEP, math.sqrt(space.bytes / len(content)))
        if longest * scale < MIN_SIDE:
            return "cannot be made to fit"


def _first_scale(width: int, height: int, pixels: int | None) -> float:
    scale = min(1.0, MAX_SIDE / max(width, height))
    if pixels is None:
        return scale
    return min(scale, math.sqrt(pixels / (width * height)))


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, int(width * scale)), max(1, int(height * scale))


def _jpeg(image: Image, width: int, height: int) -> bytes:
    from PIL.Image import Resampling

    profile = image.info.get("icc_profile")
    if image.size != (width, height):
        image = image.resize((width, height), Resampling.LANCZOS, reducing_gap=3)
    out = BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, optimize=True, icc_profile=profile)
    return out.getvalue()


def _flatten(image: Image) -> Image:
    """Upright, on white, in red, green and blue; nothing more is told of it than its colours."""
    from PIL import ImageOps
    from PIL.Image import new

    profile = image.info.get("icc_profile", b"") if image.mode in {"RGB", "RGBA"} else b""
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        # Pillow takes sixteen bits for eight, and nearly all of it for white.
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        flat = new("RGB", image.size, "white")
        flat.paste(image, mask=image)
    else:
        flat = image.convert("RGB")
    flat.info = {"icc_profile": profile} if 0 < len(profile) <= _MAX_PROFILE else {}
    return flat
