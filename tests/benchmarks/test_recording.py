"""Rows say on what they were measured."""

import subprocess

import pytest
import torch

from benchmarks import recording
from benchmarks.recording import machine


def test_a_cpu_is_told_with_the_packages_that_are_candidates() -> None:
    versions = machine("cpu", ("numpy", "no-such-package"))["versions"]
    assert f"torch {torch.__version__}" in versions
    assert "numpy " in versions
    assert "no-such-package" not in versions
    assert "numpy" not in machine("cpu")["versions"]


def test_a_gpu_is_told_with_all_that_computes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    answer = subprocess.CompletedProcess([], 0, stdout="580.159.03\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    about = machine("cuda")
    assert about["device"] == "NVIDIA H200"
    assert about["versions"].endswith("CUDA 13.0, cuDNN 91002")
    assert about["driver"] == "580.159.03"


def test_without_its_tool_the_driver_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(subprocess, "run", missing)
    assert recording._driver() == ""
