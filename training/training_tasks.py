"""The registry of training: one line is one command of `unireplknet train`."""

from training.audio import AudioClassification
from training.image import ImageClassification
from training.pointcloud import PointCloudClassification
from training.training_task import TrainingTask
from training.video import VideoClassification
from training.weather import WeatherForecasting

TRAINING_TASKS: dict[str, type[TrainingTask]] = {
    "image": ImageClassification,
    "audio": AudioClassification,
    "video": VideoClassification,
    "pointcloud": PointCloudClassification,
    "weather": WeatherForecasting,
}
