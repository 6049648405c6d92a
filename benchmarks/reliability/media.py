"""A sound file of every kind that is read."""

from dataclasses import dataclass

import numpy as np

from benchmarks.reliability.corpus import radar
from tests import clouds, histories
from tests.recordings import chirp, sound_file, sound_track
from tests.tiny import encoded, picture, weather
from tests.videos import film

IMAGE, AUDIO, VIDEO = "/classify/image", "/classify/audio", "/classify/video"
CLOUD, WEATHER = "/classify/pointcloud", "/forecast/weather"


@dataclass(frozen=True)
class Kind:
    path: str
    sound: bytes


def kinds() -> dict[str, Kind]:
    photo, tune = picture(0, (160, 120)), chirp(0.8, 8000)
    net = histories.network(steps=48)
    points = clouds.cloud(300)
    extra = {"velocity": points[:, 0].astype(np.float32), "time": points[:, 1].astype(np.float32)}
    columns = dict(zip("xyz", points.T, strict=True)) | extra
    named = np.zeros(len(points), [(name, np.float32) for name in columns])
    for name, column in columns.items():
        named[name] = column
    return {
        **{name: Kind(IMAGE, encoded(photo, name.upper())) for name in ("jpeg", "png", "webp", "gif", "bmp")},
        "wav": Kind(AUDIO, sound_file(tune, 8000)),
        "flac": Kind(AUDIO, sound_file(tune, 8000, "FLAC")),
        "ogg": Kind(AUDIO, sound_file(tune, 8000, "OGG", "VORBIS")),
        "mp3": Kind(AUDIO, sound_file(tune, 8000, "MP3")),
        "m4a": Kind(AUDIO, sound_track(tune, 8000, "ipod", "aac")),
        "mp4": Kind(VIDEO, film("mp4", 24)),
        "mkv": Kind(VIDEO, film("mkv", 24)),
        "avi": Kind(VIDEO, film("avi", 24)),
        "moving gif": Kind(VIDEO, film("gif", 24)),
        "ply": Kind(CLOUD, radar()),
        "ply in text": Kind(CLOUD, clouds.ply(points, attributes=extra)),
        "pcd": Kind(CLOUD, clouds.pcd(points, "binary_compressed", extra)),
        "npy": Kind(CLOUD, clouds.npy(named)),
        "npz": Kind(CLOUD, clouds.npz(points=points, **extra)),
        "json": Kind(WEATHER, weather(0)),
        "csv": Kind(WEATHER, histories.long_csv(net)),
        "history npz": Kind(WEATHER, histories.network_npz(net)),
        "parquet": Kind(WEATHER, histories.long_parquet(net)),
    }
