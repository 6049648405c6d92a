"""The tensors that each kind of model answers with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.postprocessors.base import Postprocessor
from models.postprocessors.classification import ClassificationPostprocessor
from models.postprocessors.forecast import ForecastPostprocessor
from service.errors import Problem, malformed
from service.open_inference.request import InferOutput
from service.open_inference.tensors import BYTES, FP32, Tensor, classified
from service.runtime import Perceived


@dataclass(frozen=True)
class Output:
    """One tensor of an answer. axes: of one input, -1 where that decides. values: of one input, for the options of the
    postprocessor.

    ranked: the last axis are its labels, and the classification extension may rank them.
    """

    datatype: str
    axes: Callable[[Any], Sequence[int]]
    values: Callable[[Any, Perceived, Any], Any]
    ranked: bool = False


def _mean(item: Perceived, name: str) -> NDArray[Any]:
    """Over the views of an input."""
    return np.mean([row[name] for row in item.rows], axis=0)


def _scores(post: ClassificationPostprocessor, item: Perceived, options: Any) -> NDArray[Any]:
    return post.scores(item.rows, options).mean(axis=0)


OUTPUTS: dict[type[Postprocessor], dict[str, Output]] = {
    ClassificationPostprocessor: {
        "scores": Output(FP32, lambda post: [len(post.labels)], _scores, ranked=True),
        "logits": Output(
            FP32, lambda post: [len(post.labels)], lambda post, item, options: _mean(item, "logits"), ranked=True
        ),
        "label": Output(
            BYTES, lambda post: [], lambda post, item, options: post.labels[_scores(post, item, options).argmax()]
        ),
        "embedding": Output(FP32, lambda post: [post.width], lambda post, item, options: _mean(item, "embedding")),
    },
    ForecastPostprocessor: {
        "forecast": Output(
            FP32,
            lambda post: [-1, -1],
            lambda post, item, options: post.interpret(item.rows, options, item.sample.context).forecast,
        ),
        "stations": Output(BYTES, lambda post: [-1], lambda post, item, options: list(item.sample.context.stations)),
        "units": Output(BYTES, lambda post: [], lambda post, item, options: item.sample.context.units),
        "start_time": Output(BYTES, lambda post: [], lambda post, item, options: item.sample.context.start_time),
    },
}
DTYPES = {FP32: np.float32, BYTES: object}


def chosen(post: Postprocessor, asked: Sequence[InferOutput]) -> Mapping[str, Output]:
    """Those that were asked for, or all. Raises Problem 400 for a name that is not known."""
    known = OUTPUTS[type(post)]
    for output in asked:
        if output.name not in known:
            raise malformed(f"no output named {output.name!r}, expected any of: {', '.join(known)}")
    return {output.name: known[output.name] for output in asked} or known


def tensor(name: str, output: Output, post: Postprocessor, items: Sequence[Perceived], options: Any) -> Tensor:
    """Of all inputs. Raises Problem 422 where theirs are not of one shape."""
    values = [np.asarray(output.values(post, item, options), DTYPES[output.datatype]) for item in items]
    if len({value.shape for value in values}) > 1:
        told = ", ".join(str(list(value.shape)) for value in values)
        raise Problem(
            422,
            "invalid_parameter",
            f"{name} has a different shape for each input ({told}): send one input per request",
        )
    return Tensor(name, np.stack(values))


def ranked(made: Tensor, output: Output, post: Any, asked: InferOutput | None) -> Tensor:
    """By the classification extension where it was asked for. Raises Problem 422 where it does not apply."""
    count = asked.parameters.get("classification") if asked else None
    if count is None:
        return made
    if not output.ranked or isinstance(count, bool) or not isinstance(count, int) or count < 1:
        detail = f"classification is {count!r} for {made.name}, expected a positive number, and scores or logits"
        raise Problem(422, "invalid_parameter", detail)
    return classified(made, count, post.labels)
