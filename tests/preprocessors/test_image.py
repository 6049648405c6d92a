"""The evaluation transform of images, from file to the model's input."""

import io
import json
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import preprocessors.image
from preprocessors.image import ImageOptions, ImagePreprocessor
from preprocessors.pictures.raster import stored_rgb

REPOSITORY = Path(__file__).resolve().parents[2]
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def coarse_noise(width: int, height: int) -> Image.Image:
    """Blobs of colour with some grain, a picture whose every part looks different."""
    rng = np.random.default_rng(0)
    blobs = rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    image = Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.normal(128, 60, (height, width)).clip(0, 255).astype(np.uint8)  # Pillow's own is never the same twice
    return Image.blend(image, Image.fromarray(grain).convert("RGB"), 0.2)


def model_input(preprocessor: ImagePreprocessor, payload: bytes) -> NDArray[np.float32]:
    sample = preprocessor.decode(payload, ImageOptions())
    return np.asarray(preprocessor.transform(preprocessor.collate(sample.views))[0])


def normalised(raster: NDArray[np.uint8]) -> NDArray[np.float32]:
    return ((raster.astype(np.float32) / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)


def uniform(name: str, *shape: int) -> NDArray[np.float64]:
    stream = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return stream.random(int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("case", ["prep_img_224_landscape", "prep_img_224_small"])
def test_evaluation_transform_is_bit_exactly_the_authors(case: str, shared_path: Callable[[str], Path]) -> None:
    facts = json.loads(shared_path(f"oracle/{case}.json").read_text())
    expected = np.load(shared_path(f"oracle/{case}.npz"))
    height, width = facts["height"], facts["width"]
    coarse = uniform(f"image/{case}/coarse", 8, 8, 3)
    coarse = coarse[8 * np.arange(height) // height][:, 8 * np.arange(width) // width]
    pixels = (255 * (0.3 * uniform(f"image/{case}", height, width, 3) + 0.7 * coarse)).astype(np.uint8)
    assert zlib.crc32(pixels.tobytes()) == facts["checksum"][0]
    x = model_input(ImagePreprocessor(size=facts["size"]), encoded(Image.fromarray(pixels)))
    np.testing.assert_array_equal(x[:, ::8, ::8], expected["out"])
    np.testing.assert_array_equal(x[:, :6, :6], expected["corner"])


@pytest.mark.parametrize(
    ("size", "picture", "scaled", "corner"),
    [
        (224, (417, 300), (355, 256), (66, 16)),  # 355.84 is cut; 65.5 rounds to even
        (224, (300, 417), (256, 355), (16, 66)),
        (224, (91, 100), (256, 281), (16, 28)),  # 28.5 rounds to even
        (192, (500, 500), (219, 219), (14, 14)),
        (384, (500, 300), (384, 384), (0, 0)),
    ],
)
def test_short_side_is_scaled_and_the_centre_kept_below_384_pixels_and_all_warped_from_there(
    size: int, picture: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = coarse_noise(*picture)
    resized = np.asarray(image.resize(scaled, Image.Resampling.BICUBIC))
    square = resized[corner[1] : corner[1] + size, corner[0] : corner[0] + size]
    np.testing.assert_array_equal(model_input(ImagePreprocessor(size=size), encoded(image)), normalised(square))


def test_description_names_what_was_sent() -> None:
    payload = encoded(coarse_noise(90, 60), "WEBP")
    sample = ImagePreprocessor(size=32).decode(payload, ImageOptions())
    assert sample.description == {"width": 90, "height": 60, "format": "webp", "bytes": len(payload)}
    assert sample.array.flags.writeable


def test_blank_has_the_shape_of_a_decoded_picture() -> None:
    preprocessor = ImagePreprocessor(size=48)
    decoded = preprocessor.decode(encoded(coarse_noise(90, 60)), ImageOptions())
    assert preprocessor.blank().shape == decoded.array.shape
    assert preprocessor.blank().dtype == decoded.array.dtype


@pytest.mark.parametrize("size", [224, 384])
@pytest.mark.parametrize("picture", [(1, 1), (1, 100_000), (100_000, 1), (3, 4000)])
def test_pictures_of_any_aspect_are_cropped_within_bounded_memory(
    size: int, picture: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    resize, areas = Image.Image.resize, []

    def recorded(self: Image.Image, *args: Any, **kwargs: Any) -> Image.Image:
        result = resize(self, *args, **kwargs)
        areas.append(result.width * result.height)
        return result

    monkeypatch.setattr(Image.Image, "resize", recorded)
    raster = ImagePreprocessor(size=size).crop_resized(Image.new("RGB", picture, (200, 10, 30)))
    assert raster.shape == (size, size, 3)
    assert (raster == (200, 10, 30)).all()
    assert max(areas) <= 17 * 256 * 256


@pytest.mark.parametrize("size", [64, 384])
@pytest.mark.parametrize("picture", [(50, 1000), (1000, 50)])
def test_the_bounded_crop_shows_what_the_plain_one_shows(
    size: int, picture: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, preprocessor = coarse_noise(*picture), ImagePreprocessor(size=size)
    bounded = preprocessor.crop_resized(image).astype(int)
    monkeypatch.setattr(preprocessors.image, "EXTREME_ASPECT", 1000)
    plain = preprocessor.crop_resized(image)
    assert np.abs(bounded - plain).max() <= 2


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return coarse_noise(4032, 3024)


@pytest.mark.parametrize(("size", "orientation"), [(224, 1), (224, 6), (384, 8)])
def test_inexact_decoding_reads_a_large_photo_at_a_fraction_and_shows_nearly_the_same(
    photo: Image.Image, size: int, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rasters = []

    def recorded(image: Image.Image) -> Image.Image:
        rasters.append(stored_rgb(image))
        return rasters[-1]

    monkeypatch.setattr(preprocessors.image, "stored_rgb", recorded)
    exif = Image.Exif()
    exif[0x0112] = orientation
    payload, preprocessor = encoded(photo, "JPEG", quality=90, exif=exif), ImagePreprocessor(size=size)
    exact, inexact = (preprocessor.decode(payload, ImageOptions(exact=value)) for value in (True, False))
    assert inexact.description == exact.description
    assert exact.description["width"] == (4032 if orientation == 1 else 3024)
    assert np.abs(exact.array.astype(int) - inexact.array).mean() < 1
    assert rasters[0].size == (4032, 3024)
    assert rasters[1].width * rasters[1].height <= rasters[0].width * rasters[0].height / 4
    assert min(rasters[1].size) >= 2 * min(256, size)


def test_inexact_decoding_changes_nothing_where_nothing_can_be_saved() -> None:
    preprocessor = ImagePreprocessor()
    for payload in (encoded(coarse_noise(400, 300), "JPEG"), encoded(coarse_noise(1400, 1200), "PNG")):
        exact, inexact = (preprocessor.decode(payload, ImageOptions(exact=value)) for value in (True, False))
        np.testing.assert_array_equal(exact.array, inexact.array)


def test_decoding_needs_no_torch(tmp_path: Path) -> None:
    work = tmp_path / "work.pickle"
    work.write_bytes(pickle.dumps((ImagePreprocessor(size=32), encoded(coarse_noise(90, 60), "JPEG"), ImageOptions())))
    script = (
        "import pickle, sys; preprocessor, *work = pickle.load(open(sys.argv[1], 'rb'));"
        "sample = preprocessor.decode(*work); sys.exit('torch' in sys.modules or sample.array.shape != (32, 32, 3))"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, work], cwd=REPOSITORY, check=True, timeout=100)
