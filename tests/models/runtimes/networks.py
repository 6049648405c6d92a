"""Deployed networks for the runtimes to compute."""

import torch
from torch import Tensor

from models.config import BackboneConfig
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from tests.randomized import randomize

CONFIG = BackboneConfig((1, 2, 1, 1), (8, 12, 20, 24), ((3,), (7, 3), (13,), (5,)), normalized_features=True)


def backbone(config: BackboneConfig = CONFIG) -> UniRepLKNet:
    """In deploy form."""
    return reparameterize(randomize(UniRepLKNet(config)))


def model(config: BackboneConfig = CONFIG) -> PerceptionModel:
    head = randomize(ClassificationHead(config.dims[-1], ["ant", "bee", "cat"]))
    return PerceptionModel(backbone(config), head).eval()


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
