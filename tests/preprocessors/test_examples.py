"""Files that decode workers try first."""

from dataclasses import replace
from typing import Any

import pytest

from preprocessors.base import Preprocessor
from preprocessors.image import ImagePreprocessor
from preprocessors.pointcloud import PointCloudPreprocessor
from preprocessors.video import VideoPreprocessor
from preprocessors.weather import WeatherPreprocessor
from tests.tiny import TINY

KNOWN: dict[str, Any] = {
    "stations": ("north", "south"),
    "latitude": (1.0, -1.0),
    "longitude": (0.0, 0.0),
    "elevation": (0.0, 9.0),
}
PREPROCESSORS: dict[str, Preprocessor[Any]] = {
    **{path: tiny.preprocessor for path, tiny in TINY.items()},
    "large pictures": ImagePreprocessor(size=384),
    "many frames": VideoPreprocessor(),
    "points with attributes": PointCloudPreprocessor(attributes=("velocity", "time")),
    "wind": replace(TINY["forecast/weather"].preprocessor, variable="wind"),
    "known stations": WeatherPreprocessor(node=2, branches=(2, 3), **KNOWN),
}


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_a_specimen_is_read_like_any_file(name: str) -> None:
    preprocessor = PREPROCESSORS[name]
    example = preprocessor.example()
    assert example is not None
    view = preprocessor.decode(example, preprocessor.option_type()).array
    blank = preprocessor.blank()
    assert view.dtype == blank.dtype
    assert view.shape[1:] == blank.shape[1:]  # networks of stations differ in size
