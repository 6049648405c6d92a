"""The linear part of a forecaster by least squares; the network is then trained on what it leaves over."""

import torch
from torch import Tensor

from models.embeddings.station_network import StationNetwork
from models.heads.forecast import ForecastHead
from models.heads.tree_linear import HOURS, TreeLinear
from training.training_windows import TrainingWindows

RIDGE = 1e-3  # of the mean square of what is seen: directions that hardly occur must not decide
SHARED = 2_000  # series of all hours that count beside those of one: with little data, all hours are forecast alike


def fit_linear(head: ForecastHead, windows: TrainingWindows) -> None:
    """Set its weights to those of least squared error over the windows, in the variable's unit, and keep them there."""
    assert head.linear is not None
    equations = NormalEquations(head.linear)
    for index in range(len(windows)):
        x, targets = windows[index]
        network = StationNetwork.unpack(x[None], head.per_node)
        equations.add(network, targets.reshape(*network.absent.shape, -1))
    with torch.no_grad():
        head.linear.weight.copy_(equations.solved())
    head.linear.weight.requires_grad_(False)


class NormalEquations:
    """Sums, by solar hour, of what least squares need: in float64."""

    def __init__(self, linear: TreeLinear) -> None:
        self.linear = linear
        hours, horizon, levels, steps = linear.weight.shape
        self.grams = torch.zeros(hours, levels * steps, levels * steps, dtype=torch.float64)
        self.moments = torch.zeros(hours, levels * steps, horizon, dtype=torch.float64)
        self.series = 0

    def add(self, network: StationNetwork, targets: Tensor) -> None:
        """targets: (1, nodes, c, horizon); stations of which an hour is not known are left out."""
        mean = network.values.mean(dim=2, keepdim=True)
        seen = self.linear.levels(network.values - mean, network.absent).flatten(3).double()
        came = targets.double() - mean.transpose(2, 3)
        hours = self.linear.hour(network.solar + network.hour.view(-1, 1, 1))
        whole = ~came.isnan().any(dim=3)
        for hour in set(hours[whole].tolist()):
            chosen = whole & (hours == hour)
            self.series += int(chosen.sum())
            self.grams[hour] += seen[chosen].T @ seen[chosen]
            self.moments[hour] += seen[chosen].T @ came[chosen]

    def solved(self) -> Tensor:
        share = SHARED / max(1, self.series)
        grams, moments = (each + share * each.sum(dim=0) for each in (self.grams, self.moments))
        square = grams.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
        eye = torch.eye(grams.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(grams + RIDGE * square.view(HOURS, 1, 1) * eye, moments)
        return weight.transpose(1, 2).reshape(self.linear.weight.shape).float()
