"""How a model is trained: the settings of the paper's Tables 16 and 17 that matter, as one value."""

import math
from dataclasses import dataclass

from training.setting import setting


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run that is the same for all modalities; stored in its model card.

    A rate of 0 turns its part off. learning_rate: at the peak, for this batch size (the paper: 4e-3 for 4096 images).
    """

    epochs: int = setting(100, "Number of passes over the training split")
    batch_size: int = setting(64, "Batch size")
    learning_rate: float = setting(2e-3, "Peak learning rate, for this batch size", "--lr")
    final_learning_rate: float = setting(1e-6, "Learning rate at the end of training", "--final-lr")
    warmup_epochs: float = setting(5.0, "Epochs of linear learning-rate warm-up")
    weight_decay: float = setting(0.05, "AdamW weight decay; not applied to biases and norms")
    ema_decay: float = setting(0.998, "Decay per step of the averaged (EMA) weights; 0 disables")
    drop_path: float = setting(0.05, "Stochastic depth rate of the last block")
    checkpoint_gradients: bool = setting(False, "Gradient checkpointing: less memory, slower")
    amp: bool = setting(True, "Mixed precision (bfloat16) on CUDA")
    seed: int = setting(0, "Random seed")

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
