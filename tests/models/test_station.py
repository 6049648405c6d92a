"""Stations as tokens and maps, moments as marks, and series made alike."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from torch import Tensor

from models.embeddings.series_norm import SeriesNorm
from models.embeddings.station import StationEmbedding, map_size, to_map
from models.embeddings.time_marks import time_marks
from tests.conftest import SharedPath
from tests.corrformer import load, stations
from tests.oracle import Case, relative_error
from tests.randomized import randomize

TOLERANCE = 2e-6
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_tokens_are_the_authors(shared_path: SharedPath) -> None:
    case = Case.read(shared_path("oracle/ts_embedding.json"))
    positions = stations(12, per_node=2)
    assert relative_error(positions.reshape(12, 3), case.stored["national_pos"]) <= TOLERANCE
    values, marks = case.noise("x", (12, 24, 2)), case.noise("mark", (12, 24, 4), 0.5 / 3**0.5)
    with torch.inference_mode():
        tokens = load(StationEmbedding(2, 16), case)(values, marks, positions.repeat(2, 1))
    assert relative_error(tokens, case.stored["out"]) <= TOLERANCE


def test_a_token_sees_its_step_and_both_neighbours_around_the_circle() -> None:
    embedding = randomize(StationEmbedding(2, 5))
    values, marks, positions = noise(3, 6, 2), noise(3, 6, 4, seed=1), noise(3, 6, seed=2)
    tokens = embedding(values, marks, positions)
    kernel = embedding.value.weight
    for t in range(6):
        near = (values[:, t - 1], values[:, t], values[:, (t + 1) % 6])
        seen = sum(x @ kernel[:, :, tap].T for tap, x in enumerate(near))
        expected = seen + marks[:, t] @ embedding.mark.weight.T + embedding.position(positions)
        assert torch.allclose(tokens[:, t], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "width", "size"),
    [(48, 768, (192, 192)), (48, 96, (64, 72)), (24, 32, (24, 32)), (7, 1, (1, 7)), (1, 1, (1, 1)), (2, 3, (2, 3))],
)
def test_the_map_is_the_squarest_there_is(steps: int, width: int, size: tuple[int, int]) -> None:
    assert map_size(steps, width) == size


def test_the_map_shows_step_after_step_row_by_row() -> None:
    tokens = torch.arange(2 * 48 * 768.0).view(2, 48, 768)
    image = to_map(tokens)
    assert image.shape == (2, 1, 192, 192)
    for row in (0, 3, 4, 191):  # four rows to a step
        assert torch.equal(image[1, 0, row], tokens[1, row // 4, 192 * (row % 4) : 192 * (row % 4) + 192])


def authors_marks(moment: datetime) -> tuple[float, ...]:
    day_of_year = moment.timetuple().tm_yday
    return (
        moment.hour / 23 - 0.5,
        moment.weekday() / 6 - 0.5,
        (moment.day - 1) / 30 - 0.5,
        (day_of_year - 1) / 365 - 0.5,
    )


FIRST, LAST = (int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) // 3600 for year in (1900, 2101))


def test_marks_are_those_of_the_calendar_on_every_day_of_two_centuries() -> None:
    hours = np.arange(FIRST, LAST, 24)
    days = hours.astype("datetime64[h]").astype("datetime64[D]")
    in_month = (days - days.astype("datetime64[M]")).astype(int)
    in_year = (days - days.astype("datetime64[Y]")).astype(int)
    expected = np.stack([in_month / 30, in_year / 365], axis=1) - 0.5
    assert np.array_equal(time_marks(torch.from_numpy(hours))[:, 2:].numpy(), expected.astype(np.float32))


def test_marks_are_the_authors_at_all_hours() -> None:
    hours = range(FIRST, LAST, 727)  # in turn every hour, weekday and day of the month
    expected = torch.tensor([authors_marks(EPOCH + timedelta(hours=hour)) for hour in hours], dtype=torch.float64)
    assert torch.equal(time_marks(torch.tensor(hours)), expected.float())


@pytest.mark.parametrize(
    ("moment", "day", "day_of_year"),
    [
        (datetime(2000, 2, 29, 23, tzinfo=UTC), 29, 60),
        (datetime(2000, 12, 31, tzinfo=UTC), 31, 366),
        (datetime(1900, 3, 1, tzinfo=UTC), 1, 60),
        (datetime(2100, 3, 1, tzinfo=UTC), 1, 60),
        (datetime(2024, 3, 1, 5, tzinfo=UTC), 1, 61),
        (datetime(1969, 12, 31, 23, tzinfo=UTC), 31, 365),
    ],
)
def test_marks_know_leap_days_and_the_time_before_the_epoch(moment: datetime, day: int, day_of_year: int) -> None:
    marks = time_marks(torch.tensor(round((moment - EPOCH).total_seconds()) // 3600))
    fields = ((marks.double() + 0.5) * torch.tensor([23, 6, 30, 365])).round().int().tolist()
    assert fields == [moment.hour, moment.weekday(), day - 1, day_of_year - 1]


def test_marks_keep_the_shape_of_the_hours() -> None:
    hours = torch.arange(24).view(2, 3, 4)
    assert time_marks(hours).shape == (2, 3, 4, 4)
    assert torch.equal(time_marks(hours)[1, 2, 3], time_marks(torch.tensor(23)))


def test_normalized_series_have_mean_0_and_deviation_1_and_come_back() -> None:
    x = 30 * noise(3, 40, 2) + 1000
    norm = SeriesNorm(2)
    normalized, scale = norm(x)
    assert normalized.mean(dim=1).abs().max() < 1e-4
    assert torch.allclose(normalized.square().mean(dim=1), torch.ones(3, 2), atol=1e-4)
    assert torch.allclose(norm.restore(normalized, scale), x, rtol=1e-6)


def test_the_learned_scale_and_shift_are_undone() -> None:
    norm = randomize(SeriesNorm(2))
    x = noise(3, 40, 2)
    normalized, scale = norm(x)
    deviation = (x.var(dim=1, correction=0, keepdim=True) + 1e-5).sqrt()
    expected = (x - x.mean(dim=1, keepdim=True)) / deviation * norm.weight + norm.bias
    assert torch.allclose(normalized, expected, atol=1e-6)
    assert torch.allclose(norm.restore(normalized, scale), x, atol=1e-5)
    assert torch.allclose(norm.restore(normalized[:, :5], scale), x[:, :5], atol=1e-5)


def test_a_station_that_always_says_the_same_is_no_error() -> None:
    norm = SeriesNorm(1)
    normalized, scale = norm(torch.full((1, 12, 1), 288.0))
    assert torch.equal(normalized, torch.zeros(1, 12, 1))
    assert torch.equal(norm.restore(normalized, scale), torch.full((1, 12, 1), 288.0))


def test_series_are_measured_in_full_precision() -> None:
    norm = SeriesNorm(1).bfloat16()
    x = torch.tensor([256.0, 258.0, 258.0, 258.0]).view(1, 4, 1).bfloat16()  # beyond 256 it counts in twos
    normalized, scale = norm(x)
    assert normalized.dtype == torch.bfloat16
    assert float(scale.mean) == 257.5
    assert torch.allclose(norm.restore(normalized, scale), x.float(), atol=0.05)
