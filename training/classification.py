"""Training classifiers: files in class folders, one softmax over their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from models.config import BackboneConfig
from models.heads.classification import ClassificationHead
from preprocessors.base import Preprocessor
from training.classification_evaluator import classification_evaluator
from training.criterion import binary_cross_entropy, soft_cross_entropy
from training.evaluation_dataset import EvaluationDataset
from training.listed_splits import listed_splits
from training.multi_label_metrics import multi_label_metrics
from training.recipe import Recipe
from training.setting import setting
from training.single_label_metrics import single_label_metrics
from training.splits import Splits, find_splits
from training.training_data import TrainingData
from training.training_setup import TrainingSetup
from training.training_task import TrainingTask


@dataclass(frozen=True)
class ClassificationTask(TrainingTask):
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

    def training_data(self, splits: Splits, recipe: Recipe) -> TrainingData:
        """Read the training split. Raises DatasetError for a file that cannot be used."""
        raise NotImplementedError

    def splits(self, data: Path, seed: int) -> Splits:
        return listed_splits(data, seed) if data.is_file() else find_splits(data, self.suffixes, seed)

    def validation_set(self, data: Path, preprocessor: Preprocessor[Any], seed: int) -> EvaluationDataset:
        splits = self.splits(data, seed)
        return EvaluationDataset(splits.validation, splits.targets(splits.validation), preprocessor)

    def setup(self, data: Path, recipe: Recipe, backbone: BackboneConfig) -> TrainingSetup:
        splits = self.splits(data, recipe.seed)
        training_data = self.training_data(splits, recipe)
        preprocessor = training_data.preprocessor
        held_out = {"validation": splits.validation, "test": splits.test}
        measure = multi_label_metrics if splits.multi_label else single_label_metrics
        return TrainingSetup(
            training_data=training_data,
            head={
                "num_features": backbone.dims[-1] * self.maps,
                "labels": splits.labels,
                "norm_eps": self.norm_eps,
                **({"function_to_apply": "sigmoid"} if splits.multi_label else {}),
            },
            criterion=(binary_cross_entropy if splits.multi_label else soft_cross_entropy)(self.label_smoothing),
            evaluation_sets={
                name: EvaluationDataset(examples, splits.targets(examples), preprocessor)
                for name, examples in held_out.items()
            },
            evaluate=classification_evaluator(preprocessor.transform, partial(measure, labels=splits.labels)),
            splits={"train": len(splits.train), **{k: len(v) for k, v in held_out.items()}, "origin": splits.origin},
            description=f"UniRepLKNet {self.noun} for {len(splits.labels)} classes",
        )
