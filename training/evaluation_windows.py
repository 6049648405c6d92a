"""Windows of a weather archive to evaluate on."""

from torch import Tensor
from torch.utils.data import Dataset

from preprocessors.weather import WeatherPreprocessor
from training.weather_archive import Archive
from training.window import Window, padded, slotted


class EvaluationWindows(Dataset[tuple[Tensor, Tensor]]):
    """All views of the windows that begin every `stride` hours, all stations in each."""

    def __init__(self, archive: Archive, preprocessor: WeatherPreprocessor, stride: int) -> None:
        self.preprocessor = preprocessor
        rows = archive.windows(preprocessor.history, preprocessor.horizon, stride)
        windows = (Window.cut(archive, row, preprocessor.history, preprocessor.horizon) for row in rows)
        self.views = [pair for window in windows if len(window.stations) for pair in slotted(window, preprocessor)]

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return padded(self.preprocessor, *self.views[index])
