"""Rooflines, against figures worked out apart from this code."""

import pytest
import torch

from benchmarks.bench_depthwise_conv2d import CANDIDATES, Problem, candidates, problems
from benchmarks.network_floor import floor_ms, layers
from benchmarks.peaks import PEAKS, peaks_of, share
from models.config import VARIANTS

H100 = PEAKS["NVIDIA H100 80GB HBM3"]


@pytest.mark.parametrize(("name", "giga"), [("a", 0.640), ("t", 4.899), ("s", 9.094), ("xl", 63.57)])
def test_operations_are_those_of_the_published_networks(name: str, giga: float) -> None:
    found = sum(layer.multiply_adds for layer in layers(VARIANTS[name], 1, 224)) / 1e9
    assert found == pytest.approx(giga, rel=3e-3)  # the gates and the head are left out


def test_network_t_could_take_two_and_a_half_milliseconds_for_128_images() -> None:
    assert 2.3 < floor_ms(VARIANTS["t"], 128, 224, torch.bfloat16, H100) < 3.0


def test_halves_are_multiplied_on_tensor_cores() -> None:
    problem = Problem(128, 160, 28, 13, torch.bfloat16)
    assert problem.floor_ms(H100) == pytest.approx(0.0192, rel=0.01)  # of memory
    full = Problem(128, 160, 28, 13, torch.float32)
    assert full.floor_ms(H100) == pytest.approx(0.0634, rel=0.01)  # of multiplications, taps beside the map left out


def test_an_unknown_device_has_no_roofline() -> None:
    assert peaks_of("cpu") is None
    assert share(None, 2.0) == ""
    assert share(1.0, 2.0) == "0.500"


def test_the_grid_of_the_paper_and_every_network_are_measured() -> None:
    found = set(problems("cuda"))
    for dtype in (torch.bfloat16, torch.float32):
        grid = {Problem(64, 384, side, size, dtype) for side in (16, 32, 64) for size in range(3, 32, 2)}
        assert grid <= found
        for config in VARIANTS.values():
            for resolution in (224, 384):
                for stage, sizes in enumerate(config.kernel_sizes):
                    shape = (config.dims[stage], resolution >> (stage + 2))
                    assert {Problem(n, *shape, size, dtype) for n in (1, 8, 128) for size in sizes} <= found


def test_the_goals_come_first() -> None:
    first = list(dict.fromkeys(problems("cuda")))[:20]
    assert Problem(128, 160, 28, 13, torch.bfloat16) in first
    assert Problem(64, 384, 64, 31, torch.bfloat16) in first


def test_a_cpu_compares_the_library_with_what_is_chosen() -> None:
    assert list(candidates(Problem(1, 384, 32, 31, torch.float32), "cpu")) == [
        "library, contiguous",
        "library, channels last",
        "chosen, contiguous",
        "chosen, channels last",
    ]


def test_the_library_comes_first_for_it_is_the_baseline() -> None:
    assert list(CANDIDATES)[:2] == ["library, contiguous", "library, channels last"]
    assert {"sliding, channels last", "toeplitz, contiguous", "dense, contiguous"} <= CANDIDATES.keys()
