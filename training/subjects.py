"""What can be taught: one line is one command of `unireplknet train`."""

from training.audio import AudioSubject
from training.image import ImageSubject
from training.pointcloud import PointCloudSubject
from training.subject import Subject
from training.video import VideoSubject
from training.weather import WeatherSubject

SUBJECTS: dict[str, type[Subject]] = {
    "image": ImageSubject,
    "audio": AudioSubject,
    "video": VideoSubject,
    "pointcloud": PointCloudSubject,
    "weather": WeatherSubject,
}
