"""Series taken apart into a slow trend and what remains (Autoformer, Wu et al. 2021, eq. 1)."""

import torch.nn.functional as F
from torch import Tensor


def decompose(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """(M, L, C) -> (seasonal, trend), both (M, L, C) and together x.

    The trend is the mean over `window` steps, an odd number; beyond both ends the first and last values go on.
    """
    reach = (window - 1) // 2
    padded = F.pad(x.transpose(1, 2), (reach, reach), mode="replicate")
    trend = F.avg_pool1d(padded, window, stride=1).transpose(1, 2)
    return x - trend, trend
