"""Pictures as they are stored, of every mode and orientation, and what they look like."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from preprocessors.image import ImageOptions, ImagePreprocessor, open_image, to_rgb

LIMIT = 1_000_000

# How a displayed picture is stored under each EXIF orientation, by the definition of the tag
STORED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda shown: shown,
    2: lambda shown: shown[:, ::-1],
    3: lambda shown: shown[::-1, ::-1],
    4: lambda shown: shown[::-1],
    5: lambda shown: shown.swapaxes(0, 1),
    6: lambda shown: np.rot90(shown, 1),  # displayed by a quarter turn clockwise
    7: lambda shown: np.rot90(shown, 2).swapaxes(0, 1),
    8: lambda shown: np.rot90(shown, -1),
}
COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def raster(payload: bytes) -> NDArray[np.uint8]:
    return np.asarray(to_rgb(open_image(payload, LIMIT)))


def exif(value: int, order: str = "<", kind: int = 3) -> bytes:
    entry = struct.pack(f"{order}HHI{'H2x' if kind == 3 else 'I'}", 0x0112, kind, 1, value)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + magic + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_all_orientations_look_alike(orientation: int, kind: str, options: dict[str, Any]) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](COLOURS)))
    payload = encoded(stored, kind, exif=exif(orientation), **options)
    np.testing.assert_array_equal(raster(payload), COLOURS)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("shape", [(80, 121), (100, 4)])
@pytest.mark.parametrize("size", [32, 384])
def test_all_orientations_are_cropped_alike(orientation: int, shape: tuple[int, int], size: int) -> None:
    shown = np.asarray(Image.fromarray(COLOURS).resize(shape[::-1], Image.Resampling.BICUBIC))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](shown)))
    preprocessor = ImagePreprocessor(size=size)
    expected = preprocessor.decode(encoded(Image.fromarray(shown)), ImageOptions())
    sample = preprocessor.decode(encoded(stored, exif=exif(orientation)), ImageOptions())
    difference = np.abs(sample.array.astype(int) - expected.array)
    assert difference.max() <= 2
    assert difference.mean() < 0.2
    assert (sample.description["width"], sample.description["height"]) == shape[::-1]


@pytest.mark.parametrize(("order", "kind"), [("<", 3), (">", 3), ("<", 4), (">", 4)])
def test_orientation_is_read_in_both_byte_orders_and_widths(order: str, kind: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[6](COLOURS)))
    np.testing.assert_array_equal(raster(encoded(stored, exif=exif(6, order, kind))), COLOURS)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0XX*\0\0\0\0\x08",
        exif(6)[:20],
        exif(0),
        exif(9),
        exif(6).replace(b"\x08", b"\xf0"),
    ],
)
def test_a_broken_exif_block_is_no_reason_to_refuse_a_picture(block: bytes) -> None:
    np.testing.assert_array_equal(raster(encoded(Image.fromarray(COLOURS), exif=block)), COLOURS)


def test_photos_of_all_orientations_look_alike(shared_path: Callable[[str], Path]) -> None:
    folder, preprocessor = shared_path("data/image/exif_orientation"), ImagePreprocessor(size=64)
    for kind, number in (("Landscape", 1), ("Portrait", 2)):
        files = [path.read_bytes() for path in sorted(folder.glob(f"{kind}_*.jpg"))]
        samples = [preprocessor.decode(payload, ImageOptions()) for payload in files]
        assert len(samples) > number
        assert len({(s.description["width"] > s.description["height"]) for s in samples}) == 1
        for sample in samples:
            assert np.abs(sample.array.astype(int) - samples[0].array).mean() < 4


def test_sixteen_bit_grey_keeps_its_range() -> None:
    values = np.linspace(0, 65535, 1000).astype(np.uint16)[None].repeat(2, 0)
    grey = raster(encoded(Image.fromarray(values)))
    np.testing.assert_array_equal(grey, np.round(values / 257).astype(np.uint8)[..., None].repeat(3, 2))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_wide_grey_of_every_layout_is_scaled(mode: str) -> None:
    grey = to_rgb(Image.new(mode, (3, 2), 40_000))
    assert (np.asarray(grey) == 156).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_opaque_modes_keep_their_colours(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    np.testing.assert_array_equal(raster(encoded(image)), np.asarray(image.convert("RGB")))


def test_cmyk_is_shown_in_the_colours_it_prints() -> None:
    cyan = raster(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG"))
    assert np.abs(cyan.astype(int) - (0, 255, 255)).max() <= 2


def test_transparency_shows_white_whatever_colour_it_hides() -> None:
    black, red = (Image.new("RGBA", (2, 1), (*colour, 0)) for colour in ((0, 0, 0), (255, 0, 0)))
    assert (raster(encoded(black)) == 255).all()
    assert (raster(encoded(red)) == 255).all()


def test_half_transparent_colours_are_mixed_with_white() -> None:
    pixel = raster(encoded(Image.new("RGBA", (1, 1), (255, 0, 100, 128))))[0, 0]
    np.testing.assert_allclose(pixel, (255, 127, 177), atol=1)
    pixel = raster(encoded(Image.new("LA", (1, 1), (0, 64))))[0, 0]
    np.testing.assert_allclose(pixel, (191, 191, 191), atol=1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_white(kind: str) -> None:
    image = Image.new("P", (2, 1), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), 0)
    pixels = raster(encoded(image, kind, transparency=0))
    np.testing.assert_array_equal(pixels[0], [(255, 255, 255), (40, 50, 60)])


def test_the_first_frame_of_an_animation_is_shown() -> None:
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "WEBP", "PNG"):
        options = {} if kind == "GIF" else {"lossless": True}
        payload = encoded(first, kind, save_all=True, append_images=[second], **options)
        np.testing.assert_array_equal(raster(payload), np.broadcast_to((255, 0, 0), (4, 4, 3)))
