"""Stored outputs of the authors' code, and the rule that fills weights and inputs again (see the oracle's RECIPE)."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def uniform(name: str, shape: tuple[int, ...]) -> Array:
    seed = zlib.crc32(name.encode())
    return np.random.Generator(np.random.PCG64(seed)).random(int(np.prod(shape))).reshape(shape)


def symmetric(name: str, shape: tuple[int, ...]) -> Array:
    """Mean 0, deviation 1."""
    return (2 * uniform(name, shape) - 1) * np.sqrt(3)


def fill(key: str, shape: tuple[int, ...], dtype: str, profile: str = "default") -> Array:
    """Value of the entry `key` of an upstream state dict."""
    return np.zeros(shape, dtype) if "int" in dtype else _values(key, shape, profile == "eps").astype(np.float32)


def _values(key: str, shape: tuple[int, ...], small: bool) -> Array:
    leaf = key.rpartition(".")[2]
    if leaf == "running_mean":
        return symmetric(key, shape) * (0.001 if small else 0.1)
    if leaf == "running_var":
        return (0.5 + uniform(key, shape)) * (2e-5 if small else 1)
    if leaf == "bias":
        return 0.1 * symmetric(key, shape)
    if leaf in ("gamma", "beta"):
        return 0.5 * symmetric(key, shape) if len(shape) == 4 else 0.2 + 0.2 * uniform(key, shape)
    if leaf == "affine_bias":
        return 0.1 * symmetric(key, shape)
    if len(shape) == 1 or leaf in ("weight_g", "affine_weight"):
        return 0.5 + uniform(key, shape)
    return symmetric(key, shape) / np.sqrt(np.prod(shape[1:]))


def make_input(name: str, shape: tuple[int, ...]) -> Array:
    """Noise; on maps (N, C, H, W) half of it, on a coarse 8 x 8 pattern."""
    fine = symmetric(f"input/{name}", shape)
    if len(shape) != 4:
        return fine.astype(np.float32)
    n, channels, height, width = shape
    coarse = symmetric(f"input/{name}/coarse", (n, channels, 8, 8))
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return (0.5 * fine + coarse[:, :, rows][:, :, :, columns]).astype(np.float32)


def checksum(array: Array) -> list[float]:
    wide = array.astype(np.float64)
    little_endian = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return [zlib.crc32(little_endian.tobytes()), float(wide.sum()), float((wide * wide).sum())]


def relative_error(found: Tensor, expected: Array) -> float:
    """Largest difference over the largest expected value."""
    return float(np.abs(found.detach().double().numpy() - expected).max() / np.abs(expected).max())


@dataclass(frozen=True)
class Case:
    """One stored case: `about` is its description, `stored` the arrays the authors' code gave."""

    about: dict[str, Any]
    stored: dict[str, Array]

    @classmethod
    def read(cls, description: Path) -> "Case":
        with np.load(description.with_suffix(".npz")) as arrays:
            return cls(json.loads(description.read_text()), dict(arrays))

    def input(self) -> Tensor:
        about = self.about["input"]
        values = make_input(about["name"], tuple(about["shape"]))
        assert checksum(values)[0] == about["checksum"][0], "the input was not filled as recorded"
        return torch.from_numpy(values) * about.get("scale", 1.0)

    def noise(self, name: str, shape: Sequence[int], scale: float = 1.0) -> Tensor:
        """The input `name` of a case that has several, plain noise of any rank times `scale`."""
        values = symmetric(f"input/{self.about['case']}/{name}", tuple(shape)).astype(np.float32)
        return torch.from_numpy(values) * scale

    def weights(self, keys: str = "keys") -> dict[str, Tensor]:
        """The state dict under the authors' names; `deploy_keys` fills the deploy structure directly."""
        prefix, profile = self.about.get("prefix", ""), self.about.get("profile", "default")
        filled = {}
        for key, shape, dtype, *recorded in self.about[keys]:
            values = fill(prefix + key, tuple(shape), dtype, profile)
            assert not recorded or checksum(values)[0] == recorded[0][0], f"{key} was not filled as recorded"
            filled[key] = torch.from_numpy(values)
        return filled
