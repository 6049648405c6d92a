"""The training loop: epochs of augmented batches, each ending in metrics and a state from which to go on."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.channels_last import channels_last
from training.epoch_dataset import EpochDataset
from training.recipe import Recipe
from training.run import EpochRecord, Run
from training.training_setup import TrainingSetup

STEPS_PER_REPORT = 10  # reading a loss waits for the device
EPOCH_STRIDE = 1_000_003  # keeps the seeds of one run's steps apart from those of the next seed


class Progress(Protocol):
    """Where the loop says how far it is: a step of how many, and a finished epoch."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: EpochRecord) -> None: ...


def fit(run: Run, setup: TrainingSetup, state: Path, progress: Progress, stop_after: int | None = None) -> None:
    """Train until the recipe's last epoch, from where the run stands; the state is saved after every epoch.

    stop_after: epochs after which to stop all the same, on the schedule of the whole run.
    """
    last = min(run.recipe.epochs, stop_after or run.recipe.epochs)
    for epoch in range(len(run.history), last):
        started = time.monotonic()
        train_loss, rate = _train_epoch(run, setup, epoch, progress)
        metrics = setup.evaluate(run.evaluated_model, setup.evaluation_sets["validation"], run.device)
        seconds = time.monotonic() - started
        record = EpochRecord(epoch, rate, train_loss, metrics.summary, seconds)
        run.history.append(record)
        run.save(state)
        progress.epoch(record)


def _train_epoch(run: Run, setup: TrainingSetup, epoch: int, progress: Progress) -> tuple[float, float]:
    """Mean loss and last learning rate of one pass."""
    training_data = setup.training_data
    run.model.train()
    steps = max(1, len(training_data.dataset) // run.recipe.batch_size)
    losses, rate = [], 0.0
    for index, (x, targets) in enumerate(_batches(training_data.dataset, epoch, run.recipe)):
        step = epoch * steps + index
        torch.manual_seed(run.recipe.seed * EPOCH_STRIDE + step)  # a resumed run draws what an unbroken one would
        rate = run.recipe.learning_rate_at(step, steps)
        with torch.no_grad():
            x, targets = training_data.augment(x.to(run.device), targets.to(run.device))
            x = channels_last(training_data.normalise(x))
        losses.append(run.step(x, targets, setup.criterion, rate))
        if index % STEPS_PER_REPORT == 0 or index == steps - 1:
            progress.step(epoch, index + 1, steps, losses[-1].item())
    return torch.stack(losses).mean().item(), rate


def _batches(data: EpochDataset, epoch: int, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    data.epoch = epoch
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(recipe.seed * EPOCH_STRIDE + epoch))
    size = min(recipe.batch_size, len(data))
    loader: DataLoader[Any] = DataLoader(data, size, sampler=order.tolist(), drop_last=True)  # type: ignore[arg-type]
    yield from loader
