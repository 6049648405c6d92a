"""The whole network: head(backbone(embedding(x)), x)."""

from torch import Tensor, nn

from models.heads.base import Head
from models.unireplknet import UniRepLKNet


class PerceptionModel(nn.Module):
    """x: a batch as the task's preprocessor makes it -> dict of tensors, each with the batch as its first axis.

    The embedding turns x into the backbone's B x C' x H x W map (paper section 3.3); for images it is the identity.
    """

    def __init__(self, backbone: UniRepLKNet, head: Head, embedding: nn.Module | None = None) -> None:
        super().__init__()
        self.embedding = embedding or nn.Identity()
        self.backbone = backbone
        self.head = head

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        rows: dict[str, Tensor] = self.head(self.backbone(self.embedding(x)), x)
        return rows
