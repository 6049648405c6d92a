"""Number formats of a network."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


AUTO = "auto"  # what a model's card and the processor allow, see models.precision_choice


class Precision(StrEnum):
    """What the network computes in. Rows are float32 whatever it is."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"

    @property
    def dtype(self) -> "torch.dtype":
        import torch  # here, for the server's settings name precisions without any use for it

        dtype = getattr(torch, self.value)
        assert isinstance(dtype, torch.dtype)
        return dtype
