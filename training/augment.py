"""Augmentation of whole batches: each sample as suits its modality, then mixing of samples and their targets."""

from collections.abc import Callable
from typing import Any

import torch
from kornia.augmentation import (
    AugmentationSequential,
    RandomCutMixV2,
    RandomErasing,
    RandomHorizontalFlip,
    RandomMixUpV2,
)
from kornia.augmentation.auto import TrivialAugment
from torch import Tensor

from training.classification import ClassificationTask
from training.soft_targets import soft_targets

# (N, C, H, W) maps and (N,) their numbers -> mixed maps, and (N, 3): first number, second number, second's share
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class BatchAugment:
    """A batch and its targets (see `soft_targets`) -> (N, C, H, W) maps and (N, classes) soft targets.

    `per_sample` augments every sample by itself, before they are mixed. All chance comes from torch's global generator:
    seed it, and a batch comes out the same.
    """

    def __init__(self, task: ClassificationTask, num_classes: int, per_sample: Callable[[Tensor], Tensor]) -> None:
        self.per_sample = per_sample
        mixes = ((mixup, task.mixup), (cutmix, task.cutmix))
        self.mixes = [mix(strength) for mix, strength in mixes if strength]
        self.mix_probability = task.mix_probability if self.mixes else 0.0
        self.num_classes = num_classes

    def __call__(self, samples: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        maps, soft = self.per_sample(samples), soft_targets(targets, self.num_classes)
        if torch.rand(()).item() >= self.mix_probability:
            return maps, soft
        mix = self.mixes[int(torch.randint(len(self.mixes), ()).item())]
        maps, pairs = mix(maps, torch.arange(len(maps), device=maps.device))
        first, second = pairs[:, :2].long().unbind(dim=1)
        return maps, torch.lerp(soft[first], soft[second], pairs[:, 2:].float())


def picture_augment(flip: bool, trivial_augment: bool, erasing: float) -> torch.nn.Module:
    """For (N, 3, H, W) in [0, 1]: mirror every second, one random change of each, erase a rectangle of some."""
    steps: list[Any] = [RandomHorizontalFlip(p=0.5)] if flip else []
    if trivial_augment:
        steps.append(TrivialAugment())
    if erasing:
        steps.append(RandomErasing(p=erasing))
    if not steps:
        return torch.nn.Identity()
    augment: torch.nn.Module = AugmentationSequential(*steps, data_keys=["input"])
    return augment


def mixup(largest_share: float) -> Mix:
    """Zhang et al. 2018, the second sample's share uniform from 0 to `largest_share`."""
    augment = RandomMixUpV2(lambda_val=(0.0, largest_share), p=1.0, data_keys=["input", "class"])

    def mix(maps: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        return augment(maps, classes)

    return mix


def cutmix(alpha: float) -> Mix:
    """Yun et al. 2019. kornia gives the share that is kept, unlike its mixup, which gives the share that is added."""
    augment = RandomCutMixV2(beta=alpha, p=1.0, data_keys=["input", "class"], use_correct_lambda=True)

    def mix(maps: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        maps, pairs = augment(maps, classes)
        first, second, kept = pairs.reshape(-1, 3).unbind(dim=1)
        return maps, torch.stack([first, second, 1 - kept], dim=1)

    return mix
