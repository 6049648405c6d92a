"""Training weather forecasters: archives of station networks, in windows of hours, towards the hours that came next."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from models.config import BackboneConfig
from models.embeddings.station_maps import StationMaps
from models.heads.forecast import ForecastHead
from models.perception import PerceptionModel
from preprocessors.histories.variable import VARIABLES
from preprocessors.weather import WeatherPreprocessor
from training.criterion import masked_mse
from training.evaluation_windows import EvaluationWindows
from training.forecast_evaluator import forecast_evaluator
from training.forecast_plot import plot_forecast
from training.linear_fit import fit_linear
from training.recipe import Recipe
from training.setting import setting
from training.training_data import TrainingData
from training.training_setup import TrainingSetup
from training.training_task import TrainingTask
from training.training_windows import TrainingWindows, trimmed
from training.weather_archive import Archive, find_archives

FIT_STRIDE = 5  # hours


@dataclass(frozen=True)
class WeatherForecasting(TrainingTask):
    """The defaults are the authors' (their Corrformer for 3,850 stations) but for the size of nodes and of the tree.

    tree_linear: see ForecastHead; theirs has none. It is found by least squares, and learned no further.
    """

    name: ClassVar[str] = "forecast/weather"
    noun: ClassVar[str] = "weather forecaster"
    preprocessor_type = WeatherPreprocessor
    recipe: ClassVar[Recipe] = Recipe(batch_size=4, learning_rate=1e-3, warmup_epochs=0.5, epochs=20)
    in_chans: ClassVar[int] = 1
    head_type = ForecastHead
    embedding_type: ClassVar[type[nn.Module] | None] = StationMaps
    data_help: ClassVar[str] = "Weather station history, or a folder with train.*, validation.* and test.*"

    variable: str = setting("temperature", "Variable to forecast: temperature or wind")
    history: int = setting(48, "Input length in hours")
    horizon: int = setting(24, "Forecast length in hours")
    label: int = setting(24, "Hours of history that the decoder starts from")
    node: int = setting(8, "Stations per node")
    branches: str = setting(
        "", "Branching of the station tree, such as 7,50; by default two levels that fit all stations"
    )
    heads: int = setting(16, "Correlation heads; must divide 8 x width")
    hidden: int = setting(2048, "Width of the decoder's feed-forward network")
    window: int = setting(25, "Moving-average window in hours; odd")
    layers: int = setting(1, "Decoder layers")
    factor: int = setting(1, "Autocorrelation lags kept, as a multiple of ln(hours)")
    fusion_blocks: int = setting(1, "Causal cross-correlation blocks")
    dropout: float = setting(0.05, "Dropout of the embeddings and the decoder")
    tree_linear: bool = setting(True, "Add a linear forecast from each station and its neighbours")
    stride: int = setting(24, "Hours between training windows")
    max_gap: int = setting(6, "Longest gap to interpolate, in hours")
    whole: float = setting(0.6, "Fraction of windows with all stations; the rest see a subset")
    moved: float = setting(0.1, "Fraction of windows moved to another longitude or hemisphere, with time and season")

    def setup(self, data: Path, recipe: Recipe, backbone: BackboneConfig) -> TrainingSetup:
        splits = find_archives(data, self.variable, self.max_gap)
        preprocessor = self.preprocessor(splits.train)
        width = backbone.dims[-1]
        archives = {"validation": splits.validation, "test": splits.test}
        evaluation_sets = {
            name: EvaluationWindows(archive, preprocessor, self.stride) for name, archive in archives.items()
        }
        branch = preprocessor.tree.capacity // preprocessor.branches[0]
        dataset = TrainingWindows(splits.train, preprocessor, self.stride, self.whole, self.moved, recipe.seed)
        return TrainingSetup(
            training_data=TrainingData(
                preprocessor=preprocessor,
                dataset=dataset,
                augment=lambda views, targets: trimmed(views, targets, branch),
                normalise=preprocessor.transform,
                embedding={"stations": self.node, "width": width, "dropout": self.dropout},
            ),
            head=self.head(preprocessor, width),
            criterion=masked_mse,
            evaluation_sets=evaluation_sets,
            evaluate=forecast_evaluator(preprocessor.transform),
            splits={"train": len(dataset), **{k: len(v) for k, v in evaluation_sets.items()}, "origin": splits.origin},
            initialise=lambda model: self.initialise(model, splits.train, preprocessor),
            plot=lambda model, folder: plot_forecast(
                model, evaluation_sets["test"], VARIABLES[self.variable].canonical, folder / "forecast.png"
            ),
            description=f"UniRepLKNet {self.variable} forecaster of {self.horizon} hours, "
            f"trained on {len(splits.train.stations)} weather stations",
        )

    def validation_set(self, data: Path, preprocessor: WeatherPreprocessor, seed: int) -> EvaluationWindows:
        archive = find_archives(data, preprocessor.variable, self.max_gap).validation
        return EvaluationWindows(archive, preprocessor, self.stride)

    def initialise(self, model: nn.Module, archive: Archive, preprocessor: WeatherPreprocessor) -> None:
        if self.tree_linear:
            assert isinstance(model, PerceptionModel)
            assert isinstance(model.head, ForecastHead)
            fit_linear(model.head, TrainingWindows(archive, preprocessor, FIT_STRIDE, self.whole, 0.0, 0))

    def preprocessor(self, archive: Archive) -> WeatherPreprocessor:
        stations = archive.stations
        return WeatherPreprocessor(
            variable=self.variable,
            history=self.history,
            horizon=self.horizon,
            node=self.node,
            branches=self.tree(len(stations)),
            stations=stations.ids,
            latitude=tuple(stations.latitude.tolist()),
            longitude=tuple(stations.longitude.tolist()),
            elevation=tuple(stations.elevation.tolist()),
        )

    def tree(self, stations: int) -> tuple[int, ...]:
        """Raises ValueError for branches that are no numbers."""
        if self.branches:
            return tuple(int(part) for part in self.branches.split(","))
        nodes = math.ceil(stations / self.node)
        below = math.ceil(math.sqrt(nodes))
        return (math.ceil(nodes / below), below)

    def head(self, preprocessor: WeatherPreprocessor, width: int) -> dict[str, Any]:
        return {
            "stations": self.node,
            "node_list": list(preprocessor.branches),
            "history": self.history,
            "label_len": self.label,
            "pred_len": self.horizon,
            "tree_linear": self.tree_linear,
            "width": width,
            "heads": self.heads,
            "hidden": self.hidden,
            "window": self.window,
            "layers": self.layers,
            "factor": self.factor,
            "fusion_blocks": self.fusion_blocks,
            "dropout": self.dropout,
        }
