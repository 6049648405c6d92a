"""Batches on a device that captures work: the same rows as without, in few sizes, within its memory."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.postprocessors.base import Row
from preprocessors.base import Array
from service.engine.base import OutOfMemory
from service.engine.buckets import BucketRunner, bucket_sizes
from service.engine.device import engine_device
from service.engine.faults import translated
from service.pipeline import Pipeline, load_pipeline, load_pipelines
from service.settings import Settings
from tests.service.engine.fake_device import FakeDevice
from tests.tiny import TINY

CPU = Settings(device="cpu")
MAPS = ("classify/image", "classify/audio", "classify/video")


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint: Path) -> Pipeline:
    return load_pipeline(tiny_checkpoint, CPU)


@pytest.fixture(scope="module")
def pipelines(tiny_checkpoints: tuple[Path, ...]) -> dict[str, Pipeline]:
    loaded = load_pipelines(Settings(device="cpu", checkpoints=tiny_checkpoints))
    return {pipeline.path: pipeline for pipeline in loaded.values()}


def pictures(count: int, size: int = 32) -> list[Array]:
    return list(np.random.default_rng(count).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def runner(pipeline: Pipeline, device: FakeDevice, most: int = 8) -> BucketRunner:
    made = BucketRunner(pipeline, device)
    made.warm_up(most)
    device.uploads.clear()
    return made


def assert_same(found: Sequence[Row], expected: Sequence[Row]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert np.abs(value - other[name]).max() <= 1e-5 * np.abs(other[name]).max(), name


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16]), (17, [1, 2, 4, 8, 16, 17])]
)
def test_buckets_are_powers_of_two_and_the_largest_batch(most: int, sizes: list[int]) -> None:
    assert bucket_sizes(most) == sizes


def test_every_batch_is_replayed_in_the_next_bucket_and_answered_row_by_row(pipeline: Pipeline) -> None:
    device = FakeDevice()
    run = runner(pipeline, device)
    for count in (8, 1, 5, 3, 2):  # large before small: what a larger batch left must not show
        assert_same(run(pictures(count)), pipeline.run(pictures(count)))
    assert device.replays == {8: 2, 1: 1, 4: 1, 2: 1}
    assert device.uploads == [8, 1, 5, 3, 2]  # only the device pads


def test_the_largest_work_is_captured_first(pipeline: Pipeline) -> None:
    device = FakeDevice()
    assert runner(pipeline, device, 6).buckets == [1, 2, 4, 6]
    assert device.captured == [6, 4, 2, 1]


def test_rows_outlive_the_next_batch(pipeline: Pipeline) -> None:
    run = runner(pipeline, FakeDevice())
    first = run(pictures(2))
    kept = [{name: value.copy() for name, value in row.items()} for row in first]
    run(pictures(2)[::-1])
    assert all(np.array_equal(row[name], other[name]) for row, other in zip(first, kept, strict=True) for name in row)


def test_more_views_than_the_largest_batch_are_answered_in_parts(pipeline: Pipeline) -> None:
    device = FakeDevice()
    assert_same(runner(pipeline, device, 2)(pictures(5)), pipeline.run(pictures(5)))
    assert device.replays == {2: 2, 1: 1}


def test_no_views_have_no_rows(pipeline: Pipeline) -> None:
    assert runner(pipeline, FakeDevice())([]) == []


@pytest.mark.parametrize("path", MAPS)
def test_maps_of_every_modality_are_captured(path: str, pipelines: dict[str, Pipeline]) -> None:
    device = FakeDevice()
    run = runner(pipelines[path], device, 2)
    views = [pipelines[path].preprocessor.blank()] * 2
    assert_same(run(views), pipelines[path].run(views))
    assert device.replays == {2: 1}


@pytest.mark.parametrize("path", sorted(set(TINY) - set(MAPS)))
def test_points_and_stations_run_as_they_are(path: str, pipelines: dict[str, Pipeline]) -> None:
    device = FakeDevice()
    run = runner(pipelines[path], device, 2)
    views = [pipelines[path].preprocessor.blank()] * 2
    assert_same(run(views), pipelines[path].run(views))
    assert device.captured == []


def test_views_of_another_shape_run_as_they_are(pipeline: Pipeline) -> None:
    device = FakeDevice()
    run = runner(pipeline, device)
    assert_same(run(pictures(2, size=64)), pipeline.run(pictures(2, size=64)))
    assert device.replays == {}


@pytest.mark.parametrize(
    ("memory", "largest"),
    [
        pytest.param(1600, 8, id="twice the largest batch"),
        pytest.param(1599, 4, id="not quite twice"),
        pytest.param(250, 1, id="little more than one sample"),
    ],
)
def test_batches_are_as_large_as_the_memory_allows(
    memory: int, largest: int, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    device = FakeDevice(memory)
    run = runner(pipeline, device)
    assert run.largest == max(run.buckets) == largest
    assert ("do not fit" in caplog.text) == (largest < 8)
    assert_same(run(pictures(8)), pipeline.run(pictures(8)))
    assert max(device.uploads) == largest


def test_a_batch_that_runs_out_of_memory_at_warm_up_is_not_tried_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FakeDevice(memory=350)
    monkeypatch.setattr(device, "free_bytes", lambda: 1 << 40)  # another process has taken it
    assert runner(pipeline, device).largest == 2


def test_a_model_that_does_not_fit_at_all_is_out_of_memory(pipeline: Pipeline) -> None:
    with pytest.raises(torch.OutOfMemoryError) as refusal:
        runner(pipeline, FakeDevice(memory=50))
    assert isinstance(translated(refusal.value), OutOfMemory)


def test_work_that_cannot_be_captured_runs_as_it_is(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    device = FakeDevice(refuses="operation not permitted when stream is capturing")
    run = runner(pipeline, device)
    assert run.buckets == []
    assert "tiny: no CUDA graph, so small batches are slower: operation not permitted" in caplog.text
    assert_same(run(pictures(3)), pipeline.run(pictures(3)))


def test_rasters_are_normalised_where_the_bits_are_the_same(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run = runner(pipeline, FakeDevice())
    assert run._transforms_there
    assert not caplog.text


def test_rasters_are_normalised_here_where_the_device_rounds_otherwise(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    device = FakeDevice(rounds=0.25)
    run = BucketRunner(pipeline, device)
    run.warm_up(2)
    assert not run._transforms_there
    assert "rasters are normalised on the CPU" in caplog.text
    device.rounds = 0.0
    assert_same(run(pictures(2)), pipeline.run(pictures(2)))


def test_a_wrong_answer_is_an_error(tiny_checkpoint: Path) -> None:
    pipeline = load_pipeline(tiny_checkpoint, CPU)
    run = runner(pipeline, FakeDevice())
    with torch.no_grad():
        next(pipeline.predictor.model.parameters()).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="serve it in float32"):
        run(pictures(1))


@pytest.mark.gpu
@pytest.mark.parametrize("path", TINY)
def test_a_gpu_gives_the_rows_of_its_plain_runs(tiny_checkpoints: tuple[Path, ...], path: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    settings = Settings(device="cuda", checkpoints=tiny_checkpoints)
    pipeline = next(each for each in load_pipelines(settings).values() if each.path == path)
    run = BucketRunner(pipeline, engine_device(torch.device("cuda")))
    run.warm_up(4)
    assert run.buckets == ([1, 2, 4] if path in MAPS else [])
    options = pipeline.preprocessor.option_type()
    views = [
        view for seed in range(6) for view in pipeline.preprocessor.decode(TINY[path].payload(seed), options).views
    ]
    for count in (4, 1, 3, 6):
        found, expected = run(views[:count]), pipeline.run(views[:count])
        for row, other in zip(found, expected, strict=True):
            for name, value in row.items():
                assert np.abs(value - other[name]).max() <= 1e-3 * np.abs(other[name]).max(), name
