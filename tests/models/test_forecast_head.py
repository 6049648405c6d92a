"""The whole forecaster: the authors' network put together from its proven pieces, and what a service needs of it."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.config import VARIANTS, BackboneConfig, default_kernel_sizes
from models.embeddings.station import to_map
from models.embeddings.station_maps import StationMaps
from models.embeddings.station_network import FACTS, StationNetwork
from models.embeddings.time_marks import time_marks
from models.heads.forecast import ForecastHead, node_tokens
from models.heads.tree_linear import TreeLinear
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from tests.randomized import randomize

DEPTHS = (1, 1, 1, 1)
BACKBONE = BackboneConfig(DEPTHS, (8, 16, 24, 32), default_kernel_sizes(DEPTHS), in_chans=1)
HEAD: dict[str, Any] = {
    "stations": 3, "node_list": [2, 2], "history": 48, "label_len": 12, "pred_len": 24, "width": 32, "heads": 2,
    "hidden": 16, "window": 5,
}  # fmt: skip
NODES, PER_NODE, HISTORY = 4, 3, 48
HOUR = 473_377  # 2024-01-01T01 UTC


def forecaster(**changes: Any) -> PerceptionModel:
    model = PerceptionModel(UniRepLKNet(BACKBONE), ForecastHead(**(HEAD | changes)), StationMaps(PER_NODE, 32))
    return randomize(model)


def request(stations: int = NODES * PER_NODE, nodes: int = NODES, seed: int = 0) -> Tensor:
    """(1, slots, 5 + T): so many stations in the first slots."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.full((1, nodes * PER_NODE, FACTS + HISTORY), torch.nan)
    x[:, :stations] = torch.randn(1, stations, FACTS + HISTORY, generator=generator)
    x[:, :stations, FACTS:] += 20 * torch.rand(1, stations, 1, generator=generator)
    x[:, :stations, FACTS - 1] = HOUR
    return x


@torch.inference_mode()
def run(model: nn.Module, x: Tensor) -> Tensor:
    forecast: Tensor = model(x)["forecast"]
    return forecast


@torch.inference_mode()
def put_together(model: PerceptionModel, x: Tensor) -> Tensor:
    """The authors' order of things, of the pieces that match their numbers; the norm is shared."""
    head = model.head
    assert isinstance(head, ForecastHead)
    assert isinstance(model.embedding, StationMaps)
    series = x[..., FACTS:].reshape(NODES, PER_NODE, HISTORY).transpose(1, 2)
    positions = x[..., :3].reshape(NODES, 3 * PER_NODE)
    normalized, scale = head.norm(series)
    marks = time_marks(HOUR + torch.arange(HISTORY + 24)).expand(NODES, -1, -1)
    maps = model.backbone(to_map(model.embedding.stations(normalized, marks[:, :HISTORY], positions)))[-1]
    tokens = maps.flatten(2).transpose(1, 2)
    decoded = head.decoder(tokens, normalized, marks[:, HISTORY - 12 :], positions)
    return head.norm.restore(decoded, scale).transpose(1, 2).reshape(1, -1, 24)


def with_norm_folded_in(model: PerceptionModel) -> PerceptionModel:
    """The embedding takes series without the norm's scale and shift: they go into its weights."""
    embedding, norm = model.embedding.stations, model.head.norm
    with torch.no_grad():
        weight = embedding.value.weight  # type: ignore[union-attr]
        embedding.position.bias += (weight * norm.bias.view(1, -1, 1)).sum(dim=(1, 2))  # type: ignore[union-attr,operator]
        weight *= norm.weight.view(1, -1, 1)  # type: ignore[union-attr,operator]
    return model


def test_it_is_the_authors_network_with_the_norm_folded_into_the_embedding() -> None:
    x = request()
    expected = put_together(forecaster(), x)
    found = run(with_norm_folded_in(forecaster()), x)
    assert found.shape == (1, NODES * PER_NODE, 24)
    assert (found - expected).abs().max() < 2e-5 * expected.abs().max()


def test_the_full_size_has_the_authors_parameters() -> None:
    kernels = VARIANTS["s"].kernel_sizes[:-1] + ((11,) * VARIANTS["s"].depths[-1],)
    config = BackboneConfig(VARIANTS["s"].depths, VARIANTS["s"].dims, kernels, in_chans=1)
    with torch.device("meta"):
        model = PerceptionModel(UniRepLKNet(config), ForecastHead(), StationMaps(11, 768))
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == 131_978_457
    with torch.device("meta"):
        deployed = sum(parameter.numel() for parameter in reparameterize(model).parameters())
    assert deployed == 131_223_033


def test_requests_of_several_sizes_share_a_batch_without_knowing_of_each_other() -> None:
    model = forecaster(tree_linear=True)
    whole, small = request(seed=1), request(5, nodes=2, seed=2)
    padded = torch.cat([small, torch.full_like(small, torch.nan)], dim=1)
    together = run(model, torch.cat([whole, padded]))
    assert torch.allclose(together[:1], run(model, whole), atol=1e-4)
    assert torch.allclose(together[1:, :5], run(model, small)[:, :5], atol=1e-4)


