"""Log-mel filter banks: the bits of torchaudio, with it and without."""

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import preprocessors.sounds.filter_bank
from preprocessors.sounds.filter_bank import FilterBank, own_filter_bank, torchaudio_filter_bank
from tests.conftest import SharedPath
from tests.oracle import Case, symmetric
from tests.recordings import stored, tone


def kaldi(sample_rate: int = 16_000, n_mels: int = 128) -> FilterBank:
    return FilterBank(sample_rate, n_mels, frame_length_ms=25.0, hop_length_ms=10.0)


def waveform(name: str, samples: int, level: float = 0.3) -> Tensor:
    return level * torch.from_numpy(symmetric(name, (samples,)).astype(np.float32))


def loaded() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torchaudio"}


@pytest.fixture
def unloaded() -> Iterator[None]:
    """No torchaudio is imported, and what the test imports is gone afterwards."""
    before = loaded()
    _unload()
    yield
    _unload()
    sys.modules.update(before)


def _unload() -> None:
    for name in loaded():
        del sys.modules[name]
    preprocessors.sounds.filter_bank._implementation.cache_clear()


def without_extension() -> ModuleType:
    """What stands in for torchaudio's compiled part where that was built for another torch; filter banks need none."""
    module: Any = ModuleType("torchaudio._extension")
    module._IS_TORCHAUDIO_EXT_AVAILABLE = module._IS_ALIGN_AVAILABLE = module._IS_RIR_AVAILABLE = False
    module._check_cuda_version = lambda: None
    module.fail_if_no_align = module.fail_if_no_rir = lambda function: function
    return module


@pytest.fixture
def torchaudio(unloaded: None) -> None:
    """torchaudio, made to import beside any torch."""
    if find_spec("torchaudio") is None:
        pytest.skip("torchaudio is not installed")
    sys.modules["torchaudio._extension"] = without_extension()
    import_module("torchaudio.compliance.kaldi")


@pytest.mark.usefixtures("torchaudio")
@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("n_mels", [23, 80, 128])
def test_ours_has_the_bits_of_torchaudios(sample_rate: int, n_mels: int) -> None:
    bank = kaldi(sample_rate, n_mels)
    for samples, level in ((bank.frame_length, 0.3), (sample_rate // 2 + 7, 1e-4), (2 * sample_rate, 0.3)):
        x = waveform(f"bits/{samples}", samples, level)
        ours = own_filter_bank(bank, x)
        assert ours.shape == (bank.frames(samples), n_mels)
        assert torch.equal(ours, torchaudio_filter_bank(bank, x))
        assert torch.equal(own_filter_bank(bank, x.double()), torchaudio_filter_bank(bank, x.double()))


@pytest.mark.usefixtures("torchaudio")
def test_other_frames_have_the_bits_of_torchaudios() -> None:
    bank, x = FilterBank(16_000, 64, frame_length_ms=20.0, hop_length_ms=12.5), waveform("frames", 16_000)
    assert bank(x).shape == (79, 64)
    assert torch.equal(own_filter_bank(bank, x), torchaudio_filter_bank(bank, x))


@pytest.mark.parametrize("name", ["fbank_sc_1s", "fbank_sc_short"])
def test_filter_banks_are_the_stored_ones(name: str, shared_path: SharedPath) -> None:
    case = Case.read(shared_path(f"oracle/{name}.json"))
    x, step = torch.from_numpy(stored(case)), case.about["sample_step"]
    x -= x.mean()
    found = kaldi()(x)
    assert len(found) == case.about["frames"]
    difference = np.abs(found[:: step[0], :: step[1]].numpy() - case.stored["fbank"])
    assert difference.max() < 2e-2
    assert difference.mean() < 1e-5
    exact = kaldi()(x.double())[:: step[0], :: step[1]].numpy()
    np.testing.assert_allclose(exact, case.stored["fbank_f64"], atol=2e-5)


@pytest.mark.parametrize("hertz", [250, 1000, 4000])
def test_a_tone_is_loudest_in_the_filter_of_its_frequency(hertz: int) -> None:
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)
    nearest = np.abs(edges[1:-1] - 1127 * np.log1p(hertz / 700)).argmin()
    found = kaldi(n_mels=80)(torch.from_numpy(tone(hertz, 1.0, 16_000)))
    assert set(found.argmax(dim=1).tolist()) == {nearest}


def test_silence_lies_at_the_floor() -> None:
    assert torch.equal(kaldi()(torch.zeros(16_000)), torch.full((98, 128), 2.0**-23).log())


def test_samples_and_frames_count_each_other() -> None:
    bank = kaldi()
    assert (bank.frame_length, bank.hop_length, bank.fft_length) == (400, 160, 512)
    assert [bank.frames(n) for n in (0, 399, 400, 559, 560, 16_000, 160_000)] == [0, 0, 1, 1, 2, 98, 998]
    assert bank.samples(1024) == 1023 * 160 + 400
    assert bank.frames(bank.samples(1024)) == 1024
    assert bank.frames(bank.samples(1024) - 1) == 1023


@pytest.mark.parametrize("shape", [(0,), (399,), (1, 16_000)])
def test_less_than_a_frame_or_more_than_a_channel_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one axis of 400 samples or more"):
        kaldi()(torch.zeros(shape))


def test_what_is_kept_from_inference_serves_training() -> None:
    bank = kaldi(n_mels=37)
    preprocessors.sounds.filter_bank._mel_filters.cache_clear()
    preprocessors.sounds.filter_bank._hann_window.cache_clear()
    with torch.inference_mode():
        bank(torch.zeros(16_000))
    x = waveform("gradient", 16_000).requires_grad_()
    (gradient,) = torch.autograd.grad(bank(x).sum(), x)
    assert gradient.any()


@pytest.mark.usefixtures("torchaudio")
def test_torchaudio_does_the_work_where_it_can_be_imported() -> None:
    assert preprocessors.sounds.filter_bank._implementation() is torchaudio_filter_bank
    x = waveform("route", 16_000)
    assert torch.equal(kaldi()(x), own_filter_bank(kaldi(), x))


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("fault", ["OSError('libcudart.so.13')", "RuntimeError('CUDA 12.8, not 13.0')", "ImportError"])
def test_a_torchaudio_that_cannot_be_imported_leaves_no_trace(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "torchaudio"
    (broken / "compliance").mkdir(parents=True)
    (broken / "__init__.py").write_text(f"from torchaudio import compliance\nraise {fault}\n")
    (broken / "compliance" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert preprocessors.sounds.filter_bank._implementation() is own_filter_bank
    assert not loaded()
    assert kaldi()(torch.zeros(16_000)).shape == (98, 128)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graphics_processor_computes_nearly_the_same() -> None:
    x = waveform("device", 48_000)
    found = own_filter_bank(kaldi(), x.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), own_filter_bank(kaldi(), x), atol=2e-2, rtol=0)
