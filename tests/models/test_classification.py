from typing import Any

import numpy as np
import pytest
import torch

from models.postprocessors.base import InvalidOption
from models.postprocessors.classification import (
    SCORES,
    ClassificationOptions,
    ClassificationPostprocessor,
    ScoreFunction,
    highest,
)

POSTPROCESSOR = ClassificationPostprocessor(("ant", "bee", "cat"), width=4)
ROW = {"logits": np.array([0, 2, 1], np.float32), "embedding": np.zeros(4, np.float32)}


def test_who_asks_for_the_usual_number_of_few_labels_is_answered_with_all_there_are() -> None:
    options = ClassificationOptions()
    POSTPROCESSOR.check(options)
    assert [item.label for item in POSTPROCESSOR.interpret([ROW], options).predictions] == ["bee", "cat", "ant"]


def test_more_labels_than_there_are_and_than_is_usual_are_refused() -> None:
    with pytest.raises(InvalidOption, match=r"is 6, expected 0 \(all\) to 3"):
        POSTPROCESSOR.check(ClassificationOptions(top_k=6))


@pytest.mark.parametrize(
    ("function", "expected"),
    [("softmax", lambda x: x.softmax(-1)), ("sigmoid", torch.sigmoid), ("none", lambda x: x)],
)
@pytest.mark.parametrize("scale", [1, 50, 1e38])
def test_scores_are_those_of_torch_however_large_the_logits(function: str, expected: Any, scale: float) -> None:
    logits = (scale * np.random.default_rng(0).uniform(-1, 1, (3, 1000))).astype(np.float32)
    with np.errstate(over="raise", invalid="raise"):
        found = SCORES[ScoreFunction(function)](logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(torch.from_numpy(logits)).numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", [1, 5, 99, 100])
def test_the_highest_are_those_that_sorting_would_give(count: int) -> None:
    scores = np.random.default_rng(0).permutation(100).astype(np.float32)
    assert highest(scores, count) == [(place, scores[place]) for place in np.argsort(-scores).tolist()[:count]]


def test_of_equal_scores_the_first_come_first() -> None:
    assert [place for place, _ in highest(np.array([1, 2, 1, 2, 0], np.float32), 5)] == [1, 3, 0, 2, 4]
