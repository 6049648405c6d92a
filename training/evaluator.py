"""What measures a model on a data set."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from training.metrics import MetricsT

# a model, a data set of preprocessed samples with their targets, the device to compute on -> metrics
Evaluator = Callable[[nn.Module, Dataset[Any], torch.device], MetricsT]
