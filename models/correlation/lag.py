"""Lags between series, in steps of time on a circle. Series are (..., L, E): L steps of E channels."""

import torch
from torch import Tensor


def correlation(queries: Tensor, keys: Tensor) -> Tensor:
    """(..., L, E) twice -> (..., L), float32: entry t is the mean over channels of sum_s queries[s + t] * keys[s].

    Wiener-Khinchin: a product of spectra (Autoformer, Wu et al. 2021, eq. 8). The mean over channels is taken of the
    spectra, as the inverse transform is linear. Half precision has no such transform on every device, and its lags
    would be rounded away.
    """
    steps = queries.shape[-2]
    spectrum = torch.fft.rfft(queries.float(), dim=-2) * torch.fft.rfft(keys.float(), dim=-2).conj()
    return torch.fft.irfft(spectrum.mean(dim=-1), n=steps, dim=-1)


def advance(series: Tensor, lags: Tensor) -> Tensor:
    """(..., L, E) and integers (...) -> series[(t + lag) % L] at every step t; a negative lag delays."""
    steps = series.shape[-2]
    times = torch.arange(steps, device=series.device)
    sources = (times + lags.unsqueeze(-1)) % steps
    return series.take_along_dim(sources.unsqueeze(-1), dim=-2)
