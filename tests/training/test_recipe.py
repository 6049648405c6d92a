import pytest

from training.recipe import Recipe


def test_the_learning_rate_warms_up_then_falls_to_its_last_value() -> None:
    recipe = Recipe(epochs=10, warmup_epochs=2, learning_rate=1.0, final_learning_rate=0.1)
    rates = [recipe.learning_rate_at(step, 10) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 20)
    assert rates[19] == rates[20] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[99] == pytest.approx(0.1, abs=0.01)
    assert all(a >= b for a, b in zip(rates[20:], rates[21:], strict=False))


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 1}])
def test_impossible_recipes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least 1 and 2"):
        Recipe(**wrong)  # type: ignore[arg-type]
