"""A sixth modality in one file: tastes, five numbers from 0 to 1. Decode workers import it by name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from preprocessors.base import Array, Preprocessor, Sample, UndecodableInput

if TYPE_CHECKING:
    from torch import Tensor

BASIC = ("sweet", "sour", "salty", "bitter", "umami")


@dataclass(frozen=True)
class TasteOptions:
    """Nothing to choose: there is no accounting for taste."""


@dataclass(frozen=True)
class TastePreprocessor(Preprocessor[TasteOptions]):
    """size: side of the square that the five numbers are painted on, as rows."""

    modality: ClassVar[str] = "taste"
    media_types: ClassVar[tuple[str, ...]] = ("text/csv",)
    option_type: ClassVar[type] = TasteOptions

    size: int = 40

    def decode(self, payload: bytes, options: TasteOptions) -> Sample:
        try:
            values = np.array(payload.decode().split(","), np.float32)
        except ValueError as error:
            raise UndecodableInput("undecodable_input", f"the taste is not numbers ({error}): cook it again") from error
        if len(values) != len(BASIC):
            detail = f"the taste has {len(values)} numbers, expected {len(BASIC)}: {', '.join(BASIC)}"
            raise UndecodableInput("undecodable_input", detail)
        return Sample((values,), {"strongest": BASIC[int(values.argmax())], "bytes": len(payload)})

    def blank(self) -> Array:
        return np.zeros(len(BASIC), np.float32)

    def transform(self, batch: "Tensor") -> "Tensor":
        rows = batch.repeat_interleave(self.size // len(BASIC), dim=1)
        return rows[:, None, :, None].expand(-1, 1, -1, self.size)
