"""What is particular to teaching one modality; the loop, the recipe and the report are the same for all."""

from typing import Any, ClassVar

from torch import nn

from training.data import Splits
from training.fit import Material
from training.recipe import Recipe


class Subject:
    """Subclasses are frozen dataclasses whose fields become flags of `unireplknet train`.

    suffixes: of the files that are read. in_chans: channels of the map that the backbone sees. norm_eps: of the head's
    norm, as in the authors' heads. maps: how many maps one input becomes.
    """

    task: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    in_chans: ClassVar[int] = 3
    norm_eps: ClassVar[float] = 1e-5
    embedding_type: ClassVar[type[nn.Module] | None] = None

    @property
    def maps(self) -> int:
        return 1

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the trained weights; a run is resumed only with the same."""
        return dict(vars(self))

    def material(self, splits: Splits, recipe: Recipe) -> Material:
        """Read the training split. Raises DatasetError for a file that cannot be used."""
        raise NotImplementedError
