"""The tensors that each kind of head answers with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heads.base import Head
from models.heads.classification import ClassificationHead
from models.heads.forecast import ForecastHead
from service.errors import Problem, malformed
from service.open_inference.request import InferOutput
from service.open_inference.tensors import Tensor, classified
from service.runtime import Perceived

FP32, BYTES = "FP32", "BYTES"


@dataclass(frozen=True)
class Output:
    """One tensor of an answer. axes: of one input, -1 where that decides. values: of one input, for the head's options.

    ranked: the last axis are the labels of the head, and the classification extension may rank them.
    """

    datatype: str
    axes: Callable[[Any], Sequence[int]]
    values: Callable[[Any, Perceived, Any], Any]
    ranked: bool = False


def _mean(item: Perceived, name: str) -> NDArray[Any]:
    """Over the views of an input."""
    return np.mean([row[name].numpy() for row in item.rows], axis=0)


def _scores(head: ClassificationHead, item: Perceived, options: Any) -> NDArray[Any]:
    return head.scores(item.rows, options).mean(dim=0).numpy()


OUTPUTS: dict[type[Head], dict[str, Output]] = {
    ClassificationHead: {
        "scores": Output(FP32, lambda head: [len(head.labels)], _scores, ranked=True),
        "logits": Output(
            FP32, lambda head: [len(head.labels)], lambda head, item, options: _mean(item, "logits"), ranked=True
        ),
        "label": Output(
            BYTES, lambda head: [], lambda head, item, options: head.labels[_scores(head, item, options).argmax()]
        ),
        "embedding": Output(
            FP32, lambda head: [head.linear.in_features], lambda head, item, options: _mean(item, "embedding")
        ),
    },
    ForecastHead: {
        "forecast": Output(
            FP32,
            lambda head: [-1, -1],
            lambda head, item, options: head.interpret(item.rows, options, item.sample.context).forecast,
        ),
        "stations": Output(BYTES, lambda head: [-1], lambda head, item, options: list(item.sample.context.stations)),
        "units": Output(BYTES, lambda head: [], lambda head, item, options: item.sample.context.units),
        "start_time": Output(BYTES, lambda head: [], lambda head, item, options: item.sample.context.start_time),
    },
}
DTYPES = {FP32: np.float32, BYTES: object}


def chosen(head: Head, asked: Sequence[InferOutput]) -> Mapping[str, Output]:
    """Those that were asked for, or all. Raises Problem 400 for a name that the head does not know."""
    known = OUTPUTS[type(head)]
    for output in asked:
        if output.name not in known:
            raise malformed(f"there is no output {output.name!r}, expected some of: {', '.join(known)}")
    return {output.name: known[output.name] for output in asked} or known


def tensor(name: str, output: Output, head: Head, items: Sequence[Perceived], options: Any) -> Tensor:
    """Of all inputs. Raises Problem 422 where theirs are not of one shape."""
    values = [np.asarray(output.values(head, item, options), DTYPES[output.datatype]) for item in items]
    if len({value.shape for value in values}) > 1:
        told = ", ".join(str(list(value.shape)) for value in values)
        raise Problem(422, "invalid_parameter", f"{name} would have several shapes ({told}): send one input a request")
    return Tensor(name, np.stack(values))


def ranked(made: Tensor, output: Output, head: Any, asked: InferOutput | None) -> Tensor:
    """By the classification extension where it was asked for. Raises Problem 422 where it does not apply."""
    count = asked.parameters.get("classification") if asked else None
    if count is None:
        return made
    if not output.ranked or isinstance(count, bool) or not isinstance(count, int) or count < 1:
        detail = f"classification is {count!r} for {made.name}, expected a positive number, for scores or logits"
        raise Problem(422, "invalid_parameter", detail)
    return classified(made, count, head.labels)
