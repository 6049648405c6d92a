"""Conversion of the authors' classifiers, file or published name, to a checkpoint of this project."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import Checkpoint
from models.description import CheckpointError, Structure
from models.heads.classification import ClassificationHead
from models.source import open_source
from models.verification import bfloat16_measured, fused, halved

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ConversionReport:
    """What was found, made and measured. variant: published size, None for any other network.

    Errors are the largest difference of the logits over the largest logit, for one random image, in float32:
    max_relative_error of the fused network against the unfused one, None where nothing was fused; half_relative_error
    of weights stored in half precision against full ones, None where they are stored in full; bfloat16_error of
    computing in bfloat16, as in the model card.
    ignored: parts of the source that are not of the classifier -> number of tensors.
    """

    checkpoint: Path
    source: Path
    variant: str | None
    source_structure: Structure
    structure: Structure
    classes: int
    parameters: int
    max_relative_error: float | None
    half_relative_error: float | None
    bfloat16_error: float | None
    ignored: dict[str, int]


def convert(
    source: str,
    out: Path,
    *,
    name: str,
    structure: Structure = Structure.DEPLOY,
    labels: Sequence[str] | None = None,
    size: int | None = None,
    half: bool = False,
    progress: Progress = lambda step: None,
) -> ConversionReport:
    """Write the classifier in a file, or of a published name, to `out` as a checkpoint of `classify/image`.

    labels: class names by index; by default ImageNet-1K's for 1000 classes and ImageNet-22K's for 21841. size: side
    of the input in pixels; by default the published file's, else 224. progress: told each step as it begins.
    Raises CheckpointError for weights that do not fit or do not survive the change of form, and HubError for a
    published name that cannot be downloaded.
    """
    progress("read")
    opened = open_source(source)
    origin = opened.checkpoint(name, labels, size)
    progress("verify")
    formed, fusing_error = restructured(origin, structure)
    stored, half_error = halved(formed) if half else (formed, None)
    result = bfloat16_measured(stored)
    progress("write")
    out.parent.mkdir(parents=True, exist_ok=True)
    result.save(out)
    return ConversionReport(
        checkpoint=out,
        source=opened.path,
        variant=opened.network.variant,
        source_structure=origin.structure,
        structure=result.structure,
        classes=len(result.head["labels"]),
        parameters=_parameters(result),
        max_relative_error=fusing_error,
        half_relative_error=half_error,
        bfloat16_error=result.card.bfloat16_error,
        ignored=opened.weights.ignored,
    )


def restructured(origin: Checkpoint, structure: Structure) -> tuple[Checkpoint, float | None]:
    """The checkpoint in this structure, and the error of fusing it, None where it was in it already."""
    if structure is origin.structure:
        return origin, None
    if structure is Structure.TRAINING:
        raise CheckpointError(
            f"{origin.card.name} is in deploy form, whose branches cannot be told apart again: "
            "convert it to deploy form, or find the training form of it"
        )
    return fused(origin)


def _parameters(checkpoint: Checkpoint) -> int:
    return sum(value.numel() for value in checkpoint.build(ClassificationHead).parameters())
