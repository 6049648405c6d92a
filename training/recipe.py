"""How a model is trained: the settings of the paper's Tables 16 and 17 that matter, as one value."""

import math
from dataclasses import dataclass

from training.setting import setting


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run that is the same for all modalities; stored in its model card.

    A rate of 0 turns its part off. learning_rate: at the peak, for this batch size (the paper: 4e-3 for 4096 images).
    """

    epochs: int = setting(100, "Passes over the training split")
    batch_size: int = setting(64, "Samples per step")
    learning_rate: float = setting(2e-3, "At its peak, for this batch size", "--lr")
    final_learning_rate: float = setting(1e-6, "At the end", "--final-lr")
    warmup_epochs: float = setting(5.0, "Epochs until the learning rate peaks")
    weight_decay: float = setting(0.05, "AdamW's, on weights that multiply")
    ema_decay: float = setting(0.998, "Per step, of the averaged weights that are kept; 0: off")
    drop_path: float = setting(0.05, "Rate at the last block")
    checkpoint_gradients: bool = setting(False, "Trade speed for memory")
    amp: bool = setting(True, "Autocast to bfloat16 on CUDA")
    seed: int = setting(0, "Of everything drawn at random")

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"epochs {self.epochs} and batch size {self.batch_size}: expected at least 1 and 2")

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Linear warm-up, then half a cosine down to the final rate."""
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1.0, self.epochs * steps_per_epoch - warmup)
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * min(1.0, progress))) / 2
