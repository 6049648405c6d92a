"""What is particular to training for one task; the loop, the recipe and the report are the same for all."""

from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from torch.utils.data import Dataset

from models.config import BackboneConfig
from models.heads.base import Head
from preprocessors.base import Preprocessor
from training.recipe import Recipe
from training.training_setup import TrainingSetup


class TrainingTask:
    """Subclasses are frozen dataclasses whose fields become flags of `unireplknet train`.

    name: of the task, as its URL. noun: what is trained, in words. recipe: what a run has where no flag says otherwise.
    in_chans: channels of the map that the backbone sees. preprocessor_type: its fields are stored in the checkpoint.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    data_help: ClassVar[str]
    recipe: ClassVar[Recipe] = Recipe()
    in_chans: ClassVar[int] = 3
    head_type: ClassVar[type[Head]]
    preprocessor_type: ClassVar[type[Preprocessor[Any]]]
    embedding_type: ClassVar[type[nn.Module] | None] = None

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the trained weights; a run is resumed only with the same."""
        return dict(vars(self))

    def setup(self, data: Path, recipe: Recipe, backbone: BackboneConfig) -> TrainingSetup:
        """Read all splits. Raises DatasetError for what cannot be used."""
        raise NotImplementedError

    def validation_set(self, data: Path, preprocessor: Any, seed: int) -> Dataset[Any]:
        """The validation split alone, as `setup` makes it. Raises DatasetError for what cannot be used."""
        raise NotImplementedError
