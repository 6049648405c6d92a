"""The forecasting network around any encoder: the authors' numbers and sizes, and what a service needs of it."""

import copy
import json
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.correlation.config import CorrelationConfig
from models.embeddings.series_norm import SeriesNorm
from models.embeddings.station import StationEmbedding
from models.heads.forecast_decoder import ForecastDecoder
from tests.conftest import SharedPath
from tests.corrformer import AuthorsForecaster, CorrelationEncoder, load
from tests.oracle import Case, relative_error
from tests.randomized import randomize

TOLERANCE = 2e-6
LEVEL = 100  # of the authors' series; without it an error shows against their spread
MARK_SCALE = 0.5 / math.sqrt(3)


class Given(nn.Module):
    """An encoder that answers whatever it is asked with the same tokens."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        return self.tokens


def correlation_encoder(config: dict[str, Any]) -> CorrelationEncoder:
    sizes = CorrelationConfig(config["d_model"], config["n_heads"], config["node_list"], config["seq_len"])
    return CorrelationEncoder(sizes, config["d_ff"], config["moving_avg"], config["e_layers"])


@torch.inference_mode()
def forecast(case: Case, encoder: nn.Module) -> tuple[Tensor, Tensor]:
    config = case.about["config"]
    x = case.noise("x", (2, config["seq_len"], 12), 30) + LEVEL
    marks = case.noise("mark", (2, config["seq_len"], 4), MARK_SCALE)
    next_marks = case.noise("markdec", (2, config["label_len"] + config["pred_len"], 4), MARK_SCALE)
    found: tuple[Tensor, Tensor] = load(AuthorsForecaster(case, encoder), case)(x, marks, next_marks)
    return found


@pytest.mark.parametrize("name", ["enc1", "enc12"])
def test_everything_but_the_encoder_is_the_authors(shared_path: SharedPath, name: str) -> None:
    case = Case.read(shared_path(f"oracle/ts_pipeline_{name}.json"))
    found, embedded = forecast(case, Given(case.noise("enc_out", case.about["enc_out"])))
    assert relative_error(embedded, case.stored["encoder_input"]) <= TOLERANCE
    assert relative_error(found - LEVEL, case.stored["out"] - LEVEL) <= TOLERANCE


def test_with_the_encoder_it_was_made_for_the_forecast_is_the_authors(shared_path: SharedPath) -> None:
    case = Case.read(shared_path("oracle/ts_corrformer_full.json"))
    found, _ = forecast(case, correlation_encoder(case.about["config"]))
    assert relative_error(found - LEVEL, case.stored["out"] - LEVEL) <= TOLERANCE


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_defaults_are_the_authors_network_to_the_last_parameter() -> None:
    with torch.device("meta"):
        decoder, embedding, norm = ForecastDecoder(), StationEmbedding(11, 768), SeriesNorm(11)
    assert parameters(decoder.decoder) == 76_349_963
    assert parameters(decoder.embedding) + parameters(embedding) == 109_056
    assert parameters(norm) == 22
    # With the authors' S of 1,000 classes and one channel, the whole is what they measured.
    assert parameters(decoder) + parameters(embedding) + parameters(norm) == 132_748_993 - 56_289_952


OPTIONS: dict[str, Any] = {
    "stations": 2,
    "node_list": [2, 3],
    "label_len": 4,
    "pred_len": 3,
    "width": 8,
    "heads": 2,
    "hidden": 16,
    "window": 5,
    "layers": 2,
    "fusion_blocks": 2,
}
REQUESTS, NODES, HISTORY = 3, 6, 10


def small(**changes: Any) -> ForecastDecoder:
    return randomize(ForecastDecoder(**(OPTIONS | changes)))


def inputs(tokens: int = 4, steps: int = 7, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((tokens, 8), (HISTORY, 2), (steps, 4), (6,))
    return [torch.randn(REQUESTS * NODES, *shape, generator=generator) for shape in shapes]


def test_a_forecast_has_a_value_for_every_coming_step_of_every_station() -> None:
    with torch.inference_mode():
        found = small()(*inputs())
    assert found.shape == (REQUESTS * NODES, 3, 2)
    assert found.isfinite().all()


def test_the_decoder_begins_with_the_end_of_the_history_and_its_mean() -> None:
    x = inputs()[1]
    seasonal, trend = small().start(x)
    assert torch.allclose((seasonal + trend)[:, :4], x[:, -4:], atol=1e-6)
    assert torch.equal(seasonal[:, 4:], torch.zeros(len(x), 3, 2))
    assert torch.allclose(trend[:, 4:], x.mean(dim=1, keepdim=True).expand(-1, 3, -1))


class TrendAlone(nn.Module):
    """A decoder that adds nothing."""

    def forward(self, x: Tensor, trend: Tensor, memory: Tensor, absent: Tensor | None = None) -> Tensor:
        return trend


def test_a_decoder_that_adds_nothing_forecasts_the_mean_of_the_history() -> None:
    decoder, batch = small(), inputs()
    decoder.decoder = TrendAlone()  # type: ignore[assignment]
    assert torch.allclose(decoder(*batch), batch[1].mean(dim=1, keepdim=True).expand(-1, 3, -1))


@pytest.mark.parametrize("tokens", [1, 4, 7, 36])
def test_requests_forecast_together_are_forecast_as_alone(tokens: int) -> None:
    decoder, batch = small(), inputs(tokens)
    absent = torch.zeros(REQUESTS, NODES, dtype=torch.bool)
    absent[1, 4:] = True
    with torch.inference_mode():
        together = decoder(*batch, absent)
        for i in range(REQUESTS):
            mine = slice(i * NODES, (i + 1) * NODES)
            alone = decoder(*(x[mine] for x in batch), absent[i : i + 1])
            assert torch.allclose(alone, together[mine], atol=1e-4)


def test_absent_nodes_change_no_forecast_and_present_ones_do() -> None:
    decoder, batch, other = small(), inputs(), inputs(seed=1)
    absent = torch.zeros(REQUESTS, NODES, dtype=torch.bool)
    absent[0, 5] = absent[1, 3:] = True
    missing = absent.flatten()
    replaced = [torch.where(missing.view(-1, *(1,) * (x.ndim - 1)), y, x) for x, y in zip(batch, other, strict=True)]
    with torch.inference_mode():
        kept = decoder(*replaced, absent)[~missing]
        assert torch.allclose(kept, decoder(*batch, absent)[~missing], atol=1e-5)
        assert not torch.allclose(decoder(*replaced)[~missing], decoder(*batch)[~missing])


def test_gradients_reach_every_weight() -> None:
    decoder, batch = small(pred_len=5).train(), inputs(steps=9)  # nine steps have two lags to weigh
    decoder(*batch).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 1e-3 for p in decoder.parameters() if p.ndim > 1)


def test_a_network_built_without_storage_is_filled_and_copied() -> None:
    original, batch = small(), inputs()
    with torch.device("meta"):
        decoder = ForecastDecoder(**json.loads(json.dumps(OPTIONS)))
    decoder.load_state_dict(original.state_dict(), assign=True)
    with torch.inference_mode():
        expected = original(*batch)
        for same in (decoder.eval(), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
            assert torch.allclose(same(*batch), expected, atol=1e-5)


def test_a_window_without_a_middle_is_refused() -> None:
    with pytest.raises(ValueError, match="odd number"):
        ForecastDecoder(window=24)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_forecasts_the_processors_numbers() -> None:
    decoder, batch = small(), inputs()
    with torch.inference_mode():
        expected = decoder(*batch)
        found = decoder.cuda()(*(x.cuda() for x in batch)).cpu()
    assert torch.allclose(found, expected, atol=1e-3)
