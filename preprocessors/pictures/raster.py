"""Encoded pictures -> upright RGB rasters, from bytes that nobody vouches for."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from preprocessors.base import TooLarge, UndecodableInput
from preprocessors.faults import refused
from preprocessors.formats import recognise
from preprocessors.pictures.jpeg import check_structure
from preprocessors.pictures.orientation import orientation, upright

# Pillow can open forty formats; these are the ones that people upload. TIFF is left out: libtiff is a large thing to
# show to strangers, and prints what it thinks of a file on stderr.
READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
FORMATS = {
    "JPEG": re.compile(rb"\xff\xd8\xff").match,
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n").match,
    "WEBP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL).match,
    "BMP": re.compile(rb"BM").match,
    "GIF": re.compile(rb"GIF8[79]a").match,
}
# What Pillow and the decoders under it raise on broken files, and on those that unpack to more than it bears
FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
WIDEST_VALUE = 65535
WHITE = (255, 255, 255)
FILTERS = RLock()


def open_image(payload: bytes, max_pixels: int) -> Image.Image:
    """Read the header only, and refuse what would be costly to go on with. Call within `decoder_faults`."""
    name = recognise(payload, FORMATS, "image")
    if name == "JPEG":
        check_structure(payload)
    if name == "WEBP":  # whose reader allocates the whole canvas as it opens
        _check_pixels(*_webp_size(payload), max_pixels)
    image = READERS[name](io.BytesIO(payload))
    _check_pixels(*image.size, max_pixels)
    return image


def stored_rgb(image: Image.Image) -> Image.Image:
    """Decode the first frame as it is stored, in RGB with eight bits a channel. Call within `decoder_faults`."""
    image.load()
    if image.mode.startswith("I"):
        return _narrowed(image).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def to_rgb(image: Image.Image) -> Image.Image:
    """The same, upright."""
    return upright(stored_rgb(image), orientation(image))


@contextmanager
def decoder_faults() -> Iterator[None]:
    """Turn whatever Pillow raises into a PayloadError, and what it warns of into nothing, whoever asks for errors.

    Warning filters belong to the whole process: threads take turns, so that each puts back what it found.
    """
    memory = "the decoder ran out of memory on this picture: scale it down and send it again"
    with refused(BOMBS, _bomb, memory), refused(FAULTS, _refusal, memory), FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _bomb(error: Exception) -> TooLarge:
    return TooLarge("too_many_pixels", f"{error}: scale the picture down and send it again")


def _refusal(error: Exception) -> UndecodableInput:
    detail = f"the picture cannot be decoded ({error}): the file is damaged or incomplete, export it again"
    return UndecodableInput("undecodable_input", detail)


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        detail = f"{width} x {height} is {width * height} pixels, at most {max_pixels} are decoded: scale it down"
        raise TooLarge("too_many_pixels", detail, max_pixels, width * height)


def _webp_size(payload: bytes) -> tuple[int, int]:
    """Width and height from the first chunk: extended, lossless or lossy."""
    kind = payload[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(payload[24:27], "little"), 1 + int.from_bytes(payload[27:30], "little")
    if kind == b"VP8L":
        sides = int.from_bytes(payload[21:25], "little")
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    return int.from_bytes(payload[26:28], "little") & 0x3FFF, int.from_bytes(payload[28:30], "little") & 0x3FFF


def _narrowed(image: Image.Image) -> Image.Image:
    """Sixteen-bit grey -> eight; Pillow's own conversion saturates at 255 and leaves an almost white picture."""
    values = np.asarray(image).clip(0, WIDEST_VALUE).astype(np.float32)
    return Image.fromarray((values * (255 / WIDEST_VALUE) + 0.5).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it. Dropping the alpha channel instead, as convert("RGB") does, would let the
    model see colours that are hidden from the person who sent it, and that encoders change at will.
    """
    coloured = image.convert("RGBA")
    background = Image.new("RGB", image.size, WHITE)
    background.paste(coloured, mask=coloured)
    return background
