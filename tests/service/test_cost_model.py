import random

import pytest

from service.cost_model import CostModel


def observed(*batches: tuple[int, float]) -> CostModel:
    model = CostModel()
    for size, seconds in batches:
        model.observe(size, seconds)
    return model


def test_nothing_seen_costs_nothing() -> None:
    assert CostModel().seconds(8) == 0


def test_one_size_seen_makes_cost_proportional() -> None:
    model = observed((4, 0.2), (4, 0.4))
    assert model.seconds(8) == pytest.approx(2 * model.seconds(4))
    assert 0.2 < model.seconds(4) < 0.4


def test_what_has_no_size_takes_as_long_as_before() -> None:
    model = observed((0, 0.2), (0, 0.2))
    assert (model.seconds(0), model.usual_s) == pytest.approx((0.2, 0.2))


def test_start_and_slope_are_found_in_noise() -> None:
    rng = random.Random(0)
    sizes = [rng.randint(1, 16) for _ in range(300)]
    model = observed(*((size, 0.01 + 0.002 * size + rng.gauss(0, 0.0005)) for size in sizes))
    for size in (1, 7, 16):
        assert model.seconds(size) == pytest.approx(0.01 + 0.002 * size, rel=0.1)


def test_what_was_learned_of_large_batches_outlives_a_time_of_small_ones() -> None:
    model = observed((1, 0.10), (16, 0.16), *[(1, 0.10)] * 1000)
    assert model.seconds(16) == pytest.approx(0.16, rel=0.1)


@pytest.mark.parametrize("batches", [((1, 1.0), (8, 0.1)), ((1, 0.001), (8, 1.0)), ((1, 0.0), (2, 0.0))])
def test_no_prediction_is_negative(batches: tuple[tuple[int, float], ...]) -> None:
    model = observed(*batches)
    assert all(model.seconds(size) >= 0 for size in range(1, 64))


def test_the_past_is_forgotten() -> None:
    model = observed(*[(4, 9.0)] * 50, *[(4, 1.0)] * 100)
    assert model.seconds(4) == pytest.approx(1.0, rel=0.1)
