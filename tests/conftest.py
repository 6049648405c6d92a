"""What several test files need: reference data where it is at hand, and a checkpoint too small to wait for."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import Checkpoint, ModelCard, Structure
from models.config import BackboneConfig, default_kernel_sizes
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from preprocessors.image import ImagePreprocessor

SHARED = Path(__file__).resolve().parents[2] / "shared"
LABELS = ("ant", "bee", "cat", "dog", "eel")

SharedPath = Callable[[str], Path]

torch.set_num_threads(1)  # networks this small gain nothing from threads, and lose much on a busy machine


@pytest.fixture(scope="session")
def shared_path() -> SharedPath:
    """Path of a file kept beside the repository, such as `oracle/a_224.json`; skips the test where it is absent."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"{relative} is not beside this checkout (../shared)")
        return path

    return find


@pytest.fixture(scope="session")
def tiny_config() -> BackboneConfig:
    depths = (1, 1, 1, 1)
    return BackboneConfig(depths=depths, dims=(8, 16, 24, 32), kernel_sizes=default_kernel_sizes(depths))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_config: BackboneConfig) -> Path:
    """A servable image classifier of five labels with random weights; its answers differ from image to image."""
    torch.manual_seed(0)
    head: dict[str, Any] = {"num_features": tiny_config.dims[-1], "labels": LABELS, "init_scale": 50.0}
    model = PerceptionModel(UniRepLKNet(tiny_config), ClassificationHead(**head))
    for name, parameter in model.backbone.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
        elif not name.endswith(("bias", "beta")):
            torch.nn.init.uniform_(parameter, 0.5, 1.0)
    card = ModelCard("tiny", "random weights, for tests", metrics={"test_accuracy": 0.2})
    options = (asdict(ImagePreprocessor(size=32)), asdict(tiny_config), head)
    weights = reparameterize(model).state_dict()
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors"
    Checkpoint("classify/image", *options, Structure.DEPLOY, card, weights).save(path)
    return path
