"""Classification: logits scored, labels ranked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.postprocessors.base import InvalidOption, Postprocessor, Row

Scores = NDArray[np.float32]


class ScoreFunction(StrEnum):
    """How logits become scores: probabilities that sum to 1, independent probabilities, or the logits themselves."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    NONE = "none"


def softmax(logits: Scores) -> Scores:
    """Over the last axis."""
    powers = logits - np.maximum.reduce(logits, axis=-1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= np.add.reduce(powers, axis=-1, keepdims=True)
    return powers


def sigmoid(logits: Scores) -> Scores:
    """By the hyperbolic tangent, which does not overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def highest(scores: Scores, count: int) -> list[tuple[int, float]]:
    """Place and value of the `count` highest of (classes,) scores, from the highest on; of equal ones the first comes
    first. Calls numpy as little as can be: for few classes, and few of many, that is what takes the time.
    """
    places = scores.argpartition(len(scores) - count)[len(scores) - count :]
    found = zip(places.tolist(), scores[places].tolist(), strict=True)
    return sorted(found, key=lambda item: (-item[1], item[0]))


SCORES: dict[ScoreFunction, Callable[[Scores], Scores]] = {
    ScoreFunction.SOFTMAX: softmax,
    ScoreFunction.SIGMOID: sigmoid,
    ScoreFunction.NONE: lambda logits: logits,
}


USUAL_TOP_K = 5


@dataclass(frozen=True)
class ClassificationOptions:
    """What a request may ask of the answer."""

    top_k: int = field(
        default=USUAL_TOP_K, metadata={"description": "Labels to return, best first; 0 for all", "ge": 0}
    )
    function_to_apply: ScoreFunction | None = field(
        default=None, metadata={"description": "How scores are made; by default as the model was trained"}
    )


@dataclass(frozen=True)
class LabelScore:
    label: str
    class_id: int
    score: float


@dataclass(frozen=True)
class Classification:
    """Labels from the highest score to the lowest. Where the input had several views, their scores are averaged.

    views: the same for every view by itself, in the order of `input.views`; absent where there was one.
    """

    predictions: list[LabelScore]
    views: list[list[LabelScore]] | None = None

    def as_hf(self) -> list[dict[str, str | float]]:
        """The bare list that Hugging Face clients expect."""
        return [{"label": item.label, "score": item.score} for item in self.predictions]


@dataclass(frozen=True)
class ClassificationPostprocessor(Postprocessor):
    """labels: name of every class, in the order of the logits. width: numbers of an embedding.

    Rows hold `logits` (classes,) and `embedding` (width,).
    """

    head: ClassVar[str] = "models.heads.classification:ClassificationHead"
    result_type: ClassVar[type] = Classification
    option_type: ClassVar[type] = ClassificationOptions
    embeds: ClassVar[bool] = True

    labels: tuple[str, ...]
    width: int
    function_to_apply: ScoreFunction = ScoreFunction.SOFTMAX

    def check(self, options: ClassificationOptions) -> None:
        """Who asks for no more than usual need not know how few labels there are. Raises InvalidOption."""
        if options.top_k > max(len(self.labels), USUAL_TOP_K):
            raise InvalidOption(
                "top_k", f"is {options.top_k}, expected 0 (all) to {len(self.labels)}, the labels known"
            )

    def interpret(self, rows: Sequence[Row], options: ClassificationOptions, context: Any = None) -> Classification:
        scores = self.scores(rows, options)
        best = min(options.top_k or len(self.labels), len(self.labels))
        if len(rows) == 1:
            return Classification(self._ranked(scores[0], best))
        views = [self._ranked(view, best) for view in scores]
        return Classification(self._ranked(scores.mean(axis=0), best), views)

    def scores(self, rows: Sequence[Row], options: ClassificationOptions) -> Scores:
        """(views, classes)."""
        logits = np.stack([row["logits"] for row in rows]) if len(rows) > 1 else rows[0]["logits"][np.newaxis]
        return SCORES[options.function_to_apply or self.function_to_apply](logits)

    def _ranked(self, scores: Scores, best: int) -> list[LabelScore]:
        return [LabelScore(self.labels[i], i, value) for i, value in highest(scores, best)]
