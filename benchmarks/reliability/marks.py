"""Preprocessors that read a number from a file and hand it on. Imported by decode workers, so torch is not."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from preprocessors.audio import AudioPreprocessor
from preprocessors.base import Array, Preprocessor, Sample, UndecodableInput
from preprocessors.image import ImagePreprocessor
from preprocessors.pointcloud import PointCloudPreprocessor
from preprocessors.video import VideoPreprocessor

LENGTHS = 61  # of the views: a prime, so that neighbours differ in shape


@dataclass(frozen=True)
class Mark(Preprocessor[Any]):
    """A payload is a decimal number, and padding behind a space. Every third has three views, as a recording might."""

    def decode(self, payload: bytes, options: Any) -> Sample:
        try:
            mark = int(payload.split(b" ", 1)[0])
        except ValueError as error:
            raise UndecodableInput("undecodable_input", "the payload is no number: send digits") from error
        return Sample((view(mark),) * (3 if mark % 3 == 0 else 1), {"mark": mark})

    def blank(self) -> Array:
        return view(0)


def view(mark: int) -> Array:
    return np.full(1 + mark % LENGTHS, mark, np.int64)


def payload(mark: int, size: int = 0) -> bytes:
    return f"{mark} ".encode().ljust(size, b"x")


class ImageMark(Mark):
    modality: ClassVar[str] = "image"
    media_types, option_type = ImagePreprocessor.media_types, ImagePreprocessor.option_type


class AudioMark(Mark):
    modality: ClassVar[str] = "audio"
    media_types, option_type = AudioPreprocessor.media_types, AudioPreprocessor.option_type


class VideoMark(Mark):
    modality: ClassVar[str] = "video"
    media_types, option_type = VideoPreprocessor.media_types, VideoPreprocessor.option_type


class PointCloudMark(Mark):
    modality: ClassVar[str] = "pointcloud"
    media_types, option_type = PointCloudPreprocessor.media_types, PointCloudPreprocessor.option_type


MARKS: dict[str, type[Mark]] = {
    "classify/image": ImageMark,
    "classify/audio": AudioMark,
    "classify/video": VideoMark,
    "classify/pointcloud": PointCloudMark,
}
