"""Which runtime computes a model, and what happens where it cannot."""

import importlib.util
import logging

import pytest
import torch

from models.perception import PerceptionModel
from models.precision import Precision
from models.runtimes.base import Target, Untranslatable
from models.runtimes.openvino import OpenVinoRuntime
from models.runtimes.registry import RUNTIMES, compiled
from tests.models.runtimes.networks import maps, model

CPU, CUDA = Target(torch.device("cpu")), Target(torch.device("cuda"))
INSTALLED = importlib.util.find_spec("openvino") is not None


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.skipif(not INSTALLED, reason="openvino is not installed")
def test_openvino_computes_on_a_cpu_where_it_is_installed() -> None:
    assert compiled(model(), CPU).runtime == "openvino"


@pytest.mark.usefixtures("not_installed")
def test_torch_computes_where_openvino_is_not_installed() -> None:
    assert compiled(model(), CPU).runtime == "torch"


@pytest.mark.usefixtures("not_installed")
def test_asking_for_openvino_where_it_is_not_installed_says_how_to_install_it() -> None:
    with pytest.raises(ValueError, match=r"'openvino' was asked for, but it is not installed: pip install"):
        compiled(model(), CPU, "openvino")


def test_openvino_is_not_for_a_cuda_device() -> None:
    with pytest.raises(ValueError, match="does not run on cuda: choose auto or torch"):
        compiled(model(), CUDA, "openvino")


def test_an_unknown_runtime_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'onnx' is unknown, expected one of auto, openvino, torch"):
        compiled(model(), CPU, "onnx")


def test_torch_takes_over_what_another_runtime_cannot_compute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(network: PerceptionModel, target: Target) -> None:
        raise Untranslatable("a new layer has no translation")

    monkeypatch.setattr(OpenVinoRuntime, "obstacle", lambda self, device: None)
    monkeypatch.setattr(RUNTIMES["openvino"], "compile", fails)
    with caplog.at_level(logging.WARNING):
        assert compiled(model(), CPU).runtime == "torch"
    assert "by torch, not by openvino: a new layer has no translation" in caplog.text


@pytest.mark.parametrize("channels_last", [True, False])
def test_torch_takes_maps_in_the_format_and_precision_that_are_asked_for(channels_last: bool) -> None:
    network = compiled(model(), Target(CPU.device, Precision.BFLOAT16, channels_last), "torch")
    expected = model()
    x = maps(2, 3, 32, 32)
    with torch.inference_mode():
        error = (network(x)["logits"].float() - expected(x)["logits"]).norm()
    assert (network.precision, network.dtype) == (Precision.BFLOAT16, torch.bfloat16)
    assert network.memory_format is (torch.channels_last if channels_last else torch.contiguous_format)
    assert error < 0.1 * expected(x)["logits"].norm()
