"""A servable model of every modality with random weights, too small to wait for, and a file that each can read."""

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import orjson
import soundfile
import torch
from PIL import Image
from torch import nn

from models.checkpoint import Checkpoint
from models.config import BackboneConfig, default_kernel_sizes
from models.description import ModelCard, Structure
from models.embeddings.projection import ThreeViewProjection
from models.embeddings.station_maps import StationMaps
from models.heads.base import Head
from models.heads.classification import ClassificationHead
from models.heads.forecast import ForecastHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from preprocessors.audio import AudioPreprocessor
from preprocessors.image import ImagePreprocessor
from preprocessors.pointcloud import PointCloudPreprocessor
from preprocessors.video import VideoPreprocessor
from preprocessors.weather import WeatherPreprocessor

LABELS = ("ant", "bee", "cat", "dog", "eel")
DEPTHS = (1, 1, 1, 1)
TINY_BACKBONE = BackboneConfig(DEPTHS, (8, 16, 24, 32), default_kernel_sizes(DEPTHS))


@dataclass(frozen=True)
class Tiny:
    """payload: a file for it, different for every seed. maps: what the embedding makes of one input. head: constructor
    arguments beside those that follow. row: the output that is the answer.
    """

    preprocessor: Any
    payload: Callable[[int], bytes]
    in_chans: int = 3
    maps: int = 1
    embedding_type: type[nn.Module] | None = None
    embedding: dict[str, Any] = field(default_factory=dict)
    head_type: type[Head] = ClassificationHead
    head: dict[str, Any] = field(default_factory=dict)
    row: str = "logits"

    def head_options(self, width: int) -> dict[str, Any]:
        if self.head_type is ClassificationHead:
            return {"num_features": self.maps * width, "labels": LABELS, "init_scale": 50.0, **self.head}
        return {"width": width, **self.head}


def picture(seed: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Coarse random blocks of colour: unlike its neighbours, and alike after JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def encoded(image: Image.Image, name: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, name)
    return file.getvalue()


def recording(seed: int = 0, seconds: float = 1.0, rate: int = 8000) -> bytes:
    """A WAV of three tones, one after the other."""
    tones = np.random.default_rng(seed).uniform(100, 3000, 3)
    time = np.arange(round(seconds * rate)) / rate
    frequency = tones[np.minimum(2, (3 * time / seconds).astype(int))]
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * frequency * time), rate, format="WAV")
    return file.getvalue()


def video(seed: int = 0, frames: int = 12) -> bytes:
    """An MP4 of another picture in every frame."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 40, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture(100 * seed + number)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def cloud(seed: int = 0, count: int = 200) -> bytes:
    """A binary PLY of a random blob."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * rng.uniform(0.1, 1, 3)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n"
    header += "property float x\nproperty float y\nproperty float z\nend_header\n"
    return header.encode() + points.astype("<f4").tobytes()


def weather(seed: int = 0, stations: int = 5, hours: int = 48, **changes: Any) -> bytes:
    """JSON of warm days and cold nights; stations anywhere in Brazil."""
    rng = np.random.default_rng(seed)
    time = np.arange(hours)[:, None]
    series = rng.uniform(10, 30, stations) + rng.uniform(2, 8, stations) * np.sin(
        (time + rng.uniform(0, 24)) * np.pi / 12
    )
    latitude, longitude, elevation = rng.uniform((-30, -60, 0), (0, -40, 900), (stations, 3)).T.round(3).tolist()
    facts = {"variable": "temperature", "units": "degC", "start_time": "2024-01-01T00:00:00Z"}
    places = {"stations": [f"s{i}" for i in range(stations)], "latitude": latitude, "longitude": longitude}
    return orjson.dumps({**facts, **places, "elevation": elevation, "series": series.round(2).tolist(), **changes})


FORECAST = {"stations": 2, "node_list": [2, 3], "heads": 4, "hidden": 16, "dropout": 0.0, "tree_linear": True}
TINY: dict[str, Tiny] = {
    "classify/image": Tiny(ImagePreprocessor(size=32), lambda seed: encoded(picture(seed))),
    "classify/audio": Tiny(AudioPreprocessor(sample_rate=8000, n_mels=32, target_frames=32), recording, in_chans=1),
    "classify/video": Tiny(VideoPreprocessor(frames=4, stride=1, size=16, grid=(2, 2)), video),
    "classify/pointcloud": Tiny(
        PointCloudPreprocessor(points=64),
        cloud,
        maps=3,
        embedding_type=ThreeViewProjection,
        embedding={"size": 32, "neighbors": 8, "width": 8, "fusion_width": 16, "heads": 2, "head_width": 8},
    ),
    "forecast/weather": Tiny(
        WeatherPreprocessor(node=2, branches=(2, 3)),
        weather,
        in_chans=1,
        embedding_type=StationMaps,
        embedding={"stations": 2, "width": 32, "dropout": 0.0},
        head_type=ForecastHead,
        head=FORECAST,
        row="forecast",
    ),
}


def save_tiny(task: str, path: Path, name: str, seed: int = 0) -> Path:
    """A checkpoint whose answers differ from input to input, and from seed to seed."""
    torch.manual_seed(seed)
    tiny = TINY[task]
    config = replace(TINY_BACKBONE, in_chans=tiny.in_chans)
    head = tiny.head_options(config.dims[-1])
    embedding = tiny.embedding_type(**tiny.embedding) if tiny.embedding_type else None
    model = PerceptionModel(UniRepLKNet(config), tiny.head_type(**head), embedding)
    drawn = [model.backbone, model.embedding, *([model.head] if tiny.head_type is not ClassificationHead else [])]
    for key, parameter in (pair for part in drawn for pair in part.named_parameters()):
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
        elif not key.endswith(("bias", "beta")):
            torch.nn.init.uniform_(parameter, 0.5, 1.0)
    card = ModelCard(name, "random weights, for tests", metrics={"test_accuracy": 0.2})
    options = (asdict(tiny.preprocessor), asdict(config), head)
    weights = reparameterize(model).state_dict()
    Checkpoint(task, *options, Structure.DEPLOY, card, weights, tiny.embedding).save(path)
    return path
