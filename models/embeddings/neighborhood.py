"""A feature per point from the points around it (edge convolution, Wang et al. 2019)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POINT_WIDTH = 8
GROUPS = 4
SLOPE = 0.2


class NeighborhoodFeatures(nn.Module):
    """(B, N, channels), the first three being coordinates -> (B, N, width).

    Each point is compared with its `neighbors` nearest, itself included; the strongest response stays.
    """

    def __init__(self, channels: int, neighbors: int, width: int) -> None:
        super().__init__()
        self.neighbors = neighbors
        self.point = nn.Linear(channels, POINT_WIDTH)
        self.edge = nn.Linear(2 * POINT_WIDTH, width, bias=False)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.out = nn.Linear(width, width)

    def forward(self, points: Tensor) -> Tensor:
        features = self.point(points.to(self.point.weight.dtype))
        edges = self.edges(features, nearest(points[..., :3], self.neighbors))
        edges = F.leaky_relu(self.norm(edges.permute(0, 3, 1, 2)), SLOPE)
        return self.out(edges.amax(dim=3).transpose(1, 2))

    def edges(self, features: Tensor, neighbors: Tensor) -> Tensor:
        """(B, N, C) and (B, N, k) -> (B, N, k, width): a linear map of (neighbour - self, self).

        Being linear, it is taken of every point once, and not of every pair.
        """
        difference, own = self.edge.weight[:, :POINT_WIDTH], self.edge.weight[:, POINT_WIDTH:]
        theirs = F.linear(features, difference)
        batch = torch.arange(len(features), device=features.device).view(-1, 1, 1)
        return theirs[batch, neighbors] + F.linear(features, own - difference).unsqueeze(2)


def nearest(xyz: Tensor, count: int) -> Tensor:
    """(B, N, 3) -> (B, N, count) indices of the nearest points, itself among them; all, where there are fewer."""
    with torch.no_grad():
        # Differences, not a matrix product, which rounds away small distances; axis by axis, as cdist is slow for three
        x, y, z = (axis.unsqueeze(2) - axis.unsqueeze(1) for axis in xyz.float().unbind(dim=2))
        distances = x.square_().addcmul_(y, y).addcmul_(z, z)
        return distances.topk(min(count, xyz.shape[1]), dim=2, largest=False, sorted=False).indices
