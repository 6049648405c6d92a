"""Log-mel filter banks, computed as Kaldi's compute-fbank-feats does with a Hann window.

Where torchaudio can be imported its `compliance.kaldi.fbank` does the work. Its published wheels are built against one
CUDA version, and cannot be imported beside a torch for CPUs or for another CUDA; there our own implementation does,
which gives the same bits, and is faster since it keeps the window and the filters.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LOWEST_FREQUENCY = 20.0  # Hz, the lower edge of the first filter; the upper edge of the last is the Nyquist frequency
PRE_EMPHASIS = 0.97
ENERGY_FLOOR = 2.0**-23  # the float32 epsilon, in both precisions; its logarithm is -15.94


@dataclass(frozen=True)
class FilterBank:
    """sample_rate in Hz. n_mels: triangular filters, equally wide in mel."""

    sample_rate: int
    n_mels: int
    frame_length_ms: float
    hop_length_ms: float

    @property
    def frame_length(self) -> int:
        return int(self.sample_rate * self.frame_length_ms * 0.001)  # in the order that torchaudio rounds in

    @property
    def hop_length(self) -> int:
        return int(self.sample_rate * self.hop_length_ms * 0.001)

    @property
    def fft_length(self) -> int:
        return 1 << (self.frame_length - 1).bit_length()

    def frames(self, samples: int) -> int:
        """How many frames lie wholly within so many samples."""
        return max(0, 1 + (samples - self.frame_length) // self.hop_length)

    def samples(self, frames: int) -> int:
        """How many samples so many frames span."""
        return (frames - 1) * self.hop_length + self.frame_length

    def __call__(self, waveform: "Tensor") -> "Tensor":
        """(samples,) -> (frames, n_mels), natural logarithm of the power, in the dtype and on the device of the input.

        Raises ValueError for a waveform that is shorter than one frame.
        """
        if waveform.ndim != 1 or len(waveform) < self.frame_length:
            shape = tuple(waveform.shape)
            raise ValueError(f"a waveform of shape {shape}: give one axis of {self.frame_length} samples or more")
        return _implementation()(self, waveform)


def own_filter_bank(bank: FilterBank, waveform: "Tensor") -> "Tensor":
    """Every step is in the order and of the kind that torchaudio's is: sums in float32 depend on both."""
    import torch

    frames = waveform.unfold(0, bank.frame_length, bank.hop_length)
    frames = frames - frames.mean(dim=1, keepdim=True)
    before = torch.cat((frames[:, :1], frames[:, :-1]), dim=1)
    frames = (frames - PRE_EMPHASIS * before) * _hann_window(bank.frame_length, waveform.device, waveform.dtype)
    power = torch.fft.rfft(frames, n=bank.fft_length).abs().pow(2.0)
    return torch.mm(power, _mel_filters(bank, waveform.device, waveform.dtype).T).clamp(min=ENERGY_FLOOR).log()


def torchaudio_filter_bank(bank: FilterBank, waveform: "Tensor") -> "Tensor":
    kaldi = import_module("torchaudio.compliance.kaldi")
    return kaldi.fbank(
        waveform[None],
        sample_frequency=bank.sample_rate,
        num_mel_bins=bank.n_mels,
        frame_length=bank.frame_length_ms,
        frame_shift=bank.hop_length_ms,
        low_freq=LOWEST_FREQUENCY,
        preemphasis_coefficient=PRE_EMPHASIS,
        window_type="hanning",
        dither=0.0,
        htk_compat=True,
        use_energy=False,
    )


@lru_cache(maxsize=1)
def _implementation() -> Callable[[FilterBank, "Tensor"], "Tensor"]:
    return torchaudio_filter_bank if _torchaudio_works() else own_filter_bank


def _torchaudio_works() -> bool:
    """Whether it can be imported. One that cannot leaves no half-imported modules behind."""
    before = set(sys.modules)
    try:
        import_module("torchaudio.compliance.kaldi")
    except (ImportError, OSError, RuntimeError):
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torchaudio":
                del sys.modules[name]
        return False
    return True


@lru_cache(maxsize=16)
def _hann_window(length: int, device: "torch.device", dtype: "torch.dtype") -> "Tensor":
    import torch

    with torch.inference_mode(False):  # what is kept must also serve those who train
        return torch.hann_window(length, periodic=False, device=device, dtype=dtype)


@lru_cache(maxsize=16)
def _mel_filters(bank: FilterBank, device: "torch.device", dtype: "torch.dtype") -> "Tensor":
    """(n_mels, fft_length / 2 + 1) weights of the power spectrum; the bin of the Nyquist frequency weighs nothing."""
    import torch

    lowest, highest = _mel(LOWEST_FREQUENCY), _mel(bank.sample_rate / 2)
    width = (highest - lowest) / (bank.n_mels + 1)
    with torch.inference_mode(False):
        index = torch.arange(bank.n_mels).unsqueeze(1)
        left, centre, right = (lowest + (index + offset) * width for offset in (0.0, 1.0, 2.0))
        bins = bank.sample_rate / bank.fft_length * torch.arange(bank.fft_length // 2, dtype=torch.float32)
        mels = 1127.0 * (1.0 + bins / 700.0).log()
        rising, falling = (mels - left) / (centre - left), (right - mels) / (right - centre)
        weights = torch.minimum(rising, falling).clamp(min=0.0)
        return torch.cat((weights, weights.new_zeros(bank.n_mels, 1)), dim=1).to(device, dtype)


def _mel(frequency: float) -> float:
    return 1127.0 * math.log(1.0 + frequency / 700.0)
