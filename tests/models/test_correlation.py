"""Correlation layers against the authors' numbers, and against plain loops that say what they mean."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.correlation.auto_correlation import AutoCorrelation, aggregate, lag_count
from models.correlation.causal_conv import CausalConv1d, causal_network
from models.correlation.config import CorrelationConfig
from models.correlation.cross_correlation import CrossCorrelation, causal_order, present_mean
from models.correlation.decoder import DecoderLayer, SeasonalLayerNorm
from models.correlation.decomposition import decompose
from models.correlation.lag import advance, correlation
from models.correlation.multi_correlation import MultiCorrelation
from models.correlation.projections import Projections
from tests.conftest import SharedPath
from tests.corrformer import load
from tests.oracle import Case, relative_error
from tests.randomized import randomize

TOLERANCE = 2e-6
SMALL = CorrelationConfig(width=16, heads=4, node_list=(2, 3), steps=8)

ReadCase = Callable[[str], Case]


@pytest.fixture(scope="module")
def read_case(shared_path: SharedPath) -> ReadCase:
    return lambda name: Case.read(shared_path(f"oracle/{name}.json"))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def run(module: nn.Module, *inputs: Any) -> Any:
    return module(*inputs)


# What the authors' code gave


@pytest.mark.parametrize("memory_steps", [1, 18, 24, 30])
def test_auto_correlation_is_the_authors_for_memories_of_any_length(read_case: ReadCase, memory_steps: int) -> None:
    case = read_case(f"ts_autocorr_24_{memory_steps}")
    queries, keys, values = (
        F.pad(case.noise(name, (3, steps, 4, 4)), (0, 0, 0, 0, 0, 24 - steps)).transpose(1, 2)
        for name, steps in (("q", 24), ("k", memory_steps), ("v", memory_steps))
    )
    strengths = case.stored["corr"].mean(axis=3).transpose(0, 2, 1)
    assert relative_error(correlation(queries, keys), strengths) <= TOLERANCE
    assert relative_error(aggregate(queries, keys, values).transpose(1, 2), case.stored["out"]) <= TOLERANCE


def test_auto_correlation_with_its_projections_is_the_authors(read_case: ReadCase) -> None:
    case = read_case("ts_autolayer")
    found = run(load(AutoCorrelation(SMALL), case), case.noise("x", (3, 24, 16)), case.noise("y", (3, 18, 16)))
    assert relative_error(found, case.stored["out"]) <= TOLERANCE


def test_causal_network_is_the_authors(read_case: ReadCase) -> None:
    case = read_case("ts_causalconv")
    found = run(load(causal_network(12, 2, 0.0), case), case.input())
    assert relative_error(found, case.stored["out"]) <= TOLERANCE


def test_cross_correlation_is_the_authors(read_case: ReadCase) -> None:
    case = read_case("ts_crosslayer")
    x, memory = (case.noise(name, case.about[name]).unflatten(0, (2, 5)) for name in "xy")  # type: ignore[no-untyped-call]
    found = run(load(CrossCorrelation(SMALL), case), x, memory)
    assert relative_error(found.flatten(0, 1), case.stored["out"]) <= TOLERANCE


def test_multi_correlation_is_the_authors(read_case: ReadCase) -> None:
    case = read_case("ts_multi")
    found = run(load(MultiCorrelation(SMALL), case), *(case.noise(name, case.about[name]) for name in "xy"))
    assert relative_error(found, case.stored["out"]) <= TOLERANCE


def test_decoder_layer_is_the_authors(read_case: ReadCase) -> None:
    case = read_case("ts_declayer")
    layer = load(DecoderLayer(SMALL, hidden=32, out_chans=3, window=5), case)
    seasonal, trend = run(layer, *(case.noise(name, case.about[name]) for name in "xy"))
    assert relative_error(seasonal, case.stored["out"]) <= TOLERANCE
    assert relative_error(trend, case.stored["trend"]) <= TOLERANCE


@pytest.mark.parametrize("name", ["ts_decomp_k5_12", "ts_decomp_k25_12", "ts_decomp_k25_48"])
def test_decomposition_is_the_authors(read_case: ReadCase, name: str) -> None:
    case = read_case(name)
    seasonal, trend = decompose(case.input(), case.about["kernel"])
    assert relative_error(seasonal, case.stored["seasonal"]) <= TOLERANCE
    assert relative_error(trend, case.stored["trend"]) <= TOLERANCE


def test_seasonal_norm_is_the_authors(read_case: ReadCase) -> None:
    case = read_case("ts_mylayernorm")
    assert relative_error(run(load(SeasonalLayerNorm(16), case), case.input()), case.stored["out"]) <= TOLERANCE


# What it means


@pytest.mark.parametrize("steps", [7, 8])
def test_correlation_is_its_definition_at_even_and_odd_lengths(steps: int) -> None:
    q, k = noise(steps, 3), noise(steps, 3, seed=1)
    expected = [sum(float(q[(s + t) % steps] @ k[s]) for s in range(steps)) / 3 for t in range(steps)]
    assert torch.allclose(correlation(q, k), torch.tensor(expected), atol=1e-5)


def test_correlation_of_a_late_copy_is_strongest_at_its_lag() -> None:
    keys = noise(9, 2)
    late = keys.roll(4, dims=0)
    assert int(correlation(late, keys).argmax()) == 4
    assert torch.equal(advance(late, torch.tensor(4)), keys)
    assert torch.equal(advance(keys, torch.tensor(-4)), late)


@pytest.mark.parametrize(("steps", "factor", "count"), [(48, 1, 3), (8, 1, 2), (48, 2, 7), (2, 1, 1), (1, 1, 1)])
def test_the_number_of_lags_grows_with_the_logarithm_of_the_length(steps: int, factor: int, count: int) -> None:
    assert lag_count(steps, factor) == count


def slow_auto_correlation(q: Tensor, k: Tensor, v: Tensor, count: int) -> Tensor:
    """One series of one head, (L, E) each."""
    steps = len(q)
    strengths = [sum(float(q[(s + t) % steps] @ k[s]) for s in range(steps)) / q.shape[1] for t in range(steps)]
    lags = sorted(range(steps), key=lambda t: -strengths[t])[:count]
    total = sum(math.exp(strengths[t]) for t in lags)
    return torch.stack(
        [sum(math.exp(strengths[lag]) / total * v[(t + lag) % steps] for lag in lags) for t in range(steps)]  # type: ignore[misc]
    )


@pytest.mark.parametrize("steps", [9, 24])
def test_auto_correlation_sums_the_values_ahead_by_the_strongest_lags(steps: int) -> None:
    q, k, v = (noise(2, 3, steps, 4, seed=seed) for seed in range(3))
    found = aggregate(q, k, v)
    for series in range(2):
        for head in range(3):
            expected = slow_auto_correlation(q[series, head], k[series, head], v[series, head], int(math.log(steps)))
            assert torch.allclose(found[series, head], expected, atol=1e-4)


def slow_cross_correlation(layer: CrossCorrelation, x: Tensor, memory: Tensor, factor: int) -> Tensor:
    """One group: x and memory (n, L, width)."""
    n, steps, width = x.shape
    q, k, v = layer.projections.split(x, memory)
    heads, chans = q.shape[1], q.shape[3]
    result = torch.zeros(n, steps, heads, chans)
    for head in range(heads):
        pivot = q[:, head].mean(dim=0)
        strengths, lags = correlation(pivot, k[:, head]).topk(factor)
        for rank in range(factor):
            lag = [int(value) for value in lags[:, rank]]
            weight = strengths[:, rank].sigmoid()
            late = [weight[i] * v[i, head].roll(lag[i], dims=0) for i in range(n)]
            order = sorted(range(n), key=lambda i: steps - lag[i])
            sequence = torch.stack([late[i].T.flatten() for i in order], dim=1)
            fused = layer.causal_fusion(sequence[None])[0]
            for place, i in enumerate(order):
                result[i, :, head] += fused[:, place].view(chans, steps).T.roll(-lag[i], dims=0)
    return layer.projections.out(result.flatten(2))


def test_a_short_memory_is_followed_by_zeros_and_a_long_one_is_cut() -> None:
    projections = randomize(Projections(4, 2))
    x, memory = noise(2, 5, 4), noise(2, 3, 4, seed=1)
    whole = projections.value(memory).view(2, 3, 2, 2).transpose(1, 2)
    _, _, values = projections.split(x, memory)
    assert torch.equal(values[:, :, :3], whole)
    assert torch.equal(values[:, :, 3:], torch.zeros(2, 2, 2, 2))
    _, _, cut = projections.split(x[:, :2], memory)
    assert torch.equal(cut, whole[:, :, :2])


@pytest.mark.parametrize("factor", [1, 2])
def test_cross_correlation_fuses_siblings_in_the_order_of_their_lags(factor: int) -> None:
    layer = randomize(CrossCorrelation(CorrelationConfig(width=8, heads=2, steps=7, factor=factor)))
    x, memory = noise(3, 6, 7, 8), noise(3, 6, 5, 8, seed=1)
    with torch.inference_mode():
        found = layer(x, memory)
        for group in range(3):
            expected = slow_cross_correlation(layer, x[group], memory[group], factor)
            assert torch.allclose(found[group], expected, atol=1e-5)


def test_equal_lags_keep_the_order_of_the_tree_and_no_lag_comes_last() -> None:
    lags = torch.tensor([0, 2, 5, 2, 0, 5, 2])[None, None, None]
    assert causal_order(lags, 8, None).flatten().tolist() == [2, 5, 1, 3, 6, 0, 4]
    absent = torch.tensor([[False, False, True, False, True, False, False]])
    assert causal_order(lags, 8, absent).flatten().tolist() == [5, 1, 3, 6, 0, 2, 4]


@pytest.mark.parametrize("dilation", [1, 3])
def test_a_causal_convolution_sees_the_past_alone(dilation: int) -> None:
    conv = randomize(CausalConv1d(4, dilation))
    x = noise(2, 4, 12)
    weight = conv.weight_g * conv.weight_v / conv.weight_v.flatten(1).norm(dim=1)[:, None, None]
    for i in (0, 4, 11):
        past = (i + (tap - 2) * dilation for tap in range(3))
        expected = conv.bias + sum(x[:, :, at] @ weight[:, :, tap].T for tap, at in enumerate(past) if at >= 0)
        assert torch.allclose(conv(x)[:, :, i], expected, atol=1e-5)


def test_a_causal_network_reaches_three_times_as_far_with_every_block() -> None:
    network = randomize(causal_network(4, 2, 0.0))
    for parameter in network.parameters():
        parameter.detach().abs_()  # no ReLU stops anything
    x = torch.zeros(1, 4, 30)
    y = run(network, x)
    x[..., 0] = 100
    changed = ((run(network, x) - y).abs() > 1e-4).any(dim=1).flatten()
    assert changed[16]  # two convolutions of reach 2, two of reach 6
    assert not changed[17:].any()


def test_a_causal_network_answers_nothing_negative() -> None:
    assert run(randomize(causal_network(4, 1, 0.0)), noise(1, 4, 30)).min() == 0


def test_a_fresh_causal_convolution_keeps_the_size_of_what_passes_a_relu() -> None:
    torch.manual_seed(0)
    x = run(CausalConv1d(64), noise(4, 64, 200).relu())
    assert 0.8 < float(x.relu().square().mean()) / 0.5 < 1.2


@pytest.mark.parametrize("window", [1, 5, 9])
def test_the_trend_is_the_mean_around_each_step_with_the_ends_held(window: int) -> None:
    x = noise(2, 6, 3)
    seasonal, trend = decompose(x, window)
    around = range(-(window // 2), window // 2 + 1)
    expected = torch.stack([sum(x[:, min(max(t + d, 0), 5)] for d in around) / window for t in range(6)], dim=1)  # type: ignore[misc]
    assert torch.allclose(trend, expected, atol=1e-6)
    assert torch.equal(seasonal, x - trend)


def test_the_causal_network_sees_absent_siblings_as_zeros_at_its_end() -> None:
    layer = randomize(CrossCorrelation(CorrelationConfig(width=4, heads=2, steps=7)))
    seen: list[Tensor] = []
    layer.causal_fusion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x, absent = noise(1, 5, 7, 4), torch.tensor([[True, False, False, True, False]])
    run(layer, *(2 * [x.masked_fill(absent.view(1, 5, 1, 1), math.nan)]), absent)
    assert seen[0].ne(0).any(dim=1).tolist() == 2 * [[True, True, True, False, False]]


def test_the_mean_of_absent_nodes_alone_is_zero() -> None:
    absent = torch.tensor([[True, True], [False, True]])
    assert present_mean(torch.full((2, 2, 3), 5.0), absent, dim=1).tolist() == [[0.0] * 3, [5.0] * 3]


def test_a_decoder_layer_returns_the_three_trends_it_split_off() -> None:
    layer = randomize(DecoderLayer(SMALL, hidden=8, out_chans=16, window=3))
    with torch.no_grad():  # the trend's convolution as the identity
        layer.trend.weight.copy_(F.pad(torch.eye(16).unsqueeze(2), (1, 1)))
    x, memory = noise(6, 8, 16), noise(6, 4, 16, seed=1)
    with torch.inference_mode():
        seasonal, trend = layer(x, memory)
        first, _ = decompose(x + layer.self_correlation(x, x), 3)
        second, _ = decompose(first + layer.memory_correlation(first, memory), 3)
        gains = layer.self_correlation(x, x) + layer.memory_correlation(first, memory) + layer.feed_forward(second)
    assert torch.allclose(seasonal + trend, x + gains, atol=1e-4)


def test_seasons_have_no_level() -> None:
    norm = randomize(SeasonalLayerNorm(6))
    assert run(norm, noise(2, 9, 6) + 3).mean(dim=1).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("wrong", "told"), [({"heads": 5}, "multiple of heads"), ({"factor": 49}, "factor 49"), ({"factor": 0}, "factor 0")]
)
def test_sizes_that_cannot_be_are_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CorrelationConfig(**wrong)  # type: ignore[arg-type]


def test_a_tree_may_come_as_a_list_from_json() -> None:
    assert CorrelationConfig(node_list=[2, 3]) == CorrelationConfig(node_list=(2, 3))  # type: ignore[arg-type]


def test_correlation_in_float32_is_near_that_in_float64() -> None:
    q, k = noise(4, 48, 48), noise(4, 48, 48, seed=1)
    exact = np.fft.irfft((np.fft.rfft(q.double(), axis=1) * np.fft.rfft(k.double(), axis=1).conj()).mean(axis=2), n=48)
    assert relative_error(correlation(q, k), exact) <= TOLERANCE
