"""What holds for every test of kernels."""

import pytest

from models.float32 import exact_float32


@pytest.fixture(autouse=True, scope="session")
def float32_is_exact() -> None:
    """As where models are served; the library is compared with, and by default rounds float32 on CUDA to TF32."""
    exact_float32()
