"""Whole networks in comparisons: what is prepared and in which order, on a device that captures too."""

from dataclasses import replace

import pytest
import torch

from benchmarks import bench_backbone, bench_capture, candidates
from benchmarks.bench_backbone import Case, Networks, cases, trials
from benchmarks.bench_capture import Problem
from benchmarks.candidates import replayed, slow
from benchmarks.peaks import PEAKS
from benchmarks.plain_network import PlainClassifier
from models.precision import Precision
from tests.models.runtimes.networks import CONFIG, maps, model
from tests.service.engine.fake_device import FakeDevice

CPU = torch.device("cpu")


@torch.inference_mode()
def test_a_replayed_network_gives_the_logits_of_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "engine_device", lambda _: FakeDevice())
    network, x = model(replace(CONFIG, normalized_features=False)), maps(2, 3, 32, 32)
    run = replayed(network, x, Precision.FLOAT32)
    assert torch.allclose(run(), PlainClassifier(network)(x), atol=1e-5)


def test_what_compiles_comes_last_and_only_with_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_backbone, "peaks_of", lambda _: PEAKS["NVIDIA H200"])
    found = list(trials(cases(("t", "a"), (128, 1, 8), "cuda"), "cuda", 1.0))
    compiles = [any(map(slow, trial.candidates)) for trial in found]
    assert compiles[:6] == [False] * 3 + [True] * 3
    assert compiles[6:] == [False] * 9 + [True] * 9
    assert [trial.needs_s > 0 for trial in found] == compiles


def test_bfloat16_is_compared_with_eager_float32_too() -> None:
    names = Case("t", 1, Precision.BFLOAT16).names("cuda")
    assert names[0] == "eager"
    assert "torch, served, bfloat16" in names
    assert slow(names[-1])
    assert Case("t", 1, Precision.FLOAT32).names("cuda")[0] == "eager"


def test_cases_on_a_gpu_begin_with_the_goals() -> None:
    found = cases(("t", "a"), (128, 1, 8), "cuda")
    assert found[:3] == [Case("t", batch, Precision.BFLOAT16) for batch in (128, 1, 8)]
    assert found[3].variant == "a"
    assert {case.precision for case in found[6:]} == {Precision.FLOAT32}


def test_every_candidate_of_a_cpu_in_torch_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_backbone, "SIDE", 32)
    subject = Networks(Case("clothing10", 2, Precision.FLOAT32), "cpu")
    for name in ("eager", "eager, channels last", "torch, served"):
        assert subject.error(subject.prepare(name)()) < subject.tolerance


@torch.inference_mode()
def test_captured_maps_are_the_plain_ones() -> None:
    subject = bench_capture.Networks(Problem("small", 2, 32), FakeDevice(), CPU)
    plain, captured = ("library steps", "library steps, captured")
    assert subject.error(subject.prepare(plain)()) < subject.tolerance
    assert subject.error(subject.prepare(captured)()) < subject.tolerance
    assert bench_capture.candidates(captures=True)[-1].startswith("torch.compile")
