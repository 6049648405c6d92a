"""Forecasters are trained on archives with gaps, and served as they were tested."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.embeddings.station_network import FACTS
from models.heads.forecast import ForecastHead
from preprocessors.histories.arrangement import ABSENT
from preprocessors.histories.station import Stations
from preprocessors.weather import WeatherPreprocessor
from service.cli import app
from service.pipeline import load_pipeline
from service.settings import Settings
from tests.histories import npz
from training import linear_fit
from training.criterion import masked_mse
from training.dataset_error import DatasetError
from training.evaluation_windows import EvaluationWindows
from training.forecast_evaluator import BASELINES
from training.forecast_metrics import ErrorSums
from training.linear_fit import fit_linear
from training.training_windows import TrainingWindows, trimmed
from training.weather_archive import Archive, filled, find_archives, read_archive
from training.window import Window

STATIONS, HISTORY, HORIZON = 5, 24, 6
PREPROCESSOR = WeatherPreprocessor(history=HISTORY, horizon=HORIZON, node=2, branches=(2, 2))


def days(hours: int = 600, seed: int = 0) -> np.ndarray:
    """Warm days and cold nights, of an amplitude that drifts from day to day and is the same at all stations."""
    rng = np.random.default_rng(seed)
    time = np.arange(hours)
    amplitude = 5 + np.cumsum(rng.normal(0, 0.05, hours))
    weather = amplitude * np.sin(2 * np.pi * time / 24)
    fronts = np.convolve(rng.normal(0, 1, hours + 9), np.ones(10) / 3, "valid")
    return 15 + (weather + fronts)[:, None] + rng.uniform(-5, 5, STATIONS) + rng.normal(0, 0.1, (hours, STATIONS))


def places() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "latitude": rng.uniform(-20, -10, STATIONS),
        "longitude": rng.uniform(-60, -50, STATIONS),
        "elevation": rng.uniform(0, 900, STATIONS),
    }


def archive(values: np.ndarray, first: int = 24 * 19_000) -> Archive:
    stations = Stations.of([f"s{i}" for i in range(values.shape[1])], **places())
    values = values.astype(np.float32)
    return Archive("temperature", "degC", stations, first, values, filled(values, 3))


def save(path: Path, values: np.ndarray, start: str = "2024-01-01T00:00:00Z", **more: Any) -> None:
    names = np.array([f"s{i}" for i in range(values.shape[1])])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(npz(series=values, stations=names, start_time=start, variable="temperature", **places(), **more))


def test_short_gaps_are_filled_and_long_ones_left() -> None:
    values = np.arange(20, dtype=np.float32)[:, None].repeat(3, axis=1)
    holes = values.copy()
    holes[4:7, 0] = holes[4:8, 1] = holes[:2, 2] = holes[18:, 2] = np.nan
    whole = filled(holes, 3)
    assert np.array_equal(whole[:, 0], values[:, 0])
    assert np.isnan(whole[:, 1]).sum() == 4
    assert np.isnan(whole[:, 2]).sum() == 4
    assert np.isnan(holes[4:7, 0]).all()


def test_what_is_absent_is_cut_off_the_end_in_time(tmp_path: Path) -> None:
    values = days(1000)
    values[3, 2] = np.nan
    save(tmp_path / "one.npz", values)
    splits = find_archives(tmp_path / "one.npz", "temperature", 6)
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part.values) for part in parts] == [810, 90, 100]
    assert np.array_equal(np.concatenate([part.values for part in parts]), values.astype(np.float32), equal_nan=True)
    assert [part.first - splits.train.first for part in parts] == [0, 810, 900]
    save(tmp_path / "set" / "train.npz", values)
    save(tmp_path / "set" / "test.npz", values[:200], start="2025-01-01T00:00:00Z")
    given = find_archives(tmp_path / "set", "temperature", 6)
    assert [len(part.values) for part in (given.train, given.validation, given.test)] == [900, 100, 200]
    assert given.origin == "given, but validation cut off the end of what was there"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("other.txt", b"x", "holds no history of weather stations, expected one of train.npz"),
        ("train.npz", b"PK\x03\x04broken", "train.npz cannot be used"),
    ],
)
def test_folders_without_a_usable_history_are_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=reason):
        find_archives(tmp_path, "temperature", 6)


def test_an_archive_of_another_variable_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "train.npz", days(100))
    with pytest.raises(DatasetError, match="is of temperature, expected wind"):
        read_archive(tmp_path / "train.npz", "wind", 6)


def test_a_window_has_the_stations_whose_history_is_known_and_all_that_came() -> None:
    values = days(100)
    values[30:40, 1] = np.nan  # in the history
    values[52:54, 3] = np.nan  # in what came
    window = Window.cut(archive(values), 26, HISTORY, HORIZON)
    assert window.stations.ids == ("s0", "s2", "s3", "s4")
    assert window.history == pytest.approx(values[26:50, [0, 2, 3, 4]].astype(np.float32))
    assert np.isnan(window.targets[2:4, 2]).all()
    assert np.isnan(window.targets).sum() == 2


def test_evaluation_windows_begin_with_the_days_and_are_what_the_server_would_see() -> None:
    data = archive(days(200), first=24 * 19_000 + 5)
    evaluated = EvaluationWindows(data, PREPROCESSOR, 24)
    assert [int(x[0, FACTS - 1]) % 24 for x, _ in evaluated.views] == [0] * len(evaluated)
    x, targets = evaluated[0]
    present = ~x[:, 0].isnan()
    pairs = zip(x[present, FACTS:].tolist(), targets[present].tolist(), strict=True)
    rows = {tuple(history): after for history, after in pairs}
    assert len(rows) == STATIONS
    for column in data.values[19 : 19 + HISTORY + HORIZON].T:
        assert rows[tuple(column[:HISTORY].tolist())] == column[HISTORY:].tolist()


def test_training_windows_are_a_function_of_seed_and_epoch_and_keep_stations_and_futures_together() -> None:
    data = archive(days(400) + np.arange(STATIONS) * 100)
    windows = TrainingWindows(data, PREPROCESSOR, 24, whole=0.3, moved=0.5, seed=1)
    assert len(windows) == (400 - 30 + 1) // 24
    again = TrainingWindows(data, PREPROCESSOR, 24, whole=0.3, moved=0.5, seed=1)
    sizes = set()
    for index in range(len(windows)):
        x, targets = windows[index]
        assert torch.equal(x.nan_to_num(7), again[index][0].nan_to_num(7))
        present = ~x[:, 0].isnan()
        sizes.add(int(present.sum()))
        levels = (x[present, FACTS:].mean(dim=1) - targets[present].mean(dim=1)).abs()
        assert (levels < 30).all()  # stations are a hundred degrees apart
    assert len(sizes) > 2
    first = windows[0][0].clone()
    windows.epoch = 1
    assert not torch.equal(first.nan_to_num(7), windows[0][0].nan_to_num(7))


def test_a_window_is_moved_with_its_sun() -> None:
    windows = TrainingWindows(archive(days(400)), PREPROCESSOR, 24, whole=1.0, moved=1.0, seed=1)
    still = replace_moved(windows, 0.0)
    for index in range(len(windows)):
        (moved, _), (plain, _) = windows[index], still[index]
        present = ~plain[:, 0].isnan()
        solar = (plain[present, 3] + plain[present, 4]).sort().values % 24
        assert torch.allclose((moved[present, 3] + moved[present, 4]).sort().values % 24, solar, atol=0.1)


def replace_moved(windows: TrainingWindows, moved: float) -> TrainingWindows:
    return TrainingWindows(windows.archive, windows.preprocessor, windows.stride, windows.whole, moved, windows.seed)


def test_branches_that_are_empty_in_all_windows_are_left_out() -> None:
    x = torch.zeros(2, 8, FACTS + HISTORY)
    x[0, 3:] = x[1, 1:] = torch.nan
    assert [y.shape[1] for y in trimmed(x, torch.zeros(2, 8, 3), 2)] == [4, 4]


def test_errors_are_counted_where_the_target_is_known() -> None:
    targets = torch.tensor([[[1.0, torch.nan], [3.0, 4.0]]])
    assert masked_mse({"forecast": torch.zeros(1, 2, 2)}, targets).item() == pytest.approx((1 + 9 + 16) / 3)
    values = torch.arange(48.0).reshape(1, 1, 48)
    assert BASELINES["persistence"](values, 3).tolist() == [[[47.0] * 3]]
    assert BASELINES["same_hour"](values, 25).flatten().tolist() == [*range(24, 48), 24]
    sums = ErrorSums()
    sums.add({"model": torch.zeros(1, 2, 2), "persistence": targets.nan_to_num(0), "same_hour": targets * 0}, targets)
    found = sums.metrics()
    assert found.squared["model"].tolist() == [5.0, 16.0]
    assert found.summary["mse"] == pytest.approx(10.5)
    assert found.summary["persistence_mse"] == 0
    assert found.count == 3


def test_the_linear_part_forecasts_other_weather_of_the_same_kind() -> None:
    windows = TrainingWindows(archive(days(1500)), PREPROCESSOR, 5, whole=1.0, moved=0.0, seed=0)
    head = new_head()
    fit_linear(head, windows)
    assert head.linear is not None
    assert not head.linear.weight.requires_grad
    evaluated = EvaluationWindows(archive(days(400, seed=5)), PREPROCESSOR, 5)
    fitted, naive = [], []
    for x, targets in evaluated.views:
        present = ~x[:, 0].isnan()
        fitted.append((forecast(head, x)[present] - targets[present]).square().mean())
        naive.append((x[present, -24:-18] - targets[present]).square().mean())
    assert torch.stack(fitted).mean() < 0.8 * torch.stack(naive).mean()


def test_with_nothing_else_the_linear_part_is_that_of_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_fit, "SHARED", 0)
    monkeypatch.setattr(linear_fit, "RIDGE", 1e-6)
    windows = TrainingWindows(archive(days(900)), PREPROCESSOR, 5, whole=1.0, moved=0.0, seed=0)
    head = new_head()
    fit_linear(head, windows)
    assert slope(head, windows) < 0.02 * slope(new_head(), windows)


def new_head() -> ForecastHead:
    return ForecastHead(2, [2, 2], HISTORY, 6, HORIZON, tree_linear=True, width=8, heads=2, hidden=8, window=5)


def slope(head: ForecastHead, windows: TrainingWindows) -> float:
    """Of the squared error over the windows: none, at the best weights for them alone."""
    assert head.linear is not None
    head.linear.weight.requires_grad_(True)
    for index in range(len(windows)):
        x, targets = windows[index]
        masked_mse({"forecast": forecast(head, x)}, targets).backward()  # type: ignore[no-untyped-call]
    assert head.linear.weight.grad is not None
    return float(head.linear.weight.grad.norm())


def forecast(head: ForecastHead, x: torch.Tensor) -> torch.Tensor:
    """By the linear part alone."""
    from models.embeddings.station_network import StationNetwork

    network = StationNetwork.unpack(x[None], head.per_node)
    mean = network.values.mean(dim=2, keepdim=True)
    assert head.linear is not None
    found = head.linear(network.values - mean, network.absent, network.solar + network.hour.view(-1, 1, 1)) + mean
    return found.transpose(2, 3).reshape(len(x), -1)


FLAGS = (
    "--history 24 --horizon 6 --label 12 --node 2 --heads 2 --hidden 16 --window 5 --depths 1,1,1,1 --width 8 "
    "--epochs 2 --batch-size 4 --stride 12 --drop-path 0 --layer-scale 0.1 --device cpu --threads 1 --max-gap 3"
)


def test_a_trained_forecaster_is_served_and_evaluated_again_as_it_was_tested(tmp_path: Path) -> None:
    values = days(900)
    values[np.random.default_rng(0).random(values.shape) < 0.01] = np.nan
    save(tmp_path / "data" / "train.npz", values)
    save(tmp_path / "data" / "test.npz", days(200, seed=2), start="2024-06-01T00:00:00Z")
    out = tmp_path / "run"
    arguments = ["train", "weather", str(tmp_path / "data"), "--out", str(out), "--name", "days", *FLAGS.split()]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    test = json.loads((out / "metrics.json").read_text())["test"]
    assert test["mse"] < 0.95 * min(test["persistence_mse"], test["same_hour_mse"])
    assert len(test["mse_by_lead_hour"]["model"]) == HORIZON
    assert (out / "forecast.png").stat().st_size > 10_000

    again = CliRunner().invoke(
        app,
        ["backtest", str(out / "model.safetensors"), str(tmp_path / "data" / "test.npz"), "--stride", "12", "--json"],
    )
    assert again.exit_code == 0, again.output
    evaluated = json.loads(again.output)
    assert evaluated["values"] == test["values"]
    assert evaluated["mse"] == pytest.approx(test["mse"], rel=1e-4)
    shown = CliRunner().invoke(app, ["backtest", str(out / "model.safetensors"), str(tmp_path / "data" / "test.npz")])
    assert "same hour" in shown.output

    pipeline = load_pipeline(out / "model.safetensors", Settings(device="cpu"))
    assert pipeline.card.metrics["test_mse"] == pytest.approx(test["mse"], abs=1e-4)
    assert "forecaster of 6 hours, trained on 5 weather stations" in pipeline.card.description
    served = served_error(pipeline, tmp_path / "data" / "test.npz")
    assert served == pytest.approx(test["mse"], rel=1e-3)


def served_error(pipeline: Any, path: Path) -> float:
    """Of the answers to the windows of an archive, sent one by one, as npz."""
    data, errors = read_archive(path, "temperature", 3), []
    for row in data.windows(HISTORY, HORIZON, 12):
        seen = data.values[row : row + HISTORY]
        start = np.datetime64(data.first + row, "h").astype("datetime64[s]")
        known = np.array(data.stations.ids)
        payload = npz(series=seen.astype(np.float64), stations=known, start_time=start, horizon=HORIZON, **places())
        options = pipeline.preprocessor.option_type(horizon=HORIZON)
        sample = pipeline.preprocessor.decode(payload, options)
        answer = pipeline.postprocessor.interpret(pipeline.run(sample.views), None, sample.context)
        assert all(slots[slots != ABSENT].size for slots in sample.context.slots)
        targets = data.values[row + HISTORY : row + HISTORY + HORIZON]
        errors.append(np.square(answer.forecast - targets).mean())
    return float(np.mean(errors))


def test_a_killed_run_goes_on_and_a_changed_one_does_not(tmp_path: Path) -> None:
    save(tmp_path / "all.npz", days(500))
    arguments = ["train", "weather", str(tmp_path / "all.npz"), "--out", str(tmp_path / "run"), *FLAGS.split()]
    assert CliRunner().invoke(app, [*arguments, "--stop-after", "1"]).exit_code == 0
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert len(json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"]) == 2
    changed = CliRunner().invoke(app, [*arguments, "--node", "3"])
    assert changed.exit_code == 1
    assert "other node" in changed.output.replace("\n", " ")
