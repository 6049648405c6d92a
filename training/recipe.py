"""How a model is trained: the settings of the paper's Tables 16 and 17 that matter, as one value."""

import math
from dataclasses import dataclass

FULL_SIZE_FROM = 0.8  # share of the epochs after which crops have their full size
SIZE_STEP = 8


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run; stored in its model card. A rate, probability or strength of 0 turns its part off.

    learning_rate: at the peak, for this batch size (the paper: 4e-3 for 4096 images). ema_decay: per step.
    A batch is mixed with mix_probability, by one of: mixup, the largest share of the second picture (uniform from 0);
    cutmix, the alpha of its Beta distribution. smallest_crop: least share of the picture's area that a random crop
    keeps. first_size: side of the first epoch's crops, which grow to the full size over most of the run (0: full at
    once); early epochs cost less so. amp: autocast to bfloat16 on CUDA.
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-6
    warmup_epochs: float = 5.0
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.5
    cutmix: float = 1.0
    mix_probability: float = 0.5
    erasing: float = 0.1
    trivial_augment: bool = True
    flip: bool = True
    smallest_crop: float = 0.3
    first_size: int = 0
    ema_decay: float = 0.998
    drop_path: float = 0.05
    checkpoint_gradients: bool = False
    amp: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"epochs {self.epochs} and batch size {self.batch_size}: expected at least 1 and 2")

    def crop_size_at(self, epoch: int, full_size: int) -> int:
        """Side of the training crops: a line from first_size to the full size, in steps of SIZE_STEP."""
        progress = min(1.0, epoch / (FULL_SIZE_FROM * self.epochs))
        if self.first_size == 0 or progress == 1.0:
            return full_size
        size = self.first_size + progress * (full_size - self.first_size)
        return round(size / SIZE_STEP) * SIZE_STEP

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Linear warm-up, then half a cosine down to the final rate."""
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1.0, self.epochs * steps_per_epoch - warmup)
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * min(1.0, progress))) / 2
