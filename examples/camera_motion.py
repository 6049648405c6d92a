"""Make clips whose camera pans, zooms, turns or stands still, out of photographs: their motion is known exactly.

    python examples/camera_motion.py PHOTOS OUT

PHOTOS: a folder with train/ and test/, photographs anywhere below them; no photograph is in both. OUT receives 90 clips
of each motion for training and 20 for the test, two seconds of 24 frames each.
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIDE, FRAMES, RATE = 96, 24, 12
CLIPS = {"train": 90, "test": 20}  # of each motion
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPEEDS = (0.7, 1.3)  # of a clip, relative to its motion
SHAKE = 0.15  # pixels that every frame is off by, mostly
MARGIN = 1.6  # how many times as wide as the view the photograph is, so that the camera has room


@dataclass(frozen=True)
class Motion:
    """From one frame to the next. right, closer: of the camera, in pixels of the view and in shares. clockwise: of the
    picture, in degrees.
    """

    right: float = 0.0
    closer: float = 0.0
    clockwise: float = 0.0


MOTIONS = {
    "pan_left": Motion(right=-1.0),
    "pan_right": Motion(right=1.0),
    "rotate_ccw": Motion(clockwise=-1.0),
    "rotate_cw": Motion(clockwise=1.0),
    "static": Motion(),
    "zoom_in": Motion(closer=0.018),
    "zoom_out": Motion(closer=-0.018),
}


def views(photo: Image.Image, motion: Motion, rng: random.Random) -> Iterator[Image.Image]:
    """The frames, each a part of the photograph, in the middle of which the camera is halfway through."""
    speed = rng.uniform(*SPEEDS)
    unit = min(photo.size) / SIDE / MARGIN  # pixels of the photograph in one of the view
    for number in range(FRAMES):
        time = speed * (number - FRAMES / 2)
        zoom, angle = unit * (1 - motion.closer) ** time, np.radians(-motion.clockwise * time)
        x = photo.width / 2 + unit * (motion.right * time + rng.gauss(0, SHAKE))
        y = photo.height / 2 + unit * rng.gauss(0, SHAKE)
        across, down = zoom * np.cos(angle), zoom * np.sin(angle)
        left, top = x - (across - down) * SIDE / 2, y - (down + across) * SIDE / 2
        matrix = (across, -down, left, down, across, top)
        yield photo.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def write_clip(path: Path, frames: Iterator[Image.Image]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")))
        container.mux(stream.encode(None))


def photographs(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"{folder} holds no photograph: expected files ending in {', '.join(SUFFIXES)}")
    return found


def make(photos: Path, out: Path) -> None:
    for split, count in CLIPS.items():
        rng, found = random.Random(split), photographs(photos / split)
        for name, motion in MOTIONS.items():
            for number in range(count):
                with Image.open(rng.choice(found)) as photo:
                    write_clip(
                        out / split / name / f"{name}_{number:03d}.mp4", views(photo.convert("RGB"), motion, rng)
                    )


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
