"""One training run: the model, the average of its weights, the optimiser, and their state on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.criterion import Criterion
from training.recipe import Recipe

Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class EpochRecord:
    epoch: int
    learning_rate: float
    train_loss: float
    validation: dict[str, float]
    seconds: float


@dataclass
class Run:
    """One training run: all that must survive a kill, and the steps that change it.

    settings: everything that decides it, the recipe among them; a run is resumed only with the same.
    """

    model: nn.Module
    recipe: Recipe
    device: torch.device
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: list[EpochRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model.to(device=self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = moving_average(self.model, self.recipe.ema_decay) if self.recipe.ema_decay else None
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, self.recipe.weight_decay), lr=self.recipe.learning_rate
        )

    @property
    def evaluated_model(self) -> nn.Module:
        """What is evaluated and kept: the average of the weights where there is one."""
        return self.average.module if self.average is not None else self.model

    def step(self, x: Tensor, targets: Tensor, criterion: Criterion, learning_rate: float) -> Tensor:
        """One update; the loss is left on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp and self.device.type == "cuda"):
            outputs = self.model(x)
        loss = criterion(outputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss.detach()

    def save(self, path: Path) -> None:
        """Atomically, so that a kill while writing leaves the state of the epoch before."""
        partial = path.with_name(path.name + ".partial")
        torch.save(self._state(), partial)
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a saved state; raises ValueError where it belongs to a run with other settings."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        changed = [key for key, value in self.settings.items() if state["settings"].get(key) != value]
        if changed:
            raise ValueError(f"{path} was trained with other {', '.join(changed)}: use another folder, or those values")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.history = [EpochRecord(**record) for record in state["history"]]

    def _state(self) -> dict[str, Any]:
        return {
            "settings": dict(self.settings),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "history": [asdict(record) for record in self.history],
        }


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential average of weights and norm statistics; it follows fast at first, to forget the random start."""

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        steps = int(count)
        average = get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))  # type: ignore[no-untyped-call]
        average(averaged, current, count)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights that multiply are decayed; biases, norms and scales, all of one axis, are not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
