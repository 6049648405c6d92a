"""Classification: pooled features, normalised, through one linear layer; scored and ranked labels as the answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.heads.base import Head, InvalidOption, Row
from models.unireplknet import Features


class ScoreFunction(StrEnum):
    """How logits become scores: probabilities that sum to 1, independent probabilities, or the logits themselves."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    NONE = "none"


SCORES: dict[ScoreFunction, Callable[[Tensor], Tensor]] = {
    ScoreFunction.SOFTMAX: lambda logits: logits.softmax(dim=-1),
    ScoreFunction.SIGMOID: torch.sigmoid,
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


class ClassificationHead(Head):
    """num_features: channels of the last stage; where the embedding makes several maps of one input, of all of them
    together, in their order. labels: name of every class, in the order of the logits.

    norm_eps: 1e-6 as in the authors' ImageNet head. Rows hold `logits` (classes,) and `embedding` (num_features,),
    the normalised pooled features from which the logits are computed.
    """

    result_type = Classification
    option_type = ClassificationOptions
    embeds: ClassVar[bool] = True

    def __init__(
        self,
        num_features: int,
        labels: Sequence[str],
        function_to_apply: ScoreFunction = ScoreFunction.SOFTMAX,
        norm_eps: float = 1e-6,
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not labels:
            raise ValueError("a classification head needs at least one label, got none")
        self.labels = tuple(labels)
        self.function_to_apply = ScoreFunction(function_to_apply)
        self.norm = nn.LayerNorm(num_features, eps=norm_eps)
        self.linear = nn.Linear(num_features, len(self.labels))
        nn.init.trunc_normal_(self.linear.weight, std=0.02 * init_scale)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Features, x: Tensor) -> Row:
        pooled = features[-1].mean(dim=(2, 3)).reshape(len(x), -1)
        embedding = self.norm(pooled)
        return {"logits": self.linear(embedding), "embedding": embedding}

    def check(self, options: ClassificationOptions) -> None:
        """Who asks for no more than usual need not know how few labels there are. Raises InvalidOption."""
        if options.top_k > max(len(self.labels), USUAL_TOP_K):
            raise InvalidOption(
                "top_k", f"is {options.top_k}, expected 0 (all) to {len(self.labels)}, the labels known"
            )

    def interpret(self, rows: Sequence[Row], options: ClassificationOptions, context: Any = None) -> Classification:
        scores = self.scores(rows, options)
        best = min(options.top_k or len(self.labels), len(self.labels))
        views = [self._ranked(view, best) for view in scores] if len(rows) > 1 else None
        return Classification(self._ranked(scores.mean(dim=0), best), views)

    def scores(self, rows: Sequence[Row], options: ClassificationOptions) -> Tensor:
        """(views, classes)."""
        logits = torch.stack([row["logits"].float() for row in rows])
        return SCORES[options.function_to_apply or self.function_to_apply](logits)

    def _ranked(self, scores: Tensor, best: int) -> list[LabelScore]:
        values, classes = scores.topk(best)
        ranked = zip(values.tolist(), classes.tolist(), strict=True)
        return [LabelScore(self.labels[i], i, value) for value, i in ranked]
