"""The layer norm of a channels-last map, against its definition in float64."""

import pytest
import torch

from kernels.reference import reference_layer_norm
from tests.kernels.problems import TOLERANCE, drawn, error, needs_triton, poisoned

pytestmark = needs_triton


@pytest.mark.parametrize("gelu", [False, True], ids=["norm", "norm and gelu"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("shape", "rows"), [((2, 20, 3, 5), 8), ((1, 1, 1, 1), 4), ((3, 33, 2, 2), 64)])
def test_every_position_is_normalized_over_its_channels(
    shape: tuple[int, int, int, int], rows: int, dtype: torch.dtype, gelu: bool
) -> None:
    from kernels.triton_norm import layer_norm, norm_configs

    x = (3 + 2 * drawn(*shape)).to(dtype).contiguous(memory_format=torch.channels_last)
    weight, bias = drawn(shape[1], dtype=dtype), drawn(shape[1], dtype=dtype)
    with poisoned():
        found = layer_norm(x, weight, bias, 1e-6, gelu, {**norm_configs(x)[0], "ROWS": rows})
    assert found.dtype is dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert error(found, reference_layer_norm(x, weight, bias, 1e-6, gelu)) < 2 * TOLERANCE[dtype]


@pytest.mark.parametrize("channels", [20, 40, 320, 3840])
def test_configurations_cover_the_channels_and_differ(channels: int) -> None:
    from kernels.triton_norm import norm_configs

    found = norm_configs(torch.empty(1, channels, 7, 7, device="meta"))
    assert all(channels <= config["CHANNELS"] < 2 * channels for config in found)
    assert len({config["ROWS"] for config in found}) == len(found)
