"""A finished forecaster on an archive it may never have seen: the table of its card, again."""

from collections.abc import Iterator
from pathlib import Path

from models.checkpoint import Checkpoint
from models.description import CheckpointError, Structure
from models.heads.forecast import ForecastHead
from models.predictor import resolve_device
from models.reparam import reparameterize
from preprocessors.weather import WeatherPreprocessor
from training.evaluation_windows import EvaluationWindows
from training.forecast_evaluator import forecast_evaluator
from training.forecast_metrics import ForecastMetrics
from training.weather import WeatherForecasting
from training.weather_archive import read_archive

LEADS = (1, 3, 6, 12, 18, 24)  # hours, in tables
FORECASTS = ("model", "persistence", "same_hour")
COLUMNS = ("lead", "MSE of the model", "persistence", "same hour", "MAE of the model")


def backtest(checkpoint: Path, data: Path, stride: int = 24, max_gap: int = 6, device: str = "auto") -> ForecastMetrics:
    """Forecasts from every `stride` hours of the archive, as they are served. Raises CheckpointError, DatasetError."""
    loaded = Checkpoint.load(checkpoint)
    if loaded.task != WeatherForecasting.name:
        raise CheckpointError(f"{checkpoint} is for the task {loaded.task}, expected {WeatherForecasting.name}")
    preprocessor = WeatherPreprocessor(**loaded.preprocessor)
    model = loaded.build(ForecastHead, WeatherForecasting.embedding_type)
    if loaded.structure is Structure.TRAINING:
        model = reparameterize(model)
    archive = read_archive(data, preprocessor.variable, max_gap)
    where = resolve_device(device)
    return forecast_evaluator(preprocessor.transform)(
        model.to(where), EvaluationWindows(archive, preprocessor, stride), where
    )


def table(metrics: ForecastMetrics) -> Iterator[tuple[str, ...]]:
    """Rows of COLUMNS: by lead time, and of all together."""
    horizon = len(metrics.squared["model"])
    for lead in (lead for lead in LEADS if lead <= horizon):
        yield _row(f"+{lead} h", metrics, slice(lead - 1, lead))
    yield _row(f"all {horizon} h", metrics, slice(None))


def _row(name: str, metrics: ForecastMetrics, leads: slice) -> tuple[str, ...]:
    errors = [metrics.squared[forecast] for forecast in FORECASTS] + [metrics.absolute["model"]]
    return (name, *(f"{error[leads].mean().item():.2f}" for error in errors))
