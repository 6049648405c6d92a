"""How a camera was held: the EXIF orientation of a picture, and how to undo it.

The one tag is read here rather than by Pillow's EXIF parser, which reads all tags, warns, and fails in many ways; a
broken EXIF block is no reason to refuse a sound picture.
"""

import struct

from PIL import Image

UPRIGHT = 1
ORIENTATION_TAG = 0x0112
ENTRY_BYTES = 12
BYTE_ORDERS = {b"II": "<", b"MM": ">"}
VALUE_FORMATS = {3: "H", 4: "I"}  # TIFF's SHORT, and LONG as some writers have it
REMEDIES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """1 to 8, and 1 where nothing sound is said. The image must be loaded: a PNG may say it behind its pixels."""
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return UPRIGHT
    try:
        return _tag(exif.removeprefix(b"Exif\x00\x00"))
    except struct.error:
        return UPRIGHT


def _tag(tiff: bytes) -> int:
    order = BYTE_ORDERS.get(tiff[:2])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for index in range(entries):
        entry = directory + 2 + ENTRY_BYTES * index
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        if tag == ORIENTATION_TAG and kind in VALUE_FORMATS:
            (value,) = struct.unpack_from(order + VALUE_FORMATS[kind], tiff, entry + 8)
            return value if value in REMEDIES else UPRIGHT
    return UPRIGHT


def swaps_sides(value: int) -> bool:
    """Whether width and height change places between the stored and the displayed picture."""
    return value >= 5


def upright(image: Image.Image, value: int) -> Image.Image:
    """The picture as it is meant to be seen."""
    return image.transpose(REMEDIES[value]) if value in REMEDIES else image
