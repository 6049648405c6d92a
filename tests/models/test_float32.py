"""float32 on CUDA keeps its digits."""

import pytest
import torch

from models.float32 import exact_float32
from models.precision import Precision
from models.runtimes.base import Target
from models.runtimes.registry import RUNTIMES
from tests.models.runtimes.networks import model


@pytest.fixture(autouse=True)
def default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)


def test_convolutions_and_products_do_without_tf32() -> None:
    exact_float32()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_model_that_is_served_on_cuda_has_exact_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    network = model()
    monkeypatch.setattr(network, "to", lambda *_, **__: network)  # as if there were a GPU
    RUNTIMES["torch"].compile(network, Target(torch.device("cuda"), Precision.FLOAT32))
    assert not torch.backends.cudnn.allow_tf32
