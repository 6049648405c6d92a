"""The training loop: epochs, an average of the weights, and a state on disk from which a killed run goes on."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from training.recipe import Recipe

EPOCH_STRIDE = 1_000_003  # keeps the seeds of one run's steps apart from those of the next seed

Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Transform = Callable[[Tensor], Tensor]
Tensors = tuple[Tensor, ...] | list[Tensor]


class EpochDataset(Protocol):
    """A dataset whose chance is a function of its epoch."""

    epoch: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...


class Progress(Protocol):
    """Where the loop says how far it is: a step of how many, and a finished epoch."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: "EpochRecord") -> None: ...


@dataclass(frozen=True)
class EpochRecord:
    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Score:
    """Of one split: mean cross-entropy, share of right answers, and the same for every class."""

    loss: float
    accuracy: float
    per_class: list[float]


@dataclass
class Run:
    """One training run: all that must survive a kill, and the steps that change it."""

    model: nn.Module
    recipe: Recipe
    device: torch.device
    history: list[EpochRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model.to(device=self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = moving_average(self.model, self.recipe.ema_decay) if self.recipe.ema_decay else None
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, self.recipe.weight_decay), lr=self.recipe.learning_rate
        )

    @property
    def best_model(self) -> nn.Module:
        """What is evaluated and kept: the average of the weights where there is one."""
        return self.average.module if self.average is not None else self.model

    def step(self, x: Tensor, targets: Tensor, learning_rate: float) -> Tensor:
        """One update; the loss is left on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp and self.device.type == "cuda"):
            logits = self.model(x)["logits"]
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=self.recipe.label_smoothing)
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
        """Go on from a saved state; raises ValueError where it belongs to another recipe."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            changed = [k for k, v in asdict(self.recipe).items() if state["recipe"].get(k) != v]
            raise ValueError(f"{path} was trained with other {', '.join(changed)}: use another folder, or those values")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.history = [EpochRecord(**record) for record in state["history"]]

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": asdict(self.recipe),
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


def fit(
    run: Run,
    training: EpochDataset,
    validation: Dataset[tuple[Tensor, int]],
    augment: Augment,
    normalise: Transform,
    transform: Transform,
    state: Path,
    progress: Progress,
) -> None:
    """Train until the recipe's last epoch, from where the run stands; the state is saved after every epoch.

    normalise: pictures in [0, 1] -> the model's input. transform: the preprocessor's, for the validation split.
    """
    for epoch in range(len(run.history), run.recipe.epochs):
        started = time.monotonic()
        train_loss, rate = _train_epoch(run, training, epoch, augment, normalise, progress)
        score = evaluate(run.best_model, validation, transform, run.device)
        seconds = time.monotonic() - started
        record = EpochRecord(epoch, rate, train_loss, score.loss, score.accuracy, seconds)
        run.history.append(record)
        run.save(state)
        progress.epoch(record)


def _train_epoch(
    run: Run, data: EpochDataset, epoch: int, augment: Augment, normalise: Transform, progress: Progress
) -> tuple[float, float]:
    """Mean loss and last learning rate of one pass."""
    run.model.train()
    steps = max(1, len(data) // run.recipe.batch_size)
    losses, rate = [], 0.0
    for index, (x, classes) in enumerate(_batches(data, epoch, steps, run.recipe)):
        step = epoch * steps + index
        torch.manual_seed(run.recipe.seed * EPOCH_STRIDE + step)  # a resumed run draws what an unbroken one would
        rate = run.recipe.learning_rate_at(step, steps)
        with torch.no_grad():
            x, targets = augment(x.to(run.device), classes.to(run.device))
            x = normalise(x).contiguous(memory_format=torch.channels_last)
        losses.append(run.step(x, targets, rate))
        if index % 10 == 0 or index == steps - 1:
            progress.step(epoch, index + 1, steps, losses[-1].item())
    return torch.stack(losses).mean().item(), rate


def _batches(data: EpochDataset, epoch: int, steps: int, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    data.epoch = epoch
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(recipe.seed * EPOCH_STRIDE + epoch))
    size = min(recipe.batch_size, len(data))
    loader: DataLoader[Any] = DataLoader(data, size, sampler=order.tolist(), drop_last=True)  # type: ignore[arg-type]
    yield from loader


@torch.inference_mode()
def evaluate(model: nn.Module, data: Dataset[tuple[Tensor, int]], transform: Transform, device: torch.device) -> Score:
    """Score the model, in eval mode, on a split of preprocessed samples."""
    model.eval()
    logits, classes = [], []
    loader: DataLoader[Any] = DataLoader(data, batch_size=64)
    for batch, ids in loader:
        x = transform(batch.to(device)).contiguous(memory_format=torch.channels_last)
        logits.append(model(x)["logits"].float().cpu())
        classes.append(ids)
    return score(torch.cat(logits), torch.cat(classes))


def score(logits: Tensor, classes: Tensor) -> Score:
    right = (logits.argmax(dim=1) == classes).float()
    per_class: Sequence[float] = [right[classes == i].mean().item() for i in range(logits.shape[1])]
    return Score(F.cross_entropy(logits, classes).item(), right.mean().item(), list(per_class))