def test_what_stands_in_an_absent_slot_changes_nothing() -> None:
    model, x = forecaster(), request(10)
    other = x.clone()
    other[:, 10:, 1:] = 7.0  # only the latitude says that nobody is there
    assert torch.equal(run(model, x)[:, :10], run(model, other)[:, :10])


def test_values_on_another_scale_are_forecast_on_that_scale() -> None:
    model, x = forecaster(tree_linear=True), request()
    warmer = x.clone()
    warmer[..., FACTS:] = 1.8 * x[..., FACTS:] + 32
    celsius, fahrenheit = run(model, x), run(model, warmer)
    assert torch.allclose(fahrenheit, 1.8 * celsius + 32, atol=1e-3 * celsius.abs().max().item())


def test_a_constant_series_stays_constant() -> None:
    model, x = forecaster(tree_linear=True), request()
    x[..., FACTS:] = 21.5
    assert (run(model, x) - 21.5).abs().max() < 0.1


def test_with_the_linear_part_a_new_forecaster_repeats_the_last_day() -> None:
    torch.manual_seed(0)
    head = ForecastHead(**HEAD, tree_linear=True)
    model = PerceptionModel(UniRepLKNet(BACKBONE), head, StationMaps(PER_NODE, 32)).eval()
    x = request(10)
    assert torch.allclose(run(model, x)[:, :10], x[:, :10, -24:], atol=1e-4)


def test_the_linear_part_looks_at_the_sun() -> None:
    layer = TreeLinear((1,), 24, 24)
    with torch.no_grad():
        layer.weight[7] *= 2
    series = torch.randn(1, 1, 24, 3)
    hours = torch.tensor([[[7.0 + 24, 9.5 - 2.1, 8.0]]])  # UTC and longitude together: 7, 7.4 and 8 in the morning
    found = layer(series, torch.zeros(1, 1, 3, dtype=torch.bool), hours)
    assert torch.allclose(found, series * torch.tensor([2.0, 2.0, 1.0]))


def test_the_linear_part_sees_the_means_of_all_that_surrounds_a_station() -> None:
    layer = TreeLinear((2, 3), 24, 1)
    series = torch.randn(1, 6, 24, 2)
    absent = torch.zeros(1, 6, 2, dtype=torch.bool)
    absent[0, 1, 1] = absent[0, 4] = absent[0, 5] = True
    present = [(node, slot) for node in range(6) for slot in range(2) if not absent[0, node, slot]]
    around: list[list[tuple[int, int]]]
    for node, slot in present:
        own = series[0, node, :, slot]
        branch = [0, 1, 2] if node < 3 else [3, 4, 5]
        around = [
            [place for place in present if place[0] == node],
            [place for place in present if place[0] in branch],
            present,
        ]
        means = [torch.stack([series[0, n, :, s] for n, s in places]).mean(dim=0) - own for places in around]
        found = layer.levels(series.masked_fill(absent.unsqueeze(2), 0), absent)[0, node, slot]
        assert torch.allclose(found, torch.stack([own, *means]), atol=1e-6)


def test_a_station_alone_is_forecast_from_itself() -> None:
    layer = randomize(TreeLinear((2, 3), 24, 4))
    series, absent = torch.randn(1, 3, 24, 2), torch.ones(1, 3, 2, dtype=torch.bool)
    absent[0, 0, 0] = False
    found = layer(series.masked_fill(absent.unsqueeze(2), 0), absent, torch.full((1, 3, 2), 5.0))
    assert torch.allclose(found[0, 0, :, 0], layer.weight[5, :, 0] @ series[0, 0, :, 0], atol=1e-5)


def test_tokens_return_to_their_nodes() -> None:
    maps = torch.arange(2 * 3 * 4.0).reshape(2, 3, 2, 2)
    tokens = node_tokens(maps, torch.tensor([[True, False], [False, True]]))
    assert torch.equal(tokens[1], maps[0].flatten(1).T)
    assert torch.equal(tokens[2], maps[1].flatten(1).T)
    assert not tokens[[0, 3]].any()


def test_the_hour_of_a_request_survives_in_float32() -> None:
    x = request(4)
    network = StationNetwork.unpack(x, PER_NODE)
    assert network.hours(0, 3).tolist() == [[HOUR, HOUR + 1, HOUR + 2]]
    latest = (np.datetime64("2150-12-31T23") - np.datetime64("1970-01-01T00")).astype(int)
    assert float(np.float32(latest)) == latest


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_for_the_network_not_for_the_weather(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    head = ForecastHead(**HEAD, tree_linear=True)
    model = PerceptionModel(UniRepLKNet(BACKBONE), head, StationMaps(PER_NODE, 32)).eval().to(dtype)
    x = request()
    assert torch.allclose(run(model, x).float(), x[..., -24:], atol=0.02)  # a new one repeats the last day
    assert math.isclose(float(x[0, 0, FACTS - 1]), HOUR)
