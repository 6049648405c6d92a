"""Measures a classifier on a split."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.channels_last import channels_last
from training.evaluator import Evaluator
from training.metrics import MetricsT
from training.training_data import Transform


def classification_evaluator(
    transform: Transform, measure: Callable[[Tensor, Tensor], MetricsT]
) -> Evaluator[MetricsT]:
    """Measures a model on a split of preprocessed samples and their targets. measure: of all logits and all targets."""

    @torch.inference_mode()
    def evaluate(model: nn.Module, data: Dataset[Any], device: torch.device) -> MetricsT:
        model.eval()
        logits, targets = [], []
        loader: DataLoader[Any] = DataLoader(data, batch_size=64)
        for batch, wanted in loader:
            x = channels_last(transform(batch.to(device)))
            logits.append(model(x)["logits"].float().cpu())
            targets.append(wanted)
        return measure(torch.cat(logits), torch.cat(targets))

    return evaluate
