"""Augmentation of whole batches, by kornia: colour and geometry, erasing, mixing of pictures and their targets."""

from collections.abc import Callable
from typing import Any

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

# (N, 3, H, W) pictures and (N,) class ids -> mixed pictures, and (N, 3): first class, second class, second's share
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class BatchAugment:
    """(N, 3, H, W) in [0, 1] and (N,) class ids -> pictures of the same shape and (N, classes) soft targets.

    All chance comes from torch's global generator: seed it, and a batch comes out the same.
    """

    def __init__(self, recipe: Recipe, num_classes: int) -> None:
        self.pictures = picture_augment(recipe)
        mixes = ((mixup, recipe.mixup), (cutmix, recipe.cutmix))
        self.mixes = [mix(strength) for mix, strength in mixes if strength]
        self.mix_probability = recipe.mix_probability if self.mixes else 0.0
        self.num_classes = num_classes

    def __call__(self, pictures: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        pictures = self.pictures(pictures)
        if torch.rand(()).item() >= self.mix_probability:
            return pictures, self._one_hot(classes)
        mix = self.mixes[int(torch.randint(len(self.mixes), ()).item())]
        pictures, pairs = mix(pictures, classes)
        return pictures, torch.lerp(self._one_hot(pairs[:, 0]), self._one_hot(pairs[:, 1]), pairs[:, 2:].float())

    def _one_hot(self, classes: Tensor) -> Tensor:
        return F.one_hot(classes.long(), self.num_classes).float()


def picture_augment(recipe: Recipe) -> torch.nn.Module:
    steps: list[Any] = [RandomHorizontalFlip(p=0.5)] if recipe.flip else []
    if recipe.trivial_augment:
        steps.append(TrivialAugment())
    if recipe.erasing:
        steps.append(RandomErasing(p=recipe.erasing))
    if not steps:
        return torch.nn.Identity()
    augment: torch.nn.Module = AugmentationSequential(*steps, data_keys=["input"])
    return augment


def mixup(largest_share: float) -> Mix:
    """Zhang et al. 2018, the second picture's share uniform from 0 to `largest_share`."""
    augment = RandomMixUpV2(lambda_val=(0.0, largest_share), p=1.0, data_keys=["input", "class"])

    def mix(pictures: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        return augment(pictures, classes)

    return mix


def cutmix(alpha: float) -> Mix:
    """Yun et al. 2019. kornia gives the share that is kept, unlike its mixup, which gives the share that is added."""
    augment = RandomCutMixV2(beta=alpha, p=1.0, data_keys=["input", "class"], use_correct_lambda=True)

    def mix(pictures: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        pictures, pairs = augment(pictures, classes)
        first, second, kept = pairs.reshape(-1, 3).unbind(dim=1)
        return pictures, torch.stack([first, second, 1 - kept], dim=1)

    return mix
