"""Packed weights are computed once, and never stale."""

import gc

import pytest
import torch
from torch import Tensor

from kernels import packing
from kernels.packing import packed
from tests.kernels.problems import drawn


class Pack:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, weight: Tensor) -> Tensor:
        self.calls += 1
        return weight * 2


@pytest.fixture
def pack() -> Pack:
    return Pack()


def test_inference_packs_once_for_each_layout(pack: Pack) -> None:
    weight = drawn(3).requires_grad_()
    with torch.inference_mode():
        first, again = (packed(weight, ("double",), pack) for _ in range(2))
        packed(weight, ("other",), pack)
    assert first is again
    assert pack.calls == 2


def test_a_changed_weight_is_packed_again(pack: Pack) -> None:
    weight = drawn(3)
    with torch.no_grad():
        packed(weight, ("double",), pack)
        weight.add_(1)
        assert torch.equal(packed(weight, ("double",), pack), weight * 2)
        weight.data = drawn(3).half()
        found = packed(weight, ("double",), pack)
    assert found.dtype is torch.float16
    assert pack.calls == 3


def test_training_always_packs_without_recording(pack: Pack) -> None:
    weight = drawn(3).requires_grad_()
    assert not packed(weight, ("double",), pack).requires_grad
    packed(weight, ("double",), pack)
    assert pack.calls == 2


def test_what_was_packed_goes_with_its_weight(pack: Pack) -> None:
    before = len(packing._packed)
    weight = drawn(3)
    with torch.no_grad():
        packed(weight, ("double",), pack)
    assert len(packing._packed) == before + 1
    del weight
    gc.collect()
    assert len(packing._packed) == before
