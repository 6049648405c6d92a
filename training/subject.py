"""What is particular to teaching one modality; the loop, the recipe and the report are the same for all."""

from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from models.config import BackboneConfig
from models.heads.base import Head
from training.lesson import Lesson
from training.recipe import Recipe


class Subject:
    """Subclasses are frozen dataclasses whose fields become flags of `unireplknet train`.

    noun: what is trained, in words. recipe: what a run has where no flag says otherwise. in_chans: channels of the map
    that the backbone sees.
    """

    task: ClassVar[str]
    noun: ClassVar[str]
    data_help: ClassVar[str]
    recipe: ClassVar[Recipe] = Recipe()
    in_chans: ClassVar[int] = 3
    head_type: ClassVar[type[Head]]
    embedding_type: ClassVar[type[nn.Module] | None] = None

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the trained weights; a run is resumed only with the same."""
        return dict(vars(self))

    def lesson(self, data: Path, recipe: Recipe, backbone: BackboneConfig) -> Lesson:
        """Read all there is to learn from and to be judged on. Raises DatasetError for what cannot be used."""
        raise NotImplementedError
