"""Point clouds -> images of several sides, learned: the projection of the paper's section 3.3 (after P2P, Wang 2022).

Every point gets a feature from its neighbourhood; the cloud is turned to each view and its features are summed into
the cells of a grid, without depth; convolutions and attention across the views refine the grids to three channels.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.embeddings.neighborhood import NeighborhoodFeatures

Angles = Sequence[Sequence[float]]
Rotation = NDArray[np.float64]

QUARTER = math.pi / 2
# Euler angles about x, y and z. The paper speaks of three views; the authors' code turns around one axis four times,
# which shows two sides and their mirror images.
THREE_VIEWS: Angles = ((0.0, 0.0, QUARTER), (QUARTER, 0.0, QUARTER), (0.0, -QUARTER, QUARTER))
FOUR_VIEWS: Angles = tuple((k * QUARTER, 0.0, QUARTER) for k in range(4))
MARGIN = 3  # a point covers 3 x 3 cells, and all of them are inside
SMALLEST_EXTENT = 1e-6  # of a view, over a cloud's radius of 1: points in a line may look like one
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ThreeViewProjection(nn.Module):
    """(B, N, 3 + attributes) points -> (B * views, 3, size, size), the views of one cloud side by side.

    angles: Euler angles of each view, radians. attributes: values per point beyond its coordinates, which only its
    feature sees. rotation: (theta, phi) by which the cloud is turned before it is seen, as the authors evaluate; its
    features see it unturned. The widths default to the authors'. Sums run in a fixed order on every device, so the
    same cloud gives the same image. Points come in float32 whatever the weights are: a cell is a matter of small
    differences.
    """

    def __init__(
        self,
        size: int = 224,
        angles: Angles = THREE_VIEWS,
        attributes: int = 0,
        neighbors: int = 32,
        width: int = 64,
        fusion_width: int = 128,
        heads: int = 8,
        head_width: int = 128,
        rotation: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.views = len(angles)
        turn = turned(*rotation) if rotation else np.eye(3)
        # Numbers, not tensors: a checkpoint builds its network without storage for tensors
        self.rotations = [(euler(*view) @ turn).tolist() for view in angles]
        self.features = NeighborhoodFeatures(3 + attributes, neighbors, width)
        self.refine = Refinement(width)
        self.fuse_views = ViewFusion(self.views, width, fusion_width, heads, head_width)
        self.to_rgb = nn.Conv2d(width, 3, 1)

    def forward(self, points: Tensor) -> Tensor:
        grids = self.rasterize(self.turned(points[..., :3]), self.features(points))
        x = self.to_rgb(self.fuse_views(self.refine(grids))).sigmoid()
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        return (x - mean) / std

    def turned(self, xyz: Tensor) -> Tensor:
        """(B, N, 3) -> (B * views, N, 3), as each view sees the cloud."""
        rotations = xyz.new_tensor(self.rotations)
        with torch.autocast(xyz.device.type, enabled=False):
            return (xyz.unsqueeze(1) @ rotations.transpose(1, 2)).flatten(0, 1)

    def rasterize(self, turned: Tensor, features: Tensor) -> Tensor:
        """(B * views, N, 3) and (B, N, C) -> (B * views, C, size, size): sums of the features seen in each cell."""
        cells = grid_cells(turned[..., :2], self.size)
        images, count = cells.shape
        batch = torch.arange(images, device=cells.device).unsqueeze(1)
        cells = (cells + batch * self.size**2).flatten()
        sources = (batch // self.views * count + torch.arange(count, device=cells.device)).flatten()
        sums = sum_by_cell(features.float().flatten(0, 1), sources, cells, images * self.size**2)
        grid = sums.to(features.dtype).view(images, self.size, self.size, -1).permute(0, 3, 1, 2)
        return F.avg_pool2d(grid, 3, stride=1, padding=1, divisor_override=1)  # each point covers 3 x 3 cells


def sum_by_cell(features: Tensor, sources: Tensor, cells: Tensor, num_cells: int) -> Tensor:
    """(points, C), (M,) rows of it and their (M,) cells -> (num_cells, C).

    A bag of sorted rows per cell: unlike a scatter, it adds in the same order every time, on a GPU as well.
    """
    order = cells.argsort(stable=True)
    starts = torch.searchsorted(cells[order], torch.arange(num_cells, device=cells.device))
    return F.embedding_bag(sources[order], features, starts, mode="sum")


def grid_cells(xy: Tensor, size: int) -> Tensor:
    """(M, N, 2) -> (M, N) index into a size x size grid, x down and y across; the longer side fills it."""
    low, high = xy.amin(dim=1, keepdim=True), xy.amax(dim=1, keepdim=True)
    step = (high - low).amax(dim=2, keepdim=True).clamp(min=SMALLEST_EXTENT) / (size - MARGIN)
    cells = ((xy - low) / step).floor().long() + 1
    centre = (cells.amax(dim=1, keepdim=True) + cells.amin(dim=1, keepdim=True)) // 2
    cells = cells + ((size - 1) // 2 - centre)
    return cells[..., 0] * size + cells[..., 1]


def euler(x: float, y: float, z: float) -> Rotation:
    """(3, 3), about z, then y, then x; radians."""
    return _about(0, x) @ _about(1, y) @ _about(2, z)


def turned(theta: float, phi: float) -> Rotation:
    """(3, 3), the authors' evaluation pose: a tilt by -phi about a horizontal axis, then a turn by -theta about z."""
    # The axis (sin theta, -cos theta, 0) is y turned by theta - 180 degrees
    heading = _about(2, theta - math.pi)
    return _about(2, -theta) @ heading @ _about(1, -phi) @ heading.T


def _about(axis: int, angle: float) -> Rotation:
    c, s = math.cos(angle), math.sin(angle)
    rotation = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    return rotation


class Refinement(nn.Module):
    """A residual block of two 3x3 convolutions, and a 1x1 convolution, on (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return self.out(F.relu(x + y))


class ViewFusion(nn.Module):
    """Attention over patches of all views of a cloud, added to each: (B * views, C, H, W) -> the same shape."""

    def __init__(self, views: int, width: int, fusion_width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.views = views
        self.patches = nn.Conv2d(width, fusion_width, 7, stride=7, bias=False)
        self.attention_norm = nn.LayerNorm(fusion_width)
        self.attention = SelfAttention(fusion_width, heads, head_width)
        self.mlp_norm = nn.LayerNorm(fusion_width)
        self.mlp = nn.Sequential(
            nn.Linear(fusion_width, 2 * fusion_width), nn.GELU(), nn.Linear(2 * fusion_width, fusion_width)
        )
        self.spread = nn.Conv2d(fusion_width, width, 3, padding=1)
        self.merge = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x)
        images, channels, height, width = patches.shape
        tokens = patches.flatten(2).transpose(1, 2).reshape(images // self.views, -1, channels)
        tokens = tokens + self.attention(self.attention_norm(tokens))
        tokens = tokens + self.mlp(self.mlp_norm(tokens))
        fused = tokens.reshape(images, height * width, channels).transpose(1, 2).unflatten(2, (height, width))
        fused = F.gelu(self.spread(F.interpolate(fused, size=x.shape[2:], mode="nearest")))
        return F.gelu(self.merge(torch.cat([fused, x], dim=1)))


class SelfAttention(nn.Module):
    """Multi-head attention with heads of any width, on (B, tokens, C)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.out(attended.transpose(1, 2).flatten(2))
