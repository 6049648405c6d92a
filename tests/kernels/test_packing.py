"""Packed weights are computed once, and never stale."""

import gc

import pytest
import torch
from torch import Tensor

from kernels import packing
from kernels.module import DepthwiseConv2d
from kernels.packing import forget, packed
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


def test_a_weight_made_in_inference_mode_is_packed_once(pack: Pack) -> None:
    with torch.inference_mode():
        weight = drawn(3) * 1
        assert weight.is_inference()
        first, again = (packed(weight, ("double",), pack) for _ in range(2))
        assert first is again
        weight.data = drawn(3).flip(0)
        assert torch.equal(packed(weight, ("double",), pack), weight * 2)
        weight.add_(1)
        forget(weight)
        assert torch.equal(packed(weight, ("double",), pack), weight * 2)
    assert pack.calls == 3


def test_loading_into_a_layer_made_in_inference_mode_is_seen(pack: Pack) -> None:
    with torch.inference_mode():
        layer = DepthwiseConv2d(3, 3)
        packed(layer.weight, ("double",), pack)
        layer.load_state_dict(DepthwiseConv2d(3, 3).state_dict())
        assert torch.equal(packed(layer.weight, ("double",), pack), layer.weight * 2)
    assert pack.calls == 2


def test_memory_that_went_and_came_back_is_not_taken_for_the_weights(pack: Pack) -> None:
    weight = drawn(3)
    with torch.no_grad():
        packed(weight, ("double",), pack)
        for i in range(20):  # allocators hand out again what was just returned
            weight.data = torch.full_like(weight, 0.0)
            weight.data = torch.full_like(weight, float(i))
            assert torch.equal(packed(weight, ("double",), pack), weight * 2)


def test_another_view_of_the_same_memory_is_packed_by_itself(pack: Pack) -> None:
    weight = drawn(4, 4)
    with torch.no_grad():
        packed(weight, ("double",), pack)
        weight.data = weight.data.T
        assert torch.equal(packed(weight, ("double",), pack), weight * 2)
