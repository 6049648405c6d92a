"""Augmentation of whole batches, by kornia: colour and geometry, erasing, mixing of pictures and their targets."""

import torch
import torch.nn.functional as F
from kornia.augmentation import (
    AugmentationSequential,
    RandomCutMixV2,
    RandomErasing,
    RandomHorizontalFlip,
    RandomMixUpV2,
)
from kornia.augmentation.auto import TrivialAugment
from torch import Tensor

from training.recipe import Recipe


class BatchAugment:
    """(N, 3, H, W) in [0, 1] and (N,) class ids -> pictures of the same shape and (N, classes) soft targets.

    All chance comes from torch's global generator: seed it, and a batch comes out the same.
    """

    def __init__(self, recipe: Recipe, num_classes: int) -> None:
        steps: list[torch.nn.Module] = []
        if recipe.flip:
            steps.append(RandomHorizontalFlip(p=0.5))
        if recipe.trivial_augment:
            steps.append(TrivialAugment())
        if recipe.erasing:
            steps.append(RandomErasing(p=recipe.erasing))
        self.pictures = AugmentationSequential(*steps, data_keys=["input"]) if steps else None
        mixes = ((_mixup, recipe.mixup), (_cutmix, recipe.cutmix))
        self.mixes = [mix(strength) for mix, strength in mixes if strength]
        self.mix_probability = recipe.mix_probability if self.mixes else 0.0
        self.num_classes = num_classes

    def __call__(self, pictures: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        if self.pictures is not None:
            pictures = self.pictures(pictures)
        if torch.rand(()).item() >= self.mix_probability:
            return pictures, F.one_hot(classes, self.num_classes).float()
        mix = self.mixes[int(torch.randint(len(self.mixes), ()).item())]
        pictures, pairs = mix(pictures, classes)
        return pictures, self._soft(pairs.reshape(-1, len(classes), 3)[0])

    def _soft(self, pairs: Tensor) -> Tensor:
        """kornia's (N, 3) rows of first class, second class and the second's share."""
        first, second = (F.one_hot(pairs[:, i].long(), self.num_classes).float() for i in (0, 1))
        return torch.lerp(first, second, pairs[:, 2:3].to(first))


def _mixup(largest_share: float) -> torch.nn.Module:
    return RandomMixUpV2(lambda_val=(0.0, largest_share), p=1.0, data_keys=["input", "class"])


def _cutmix(alpha: float) -> torch.nn.Module:
    return RandomCutMixV2(beta=alpha, p=1.0, data_keys=["input", "class"], use_correct_lambda=True)
