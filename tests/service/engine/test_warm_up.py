"""What an engine does to its models before they are ready, on a device that captures and on one that does not."""

from pathlib import Path

import pytest
import torch

from service.engine.buckets import BucketRunner
from service.engine.device import CpuDevice, CudaDevice, engine_device
from service.engine.warm_up import run_on, warmed_up
from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings
from tests.service.engine.fake_device import FakeDevice


@pytest.fixture(scope="module")
def settings(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("cache")
    return Settings(device="cpu", checkpoints=(tiny_checkpoint,), max_batch_size=4, tuning_s=9, cache_folder=folder)


@pytest.fixture(scope="module")
def pipelines(settings: Settings) -> dict[str, Pipeline]:
    return load_pipelines(settings)


def test_a_cpu_runs_batches_as_they_come(settings: Settings, pipelines: dict[str, Pipeline]) -> None:
    runs = warmed_up(pipelines, settings, CpuDevice(torch.device("cpu")))
    assert runs == {"tiny": pipelines["tiny"].run}


def test_a_device_that_captures_tunes_while_it_warms_up(settings: Settings, pipelines: dict[str, Pipeline]) -> None:
    device = FakeDevice()
    run = warmed_up(pipelines, settings, device)["tiny"]
    assert isinstance(run, BucketRunner)
    assert run.buckets == [1, 2, 4]
    assert device.tunings == [(9, settings.cache_folder)]


def test_all_models_share_the_time_for_tuning(settings: Settings, pipelines: dict[str, Pipeline]) -> None:
    device = FakeDevice()
    runs = warmed_up({"one": pipelines["tiny"], "other": pipelines["tiny"]}, settings, device)
    assert list(runs) == ["one", "other"]
    assert len(device.tunings) == 1


def test_a_model_that_is_added_beside_others_measures_nothing(
    settings: Settings, pipelines: dict[str, Pipeline]
) -> None:
    device = FakeDevice()
    run = run_on(device, pipelines["tiny"], settings)
    assert isinstance(run, BucketRunner)
    assert run.buckets == [1, 2, 4]
    assert not device.tunings


def test_requests_measure_nothing(settings: Settings, pipelines: dict[str, Pipeline]) -> None:
    device = FakeDevice()
    run = warmed_up(pipelines, settings, device)["tiny"]
    assert all(device.tuned_uploads)
    device.tuned_uploads.clear()
    run([pipelines["tiny"].preprocessor.blank()] * 3)
    assert device.tuned_uploads == [False]


@pytest.mark.parametrize(("name", "kind"), [("cpu", CpuDevice), ("meta", CpuDevice), ("cuda:1", CudaDevice)])
def test_devices_are_known_by_their_kind(name: str, kind: type) -> None:
    assert isinstance(engine_device(torch.device(name)), kind)


@pytest.mark.parametrize(("name", "chosen"), [("cuda:3", [3]), ("cuda", [])])
def test_a_gpu_is_made_the_current_one_where_it_is_named(
    name: str, chosen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int | None] = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: found.append(device.index))
    engine_device(torch.device(name)).enter()
    assert found == chosen
