"""Kernels are measured on CUDA devices only, for as long and where the service says."""

from pathlib import Path

import pytest
import torch

from models import tuning
from models.tuning import tuned_kernels
from tests.kernels.problems import needs_triton


@needs_triton
def test_a_cpu_measures_nothing(tmp_path: Path) -> None:
    from kernels.tuning import _session

    with tuned_kernels(torch.device("cpu"), 60, tmp_path):
        assert _session.get() is None


@needs_triton
def test_a_gpu_measures_for_the_given_time_into_the_given_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels.tuning import _session

    monkeypatch.setattr(tuning, "triton_runs", lambda: True)
    with tuned_kernels(torch.device("cuda"), 60, tmp_path):
        session = _session.get()
        assert session is not None
        assert session.cache.folder == tmp_path
        assert 0 < session.end - session.clock() <= 60
    assert _session.get() is None


def test_without_triton_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "triton_runs", lambda: False)
    with tuned_kernels(torch.device("cuda"), 60, tmp_path):
        pass


def test_the_library_measures_its_convolutions_too_but_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "triton_runs", lambda: False)
    assert not torch.backends.cudnn.benchmark
    with tuned_kernels(torch.device("cuda"), 60, tmp_path):
        assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark
