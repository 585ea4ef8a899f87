"""A post's picture is frozen so that it fits, or it is said in a sentence why it cannot be."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageDraw

from digest.errors import Refused, Unavailable
from digest.feeds.fetch import Fetched, FetchStatus
from digest.model import Picture
from digest.social import pictures
from digest.social.pictures import Frozen, Space, freeze, load

URL = "https://blog.example/a.jpg"
ROOMY = Space(10_000_000, ("image/jpeg", "image/png"))


def answering(body: bytes = b"", status: FetchStatus = FetchStatus.OK, **more):
    return lambda url: Fetched(status, url, body, **more)


def noisy(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """What no codec makes small, and the same each time."""
    image = Image.effect_mandelbrot((width, height), (-1.5, -1.0, 0.5, 1.0), 60)
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def half_and_half(left: str, right: str) -> Image.Image:
    image = Image.new("RGB", (80, 40), right)
    ImageDraw.Draw(image).rectangle((0, 0, 39, 39), fill=left)
    return image


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def close(pixel, wanted, by: int = 12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel, wanted, strict=True))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pictures"


@pytest.fixture
def frozen(folder):
    """Freeze what a server answers with, and load it: the picture, or what was said instead."""

    def freeze_and_load(content: bytes, space: Space = ROOMY) -> Picture | Refused | Unavailable:
        answer = freeze(URL, space, fetch=answering(content), folder=folder)
        if not isinstance(answer, Frozen):
            return answer
        picture = load(folder, answer.name, "A garden")
        assert picture is not None
        assert picture.media_type == answer.media_type
        assert (picture.width, picture.height) == (answer.width, answer.height)
        assert space.holds(len(picture.content), picture.media_type, picture.width, picture.height)
        return picture

    return freeze_and_load


def opened(picture: Picture) -> Image.Image:
    image = Image.open(BytesIO(picture.content))
    image.load()
    assert image.size == (picture.width, picture.height)
    return image


# --- what fits stays, what does not is made to ---------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_fits_stays_as_it_is(frozen, kind):
    content = encoded(noisy(60, 40), kind)
    assert frozen(content) == Picture(content, f"image/{kind.lower()}", "A garden", 60, 40)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "GIF"])
def test_a_kind_that_the_network_does_not_take_becomes_a_jpeg(frozen, kind):
    picture = frozen(encoded(half_and_half("red", "blue"), kind))
    assert picture.media_type == "image/jpeg"
    assert close(opened(picture).getpixel((10, 20)), (255, 0, 0))


def test_too_many_bytes_are_made_fewer(frozen):
    picture = frozen(encoded(noisy(800, 600), quality=100), Space(20_000, ("image/jpeg",)))
    assert len(picture.content) <= 20_000
    assert picture.width / picture.height == pytest.approx(4 / 3, rel=0.02)
    assert picture.width >= 200


def test_too_many_pixels_are_made_fewer(frozen):
    picture = frozen(encoded(noisy(400, 300)), Space(10_000_000, ("image/jpeg",), pixels=30_000))
    assert 25_000 < picture.width * picture.height <= 30_000


def test_what_is_made_smaller_is_no_larger_than_networks_show(frozen):
    picture = frozen(encoded(Image.new("L", (5000, 50)), "GIF"))
    assert (picture.width, picture.height) == (4096, 40)


def test_the_same_picture_is_made_into_the_same_bytes(folder):
    content, space = encoded(noisy(300, 200, "RGBA"), "PNG"), Space(5_000, ("image/jpeg",))
    names = {
        freeze(URL, space, fetch=answering(content), folder=where).name
        for where in (folder, folder / "other")
    }
    assert len(names) == 1


def test_a_turned_picture_is_set_upright(frozen):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = frozen(encoded(half_and_half("red", "blue"), exif=exif, quality=95))
    image = opened(picture)
    assert image.size == (40, 80)
    assert close(image.getpixel((20, 10)), (255, 0, 0))
    assert close(image.getpixel((20, 70)), (0, 0, 255))
    assert ExifTags.Base.Orientation not in image.getexif()


def test_where_it_was_taken_is_not_told_on(frozen):
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (51.0, 30.0, 0.0)}
    exif[ExifTags.Base.Artist] = "Somebody"
    content = encoded(noisy(60, 40), exif=exif)
    assert b"Somebody" in content
    picture = frozen(content)
    assert b"Somebody" not in picture.content
    assert not opened(picture).getexif()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_a_camera_wrote_wrongly_does_not_cost_the_picture(frozen, kind):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    broken = exif.tobytes().replace(b"II*\0", b"II?\0").replace(b"MM\0*", b"MM\0?")
    picture = frozen(encoded(half_and_half("red", "blue"), kind, exif=broken))
    assert (picture.width, picture.height) == (80, 40)


def test_colours_keep_their_meaning(frozen):
    content = encoded(noisy(60, 40), "WEBP", icc_profile=b"a small profile")
    assert opened(frozen(content)).info["icc_profile"] == b"a small profile"


def test_a_profile_that_would_fill_the_room_is_left_out(frozen):
    content = encoded(noisy(60, 40), "WEBP", icc_profile=b"p" * 200_000)
    assert "icc_profile" not in opened(frozen(content)).info


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_laid_on_white(frozen, mode):
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}
    picture = frozen(encoded(image, "PNG", **options), Space(10_000, ("image/jpeg",)))
    assert close(opened(picture).getpixel((10, 10)), (255, 255, 255))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_becomes_a_picture(frozen, mode):
    image = half_and_half("red", "blue").convert("L").convert(mode.replace("I;16", "I"))
    if mode == "I;16":
        image = image.point(lambda value: value * 257).convert("I;16")
    content = encoded(image, "JPEG" if mode == "CMYK" else "PNG")
    space = Space(10_000, ("image/jpeg",), pixels=3000)
    pixels = opened(frozen(content, space)).convert("L")
    assert abs(pixels.getpixel((10, 10)) - 76) < 60
    assert pixels.getpixel((10, 10)) != pixels.getpixel((60, 10)) or mode == "1"


def test_a_telephones_jpeg_with_a_second_picture_becomes_the_first(frozen):
    content = encoded(noisy(60, 40), "MPO", save_all=True, append_images=[noisy(30, 20)])
    picture = frozen(content)
    assert (picture.width, picture.height, picture.media_type) == (60, 40, "image/jpeg")
    assert len(picture.content) < len(content)


def test_a_moving_gif_stays_where_it_may(frozen):
    content = moving("GIF")
    assert frozen(content, Space(10_000, ("image/jpeg", "image/gif"))).content == content


# --- what cannot be taken ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_what_moves_is_not_silently_stopped(frozen, kind):
    answer = frozen(moving(kind), Space(10_000, ("image/jpeg",)))
    assert answer == Refused(f"the picture {URL} is animated, and cannot be taken as it is")


def png_of(width: int, height: int) -> bytes:
    """A few bytes that promise very many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + idat + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_a_bomb_is_never_opened(frozen, side):
    answer = frozen(png_of(side, side))
    assert answer == Refused(f"the picture {URL} has more than 50 million pixels")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a picture"),
        (b"<!doctype html><title>Sign in</title>", "is not a picture"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
        (encoded(noisy(60, 40))[:-200], "is not a picture"),
        (encoded(noisy(60, 40), "PNG")[:-200], "is not a picture"),
        (encoded(noisy(60, 40), "TIFF"), "is not a picture"),
    ],
    ids=["nothing", "page", "svg", "eps", "cut jpeg", "cut png", "tiff"],
)
def test_what_is_no_picture_is_refused_by_name(frozen, content, words):
    answer = frozen(content)
    assert isinstance(answer, Refused)
    assert f"the picture {URL} {words}" in answer.reason


def test_what_cannot_be_made_small_enough_is_refused(frozen):
    answer = frozen(encoded(noisy(400, 300)), Space(200, ("image/jpeg",)))
    assert answer == Refused(f"the picture {URL} cannot be made to fit")


@pytest.mark.parametrize(
    ("status", "more", "kind"),
    [
        (FetchStatus.GONE, {"reason": "answered 410 Gone"}, Refused),
        (FetchStatus.MISSING, {"reason": "answered 404 Not Found"}, Refused),
        (FetchStatus.FAILED, {"reason": "is larger than 15 MB", "lasting": True}, Refused),
        (FetchStatus.FAILED, {"reason": "answered 502 Bad Gateway"}, Unavailable),
        (FetchStatus.FAILED, {"reason": "did not answer", "silent": True}, Unavailable),
        (FetchStatus.THROTTLED, {"reason": "answered 429 Too Many Requests"}, Unavailable),
    ],
)
def test_what_the_server_answered_decides_whether_it_is_asked_again(folder, status, more, kind):
    answer = freeze(URL, ROOMY, fetch=answering(status=status, **more), folder=folder)
    assert answer == kind(f"the picture {URL} {more['reason']}")


# --- the file ------------------------------------------------------------------------------------


def test_the_file_is_ours_alone_and_nothing_lies_beside_it(folder):
    answer = freeze(URL, ROOMY, fetch=answering(encoded(noisy(60, 40))), folder=folder)
    assert [path.name for path in folder.iterdir()] == [answer.name]
    assert (folder / answer.name).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_may_be_put_right(tmp_path):
    (tmp_path / "file").write_text("")
    fetch = answering(encoded(noisy(60, 40)))
    answer = freeze(URL, ROOMY, fetch=fetch, folder=tmp_path / "file")
    assert isinstance(answer, Unavailable)
    assert f"the picture {URL} cannot be kept" in answer.reason


def test_a_file_that_is_gone_or_no_longer_whole_is_not_loaded(folder):
    name = freeze(URL, ROOMY, fetch=answering(encoded(noisy(60, 40))), folder=folder).name
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    assert load(folder, name, "") is None
    (folder / name).unlink()
    assert load(folder, name, "") is None


@pytest.mark.parametrize("name", ["../secret", "", f"{'a' * 64}.exe", f"{'a' * 64}", "a.jpg"])
def test_only_a_name_that_was_given_is_loaded(folder, name):
    assert load(folder, name, "") is None


# --- whatever a server sends ---------------------------------------------------------------------

EXIF = Image.Exif()
EXIF[ExifTags.Base.Orientation] = 3
EXIF[ExifTags.Base.Artist] = "Somebody"
SEEDS = [
    encoded(noisy(24, 16), exif=EXIF),
    encoded(noisy(24, 16), progressive=True),
    encoded(noisy(24, 16, "CMYK")),
    encoded(noisy(24, 16, "RGBA"), "PNG", exif=EXIF),
    encoded(noisy(24, 16, "P"), "PNG"),
    encoded(noisy(24, 16), "WEBP", exif=EXIF),
    encoded(noisy(24, 16), "AVIF", exif=EXIF),
    encoded(noisy(24, 16, "P"), "GIF"),
    encoded(noisy(24, 16), "MPO", save_all=True, append_images=[noisy(12, 8)]),
    moving("GIF"),
    moving("PNG"),
    moving("WEBP"),
]


@st.composite
def mutated(draw) -> bytes:
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        upto = at + draw(st.integers(0, 4))
        content[at:upto] = draw(st.binary(max_size=6))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


@settings(max_examples=150, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=300), mutated()),
    size=st.sampled_from([300, 100_000]),
    types=st.sampled_from(
        [("image/jpeg",), ("image/jpeg", "image/png", "image/gif", "image/webp")]
    ),
)
def test_nothing_that_a_server_sends_is_too_much(content, size, types):
    space = Space(size, types)
    made = pictures._fit(content, space)
    if not isinstance(made, str):
        assert space.holds(len(made.content), made.media_type, made.width, made.height)
        again = pictures._fit(made.content, space)
        assert again == made
