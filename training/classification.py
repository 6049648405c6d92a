"""Teaching classes: files in class folders, one softmax over their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import BackboneConfig
from models.heads.base import Outputs
from models.heads.classification import ClassificationHead
from training.data import Splits, find_splits
from training.lesson import Lesson, Loss, Material
from training.listed import listed_splits
from training.recipe import Recipe
from training.samples import EvaluationSamples
from training.scoring import accuracy, judge_by, precision
from training.setting import setting
from training.subject import Subject


@dataclass(frozen=True)
class ClassificationSubject(Subject):
    """suffixes: of the files that are read. norm_eps: of the head's norm, as in the authors' heads. maps: how many maps
    one input becomes.

    A strength of 0 turns its part off. A batch is mixed with mix_probability, by one of mixup and cutmix.
    """

    suffixes: ClassVar[Sequence[str]]
    norm_eps: ClassVar[float] = 1e-5
    head_type = ClassificationHead
    data_help: ClassVar[str] = (
        "Folder with one subfolder per class, or train/, validation/, test/ each holding class subfolders; or a CSV of "
        "file,labels, where a file may have several labels"
    )

    label_smoothing: float = setting(0.1, "Label smoothing; 0 disables")
    mixup: float = setting(0.5, "Mixup: maximum weight of the second sample; 0 disables")
    cutmix: float = setting(1.0, "CutMix: alpha of the beta distribution of the pasted area; 0 disables")
    mix_probability: float = setting(0.5, "Fraction of batches with mixup or CutMix")

    @property
    def maps(self) -> int:
        return 1

    def material(self, splits: Splits, recipe: Recipe) -> Material:
        """Read the training split. Raises DatasetError for a file that cannot be used."""
        raise NotImplementedError

    def lesson(self, data: Path, recipe: Recipe, backbone: BackboneConfig) -> Lesson:
        listed = data.is_file()
        splits = listed_splits(data, recipe.seed) if listed else find_splits(data, self.suffixes, recipe.seed)
        material = self.material(splits, recipe)
        preprocessor = material.preprocessor
        judged = {"validation": splits.validation, "test": splits.test}
        return Lesson(
            material=material,
            head={
                "num_features": backbone.dims[-1] * self.maps,
                "labels": splits.labels,
                "norm_eps": self.norm_eps,
                **({"function_to_apply": "sigmoid"} if splits.multi_label else {}),
            },
            loss=(binary_cross_entropy if splits.multi_label else soft_cross_entropy)(self.label_smoothing),
            judged={
                name: EvaluationSamples(examples, splits.targets(examples), preprocessor)
                for name, examples in judged.items()
            },
            judge=judge_by(
                preprocessor.transform, partial(precision if splits.multi_label else accuracy, labels=splits.labels)
            ),
            splits={"train": len(splits.train), **{k: len(v) for k, v in judged.items()}, "origin": splits.origin},
            description=f"UniRepLKNet {self.noun} for {len(splits.labels)} classes",
        )


def soft_cross_entropy(label_smoothing: float) -> Loss:
    """Of the logits against soft targets (N, classes)."""

    def loss(outputs: Outputs, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs["logits"].float(), targets, label_smoothing=label_smoothing)

    return loss


def binary_cross_entropy(label_smoothing: float) -> Loss:
    """Of every logit by itself, against soft targets (N, classes)."""

    def loss(outputs: Outputs, targets: Tensor) -> Tensor:
        smoothed = torch.lerp(targets, torch.full_like(targets, 0.5), label_smoothing)
        return F.binary_cross_entropy_with_logits(outputs["logits"].float(), smoothed)

    return loss
