"""Draw the example pictures of clothing: python examples/draw_clothing.py

Each is a garment as one would photograph it, laid on a floor: an outline, soft folds, a shadow, a grain.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIDE = 640
Outline = Sequence[tuple[float, float]]  # the left half, from the top of the middle line to its bottom, in 0..1

GARMENTS: dict[str, tuple[Outline, tuple[int, int, int]]] = {
    "t-shirt": (
        [(0.5, 0.24), (0.42, 0.2), (0.3, 0.2), (0.1, 0.38), (0.19, 0.48), (0.29, 0.4), (0.29, 0.84), (0.5, 0.85)],
        (38, 62, 120),
    ),
    "pants": (
        [(0.5, 0.1), (0.33, 0.1), (0.29, 0.5), (0.27, 0.93), (0.43, 0.93), (0.48, 0.42), (0.5, 0.36)],
        (52, 66, 92),
    ),
    "dress": (
        [(0.5, 0.22), (0.45, 0.12), (0.4, 0.12), (0.36, 0.26), (0.4, 0.44), (0.24, 0.9), (0.5, 0.92)],
        (170, 36, 60),
    ),
}


def floor(rng: np.random.Generator) -> Image.Image:
    """Boards of light wood."""
    boards = rng.normal(0, 7, (1, 8)).repeat(SIDE // 8, axis=1)
    grain = rng.normal(0, 6, (SIDE // 40, SIDE)).repeat(40, axis=0)
    tone = np.array([196, 170, 138])[None, None] + (boards + grain)[..., None]
    return Image.fromarray(tone.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))


def silhouette(outline: Outline) -> Image.Image:
    """The half outline and its mirror image, filled."""
    half = [(x * SIDE, y * SIDE) for x, y in outline]
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon([*half, *((SIDE - x, y) for x, y in reversed(half))], fill=255)
    return mask.filter(ImageFilter.GaussianBlur(2))


def cloth(colour: tuple[int, int, int], rng: np.random.Generator) -> Image.Image:
    """A colour with folds that run mostly downwards."""
    coarse = Image.fromarray(rng.normal(128, 46, (5, 14)).clip(0, 255).astype(np.uint8))
    folds = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) / 128 - 1
    shaded = np.array(colour)[None, None] * (1.05 + 0.35 * folds[..., None]) + rng.normal(0, 4, (SIDE, SIDE, 1))
    return Image.fromarray(shaded.clip(0, 255).astype(np.uint8))


def draw(name: str) -> Image.Image:
    outline, colour = GARMENTS[name]
    rng = np.random.default_rng(len(name))
    picture, mask = floor(rng), silhouette(outline)
    shadow = ImageChops.offset(mask, 8, 10).filter(ImageFilter.GaussianBlur(9)).point(lambda value: value // 2)
    picture.paste((60, 48, 36), mask=shadow)
    picture.paste(cloth(colour, rng), mask=mask)
    return picture


if __name__ == "__main__":
    for name in GARMENTS:
        draw(name).save(Path(__file__).with_name(f"{name}.jpg"), quality=88)
