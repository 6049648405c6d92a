"""Videos: encoded file -> clips of (frames, size, size, 3) uint8 -> one picture of all frames of a clip.

The paper (section 3.3) lays the frames of a clip out as the tiles of one image, so that the network for images sees
them; sampling and scaling are the original's for Kinetics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import av
import numpy as np

from preprocessors.base import Array, Preprocessor, Sample
from preprocessors.container import file_format
from preprocessors.image import IMAGENET_MEAN, IMAGENET_STD, ImagePreprocessor, unit_range
from preprocessors.videos.bilinear import Raster, resized_part
from preprocessors.videos.clip import Clip, clip_frames
from preprocessors.videos.decord_reader import DecordReader
from preprocessors.videos.frame_index import FrameIndex
from preprocessors.videos.video_reader import VideoReader

if TYPE_CHECKING:
    from torch import Tensor

DECODERS: dict[str, type[VideoReader]] = {"pyav": VideoReader, "decord": DecordReader}
LAYOUTS = ("grid", "reshape")
EXAMPLE_SIDE = 64


@dataclass(frozen=True)
class VideoOptions:
    """What a request may ask of the sampling. The original's test takes clips=5 and crops=3, which is 15 views."""

    clips: int = field(
        default=1,
        metadata={
            "description": "clips that are scored, and their scores averaged: 1 takes the middle of the video, "
            "more are spread evenly over all of it",
            "ge": 1,
            "le": 10,
        },
    )
    crops: int = field(
        default=1,
        metadata={
            "description": "squares cut from each frame: 1 takes the centre, 3 also both ends of the longer side "
            "(2 takes the ends alone)",
            "ge": 1,
            "le": 3,
        },
    )


@dataclass(frozen=True)
class VideoPreprocessor(Preprocessor[VideoOptions]):
    """frames: in a clip, every `stride`-th of the video. size: side of the square that is kept of each, in pixels.

    grid: rows and columns of tiles. layout: "grid" puts frame f at row f // columns and column f % columns, as the
    paper says; "reshape" reads the (3, T, H, W) clip as (3, rows x H, columns x W), scanline by scanline, as the
    original's code does. max_pixels: width x height of a frame. max_frames, max_seconds: of the whole video.
    """

    modality: ClassVar[str] = "video"
    media_types: ClassVar[tuple[str, ...]] = (
        "video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/x-msvideo", "video/mp2t", "image/gif",
    )  # fmt: skip
    option_type: ClassVar[type] = VideoOptions

    frames: int = 16
    stride: int = 4
    size: int = 224
    grid: Sequence[int] = (4, 4)
    layout: str = "grid"
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    decoder: str = "pyav"
    max_pixels: int = 9_500_000
    max_frames: int = 36_000
    max_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in ("grid", "mean", "std"):  # which JSON knows as lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.grid) != 2 or self.grid[0] * self.grid[1] != self.frames:
            raise ValueError(f"a grid of {self.grid} does not hold {self.frames} frames: rows x columns must be frames")
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout {self.layout!r} is unknown: use one of {', '.join(LAYOUTS)}")
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder {self.decoder!r} is unknown: use one of {', '.join(DECODERS)}")
        DECODERS[self.decoder].check_installed()

    def decode(self, payload: bytes, options: VideoOptions) -> Sample:
        """clips x crops views of (frames, size, size, 3) uint8, clip by clip. Decodes the frames of the clips alone."""
        with DECODERS[self.decoder](
            payload, max_pixels=self.max_pixels, max_frames=self.max_frames, max_seconds=self.max_seconds
        ) as reader:
            clips = clip_frames(len(reader), self.frames, self.stride, options.clips)
            views = np.empty((options.clips, options.crops, self.frames, self.size, self.size, 3), np.uint8)
            for number in sorted({number for clip in clips for number in clip}):
                frame = reader[number]
                for crop, square in enumerate(self.squares(frame, options.crops)):
                    for clip, place in _places(clips, number):
                        views[clip, crop, place] = square
            height, width = frame.shape[:2]
            said = {"format": file_format(payload), "codec": reader.index.codec, "width": width, "height": height}
            return Sample(
                tuple(views.reshape(-1, *views.shape[2:])),
                said | _account(reader.index, clips, options.crops) | {"bytes": len(payload)},
            )

    def blank(self) -> Array:
        return np.zeros((self.frames, self.size, self.size, 3), np.uint8)

    def example(self) -> bytes:
        file, black = BytesIO(), np.zeros((EXAMPLE_SIDE, EXAMPLE_SIDE, 3), np.uint8)
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("mpeg4", rate=8, width=EXAMPLE_SIDE, height=EXAMPLE_SIDE)
            for _ in range(self.frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(black)))
            container.mux(stream.encode())
        return file.getvalue()

    def transform(self, batch: "Tensor") -> "Tensor":
        """(N, T, H, W, 3) uint8 -> (N, 3, rows x H, columns x W) float32, normalised by channel."""
        return self.normalise(unit_range(self.laid_out(batch.permute(0, 4, 1, 2, 3))))

    def normalise(self, x: "Tensor") -> "Tensor":
        """(N, 3, H, W) in [0, 1] -> zero mean and unit deviation by channel, over the training data's statistics."""
        return ImagePreprocessor(mean=tuple(self.mean), std=tuple(self.std)).normalise(x)

    def laid_out(self, clips: "Tensor") -> "Tensor":
        """(N, 3, T, H, W) -> (N, 3, rows x H, columns x W)"""
        rows, columns = self.grid
        number, channels, _, height, width = clips.shape
        if self.layout == "grid":
            clips = clips.reshape(number, channels, rows, columns, height, width).permute(0, 1, 2, 4, 3, 5)
        return clips.reshape(number, channels, rows * height, columns * width)

    def squares(self, frame: Raster, crops: int = 1) -> Iterator[Raster]:
        """(size, size, 3) squares of the frame scaled to `size` on its shorter side, spread along the longer one."""
        long, short = max(frame.shape[:2]), min(frame.shape[:2])
        axis = int(frame.shape[1] > frame.shape[0])
        scaled = [self.size, self.size]
        scaled[axis] = int(self.size * long / short)
        room = scaled[axis] - self.size
        starts = [round(room / 2)] if crops == 1 else [int(crop * room / (crops - 1)) for crop in range(crops)]
        for start in starts:
            corner = (0, start) if axis else (start, 0)
            yield resized_part(frame, (scaled[0], scaled[1]), corner, (self.size, self.size))


def _places(clips: Sequence[Clip], number: int) -> Iterator[tuple[int, int]]:
    """Where a frame is used: numbers of the clip, and of the frame within it."""
    for clip, numbers in enumerate(clips):
        yield from ((clip, place) for place, used in enumerate(numbers) if used == number)


def _account(index: FrameIndex, clips: Sequence[Clip], crops: int) -> dict[str, Any]:
    """What the answer says of the time in the video: of all of it, and of the frames used, clip by clip."""
    times = [[round(index.seconds(number), 3) for number in clip] for clip in clips]
    account: dict[str, Any] = {
        "fps": round(index.rate, 3) or None,
        "duration_s": round(index.seconds(len(index.times)), 3),
        "frames": len(index.times),
        "frames_used": [number for clip in clips for number in clip],
        "timestamps_s": [time for clip in times for time in clip],
    }
    if len(clips) * crops > 1:
        account["views"] = [
            {"clip": clip, "crop": crop, "timestamps_s": times[clip]}
            for clip in range(len(clips))
            for crop in range(crops)
        ]
    return account
