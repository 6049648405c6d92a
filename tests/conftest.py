"""What several test files need: reference data where it is at hand, and checkpoints too small to wait for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.config import BackboneConfig
from tests.tiny import LABELS, TINY, TINY_BACKBONE, save_tiny

__all__ = ["LABELS", "SharedPath"]

SHARED = Path(__file__).resolve().parents[2] / "shared"

SharedPath = Callable[[str], Path]

os.environ.setdefault("UNIREPLKNET_ENGINE", "thread")  # tests/service/engine has the process that serves by default
os.environ.setdefault("UNIREPLKNET_THREADS", "1")  # see below
os.environ.setdefault("UNIREPLKNET_RUNTIME", "torch")  # the fastest to load; who tests others, or what comes, says so
os.environ.setdefault("UNIREPLKNET_PRECISION", "float32")  # numbers that are compared must not depend on the processor
if not torch.cuda.is_available():
    # Triton kernels run in its interpreter on CPU tensors. It must be told before a kernel is defined, which is when
    # kernels/triton_*.py is first imported; they are only ever reached by name on a CPU, so other tests notice nothing
    os.environ.setdefault("TRITON_INTERPRET", "1")
torch.backends.cudnn.allow_tf32 = False  # tolerances are those of float32
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
    return TINY_BACKBONE


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A servable image classifier of five labels with random weights; its answers differ from image to image."""
    return save_tiny("classify/image", tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors", "tiny")


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> tuple[Path, ...]:
    """One of every modality; that of images is `tiny_checkpoint`."""
    folder = tmp_path_factory.mktemp("modalities")
    names = [(task, f"tiny-{task.rpartition('/')[2]}") for task in TINY if task != "classify/image"]
    return (tiny_checkpoint, *(save_tiny(task, folder / f"{name}.safetensors", name) for task, name in names))
