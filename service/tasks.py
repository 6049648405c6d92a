"""The registry: one line is one task, and its key is its URL."""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from models.postprocessors.base import Postprocessor
from models.postprocessors.classification import ClassificationPostprocessor
from models.postprocessors.forecast import ForecastPostprocessor
from preprocessors.audio import AudioPreprocessor
from preprocessors.base import Preprocessor
from preprocessors.image import ImagePreprocessor
from preprocessors.pointcloud import PointCloudPreprocessor
from preprocessors.video import VideoPreprocessor
from preprocessors.weather import WeatherPreprocessor

if TYPE_CHECKING:
    from torch import nn

    from models.heads.base import Head


@dataclass(frozen=True)
class Task:
    """The classes of a task; a checkpoint supplies their constructor arguments.

    embedding: a network before the backbone, as "module:class".
    """

    preprocessor: type[Preprocessor[Any]]
    postprocessor: type[Postprocessor]
    embedding: str | None = None

    @property
    def modality(self) -> str:
        return self.preprocessor.modality

    def networks(self) -> "tuple[type[Head], type[nn.Module] | None]":
        """Head and embedding. Imports them, and torch."""
        return resolve_name(self.postprocessor.head), resolve_name(self.embedding) if self.embedding else None


TASKS: dict[str, Task] = {
    "classify/image": Task(ImagePreprocessor, ClassificationPostprocessor),
    "classify/video": Task(VideoPreprocessor, ClassificationPostprocessor),
    "classify/audio": Task(AudioPreprocessor, ClassificationPostprocessor),
    "classify/pointcloud": Task(
        PointCloudPreprocessor, ClassificationPostprocessor, "models.embeddings.projection:ThreeViewProjection"
    ),
    "forecast/weather": Task(WeatherPreprocessor, ForecastPostprocessor, "models.embeddings.station_maps:StationMaps"),
}
