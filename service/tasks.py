"""The registry: one line is one task, and its key is its URL."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from models.embeddings.projection import ThreeViewProjection
from models.embeddings.station_maps import StationMaps
from models.heads.base import Head
from models.heads.classification import ClassificationHead
from models.heads.forecast import ForecastHead
from preprocessors.audio import AudioPreprocessor
from preprocessors.base import Preprocessor
from preprocessors.image import ImagePreprocessor
from preprocessors.pointcloud import PointCloudPreprocessor
from preprocessors.video import VideoPreprocessor
from preprocessors.weather import WeatherPreprocessor


@dataclass(frozen=True)
class Task:
    """The classes of a task; a checkpoint supplies their constructor arguments."""

    preprocessor: type[Preprocessor[Any]]
    head: type[Head]
    embedding: type[nn.Module] | None = None

    @property
    def modality(self) -> str:
        return self.preprocessor.modality


TASKS: dict[str, Task] = {
    "classify/image": Task(ImagePreprocessor, ClassificationHead),
    "classify/video": Task(VideoPreprocessor, ClassificationHead),
    "classify/audio": Task(AudioPreprocessor, ClassificationHead),
    "classify/pointcloud": Task(PointCloudPreprocessor, ClassificationHead, ThreeViewProjection),
    "forecast/weather": Task(WeatherPreprocessor, ForecastHead, StationMaps),
}
