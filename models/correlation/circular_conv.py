"""A convolution in time around a circle."""

from torch import Tensor, nn


class CircularConv1d(nn.Conv1d):
    """(M, L, in_chans) -> (M, L, out_chans): kernel 3, without bias; the first step follows the last."""

    def __init__(self, in_chans: int, out_chans: int) -> None:
        super().__init__(in_chans, out_chans, 3, padding=1, padding_mode="circular", bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)
